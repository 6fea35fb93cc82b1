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
from typing import Any

import numpy as np

from tfmot_sapp.frameworks.compiling import keep_out_of_files
from tfmot_sapp.frameworks.copying import Cloner, Copy
from tfmot_sapp.frameworks.layers.table import effect_of, exact_kind_of
from tfmot_sapp.frameworks.private import attention
from tfmot_sapp.frameworks.which_keras import host_value
from tfmot_sapp.units.members import Group, Member

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
        kept: Indices of the units to keep, by the groups' names. What they are
            made, carried and read by is in the model's own graph.
        weights: New weights of whole size, by the names of their layers, where
            they are not the model's own. Defaults to `None`.

    Returns:
        A model of the same Keras.
    """
    outputs: dict[int, np.ndarray] = {}
    inputs: dict[int, np.ndarray] = {}
    for name, units in kept.items():
        group = groups[name]
        # The last one is for channels that are no units of the group.
        stays = np.zeros(group.units + 1, bool)
        stays[units] = stays[-1] = True
        for maker in group.makers:
            _keep(outputs, maker, stays)
        for member in (*group.carried, *group.consumers):
            _keep(inputs, member, stays)
    weights = weights or {}
    new = {
        id(layer): weights[layer.name]
        for layer in model.layers
        if layer.name in weights
    }
    changed = {*outputs, *inputs, *new}
    made: list[tuple[Any, Any]] = []

    def replace(layer: Any, copy: Copy) -> Any:
        if id(layer) not in changed:
            return copy(layer)
        config = _config(layer, inputs.get(id(layer)), outputs.get(id(layer)))
        made.append((layer, type(layer).from_config(config)))
        return made[-1][1]

    cloner = Cloner(replace)
    smaller = cloner.clone(model)
    for original, layer in made:
        key = id(original)
        whole = new.get(key, [host_value(w) for w in original.weights])
        layer.set_weights(
            _sliced(original, whole, inputs.get(key), outputs.get(key))
        )
    cloner.compile()
    keep_out_of_files(smaller)
    return smaller


def _keep(
    masks: dict[int, np.ndarray], member: Member, stays: np.ndarray
) -> None:
    # Several groups may have channels of one layer.
    mask = stays[member.unit_of]
    masks[id(member.layer)] = masks.get(id(member.layer), True) & mask


def _config(
    layer: Any, inputs: np.ndarray | None, outputs: np.ndarray | None
) -> dict[str, Any]:
    """Returns a layer's config with the sizes that it is left with."""
    config = dict(layer.get_config())
    kind = exact_kind_of(layer)
    if kind is None:
        return config
    if kind.effect == "reshape" and inputs is not None:
        *shape, last = config["target_shape"]
        if last != -1:
            last = last * int(inputs.sum()) // len(inputs)
        config["target_shape"] = (*shape, last)
    if outputs is None:
        return config
    count = int(outputs.sum())
    if kind.size is not None:
        config[kind.size] = count
    if kind.effect == "head_groups":
        config["num_key_value_heads"] = count
        config["num_query_heads"] = count * attention.heads_of_group(layer)
    return config


def _sliced(
    layer: Any,
    weights: list[np.ndarray],
    inputs: np.ndarray | None,
    outputs: np.ndarray | None,
) -> list[np.ndarray]:
    effect = effect_of(layer)
    if effect in ("heads", "head_groups"):
        return _sliced_heads(layer, weights, outputs)
    if effect == "scale":
        return [w if inputs is None else w[inputs] for w in weights]
    depthwise: list[np.ndarray] = []
    if effect in ("depthwise", "separable"):
        kernel, *weights = weights
        several = kernel.shape[-1]
        if inputs is not None:
            kernel = np.compress(inputs, kernel, -2)
            inputs = np.repeat(inputs, several)
        depthwise = [kernel]
    if effect == "depthwise":
        outputs = inputs
        return depthwise + [
            b if outputs is None else b[outputs] for b in weights
        ]
    if not weights:
        return weights
    kernel, *bias = weights
    if inputs is not None:
        kernel = np.compress(inputs, kernel, -2)
    if outputs is not None:
        kernel = kernel[..., outputs]
        bias = [b[outputs] for b in bias]
    return [*depthwise, kernel, *bias]


def _sliced_heads(
    layer: Any, weights: list[np.ndarray], units: np.ndarray | None
) -> list[np.ndarray]:
    if units is None:
        return weights
    parts = attention.projections_of(layer)
    last = {id(w) for w in parts.output.weights}
    shared = {id(w) for part in (parts.key, parts.value) for w in part.weights}
    heads = np.repeat(units, attention.heads_of_group(layer))
    sliced = []
    for variable, weight in zip(layer.weights, weights):
        if id(variable) in last:
            sliced.append(weight[heads] if weight.ndim > 2 else weight)
        else:
            # Kernels (width, heads, size) and biases (heads, size).
            chosen = units if id(variable) in shared else heads
            sliced.append(np.compress(chosen, weight, -2))
    return sliced
