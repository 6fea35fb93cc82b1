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
"""Both sides of a group fitted to what the group gave before.

Least squares finds the best outgoing weights for the units as they are. Units
that are left can also be changed to give more of what is wanted: the layers
from the one that makes them to those that read them are trained, without
labels, until what comes out is closest to the original's, as blocks are
reconstructed after quantization (Li et al., "BRECQ", arXiv 2102.05426, Section
3.2).
"""

import dataclasses
import inspect
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from tfmot_sapp.base.checks import check_count, check_real, check_steps
from tfmot_sapp.frameworks.which_keras import keras_of
from tfmot_sapp.structured.collect import Runner
from tfmot_sapp.units.groups import find_groups
from tfmot_sapp.units.members import Consumer, Group


@dataclasses.dataclass(frozen=True)
class Reconstruct:
    """Fits a group's incoming and outgoing weights to the original's outputs.

    To be passed as `refit` to `tfmot_sapp.prune_structured`: least squares come
    first, then a few hundred steps of Adam (arXiv 1412.6980) for each group,
    with a learning rate that falls as a cosine. No labels are used, and one
    group is trained at a time. Inputs and outputs of that group for all of the
    data are held in memory. Attention heads, and units that are multiplied with
    others, are solved by least squares alone.

    Args:
        steps: Steps for each group, at least 1.
        batch_size: Samples a step, at least 1.
        learning_rate: The first learning rate, above 0.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If an argument is out of range.

    Example:

    >>> Reconstruct(steps=200)
    Reconstruct(steps=200, batch_size=64, learning_rate=0.003)
    """

    steps: int = 500
    batch_size: int = 64
    learning_rate: float = 3e-3

    def __post_init__(self) -> None:
        """Checks the arguments."""
        steps = check_steps(self.steps, "steps", least=1)
        object.__setattr__(self, "steps", steps)
        check_count(self.batch_size, "batch_size")
        check_real(self.learning_rate, "learning_rate", above=0)


def reconstructed(
    model: Any,
    name: str,
    original: tuple[Any, Mapping[str, Group]],
    batches: Iterable[Any],
    how: Reconstruct,
) -> None:
    """Trains one group of a smaller model, in place.

    Args:
        model: The smaller model.
        name: The group's name.
        original: The model whose outputs are wanted, with its groups by name.
        batches: Batches of inputs.
        how: Steps, batch size and learning rate.
    """
    group = {g.name: g for g in find_groups(model).groups}[name]
    known = all(consumer.path for consumer in group.consumers)
    if group.has_heads or group.is_shared or not known:
        return
    fits = _hold(model, group, *original, batches)
    layers = {layer for fit in fits for layer in fit.path}
    variables = [
        _tensor_of(layer, variable)
        for layer in sorted(layers, key=lambda layer: layer.name)
        for variable in layer.trainable_variables
    ]
    before = [variable.numpy() for variable in variables]
    at_first = _loss_of_all(fits, how.batch_size)
    _train(fits, variables, how)
    # A learning rate that is too large must not undo the least squares.
    if not _loss_of_all(fits, how.batch_size) <= at_first:
        for variable, value in zip(variables, before):
            variable.assign(value)


@dataclasses.dataclass(frozen=True)
class _Fit:
    """One consumer, and what it is wanted to give.

    Attributes:
        path: The layers from the producer to it.
        rectified: Whether all that comes goes through a ReLU.
        inputs: Array: what the first of them reads.
        shortcut: Array: what is added to what the last of them gives.
        wanted: Array: what the sum is wanted to be.
        scale: One over the mean square of what is wanted.
    """

    path: tuple[Any, ...]
    rectified: bool
    inputs: np.ndarray
    shortcut: np.ndarray
    wanted: np.ndarray
    scale: float

    def batch(self, at: np.ndarray) -> tuple[tf.Tensor, ...]:
        """Returns some of the samples."""
        return tuple(
            tf.convert_to_tensor(array[at])
            for array in (self.inputs, self.shortcut, self.wanted)
        )

    def loss(
        self, inputs: tf.Tensor, shortcut: tf.Tensor, wanted: tf.Tensor
    ) -> tf.Tensor:
        """Returns the mean square of what is wrong."""
        value = inputs
        for layer in self.path:
            has_modes = "training" in inspect.signature(layer.call).parameters
            modes = {"training": False} if has_modes else {}
            value = layer(value, **modes)
        value = tf.cast(value, tf.float32) + shortcut
        if self.rectified:
            value, wanted = tf.nn.relu(value), tf.nn.relu(wanted)
        return self.scale * tf.reduce_mean(tf.square(value - wanted))


