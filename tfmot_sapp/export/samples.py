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
"""Random inputs that an exported model is compared with its source on.

They are drawn until every kernel of the source has been seen to matter: a
weight whose loss would change no output can't be missed in a file. What matters
is read from gradients: to first order, losing a weight w changes the outputs by
w times their derivative.

Most models are made for inputs of about unit size. One that saturates for them,
as a softmax over large logits does, or that hardly varies, as one for images of
0 to 255 does, is also given smaller and larger ones.
"""

import dataclasses
from typing import Any

import numpy as np
import tensorflow as tf

from tfmot_sapp.export.measure import RANGES
from tfmot_sapp.export.open_extents import OPEN_EXTENTS, at_open_extent
from tfmot_sapp.export.representative_data import random_inputs
from tfmot_sapp.export.serving import Serving
from tfmot_sapp.frameworks.gradients import gradients_if_any

Arrays = dict[str, np.ndarray]

# What a model raises for an extent that it doesn't take.
NOT_TAKEN = (tf.errors.OpError, ValueError, TypeError)

# Calls of one range, and how many are then added as long as that shows more.
_FEWEST, _MORE = 3, (2, 3)
_SAMPLES = 2  # Of one call, where the batch is open.
# A kernel is seen if losing all of it changes the outputs by this much, and if
# losing any of this share of its weights does.
_LEAST_EFFECT = 1e-3
_LEAST_SHARE = 0.99
# Calls of many numbers are long ones: they go on as long as one of them shows
# this many kernels more, or this share of them where there are many, as in a
# packed model; others as long as they show anything more.
_LEAST_MORE, _LEAST_SHARE_MORE = 0.5, 0.01
# Gradients of larger models take too much memory.
_MOST_WEIGHTS = 1 << 26
# Nor do those of many numbers at once.
_MOST_NUMBERS = 1 << 18


def checking_inputs(serving: Serving) -> list[list[Arrays]]:
    """Draws inputs to compare an export on.

    Args:
        serving: The source model.

    Returns:
        Groups of calls; those of one group are of one range of numbers. Each
        call is a dictionary of arrays by input name.

    Raises:
        ValueError: If an input is of a type that no number stands for.
    """
    kernels = _Kernels(serving)
    extent = open_extent(serving)
    groups: list[list[Arrays]] = []
    for low, high in RANGES:
        before = kernels.seen()
        group: list[Arrays] = []
        for count in (_FEWEST, *_MORE):
            last = kernels.seen()
            calls = [
                random_inputs(serving, _SAMPLES, seed, low, high, extent)
                for seed in range(len(group), len(group) + count)
            ]
            group += calls
            least = kernels.worth_more() if _are_long(calls) else 0.0
            for arrays in _together(serving, calls):
                last = kernels.seen() if least else last
                kernels.look(arrays)
            if kernels.seen() == 1.0 or kernels.more_than(last) <= least:
                break
        if not groups or kernels.more_than(before) > least:
            groups.append(group)
        if kernels.seen() == 1.0:
            break
    return groups


def open_extent(serving: Serving) -> int:
    """Returns an extent that a model takes where it leaves an axis open.

    Args:
        serving: The model.

    Raises:
        ValueError: As `checking_inputs` does.
    """

    def attempt(extent: int) -> int:
        arrays = random_inputs(serving, 1, open_axis=extent)
        serving.call({k: tf.constant(v) for k, v in arrays.items()}, None)
        return extent

    if not has_open_axes(serving):
        return OPEN_EXTENTS[0]
    return at_open_extent(attempt, True, NOT_TAKEN)


def has_open_axes(serving: Serving) -> bool:
    """Returns whether a model leaves an axis open, other than the batch.

    Args:
        serving: The model.
    """
    return any(None in spec.shape[1:] for spec in serving.specs.values())


