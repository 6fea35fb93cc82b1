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

import itertools
import json
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
ORDERS = (
    *(MODULES[i:] + MODULES[:i] for i in range(len(MODULES))),
    tuple(reversed(MODULES)),
)

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

# What it is like when the project is not imported at all.
WITHOUT = """
import importlib, json, os
for name in {order!r}:
    importlib.import_module(name)
imported = dict(os.environ)
import tensorflow as tf
print(json.dumps({{"tf.keras": tf.keras.__name__, "environment": imported}}))
"""


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
