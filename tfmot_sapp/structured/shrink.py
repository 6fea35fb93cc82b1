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
"""Makes the smaller model."""

from collections.abc import Mapping
from typing import Any, cast

import numpy as np

from tfmot_sapp.frameworks.copying import Cloner, Copy
from tfmot_sapp.frameworks.layers.table import effect_of, exact_kind_of
from tfmot_sapp.frameworks.private.attention import projections_of
from tfmot_sapp.frameworks.which_keras import host_value
from tfmot_sapp.units.groups import Group

Weights = Mapping[str, list[np.ndarray]]


def shrink(
    model: Any,
    groups: Mapping[str, Group],
    kept: Mapping[str, np.ndarray],
    weights: Weights | None = None,
) -> Any:
    """Returns a copy of a model with only some units of its groups.

    Args:
        model: The model.
        groups: Groups by name.
        kept: Indices of the units to keep, by the groups' names.
        weights: New weights of whole size, by the names of their layers, where
            they are not the model's own. Defaults to `None`.

    Returns:
        A model of the same Keras.
    """
    outputs: dict[str, np.ndarray] = {}
    inputs: dict[str, np.ndarray] = {}
    for name, units in kept.items():
        group = groups[name]
        outputs[group.producer.name] = units
        for layer in group.carriers:
            outputs[layer.name] = units
        for consumer in group.consumers:
            steps = np.arange(consumer.repeats)[:, None] * group.units
            inputs[consumer.layer.name] = (steps + units).ravel()
    weights = weights or {}
    changed = {*outputs, *inputs, *weights}
    made: list[tuple[Any, Any]] = []

    def replace(layer: Any, copy: Copy) -> Any:
        if layer.name not in changed:
            return copy(layer)
        config = layer.get_config()
        if layer.name in outputs:
            kind = exact_kind_of(layer)
            if kind is not None and kind.size is not None:
                config[kind.size] = len(outputs[layer.name])
        made.append((layer, type(layer).from_config(config)))
        return made[-1][1]

    smaller = Cloner(replace).clone(model)
    for original, layer in made:
        name = original.name
        whole = weights.get(name, [host_value(w) for w in original.weights])
        layer.set_weights(
            _sliced(original, whole, outputs.get(name), inputs.get(name))
        )
    return smaller


def _sliced(
    layer: Any,
    weights: list[np.ndarray],
    outputs: np.ndarray | None,
    inputs: np.ndarray | None,
) -> list[np.ndarray]:
    effect = effect_of(layer)
    if effect == "heads":
        return _sliced_heads(layer, weights, outputs)
    if effect == "scale":
        return [w if outputs is None else w[outputs] for w in weights]
    if effect == "depthwise":
        kernel, *bias = weights
        units = cast(np.ndarray, outputs)
        return [np.take(kernel, units, -2), *(b[units] for b in bias)]
    kernel, *bias = weights
    if inputs is not None:
        kernel = np.take(kernel, inputs, -2)
    if outputs is not None:
        kernel = kernel[..., outputs]
        bias = [b[outputs] for b in bias]
    return [kernel, *bias]


def _sliced_heads(
    layer: Any, weights: list[np.ndarray], heads: np.ndarray | None
) -> list[np.ndarray]:
    inner = {id(w) for w in projections_of(layer).output.weights}
    heads = cast(np.ndarray, heads)
    sliced = []
    for variable, weight in zip(layer.weights, weights):
        if id(variable) not in inner:
            # Kernels (width, heads, size) and biases (heads, size).
            sliced.append(np.take(weight, heads, -2))
        elif weight.ndim > 2:
            sliced.append(weight[heads])
        else:
            sliced.append(weight)
    return sliced
