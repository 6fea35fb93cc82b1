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
"""Every argument of every public name refuses what it cannot take.

The table `public_arguments.py` says what each argument is. A new argument that
is not in it fails `test_the_table_has_every_argument`, so none can be
forgotten; every one is then called with values of which none is right, and has
to say so: by its name, with what was received.
"""

import functools
import inspect

import keras
import numpy as np
import pytest
from public_arguments import (
    ARGUMENTS,
    KINDS,
    METHODS,
    OPTIONS,
    RIGHT_IN_METHODS,
)

import tfmot_sapp as sapp

# TF-MOT's own, and plain data that the authors of a method hand over, which is
# checked where it is used.
NOT_CHECKED = {
    "ConstantSparsity",
    "KernelView",
    "PolynomialDecay",
    "PruningSchedule",
    "StateSpec",
    "SteppedSchedule",
    "Update",
}


def parameters(name):
    thing = getattr(sapp, name)
    found = inspect.signature(thing).parameters.values()
    named = {p.name for p in found if p.kind is not p.VAR_KEYWORD}
    abstract = inspect.isabstract(thing)
    return set() if abstract or name in NOT_CHECKED else named


@pytest.mark.parametrize("name", sapp.__all__)
def test_the_table_has_every_argument(name):
    assert set(ARGUMENTS.get(name, {})) == parameters(name)


@functools.cache
def right():
    """Arguments of each public name that are right."""
    schedule = sapp.OneShot(0.5, end_step=4)
    model = keras.Sequential(
        [
            keras.Input((8,)),
            keras.layers.Dense(8, activation="relu", name="a"),
            keras.layers.Dense(8, name="b"),
        ]
    )
    wide = keras.Sequential([keras.Input((256,)), keras.layers.Dense(256)])
    wrapped = sapp.prune_blocks(
        model, schedule, (4, 4), pruning_policy=sapp.MinimumBlocks(1)
    )
    stepped = {"target_sparsity": 0.5, "end_step": 100}
    regularizer = {"strength": 0.1, "block_size": (4, 4)}
    return {
        "ACDCSchedule": stepped,
        "BlockSwaps": {"pruning_schedule": schedule},
        "Distillation": {"steps": 10},
        "EarlyRamp": stepped,
        "FlopsBudget": {"budget": 0.5},
        "GroupLasso": regularizer,
        "GroupLog": regularizer,
        "GroupPower": regularizer,
        "LatencyBudget": {"speedup": 2.0},
        "LearnedSparsity": {"end_step": 100},
        "OneShot": stepped,
        "ParameterBudget": {"budget": 0.5},
        "PruneBlocks": {
            "layer": keras.layers.Dense(8),
            "pruning_schedule": schedule,
        },
        "PruningSummaries": {"log_dir": "logs"},
        "SequentialAttentionSchedule": stepped,
        "SizeBudget": {"megabytes": 1},
        "benchmark": {"models": {"dense": "missing.tflite"}},
        "count_flops": {"model": model},
        "export_saved_model": {"model": model, "path": "model"},
        "export_tflite": {"model": model, "path": "model.tflite"},
        "pack_tflite": {"source": "in.tflite", "destination": "out.tflite"},
        "find_groups": {"model": model},
        "latency_block_size": {"layer": model.layers[0]},
        "pack_blocks": {"model": model},
        "plan_pruning": {"model": wide, "budget": sapp.LatencyBudget(2.0)},
        "plot_masks": {"model": wrapped},
        "prune_blocks": {
            "to_prune": model,
            "pruning_schedule": schedule,
            "block_size": (4, 4),
            "pruning_policy": sapp.MinimumBlocks(1),
        },
        "prune_family": {
            "model": model,
            "data": np.ones((4, 8), np.float32),
            "sparsities": [0.5],
            "block_size": (4, 4),
            "pruning_policy": sapp.MinimumBlocks(1),
            "verbose": False,
        },
        "prune_post_training": {
            "model": model,
            "data": np.ones((4, 8), np.float32),
            "sparsity": 0.5,
            "block_size": (4, 4),
            "pruning_policy": sapp.MinimumBlocks(1),
            "verbose": False,
        },
        "prune_structured": {
            "model": model,
            "data": np.ones((4, 8), np.float32),
            "keep": 0.5,
            "verbose": False,
        },
        "recommended": stepped,
        "report": {"model": model},
        "strip_pruning": {"model": wrapped},
    }


CALLS = [
    pytest.param(name, argument, index, id=f"{name}-{argument}-{index}")
    for name, kinds in ARGUMENTS.items()
    for argument, kind in kinds.items()
    for index in range(len(KINDS[kind]))
]


@pytest.mark.parametrize(("name", "argument", "index"), CALLS)
def test_a_wrong_argument_is_named(
    name, argument, index, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    wrong = KINDS[ARGUMENTS[name][argument]][index]
    given = {**right().get(name, {}), argument: wrong}

    with pytest.raises((TypeError, ValueError)) as raised:
        getattr(sapp, name)(**given)

    assert f"`{argument}" in str(raised.value)
    assert "Received: " in str(raised.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["prune_family", "prune_post_training"])
@pytest.mark.parametrize("option", OPTIONS)
def test_a_wrong_option_is_named(name, option):
    for wrong in KINDS[OPTIONS[option]]:
        given = {**right()[name], option: wrong}
        with pytest.raises((TypeError, ValueError)) as raised:
            getattr(sapp, name)(**given)

        assert f"`{option}`" in str(raised.value)
        assert "Received: " in str(raised.value)


@pytest.mark.parametrize("owner", METHODS)
def test_a_wrong_argument_of_a_method_is_named(owner):
    for method, kinds in METHODS[owner].items():
        function = getattr(eval(f"sapp.{owner}"), method)
        given = {k: v for k, v in RIGHT_IN_METHODS.items() if k in kinds}
        for argument, kind in kinds.items():
            for wrong in KINDS[kind]:
                with pytest.raises((TypeError, ValueError)) as raised:
                    function(**{**given, argument: wrong})

                assert f"`{argument}`" in str(raised.value), (method, wrong)
                assert "Received: " in str(raised.value)


def test_the_right_arguments_are_right(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    missing = {
        "benchmark",
        "export_saved_model",
        "export_tflite",
        "pack_tflite",
    }
    for name, given in right().items():
        if name not in missing:
            getattr(sapp, name)(**given)


def test_no_call_has_changed_what_it_was_given():
    layers = right()["prune_blocks"]["to_prune"].layers

    assert not any(
        isinstance(layer.__dict__.get("quantize"), functools.partial)
        for layer in layers
    )
