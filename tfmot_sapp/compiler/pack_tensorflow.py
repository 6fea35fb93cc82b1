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
"""Packing of TensorFlow graphs, whatever model they were traced from.

Each product is packed by itself: where its kernel has blocks of zeros, its node
makes room for a few that multiply only what was kept. All else stays as it is.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

import tensorflow as tf

from tfmot_sapp.compiler.choose.planning import (
    Choices,
    has_blocks,
    plan_packed,
)
from tfmot_sapp.compiler.emit.tensorflow_function import TensorFlowEmitter
from tfmot_sapp.compiler.graph import Graph, Packable, Value
from tfmot_sapp.compiler.readers.function_graph import FunctionGraph
from tfmot_sapp.compiler.readers.tensorflow_products import (
    Product,
    read_products,
)
from tfmot_sapp.targets.operators import Operators
from tfmot_sapp.targets.target import Target

# A graph can't hold more than 2 GiB.
_MOST_CONSTANT_BYTES = 1 << 30

# Microseconds of an operation of TensorFlow, which is a node that a thread
# takes from a queue.
_OPERATION = 3.0


def pack_tensorflow(
    graph: FunctionGraph, target: Target
) -> list[Mapping[str, Any]]:
    """Lets a TensorFlow graph store and multiply only the kept blocks.

    Args:
        graph: The graph of a function; it is changed.
        target: What the result is for.

    Returns:
        What was chosen for each product, as `packing_of` describes it.
    """
    operators = target.operators()
    costs = dataclasses.replace(
        target.costs(), operation=_OPERATION, outside=_OPERATION
    )
    rows: list[Mapping[str, Any]] = []
    stored = 0
    for product in read_products(graph):
        channels = _as_graph(product)
        if not has_blocks(channels, costs.narrowest_piece):
            continue
        choices = plan_packed(channels, 1, costs, operators)
        (row,) = choices.explanation.values()
        rows.append(row)
        stored += 4 * row["parameters"]
        if not choices.is_slower and stored <= _MOST_CONSTANT_BYTES:
            written = _written(product, channels, choices, operators)
            graph.replace(product.node, written)
    graph.prune()
    return rows


def _as_graph(product: Product) -> Graph:
    linear = product.linear
    given, made = linear.kernel.shape[-2:]
    positions = product.positions
    x, y = Value((*positions, given)), Value((*positions, made))
    node = Packable(
        product.node.name, [x], [y], linear, [], [product.node.name]
    )
    return Graph([node], [x], [y])


def _written(
    product: Product, channels: Graph, choices: Choices, operators: Operators
) -> Any:
    """The function of what is multiplied that a plan means."""

    @tf.function(autograph=False)
    def packed(x: Any) -> Any:
        leading = x.shape.rank - product.merged
        given = channels.inputs[0].channels
        flat = x
        if product.merged > 1:
            flat = tf.reshape(x, [*_extents(x)[:leading], given])
        (y,) = TensorFlowEmitter(
            channels, choices.plan, [flat], operators
        ).run()
        if len(product.made) > 1:
            y = tf.reshape(y, [*_extents(y)[:-1], *product.made])
        return y

    # The traced graph may not know what the kernel knows.
    shape = list(product.x.shape)
    if product.merged == 1:
        shape[-1] = channels.inputs[0].channels
    return packed.get_concrete_function(tf.TensorSpec(shape, product.x.dtype))


def _extents(x: Any) -> list[Any]:
    shape = tf.shape(x)
    return [shape[i] if n is None else n for i, n in enumerate(x.shape)]