def _together(serving: Serving, calls: list[Arrays]) -> list[Arrays]:
    """Several calls as one, where the model takes any batch."""
    if _are_long(calls):
        return calls
    inputs = getattr(serving.model, "inputs", None)
    if not inputs or any(tensor.shape[0] is not None for tensor in inputs):
        return calls
    return [{k: np.concatenate([each[k] for each in calls]) for k in calls[0]}]


def _are_long(calls: list[Arrays]) -> bool:
    numbers = sum(array.size for call in calls for array in call.values())
    return numbers > _MOST_NUMBERS


@dataclasses.dataclass(eq=False)
class _Seen:
    """What is known of one kernel.

    Attributes:
        variable: The kernel.
        weights: Its value.
        matters: Which of its weights change an output.
        effect: How much losing all of them changes the outputs.
    """

    variable: Any
    weights: np.ndarray
    matters: np.ndarray
    effect: float = 0.0

    @property
    def seen(self) -> float:
        """How far it has been seen to matter, up to 1."""
        share = np.count_nonzero(self.matters) / np.count_nonzero(self.weights)
        return min(self.effect / _LEAST_EFFECT, share / _LEAST_SHARE, 1.0)


class _Kernels:
    """The kernels of a model, and which of them have been seen to matter."""

    def __init__(self, serving: Serving):
        self._serving = serving
        self._seen: list[_Seen] = []
        variables = [
            weight if isinstance(weight, tf.Variable) else weight.value
            for weight in serving.model.weights
            if len(weight.shape) > 1
        ]
        variables = [
            v for v in variables if isinstance(v, tf.Variable) and _is_float(v)
        ]
        if sum(int(np.prod(v.shape)) for v in variables) > _MOST_WEIGHTS:
            return
        for variable in variables:
            weights = np.asarray(variable.numpy(), np.float32)
            if weights.any():
                self._seen.append(
                    _Seen(variable, weights, np.zeros(weights.shape, bool))
                )

    def seen(self) -> float:
        """How far the kernels have been seen to matter, up to 1."""
        if not self._seen:
            return 1.0
        return float(np.mean([each.seen for each in self._seen]))

    def more_than(self, before: float) -> float:
        """How many more kernels were seen since `seen` was this."""
        return (self.seen() - before) * len(self._seen)

    def worth_more(self) -> float:
        """How many more kernels a long call must show for another one."""
        return max(_LEAST_MORE, _LEAST_SHARE_MORE * len(self._seen))

    def look(self, arrays: Arrays) -> None:
        """Looks at what matters for some inputs."""
        fresh = [each for each in self._seen if each.seen < 1.0]
        if not fresh:
            return
        tensors = {k: tf.convert_to_tensor(v) for k, v in arrays.items()}
        variables = [each.variable for each in fresh]
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(variables)
            outputs = self._serving.call(tensors, None).values()
            mixed = [_mixed(y) for y in outputs if y.dtype.is_floating]
            total = tf.add_n(mixed) if mixed else tf.constant(0.0)
        gradients = gradients_if_any(tape, total, variables)
        if gradients is None:
            # Nothing tells what matters.
            self._seen = []
            return
        for each, gradient in zip(fresh, gradients):
            if gradient is not None:
                slope = np.asarray(tf.convert_to_tensor(gradient), np.float32)
                changes = slope * each.weights
                effect = float(np.linalg.norm(changes))
                if not np.isfinite(effect):
                    changes[~np.isfinite(changes)] = 0.0
                    effect = float(np.linalg.norm(changes))
                each.matters |= changes != 0
                each.effect = max(each.effect, effect)


def _mixed(output: Any) -> Any:
    """A random sum of an output, whose scale is 1."""
    output = tf.cast(output, tf.float32)
    scale = tf.stop_gradient(tf.reduce_max(tf.abs(output)))
    signs = tf.random.stateless_normal(tf.shape(output), (0, 1))
    return tf.reduce_sum(output * signs) / tf.maximum(scale, 1e-30)


def _is_float(variable: Any) -> bool:
    return bool(variable.dtype.is_floating)
