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
"""What criteria know of a group: sums over calibration data.

For each consumer the hidden units are laid out as features: a Dense layer's
inputs, or a convolution's patches, tap by tap. The consumer is then one matrix
`W` with a row per feature, whatever its kind, and a unit is a set of rows. All
that is kept of the data are sums over samples, so memory does not grow with it.
"""

import dataclasses
import functools
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from tfmot_sapp.frameworks import host_value, keras_of
from tfmot_sapp.structured.groups import Consumer, Group


@dataclasses.dataclass(frozen=True)
class Part:
    """One consumer of a group.

    Attributes:
        weights: Array (features, outputs): the consumer's kernel, each output
            times the slope of the batch norm behind it.
        unit_of: Integer array (features,): the unit that a feature belongs to.
        summed: Array (places, features): features summed over the samples, one
            row for each place of a convolution's output.
        valid: Boolean array like `summed`: features that are units, not the
            padding.
        gram: Array (features, features): sum over samples and places of the
            features' products; `None` if no criterion wants it.
        target_gram: Array (features, features): likewise, the products of these
            features with those of the model that outputs are to be kept like;
            `None` if that is the model itself.
    """

    weights: np.ndarray
    unit_of: np.ndarray
    summed: np.ndarray
    valid: np.ndarray
    gram: np.ndarray | None
    target_gram: np.ndarray | None = None


@dataclasses.dataclass(frozen=True)
class Statistics:
    """What is known of a group.

    Attributes:
        units: Number of units.
        activation: Array (units,): each unit summed over samples and places.
        producer_norm: Array (units,): norm of the weights that make each unit.
        parts: The consumers.
    """

    units: int
    activation: np.ndarray
    producer_norm: np.ndarray
    parts: tuple[Part, ...]

    @functools.cached_property
    def unit_gram(self) -> np.ndarray:
        """Array (units, units): products of what units add to the output.

        `K_ij` is the sum over samples, places and outputs of unit `i`'s share
        of the output times unit `j`'s.
        """
        total = np.zeros((self.units, self.units))
        for part in self.parts:
            products = part.gram * (part.weights @ part.weights.T)
            rows = np.zeros((self.units, len(part.unit_of)))
            np.add.at(rows, part.unit_of, products)
            sums = np.zeros((self.units, self.units))
            np.add.at(sums.T, part.unit_of, rows.T)
            total += sums
        return total

    def residual(self, kept: np.ndarray) -> float:
        """Returns how much of the output is lost if only some units stay.

        Args:
            kept: Indices of units.

        Returns:
            Norm of the lost output over that of the whole, over all samples.
        """
        gone = np.ones(self.units, bool)
        gone[kept] = False
        whole = self.unit_gram.sum()
        lost = self.unit_gram[np.ix_(gone, gone)].sum()
        return float(np.sqrt(max(lost, 0.0) / max(whole, 1e-300)))


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
        count = max(1, len(group.consumers))
        self._summed: list[Any] = [0.0] * count
        self._grams: list[Any] = [0.0] * count
        self._target_grams: list[Any] = [None] * count
        self._valid: list[np.ndarray | None] = [None] * count

    @property
    def tensors(self) -> list[Any]:
        """Symbolic tensors whose values `add` wants, in order."""
        if self.group.has_heads:
            return list(self.group.inputs)
        return [consumer.tensor for consumer in self.group.consumers]

    def add(
        self,
        values: list[tf.Tensor],
        targets: list[tf.Tensor] | None = None,
    ) -> None:
        """Adds a batch.

        Args:
            values: The values of `tensors`.
            targets: The values of the same tensors in another model. Defaults
                to `None`: no products with them are summed.
        """
        if self.group.has_heads:
            values = [_head_outputs(self.group.producer, *values)]
        units = self.group.units
        for index, value in enumerate(values):
            value = tf.cast(value, tf.float32)
            if index == 0:
                by_unit = tf.reshape(value, (-1, units))
                if self.group.has_heads:
                    by_unit = tf.reduce_sum(value, axis=(0, 1, 3))[None]
                self._activation += np.sum(by_unit, axis=0, dtype=np.float64)
            consumer = None
            if self.group.consumers:
                consumer = self.group.consumers[index]
            patches = features(value, consumer)
            if self._valid[index] is None:
                ones = features(tf.ones_like(value[:1]), consumer)
                self._valid[index] = ones[0].numpy() > 0
            self._summed[index] += np.sum(
                patches.numpy(), axis=0, dtype=np.float64
            )
            if self.with_gram:
                self._grams[index] += _products(patches, patches)
            if targets is not None:
                wanted = features(tf.cast(targets[index], tf.float32), consumer)
                before = self._target_grams[index]
                products = _products(patches, wanted)
                self._target_grams[index] = (
                    products if before is None else before + products
                )

    def statistics(self) -> Statistics:
        """Returns the sums."""
        group = self.group
        parts = []
        consumers: Iterable[Consumer | None] = group.consumers or (None,)
        for index, consumer in enumerate(consumers):
            if consumer is None:
                kernel = host_value(group.producer._output_dense.kernel)
                size = kernel.shape[1]
                weights = kernel.reshape(group.units * size, -1)
                unit_of = np.repeat(np.arange(group.units), size)
            else:
                kernel = host_value(consumer.layer.kernel)
                weights = kernel.reshape(-1, kernel.shape[-1])
                weights = weights * _slope(consumer)
                unit_of = np.arange(len(weights)) % group.units
            parts.append(
                Part(
                    weights.astype(np.float64),
                    unit_of,
                    self._summed[index],
                    self._valid[index],
                    self._grams[index] if self.with_gram else None,
                    self._target_grams[index],
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


def _head_outputs(
    layer: Any, query: tf.Tensor, value: tf.Tensor, key: tf.Tensor
) -> tf.Tensor:
    # What an attention computes before its output projection has no name
    # outside of it in either Keras.
    outputs, _ = layer._compute_attention(
        layer._query_dense(query),
        layer._key_dense(key),
        layer._value_dense(value),
    )
    return outputs


def _slope(consumer: Consumer) -> np.ndarray | float:
    norm = consumer.scaled_by
    if norm is None:
        return 1.0
    slope = 1 / np.sqrt(host_value(norm.moving_variance) + norm.epsilon)
    return slope if norm.gamma is None else slope * host_value(norm.gamma)


def _producer_norm(group: Group) -> np.ndarray:
    if group.has_heads:
        kernel = host_value(group.producer._value_dense.kernel)
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
    runner = _Runner(model, [collector.tensors for collector in collectors])
    targets = None
    if like is not None:
        original, known = like
        targets = _Runner(
            original,
            [Collector(known[c.group.name], False).tensors for c in collectors],
        )
    empty = True
    for batch in batches:
        empty = False
        wanted = targets(batch) if targets else [None] * len(collectors)
        for collector, values, target in zip(collectors, runner(batch), wanted):
            heads = collector.group.has_heads
            if heads and target is not None:
                layer = known[collector.group.name].producer
                target = [_head_outputs(layer, *target)]
            collector.add(values, target)
    if empty:
        raise ValueError("`data` must hold at least one batch. Received: none.")
    return {
        collector.group.name: collector.statistics() for collector in collectors
    }


class _Runner:
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
