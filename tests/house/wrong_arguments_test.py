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

The table below says what each argument is. A new argument that is not in it
fails `test_the_table_has_every_argument`, so none can be forgotten; every one
is then called with values of which none is right, and has to say so: by its
name, with what was received.
"""

import functools
import inspect
import math

import keras
import numpy as np
import pytest

import tfmot_sapp as sapp

NO_NUMBERS = ("3", b"3", 3j, [3], object(), math.nan, None)
BOOLS = (True, np.True_)
KINDS = {
    "whole": (*NO_NUMBERS, *BOOLS, 2.5, math.inf, -1),
    "optional whole": (*NO_NUMBERS[:-1], *BOOLS, 2.5, math.inf, -1),
    "real": (*NO_NUMBERS, *BOOLS, -1.0),
    "finite": (*NO_NUMBERS, *BOOLS, -1.0, math.inf),
    "optional finite": (*NO_NUMBERS[:-1], *BOOLS, -1.0, math.inf),
    "fraction": (*NO_NUMBERS, *BOOLS, -0.1, 1.1, math.inf),
    "sparsity": (*NO_NUMBERS, *BOOLS, -0.1, 1.0, 2),
    "flag": ("no", 1, 0, 0.5, None, [True], object()),
    "flag or Reconstruct": ("no", 1, 0.5, None, object(), sapp.Reconstruct),
    "choice": ("typo", b"int8", 3, True, [], object()),
    "model": (None, 3, "model", object(), [], {}, keras.layers.Dense),
    "layer": (None, 3, "layer", object(), [], keras.layers.Dense),
    "object": (3, "name", object(), [], True),
    "schedule": (None, 3, "schedule", object(), sapp.OneShot, lambda step: 3),
    "path": (None, 3, "", "a\0b", b"path", [], object()),
    "optional path": (3, "", "a\0b", b"path", [], object()),
    "block size": (None, 3, "32", (), (0, 32), (32, 2.5), (True, 8), {}),
    "optional block size": (3, "32", (), (0, 32), (32, 2.5), (True, 8), {}),
    "sparsities": (None, "0.5", 3j, -0.1, 1.0, math.nan, True, [0.5], {})
    + ({"typo": 0.5}, {"a": "0.5"}, {"a": 1.0}, {3: 0.5}),
    "shares": (3, "111", (1, 1), (1, -1, 1), (0, 0, 0), (1, math.nan, 1)),
    "targets": (3, 0.9, "0.9", [0.9], {"a": 1.0}, {"a": "0.9"}, {3: 0.9}),
    "ratio": (None, "0.5", b"0.5", 0, 1.5, math.nan, True, {"typo": 0.5}, {}),
    "budget": (*NO_NUMBERS, *BOOLS, 0, -1, math.inf),
    "paths": (None, 3, "a.tflite", {}, {"dense": 3}, ["a.tflite"]),
    "data": (None, 3, object(), (), np.full((4, 8), math.nan, np.float32)),
    "optional data": (3, object()),
    "optional function": (3, "function", object()),
    "frequency": (0, -1, "batch", 2.5, None, True, object()),
    "signature": (3, "x", object(), True),
}

SCHEDULE = {
    "target_sparsity": "sparsity",
    "end_step": "whole",
    "begin_step": "whole",
}
MODEL = {"model": "model"}
UNIFORM = {"targets": "targets", "keep_readers": "flag"}
STRENGTH = {"strength": "finite", "block_size": "block size"}
TARGET = {"target": "object"}
LIMIT = "optional finite"
ARGUMENTS = {
    "ACDCSchedule": {
        **SCHEDULE,
        "dense_fraction": "fraction",
        "cycles": "whole",
        "cycles_fraction": "fraction",
        "sparse_share": "fraction",
        "last_sparse_fraction": "fraction",
        "last_dense_fraction": "fraction",
        "reset_optimizer": "flag",
    },
    "BalancedAllocation": UNIFORM,
    "BlockSwaps": {
        "pruning_schedule": "schedule",
        "fraction": "fraction",
        "frequency": "whole",
        "last_swap": "optional whole",
    },
    "BundledAllocation": {**UNIFORM, "bundle": "whole"},
    "CoSaMP": {"iterations": "whole"},
    "ConnectedAllocation": {"allocation": "object"},
    "CpuTarget": {"threads": "whole"},
    "DiffPrune": {
        "transformation": "choice",
        "stochastic": "flag",
        "penalty": "finite",
    },
    "Distillation": {
        "steps": "whole",
        "batch_size": "whole",
        "learning_rate": "finite",
        "temperature": "finite",
        "logits": "flag",
        "seed": "whole",
    },
    "EarlyRamp": {
        **SCHEDULE,
        "ramp_begin": "fraction",
        "ramp_end": "fraction",
        "power": "finite",
        "frequency": "optional whole",
    },
    "FlopsBudget": {"budget": "budget"},
    "GlobalAllocation": {"min_density": "fraction"},
    "GroupedAllocation": {**UNIFORM, "groups": "optional whole"},
    "GroupLasso": STRENGTH,
    "GroupLog": STRENGTH,
    "GroupPower": {**STRENGTH, "power": "finite"},
    "HardConcrete": {"penalty": "finite", "drop_rate": "fraction"},
    "ISpaSP": {"iterations": "whole"},
    "LatencyBudget": {"speedup": LIMIT, "milliseconds": LIMIT},
    "LearnedSparsity": {"end_step": "whole", "frequency": "whole"},
    "Magnitude": {"order": "real"},
    "MinimumBlocks": {"min_blocks": "whole"},
    "NpuTarget": {"vendor": "choice"},
    "OSSCAR": {"swaps": "finite"},
    "OneShot": {
        **SCHEDULE,
        "dense_fraction": "fraction",
        "reset_optimizer": "flag",
    },
    "ParameterBudget": {"budget": "budget"},
    "PowerPropagation": {"alpha": "finite", "elementwise": "flag"},
    "PruneBlocks": {
        "layer": "layer",
        "pruning_schedule": "schedule",
        "block_size": "block size",
        "scorer": "object",
        "allocation": "object",
        "min_blocks": "whole",
    },
    "PruningSummaries": {"log_dir": "path", "update_freq": "frequency"},
    "Reconstruct": {
        "steps": "whole",
        "batch_size": "whole",
        "learning_rate": "finite",
    },
    "SequentialAttention": {
        "logit_scale": "finite",
        "clip": "flag",
        "per_output": "flag",
        "times": "object",
    },
    "SequentialAttentionSchedule": {
        **SCHEDULE,
        "dense_fraction": "fraction",
        "cycles": "whole",
        "cycles_fraction": "fraction",
        "cycle_shares": "shares",
        "ramp_fraction": "fraction",
        "steepness": "finite",
        "frequency": "optional whole",
        "reset_optimizer": "flag",
    },
    "SizeBudget": {"megabytes": "budget"},
    "Taylor": {"decay": "fraction"},
    "Tuning": {
        "threads": "whole",
        "quantize": "choice",
        "representative_data": "optional data",
        "seconds": "finite",
        "target": "object",
    },
    "UniformAllocation": UNIFORM,
    "UpdatePruningStep": {"optimizer": "object"},
    "benchmark": {
        "models": "paths",
        "threads": "whole",
        "batch_size": "whole",
        "rounds": "whole",
        "seed": "whole",
        "target": "object",
    },
    "count_flops": MODEL,
    "export_saved_model": {
        **MODEL,
        "path": "path",
        "jit_compile": "flag",
        "input_signature": "signature",
        "representative_data": "optional data",
    },
    "export_tflite": {
        **MODEL,
        "path": "path",
        "quantize": "choice",
        "representative_data": "optional data",
        "encoding": "choice",
        "batch_size": "optional whole",
        "input_signature": "signature",
        "io_dtype": "choice",
        "max_samples": "whole",
        "tolerance": "optional finite",
        "pack": "flag",
        **TARGET,
    },
    "find_groups": MODEL,
    "latency_block_size": {"layer": "layer", **TARGET},
    "pack_blocks": {**MODEL, **TARGET, "batch_size": "whole", "tune": "object"},
    "pack_tflite": {
        "source": "path",
        "destination": "path",
        **TARGET,
        "tolerance": "optional finite",
    },
    "plan_pruning": {
        **MODEL,
        "budget": "object",
        "target": "object",
        "batch_size": "whole",
        "data": "optional data",
        "most_sparsity": "sparsity",
        "measure": "flag",
        "cache": "optional path",
    },
    "plot_masks": {**MODEL, "path": "optional path"},
    "prune_blocks": {
        "to_prune": "model",
        "pruning_schedule": "schedule",
        "block_size": "block size",
        "scorer": "object",
        "allocation": "object",
        "pruning_policy": "object",
    },
    "prune_family": {
        **MODEL,
        "data": "data",
        "sparsities": "object",
        "block_size": "optional block size",
        "compensate": "flag",
    },
    "prune_post_training": {
        **MODEL,
        "data": "data",
        "sparsity": "sparsities",
        "block_size": "optional block size",
        "compensate": "flag",
    },
    "prune_structured": {
        **MODEL,
        "data": "data",
        "keep": "ratio",
        "criterion": "object",
        "refit": "flag or Reconstruct",
        "rounds": "whole",
        "fine_tune": "optional function",
        "batch_size": "whole",
        "verbose": "flag",
    },
    "recommended": {
        "target_sparsity": "sparsity",
        "end_step": "whole",
        "second_moments": "flag",
    },
    "report": MODEL,
    "strip_pruning": MODEL,
}

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
