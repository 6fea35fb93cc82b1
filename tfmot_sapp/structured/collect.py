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

from collections.abc import Iterable
from typing import Any, cast

import numpy as np
import tensorflow as tf

from tfmot_sapp.frameworks.layers.table import effect_of
from tfmot_sapp.frameworks.private.attention import projections_of
from tfmot_sapp.frameworks.which_keras import host_value, keras_of
from tfmot_sapp.structured.statistics import (
    Part,
    Statistics,
    kernel_of,
    producer_norm,
)
from tfmot_sapp.units.groups import slope_of
from tfmot_sapp.units.heads import head_outputs
from tfmot_sapp.units.members import Consumer, Group


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
        self._valid: list[np.ndarray | None] = [None] * count

    @property
    def tensors(self) -> list[Any]:
        """Symbolic tensors whose values `add` wants, in order."""
        if self.group.attention is not None:
            return self.group.attention.tensors
        return [consumer.tensor for consumer in self.group.consumers]

    def _patches(self, values: list[tf.Tensor]) -> list[tf.Tensor]:
        group = self.group
        if group.attention is not None:
            heads = head_outputs(group.producer, group.attention, values)
            return [features(tf.cast(heads, tf.float32), None)]
        return [
            features(tf.cast(value, tf.float32), consumer)
            for value, consumer in zip(values, group.consumers)
        ]

    def add(self, values: list[tf.Tensor]) -> None:
        """Adds a batch.

        Args:
            values: The values of `tensors`.
        """
        found = self._patches(values)
        self._add_activation(values[self._main], found[0])
        for index, patches in enumerate(found):
            if self._valid[index] is None:
                self._valid[index] = self._places(index, values, patches)
            self._summed[index] += np.sum(
                patches.numpy(), axis=0, dtype=np.float64
            )
            if self.with_gram:
                self._grams[index] += _products(patches)

    def _add_activation(self, value: tf.Tensor, patches: tf.Tensor) -> None:
        if self.group.has_heads:
            # A head is as active as its entries together.
            value, unit_of = patches, self._unit_of(0, patches.shape[-1])
        else:
            consumer = self.group.consumers[self._main]
            unit_of = consumer.unit_of[consumer.places]
            value = tf.gather(value, consumer.places, axis=-1)
        value = tf.reshape(tf.cast(value, tf.float32), (-1, len(unit_of)))
        self._activation += np.bincount(
            unit_of,
            np.sum(value, axis=0, dtype=np.float64),
            minlength=self.group.units,
        )

    @property
    def _main(self) -> int:
        """Index of the consumer that sees units as they are in the end."""
        # Behind a gate, which may read them too.
        return (
            len(self.group.consumers) - 1 if len(self.group.makers) > 1 else 0
        )

    def _unit_of(self, index: int, count: int) -> np.ndarray:
        """Returns the unit that each feature of a consumer belongs to."""
        group = self.group
        if group.has_heads:
            return np.repeat(np.arange(group.units), count // group.units)
        consumer = group.consumers[index]
        units = consumer.unit_of[consumer.places]
        if effect_of(consumer.layer) == "separable":
            return np.repeat(units, count // len(units))
        return np.tile(units, count // len(units))

    def _places(
        self, index: int, values: list[tf.Tensor], patches: tf.Tensor
    ) -> np.ndarray:
        """Returns which features are units, not padding."""
        if self.group.has_heads or self._is_separable(index):
            return np.ones(patches.shape[1:], bool)
        ones = tf.cast(tf.ones_like(values[index][:1]), tf.float32)
        return features(ones, self.group.consumers[index])[0].numpy() > 0

    def _is_separable(self, index: int) -> bool:
        return effect_of(self.group.consumers[index].layer) == "separable"

    def _matrix(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """Returns a consumer's kernel (features, outputs), and its slopes."""
        group = self.group
        if group.has_heads:
            kernel = host_value(projections_of(group.producer).output.kernel)
            kernel = kernel.reshape(kernel.shape[0] * kernel.shape[1], -1)
            return kernel.astype(np.float32), np.ones(kernel.shape[1])
        consumer = group.consumers[index]
        kernel = host_value(kernel_of(consumer.layer)).astype(np.float32)
        inside = consumer.unit_of >= 0
        inside = np.repeat(inside, kernel.shape[-2] // len(inside))
        kernel = np.compress(inside, kernel, -2).reshape(-1, kernel.shape[-1])
        return kernel, slope_of(consumer.scaled_by) * np.ones(kernel.shape[1])

    def statistics(self) -> Statistics:
        """Returns the sums."""
        group = self.group
        parts = []
        for index in range(len(group.results)):
            kernel, slope = self._matrix(index)
            parts.append(
                Part(
                    kernel * slope,
                    self._unit_of(index, len(kernel)),
                    self._summed[index],
                    cast(np.ndarray, self._valid[index]),
                    self._grams[index] if self.with_gram else None,
                )
            )
        return Statistics(
            group.units,
            self._activation,
            producer_norm(group),
            tuple(parts),
        )


def _products(patches: tf.Tensor) -> np.ndarray:
    """Returns the sum over samples and places of features' products."""
    flat = tf.reshape(patches, (-1, patches.shape[-1]))
    return tf.matmul(flat, flat, transpose_a=True).numpy().astype(np.float64)


def features(value: tf.Tensor, consumer: Consumer | None) -> tf.Tensor:
    """Lays out a consumer's input as features.

    Args:
        value: Tensor (samples, ..., channels); for heads, where `consumer` is
            `None`, (samples, places, heads, size).
        consumer: The consumer.

    Returns:
        Tensor (samples, places, features): those that belong to units.
    """
    if consumer is None:
        return tf.reshape(
            value, (tf.shape(value)[0], -1, value.shape[2] * value.shape[3])
        )
    layer = consumer.layer
    value = tf.gather(value, consumer.places, axis=-1)
    if effect_of(layer) == "separable":
        return _between(value, consumer)
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
    if padding == "CAUSAL":
        before = (layer.kernel_size[0] - 1) * layer.dilation_rate[0]
        value = tf.pad(value, [(0, 0), (before, 0), (0, 0), (0, 0)])
        padding = "VALID"
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


def _between(value: tf.Tensor, consumer: Consumer) -> tf.Tensor:
    """Returns what is between the two convolutions of a separable one."""
    layer = consumer.layer
    kernel = tf.convert_to_tensor(layer.depthwise_kernel)
    kernel = tf.cast(tf.gather(kernel, consumer.places, axis=-2), value.dtype)
    strides, rates = list(layer.strides)[-1:] * 2, list(layer.dilation_rate)
    if kernel.shape.rank == 3:
        value, kernel, rates = value[:, None], kernel[None], [1, *rates]
    value = tf.nn.depthwise_conv2d(
        value, kernel, [1, *strides, 1], layer.padding.upper(), dilations=rates
    )
    return tf.reshape(value, (tf.shape(value)[0], -1, value.shape[-1]))


def collect(
    model: Any, groups: Iterable[Group], batches: Iterable[Any], with_gram: bool
) -> dict[str, Statistics]:
    """Runs a model over data and returns each group's statistics.

    Args:
        model: The model.
        groups: Its groups.
        batches: Batches of its inputs.
        with_gram: Whether the features' products are summed as well.

    Returns:
        `Statistics` by the groups' names.

    Raises:
        ValueError: If there is no batch.
    """
    collectors = [Collector(group, with_gram) for group in groups]
    runner = Runner(model, [collector.tensors for collector in collectors])
    empty = True
    for batch in batches:
        empty = False
        for collector, values in zip(collectors, runner(batch)):
            collector.add(values)
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
        keras = keras_of(model)
        self._hidden = keras.Model(inputs, list(tensors.values()))
        # In Keras 3 masks are tensors of the graph; where values carry them as
        # well, the layers that they are given to warn.
        self._carries_masks = keras.__name__ != "keras"

    def __call__(self, batch: Any) -> list[list[tf.Tensor]]:
        values = self._hidden(batch, training=False)
        values = values if isinstance(values, (list, tuple)) else [values]
        if not self._carries_masks:
            values = [tf.identity(value) for value in values]
        return [[values[place] for place in group] for group in self._places]
