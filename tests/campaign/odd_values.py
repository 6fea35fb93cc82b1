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
"""Values that no argument, or hardly any, is meant for."""

import math
import pathlib
from typing import Any

import keras
import numpy as np
import tensorflow as tf
import tf_keras

import tfmot_sapp as sapp


class Nasty:
    """An object of which nothing can be asked."""

    def __repr__(self) -> str:
        raise RuntimeError("No text.")

    def __eq__(self, other: object) -> bool:
        raise RuntimeError("No comparison.")

    __hash__ = object.__hash__

    def __len__(self) -> int:
        raise RuntimeError("No length.")

    def __bool__(self) -> bool:
        raise RuntimeError("No truth.")


class Unbuilt(keras.Model):  # type: ignore[misc]
    """A subclassed model that nobody has called."""

    def call(self, inputs: Any) -> Any:
        return inputs


def fails(*_: Any) -> Any:
    """A function that fails in its own way."""
    raise KeyError("from inside")


def _wrapped() -> Any:
    model = keras.Sequential([keras.Input((8,)), keras.layers.Dense(8)])
    schedule = sapp.OneShot(0.5, 4)
    policy = sapp.MinimumBlocks(1)
    return sapp.prune_blocks(model, schedule, (4, 4), pruning_policy=policy)


class Answers:
    """A policy, a schedule and a function that answer with nonsense."""

    def __call__(self, *_: Any) -> Any:
        return True, 2.0

    def allow_pruning(self, layer: Any) -> Any:
        return "no"

    def ensure_model_supports_pruning(self, model: Any) -> None:
        pass


VALUES: list[Any] = [
    None,
    True,
    0,
    -1,
    3,
    10**30,
    10**400,
    0.5,
    -0.5,
    1e-300,
    math.nan,
    math.inf,
    1j,
    "",
    "no",
    "a" * 300,
    "\0",
    "\ud800",
    "[red]x[/red]",
    b"0.5",
    (),
    [],
    {},
    {"nothing": 1},
    {"a": None},
    {"a": 0.5},
    {"a": (4, 4)},
    {1: 2},
    [None],
    ["a", 3],
    (4, 4),
    (4, 4, 4),
    (0, 0),
    (math.nan, 2),
    range(3),
    {3},
    slice(2),
    ...,
    object(),
    Nasty(),
    int,
    len,
    fails,
    lambda *_: None,
    lambda layer: (4, "x"),
    np.float32("nan"),
    np.float32(0.5),
    np.int64(3),
    np.bool_(True),
    np.zeros((0, 8), np.float32),
    np.ones((2, 3, 4)),
    np.array(["a"]),
    np.array([None]),
    np.array(0.5),
    np.full((4, 8), math.inf, np.float32),
    np.full((4, 8), 1e300),
    np.ones((4, 8), np.float32),
    np.ones((4, 7), np.float32),
    np.ones((16, 8), np.int8),
    [np.ones((4, 8), np.float32), None],
    {"typo": np.ones((4, 8), np.float32)},
    (32,),
    {"typo": (4, 4)},
    {"*": (4, 4)},
    {"*": 0.5},
    {"[": 0.5},
    lambda: 3,
    Answers(),
    _wrapped(),
    keras.Input((8,)),
    tf.TensorSpec((None, 7)),
    [tf.TensorSpec((None, 8))] * 2,
    "~",
    "..",
    "new/\n.tflite",
    np.ones((4, 8), np.complex64),
    tf.constant(0.5),
    tf.constant("text"),
    tf.ragged.constant([[1.0], []]),
    tf.data.Dataset.from_tensors(tf.ones((4, 3))),
    tf.data.Dataset.range(0),
    pathlib.Path("/dev/full"),
    pathlib.Path("/proc/nothing/there"),
    pathlib.Path("users.txt", "below"),
    sapp.Magnitude(),
    sapp.Magnitude,
    sapp.UniformAllocation(),
    sapp.UniformAllocation({"typo": 0.5}),
    sapp.OneShot(0.5, 4),
    sapp.MinimumBlocks(10**9),
    sapp.ISpaSP(),
    sapp.FlopsBudget(0.5),
    sapp.LatencyBudget(2.0),
    sapp.GpuTarget(),
    sapp.Tuning(seconds=0.1),
    keras.layers.Dense(3),
    keras.Sequential(),
    keras.Sequential([keras.layers.Dense(3)]),
    Unbuilt(),
    tf_keras.Sequential([tf_keras.layers.Dense(3)]),
    keras.optimizers.SGD(),
]
