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
"""Reads EinsumDense and MultiHeadAttention as products over channels.

Both mix channels over several axes. Where these are the last ones, the product
is a Dense between two reshapes; an attention is three such Denses, what happens
between heads, and a fourth. They are taken apart only where they are pruned.
"""

from typing import Any

import numpy as np

from tfmot_sapp.compiler.emit.packed_layer import packed_layer_class
from tfmot_sapp.compiler.graph import (
    Node,
    Opaque,
    Packable,
    Value,
)
from tfmot_sapp.compiler.lowerings.attention import Attention
from tfmot_sapp.frameworks.calls import Call, policy_of, tensors_of
from tfmot_sapp.frameworks.channel_operations import (
    Linear,
)
from tfmot_sapp.frameworks.layers.products import einsum_product
from tfmot_sapp.frameworks.private import attention
from tfmot_sapp.frameworks.private.layers import mask_of

Shape = tuple[int | None, ...]
# Layers that would have to be taken apart are left alone above this density.
_PRUNED = 0.75


def is_pruned(core: Linear) -> bool:
    """Whether a kernel has zeros enough for its layer to be taken apart."""
    return bool(np.count_nonzero(core.kernel) < _PRUNED * core.kernel.size)


def flattened_einsum(
    layer: Any, value: Value, keras: Any, nodes: list[Node]
) -> tuple[Linear, Value] | None:
    """Reads an EinsumDense as a product of the last axes, where it is one.

    Args:
        layer: The EinsumDense.
        value: Its input.
        keras: The Keras that it's a layer of.
        nodes: The nodes so far; a reshape of the input is added.

    Returns:
        The product and the value that it takes, or `None`.
    """
    core = einsum_product(layer, len(value.shape))
    if core is None or not is_pruned(core):
        return None
    merged, rank = 1, len(value.shape)
    while merged < core.kernel.shape[0] and rank > 1:
        rank -= 1
        merged *= value.shape[rank] or 0
    if merged != core.kernel.shape[0]:
        return None
    flat = reshaped(
        value, (*value.shape[:rank], merged), f"{layer.name}_in", keras, nodes
    )
    return None if flat is None else (core, flat)


def reshaped(
    value: Value, shape: Shape, name: str, keras: Any, nodes: list[Node]
) -> Value | None:
    """Adds a reshape, unless the value has the shape already.

    Args:
        value: What to reshape.
        shape: The shape to give it.
        name: Name of the layer that does it.
        keras: The Keras to make the layer with.
        nodes: The nodes so far; one may be added.

    Returns:
        The reshaped value, or `None` if too many extents are unknown.
    """
    if shape == value.shape:
        return value
    target = tuple(-1 if n is None else n for n in shape[1:])
    if target.count(-1) > 1:
        return None
    layer = keras.layers.Reshape(target, name=name)
    output = Value(shape)

    def call(tensors: list[Any]) -> list[Any]:
        return [layer(tensors[0])]

    nodes.append(Opaque(name, [value], [output], call, layer))
    return output


def read_attention(
    call: Call, inputs: list[Value], shape: Shape, keras: Any, nodes: list[Node]
) -> Value | None:
    """Takes a MultiHeadAttention apart if its projections are pruned.

    Args:
        call: A call of a MultiHeadAttention that is called only once.
        inputs: The values of the call's tensors.
        shape: Shape of its output.
        keras: The Keras that it's a layer of.
        nodes: The nodes so far; those that it's made of are added.

    Returns:
        Its output, or `None` if it isn't to be taken apart.
    """
    layer = call.layer
    sources = _sources(call, inputs)
    if sources is None or len(shape) != 3:
        return None
    ranks = (3, 3, 3, 4)
    dense = attention.projections_of(layer)
    cores = [
        core
        for part, rank in zip(dense, ranks)
        if (core := einsum_product(part, rank)) is not None
    ]
    if len(cores) < len(dense) or not any(is_pruned(core) for core in cores):
        return None
    made = [
        _projection(f"{layer.name}_{name}", layer, source, core, nodes)
        for name, source, core in zip(("query", "key", "value"), sources, cores)
    ]
    mixed = Value((*made[0].shape[:-1], cores[3].kernel.shape[0]))
    mixing = packed_layer_class(keras)(
        Attention(
            attention.number_of_heads(layer), attention.key_size(layer) ** -0.5
        ).get_config(),
        core_inputs=3,
        name=f"{layer.name}_attention",
        dtype=policy_of(layer),
    )

    def mix(tensors: list[Any]) -> list[Any]:
        outputs = mixing(list(tensors))
        several = isinstance(outputs, list | tuple)
        return list(outputs) if several else [outputs]

    nodes.append(Opaque(mixing.name, made, [mixed], mix, mixing))
    return _projection(f"{layer.name}_output", layer, mixed, cores[3], nodes)


def _sources(
    call: Call, inputs: list[Value]
) -> tuple[Value, Value, Value] | None:
    """The values of query, key and value, if there's nothing beside them."""
    tensors = tensors_of((call.args, call.kwargs))
    named = dict(zip(("query", "value", "key"), call.args)) | call.kwargs
    extra = set(named) - {"query", "value", "key", "training"}
    asked = [named[key] for key in extra if named[key] not in (None, False)]
    masked = any(mask_of(tensor) is not None for tensor in tensors)
    if asked or masked:
        return None
    values = dict(zip(map(id, tensors), inputs))
    value = named.get("value")
    key = named.get("key")
    key = value if key is None else key
    return values[id(named.get("query"))], values[id(key)], values[id(value)]


def _projection(
    name: str, layer: Any, value: Value, core: Linear, nodes: list[Node]
) -> Value:
    output = Value((*value.shape[:-1], core.kernel.shape[1]))
    nodes.append(
        Packable(name, [value], [output], core, [], [name], policy_of(layer))
    )
    return output