def _hold(
    model: Any,
    group: Group,
    original: Any,
    groups: Mapping[str, Group],
    batches: Iterable[Any],
) -> list[_Fit]:
    """Runs both models over the data."""
    sums = [_total_and_result(consumer) for consumer in group.consumers]
    aims = [
        consumer.result if consumer.total is None else consumer.total
        for consumer in groups[group.name].consumers
    ]
    runner = Runner(model, [[group.source], *sums])
    target = Runner(original, [aims])
    rows: list[list[np.ndarray]] = []
    for batch in batches:
        ((inputs,), *values), (wanted,) = runner(batch), target(batch)
        row = [inputs.numpy()]
        for (total, *result), aim in zip(values, wanted):
            # Nothing is added where there is no sum.
            shortcut = total - result[0] if result else 0 * total
            row += [shortcut.numpy(), aim.numpy()]
        rows.append(row)
    inputs, *others = (np.concatenate(column) for column in zip(*rows))
    fits = []
    for index, consumer in enumerate(group.consumers):
        shortcut, aim = others[2 * index : 2 * index + 2]
        scale = 1 / max(float(np.mean(np.square(aim))), 1e-12)
        fits.append(
            _Fit(
                consumer.path,
                consumer.rectified,
                inputs,
                shortcut.astype(np.float32),
                aim.astype(np.float32),
                scale,
            )
        )
    return fits


def _total_and_result(consumer: Consumer) -> list[Any]:
    """Returns the sum and the branch in it, or the result where it is none."""
    if consumer.total is None:
        return [consumer.result]
    return [consumer.total, consumer.result]


def _tensor_of(layer: Any, variable: Any) -> tf.Variable:
    # A variable of Keras 3 holds one of TensorFlow's.
    return variable.value if keras_of(layer).__name__ == "keras" else variable


def _loss_of_all(fits: list[_Fit], size: int) -> float:
    total = 0.0
    for fit in fits:
        for start in range(0, len(fit.inputs), size):
            at = np.arange(start, min(start + size, len(fit.inputs)))
            total += len(at) * float(fit.loss(*fit.batch(at)))
    return total


def _train(
    fits: list[_Fit], variables: list[tf.Variable], how: Reconstruct
) -> None:
    """Lowers the sum of the losses by Adam."""
    means = [tf.Variable(tf.zeros_like(v)) for v in variables]
    squares = [tf.Variable(tf.zeros_like(v)) for v in variables]

    @tf.function(autograph=False, reduce_retracing=True)
    def step(rate: tf.Tensor, turn: tf.Tensor, batches: list[Any]) -> None:
        with tf.GradientTape() as tape:
            losses = [fit.loss(*b) for fit, b in zip(fits, batches)]
            loss = tf.add_n(losses)
        gradients = tape.gradient(loss, variables)
        for variable, mean, square, gradient in zip(
            variables, means, squares, gradients
        ):
            mean.assign(0.9 * mean + 0.1 * gradient)
            square.assign(0.999 * square + 0.001 * tf.square(gradient))
            root = tf.sqrt(square / (1 - 0.999**turn)) + 1e-8
            variable.assign_sub(rate * mean / (1 - 0.9**turn) / root)

    rng = np.random.default_rng(0)
    samples = len(fits[0].inputs)
    for turn in range(how.steps):
        rate = how.learning_rate * (1 + np.cos(np.pi * turn / how.steps)) / 2
        at = rng.integers(samples, size=min(how.batch_size, samples))
        step(
            tf.constant(rate, tf.float32),
            tf.constant(turn + 1, tf.float32),
            [fit.batch(at) for fit in fits],
        )
