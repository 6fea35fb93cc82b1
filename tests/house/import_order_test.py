# Copyright 2026 The tfmot_sapp Authors. All Rights Reserved.
#
# Licensed under the Apache License, Version 2.0 (the "License");
# you may not use this file except in compliance with the License.
# You may obtain a copy of the License at
#
#     http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
# See the License for the specific language governing permissions and
# limitations under the License.
# ==============================================================================
"""Every order of imports works, and importing changes nothing."""

import ast
import itertools
import json
import pathlib
import subprocess
import sys

import pytest

MODULES = (
    "tfmot_sapp",
    "tensorflow_model_optimization",
    "keras",
    "tf_keras",
    "tensorflow",
)

# Each module first once, and every pair both ways.
ORDERS = [MODULES[i:] + MODULES[:i] for i in range(len(MODULES))]

PROGRAM = """
import importlib, json, os, sys
for name in {order!r}:
    before = dict(os.environ)
    importlib.import_module(name)
    if name == "tfmot_sapp":
        changed = set(before.items()) ^ set(os.environ.items())
imported = dict(os.environ)
import keras, numpy as np, tensorflow as tf, tf_keras
import tfmot_sapp as sapp
found = {{"tf.keras": tf.keras.__name__, "environment": imported,
         "changed": sorted({{name for name, _ in changed}})}}
for owner in (keras, tf_keras):
    model = owner.Sequential([owner.Input((16,)), owner.layers.Dense(16)])
    model = sapp.prune_blocks(
        model, sapp.SequentialAttentionSchedule(0.75, 6), (4, 4),
        pruning_policy=sapp.MinimumBlocks(4))
    model.compile("adam", "mse", run_eagerly=True)
    x = np.random.default_rng(0).normal(size=(16, 16))
    model.fit(x, x, batch_size=4, epochs=2, verbose=0,
              callbacks=[sapp.UpdatePruningStep()])
    (row,) = sapp.report(sapp.strip_pruning(model)).pruned
    found[owner.__name__] = row.kept
assert dict(os.environ) == imported, "pruning has changed the environment"
print(json.dumps(found))
"""

# A module that nobody is told to import first, before any Keras.
FIRST = """
import json
import tfmot_sapp.structured.criteria
import keras, tf_keras
known = [
    {name for name in each.saving.get_custom_objects() if "tfmot" in name}
    for each in (keras, tf_keras)
]
import tfmot_sapp as sapp
for name in sapp.__all__:
    getattr(sapp, name)
later = [
    {name for name in each.saving.get_custom_objects() if "tfmot" in name}
    for each in (keras, tf_keras)
]
assert known == later, (known, later)
print(json.dumps(sorted(known[0] & known[1])))
"""

# What it is like when the project is not imported at all.
WITHOUT = """
import importlib, json, os
for name in {order!r}:
    importlib.import_module(name)
imported = dict(os.environ)
import tensorflow as tf
print(json.dumps({{"tf.keras": tf.keras.__name__, "environment": imported}}))
"""


_ROOT = pathlib.Path(__file__).resolve().parents[2]
_FILES = {
    ".".join(path.relative_to(_ROOT).with_suffix("").parts).removesuffix(
        ".__init__"
    ): path
    for path in (_ROOT / "tfmot_sapp").rglob("*.py")
}


def run(program: str, environment: dict[str, str]) -> dict:
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        env=environment,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout.splitlines()[-1])


def test_the_orders_hold_every_pair_both_ways():
    pairs = {
        pair for order in ORDERS for pair in itertools.combinations(order, 2)
    }
    assert pairs == set(itertools.permutations(MODULES, 2))


@pytest.fixture(scope="module")
def without(fresh_environment):
    """What it is like when the others are imported, in whichever order."""
    others = tuple(name for name in MODULES if name != "tfmot_sapp")
    return run(WITHOUT.format(order=others), fresh_environment)


@pytest.mark.parametrize("order", ORDERS, ids=lambda order: "-".join(order))
def test_both_keras_prune_in_every_order(order, fresh_environment, without):
    found = run(PROGRAM.format(order=order), fresh_environment)

    assert found["keras"] == found["tf_keras"] == 4
    assert not found["changed"]
    assert found["tf.keras"] == without["tf.keras"]
    assert found["environment"] == without["environment"]


def test_any_module_may_be_the_first(fresh_environment):
    known = run(FIRST, fresh_environment)

    assert {"tfmot_sapp>PruneBlocks", "tfmot_sapp>GroupPower"} <= set(known)


def test_what_keras_is_told_of_is_never_half_imported():
    """TensorFlow is imported by a package, before a module of it is."""
    imports = {name: set() for name in _FILES}
    libraries = set()
    for name, path in _FILES.items():
        for found in _imported(path):
            if found.partition(".")[0] in {"tensorflow", "keras", "tf_keras"}:
                libraries.add(name)
            imports[name].update(
                {found, found.rpartition(".")[0]} & set(_FILES)
            )
    importers = {name: set() for name in _FILES}
    for name, found in imports.items():
        for each in found:
            importers[each].add(name)
    told = _reached({"tfmot_sapp.registration"}, imports)
    half = told & _reached(libraries, importers) - {"tfmot_sapp.registration"}
    assert len(half) > 40
    for name in half:
        packages = list(_parents(name))
        if _FILES[name].stem == "__init__":
            packages.append(name)
        assert libraries & set(packages), (
            f"{name} is imported as soon as Keras is, and imports TensorFlow: "
            f"one of {packages} must import it before."
        )


def _parents(name):
    while "." in name:
        name = name.rpartition(".")[0]
        yield name


def _imported(path):
    """Yields what a file imports, also within functions of registration."""
    tree = ast.parse(path.read_text())
    nodes = ast.walk(tree) if path.stem == "registration" else tree.body
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _reached(names, imports):
    found, left = set(), list(names)
    while left:
        each = left.pop()
        if each not in found:
            found.add(each)
            left += imports[each]
    return found
