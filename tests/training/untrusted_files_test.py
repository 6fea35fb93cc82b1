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
"""A file of a wrapped model makes objects of registered classes alone.

Crafted files are loaded in a process of their own; what they try to run would
write a file.
"""

import copy
import json
import subprocess
import sys
import textwrap
import zipfile

import pytest

import tfmot_sapp as sapp

PIECES = ("pruning_schedule", "scorer", "allocation")


@pytest.fixture(name="saved")
def saved_model(keras, tmp_path):
    model = keras.Sequential([keras.Input((16,)), keras.layers.Dense(16)])
    model = sapp.prune_blocks(
        model,
        sapp.BlockSwaps(sapp.OneShot(0.5, 100)),
        (4, 4),
        sapp.SequentialAttention(times=sapp.Magnitude()),
        sapp.ConnectedAllocation(sapp.GlobalAllocation()),
        pruning_policy=sapp.MinimumBlocks(1),
    )
    path = tmp_path / "model.keras"
    model.save(path)
    return path


def wrappers(value):
    """Yields the configs of pruned layers in a model's config."""
    if isinstance(value, dict):
        if set(PIECES) <= set(value):
            yield value
        for inner in value.values():
            yield from wrappers(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from wrappers(inner)


def rewritten(path, change, name):
    """Writes a copy of a `.keras` file with its wrappers' configs changed."""
    target = path.with_name(name)
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(target, "w") as new:
        for entry in old.namelist():
            content = old.read(entry)
            if entry == "config.json":
                config = json.loads(content)
                found = list(wrappers(config))
                assert found
                for wrapper in found:
                    change(wrapper)
                content = json.dumps(config).encode()
            new.writestr(entry, content)
    return target


def payloads(canary):
    run = {"args": [sys.executable, "-c", f"open({canary!r}, 'w')"]}
    touch = {"self": canary}
    source = {"source": f"open({canary!r}, 'w')"}
    for module, name, config in (
        ("subprocess", "Popen", run),
        ("builtins", "eval", source),
        ("pathlib", "Path", touch),
        ("tfmot_sapp.base.registry", "sys.modules", {}),
        ("keras.src.layers.core.lambda_layer", "Lambda", {}),
        ("tfmot_sapp.scorers.magnitude", "Magnitude.__class__", {}),
    ):
        yield {"module": module, "class_name": name, "config": config}
        for separator in (">", ":", "."):
            yield {
                "registered_name": f"{module}{separator}{name}",
                "config": config,
            }
    # Of the wrong kind, though registered.
    yield {
        "registered_name": "tfmot_sapp>GroupLasso",
        "config": {"strength": 1.0, "block_size": [1, 1]},
    }


PLACES = (
    ("pruning_schedule",),
    ("scorer",),
    ("allocation",),
    ("pruning_schedule", "config", "pruning_schedule"),
    ("scorer", "config", "times"),
    ("allocation", "config", "allocation"),
)


LOAD = """
    import importlib, os, pathlib, subprocess, sys
    import tfmot_sapp
    if {first!r}:
        getattr(tfmot_sapp, {first!r})
    keras = importlib.import_module({keras!r})
    for path in {paths!r}:
        try:
            keras.models.load_model(path)
        except ValueError as error:
            if {shown!r}:
                print(path, error)
        except BaseException as error:
            print(path, type(error).__name__, error)
        else:
            print(path, "loads")
    print("done")
"""


def load(keras, paths, environment, shown=False, first=""):
    program = LOAD.format(
        keras=keras.__name__,
        paths=[str(p) for p in paths],
        shown=shown,
        first=first,
    )
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)],
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def test_no_other_class_is_made(keras, saved, tmp_path, fresh_environment):
    canary = str(tmp_path / "canary")
    paths = []
    for place in PLACES:
        for payload in payloads(canary):

            def change(wrapper, place=place, payload=payload):
                *folders, last = place
                for folder in folders:
                    wrapper = wrapper[folder]
                wrapper[last] = copy.deepcopy(payload)

            name = f"crafted_{len(paths)}.keras"
            paths.append(rewritten(saved, change, name))

    same = rewritten(saved, lambda wrapper: None, "same.keras")

    printed = load(keras, [*paths, same], fresh_environment)

    assert printed == f"{same} loads\ndone\n"
    assert not (tmp_path / "canary").exists()


@pytest.mark.parametrize(
    "keras, first",
    [
        ("tf_keras", "GroupLasso"),
        ("keras", "OneShot"),
        ("tf_keras", "PruneBlocks"),
    ],
    indirect=["keras"],
)
def test_the_file_itself_loads_whatever_was_imported(
    keras, saved, fresh_environment, first
):
    same = rewritten(saved, lambda wrapper: None, "same.keras")

    printed = load(keras, [same], fresh_environment, True, first)

    assert printed == f"{same} loads\ndone\n"
