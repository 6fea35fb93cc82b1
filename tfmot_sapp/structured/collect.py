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
"""Reads a group's statistics from calibration data, batch by batch."""

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any, cast

import numpy as np
import tensorflow as tf

from tfmot_sapp.frameworks.private.attention import projections_of
from tfmot_sapp.frameworks.which_keras import host_value, keras_of
from tfmot_sapp.structured.statistics import Part, Statistics, Target
from tfmot_sapp.units.groups import Consumer, Group, slope_of
from tfmot_sapp.units.heads import head_outputs


@dataclasses.dataclass(frozen=True)
class Reading:
    """What a model shows of a group for a batch, consumer by consumer.

    Attributes:
        patches: Tensors (samples, places, features).
        shortcuts: What is added to the consumer's branch of a residual block,
            like its output; `None` where it is no such branch.
    """

    patches: list[tf.Tensor]
    shortcuts: list[tf.Tensor | None]


class Collector:
    """Sums up what one group shows of batches of data.

    Args:
        group: The group.
        with_gram: Whether the features' products are summed as well.
    """

    def __init__(self, group: Group, with_gram: bool):
        self.group = group
        self.with_gram = with_gram
        self._activation: Any = 0.0
        count = len(group.results)
        self._summed: list[Any] = [0.0] * count
        self._grams: list[Any] = [0.0] * count
        self._targets: list[Target | None] = [None] * count
        self._valid: list[np.ndarray | None] = [None] * count

    @property
    def tensors(self) -> list[Any]:
        """Symbolic tensors whose values `read` wants, in order."""
        sums = [
            tensor
            for one in self.group.results
            if one.total is not None
            for tensor in (one.total, one.result)
        ]
        return self._inputs() + sums

    def _inputs(self) -> list[Any]:
        if self.group.attention is not None:
            return self.group.attention.tensors
        return [consumer.tensor for consumer in self.group.consumers]

    def read(self, values: list[tf.Tensor]) -> Reading:
        """Returns what values of `tensors` show of the group."""
        group, count = self.group, len(self._inputs())
        sums = iter(values[count:])
        shortcuts = [
            None if one.total is None else next(sums) - next(sums)
            for one in group.results
        ]
        return Reading(self._patches(values[:count]), shortcuts)

    def _patches(self, values: list[tf.Tensor]) -> list[tf.Tensor]:
        group = self.group
        if group.attention is not None:
            heads = head_outputs(group.producer, group.attention, values)
            return [features(tf.cast(heads, tf.float32), None)]
        return [
            features(tf.cast(value, tf.float32), consumer)
            for value, consumer in zip(values, group.consumers)
        ]

    def add(
        self, values: list[tf.Tensor], wanted: Reading | None = None
    ) -> None:
        """Adds a batch.

        Args:
            values: The values of `tensors`.
            wanted: What another model shows for the batch that the consumers'
                outputs are to be kept like. Defaults to `None`.
        """
        reading = self.read(values)
        self._add_activation(values[0], reading.patches[0])
        for index, patches in enumerate(reading.patches):
            if self._valid[index] is None:
                self._valid[index] = self._places(index, values, patches)
            self._summed[index] += np.sum(
                patches.numpy(), axis=0, dtype=np.float64
            )
            if self.with_gram:
                self._grams[index] += _products(patches, patches)
            if wanted is not None:
                target = self._target(index, reading, wanted)
                before = self._targets[index]
                self._targets[index] = before + target if before else target

    def _add_activation(self, value: tf.Tensor, patches: tf.Tensor) -> None:
        units = self.group.units
        if self.group.has_heads:
            # A head is as active as its entries together.
            size = patches.shape[-1] // units
            value = tf.reshape(patches, (-1, units, size))
            value = tf.reduce_sum(value, axis=2)
        value = tf.reshape(tf.cast(value, tf.float32), (-1, units))
        self._activation += np.sum(value, axis=0, dtype=np.float64)

    def _target(self, index: int, here: Reading, there: Reading) -> Target:
        """Returns what a consumer must give for the other model's output."""
        kernel, slope = self._matrix(index)
        output = tf.matmul(there.patches[index], tf.constant(kernel))
        shortcuts = here.shortcuts[index], there.shortcuts[index]
        if shortcuts[0] is not None and shortcuts[1] is not None:
            # The branch makes up for what the shortcut has lost. Where the
            # batch norm lets nothing through, nothing can.
            passing = np.abs(slope) > 1e-6
            back = np.where(passing, 1 / np.where(passing, slope, 1), 0)
            more = (shortcuts[1] - shortcuts[0]) * back.astype(np.float32)
            output += tf.reshape(more, tf.shape(output))
        patches = here.patches[index]
        return Target(
            int(patches.shape[0] * patches.shape[1]),
            np.asarray(np.sum(patches, axis=(0, 1), dtype=np.float64)),
            np.asarray(np.sum(output, axis=(0, 1), dtype=np.float64)),
            _products(patches, output),
        )

    def _places(
        self, index: int, values: list[tf.Tensor], patches: tf.Tensor
    ) -> np.ndarray:
        """Returns which features are units, not padding."""
        if self.group.has_heads:
            return np.ones(patches.shape[1:], bool)
        ones = tf.cast(tf.ones_like(values[index][:1]), tf.float32)
        return features(ones, self.group.consumers[index])[0].numpy() > 0

    def _matrix(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """Returns a consumer's kernel (features, outputs), and its slopes."""
        group = self.group
        if group.has_heads:
            kernel = host_value(projections_of(group.producer).output.kernel)
            kernel = kernel.reshape(group.units * kernel.shape[1], -1)
            return kernel.astype(np.float32), np.ones(kernel.shape[1])
        consumer = group.consumers[index]
        kernel = host_value(consumer.layer.kernel).astype(np.float32)
        kernel = kernel.reshape(-1, kernel.shape[-1])
        return kernel, slope_of(consumer.scaled_by) * np.ones(kernel.shape[1])

    def statistics(self) -> Statistics:
        """Returns the sums."""
        group = self.group
        parts = []
        for index in range(len(group.results)):
            kernel, slope = self._matrix(index)
            unit_of = np.arange(len(kernel)) % group.units
            if group.has_heads:
                size = len(kernel) // group.units
                unit_of = np.repeat(np.arange(group.units), size)
            parts.append(
                Part(
                    kernel * slope,
                    unit_of,
                    self._summed[index],
                    cast(np.ndarray, self._valid[index]),
                    self._grams[index] if self.with_gram else None,
                    self._targets[index],
                )
            )
        return Statistics(
            group.units,
            self._activation,
            _producer_norm(group),
            tuple(parts),
        )


def _products(left: tf.Tensor, right: tf.Tensor) -> np.ndarray:
    """Returns the sum over samples and places of features' products."""
    flat = [tf.reshape(x, (-1, x.shape[-1])) for x in (left, right)]
    return tf.matmul(*flat, transpose_a=True).numpy().astype(np.float64)


def features(value: tf.Tensor, consumer: Consumer | None) -> tf.Tensor:
    """Lays out a consumer's input as features.

    Args:
        value: Tensor (samples, ..., units); for heads, where `consumer` is
            `None`, (samples, places, heads, size).
        consumer: The consumer.

    Returns:
        Tensor (samples, places, features).
    """
    if consumer is None:
        return tf.reshape(
            value, (tf.shape(value)[0], -1, value.shape[2] * value.shape[3])
        )
    layer = consumer.layer
    if type(layer).__name__ == "Dense":
        return tf.reshape(value, (tf.shape(value)[0], -1, value.shape[-1]))
    rank = len(layer.kernel_size)
    if rank == 1:
        value = value[:, :, None]
    extend = (1,) if rank == 1 else ()
    sizes, strides, rates = (
        [1, *getattr(layer, name), *extend, 1]
        for name in ("kernel_size", "strides", "dilation_rate")
    )
    padding = layer.padding.upper()
    if rank == 3:
        if max(rates) > 1:
            raise ValueError(
                "Units in front of a dilated Conv3D can't be scored. "
                f"Received: `{layer.name}`; leave it out by `keep`."
            )
        patches = tf.extract_volume_patches(value, sizes, strides, padding)
    else:
        patches = tf.image.extract_patches(
            value, sizes, strides, rates, padding
        )
    return tf.reshape(patches, (tf.shape(patches)[0], -1, patches.shape[-1]))


def _producer_norm(group: Group) -> np.ndarray:
    if group.has_heads:
        kernel = host_value(projections_of(group.producer).value.kernel)
        return np.sqrt(np.sum(np.square(kernel), axis=(0, 2)))
    kernel = host_value(group.producer.kernel)
    return np.sqrt(
        np.sum(np.square(kernel), axis=tuple(range(kernel.ndim - 1)))
    )


def collect(
    model: Any,
    groups: Iterable[Group],
    batches: Iterable[Any],
    with_gram: bool,
    like: tuple[Any, Mapping[str, Group]] | None = None,
) -> dict[str, Statistics]:
    """Runs a model over data and returns each group's statistics.

    Args:
        model: The model.
        groups: Its groups.
        batches: Batches of its inputs.
        with_gram: Whether the features' products are summed as well.
        like: A model, with its groups by name, whose features are the ones to
            be kept like. Defaults to `None`: the model itself.

    Returns:
        `Statistics` by the groups' names.

    Raises:
        ValueError: If there is no batch.
    """
    collectors = [Collector(group, with_gram) for group in groups]
    runner = Runner(model, [collector.tensors for collector in collectors])
    wanted: list[Reading | None] = [None] * len(collectors)
    if like is not None:
        original, known = like
        others = [Collector(known[c.group.name], False) for c in collectors]
        targets = Runner(original, [other.tensors for other in others])
    empty = True
    for batch in batches:
        empty = False
        if like is not None:
            wanted = [
                other.read(values)
                for other, values in zip(others, targets(batch))
            ]
        for collector, values, reading in zip(
            collectors, runner(batch), wanted
        ):
            collector.add(values, reading)
    if empty:
        raise ValueError("`data` must hold at least one batch. Received: none.")
    return {
        collector.group.name: collector.statistics() for collector in collectors
    }


class Runner:
    """Returns the values of lists of a model's symbolic tensors."""

    def __init__(self, model: Any, wanted: list[list[Any]]):
        tensors: dict[int, Any] = {}
        for tensor in (tensor for group in wanted for tensor in group):
            tensors.setdefault(id(tensor), tensor)
        places = {key: index for index, key in enumerate(tensors)}
        self._places = [[places[id(t)] for t in group] for group in wanted]
        inputs = model.inputs if len(model.inputs) > 1 else model.inputs[0]
        self._hidden = keras_of(model).Model(inputs, list(tensors.values()))

    def __call__(self, batch: Any) -> list[list[tf.Tensor]]:
        values = self._hidden(batch, training=False)
        values = values if isinstance(values, (list, tuple)) else [values]
        return [[values[place] for place in group] for group in self._places]
