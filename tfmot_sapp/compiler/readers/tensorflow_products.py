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
"""Reads the products of a TensorFlow graph that have a kernel.

A kernel is whatever depends on variables and constants alone, reshaped and
transposed as a layer's call does it. How the graph came about doesn't matter.
"""

import dataclasses
import math
from typing import Any

import numpy as np
import tensorflow as tf

from tfmot_sapp.compiler.readers.function_graph import FunctionGraph, producer
from tfmot_sapp.frameworks.channel_operations import Linear, Window
from tfmot_sapp.frameworks.layers.products import summed_axes

# The smallest kernels that can be worth taking apart.
_FEWEST_WEIGHTS = 1 << 10
# What an unknown extent is taken for, other than the batch.
_UNKNOWN = 32


@dataclasses.dataclass(frozen=True)
class Product:
    """A node that multiplies with a kernel.

    Attributes:
        node: The node, a `NodeDef` of the graph's definition.
        x: What it multiplies, a symbolic tensor of the traced graph.
        linear: The product.
        merged: Axes of `x` that are multiplied as one: the last ones.
        made: Extents of the axes that they become.
        positions: Positions that are multiplied, with a batch of one.
    """

    node: Any
    x: Any
    linear: Linear
    merged: int
    made: tuple[int, ...]
    positions: tuple[int, ...]


def read_products(graph: FunctionGraph) -> list[Product]:
    """Returns the products of a graph with kernels of float32.

    Args:
        graph: The graph, as it was traced.
    """
    fixed = _fixed_nodes(graph)
    candidates = {
        node.name: node
        for node in graph.definition.node
        if node.op in _READERS
        and producer(node.input[1]) in fixed
        and producer(node.input[0]) not in fixed
        and _is_kernel(graph.tensor(node.input[1]))
    }
    names = {name: node.input[1] for name, node in candidates.items()}
    found = []
    for name, kernel in graph.values(names).items():
        node = candidates[name]
        x = graph.tensor(node.input[0])
        product = _READERS[node.op](node, x, kernel)
        if product is not None:
            found.append(product)
    return found


def _fixed_nodes(graph: FunctionGraph) -> set[str]:
    """Names of the nodes that depend on variables and constants alone."""
    reads, fixed = graph.reads(), set()
    for node in graph.definition.node:
        operation = graph.function.graph.get_operation_by_name(node.name)
        if (
            node.op == "Const"
            or node.name in reads
            or (
                node.input
                and not operation.op_def.is_stateful
                and all(producer(name) in fixed for name in node.input)
            )
        ):
            fixed.add(node.name)
    return fixed


def _is_kernel(tensor: Any) -> bool:
    return (
        tensor.dtype == tf.float32
        and tensor.shape.is_fully_defined()
        and tensor.shape.num_elements() >= _FEWEST_WEIGHTS
    )


def _matmul(node: Any, x: Any, kernel: np.ndarray) -> Product | None:
    is_batched = node.op != "MatMul"
    mine, others = ("adj_x", "adj_y") if is_batched else _TRANSPOSED
    if kernel.ndim != 2 or node.attr[mine].b or x.shape.rank is None:
        return None
    matrix = kernel.T if node.attr[others].b else kernel
    bias = np.zeros(matrix.shape[1], np.float32)
    linear = Linear(matrix, bias)
    return Product(node, x, linear, 1, matrix.shape[1:], _positions(x, 1))


def _einsum(node: Any, x: Any, kernel: np.ndarray) -> Product | None:
    equation = node.attr["equation"].s.decode()
    summed = summed_axes(equation) if equation.count(",") == 1 else None
    if summed is None or x.shape.rank is None or x.shape.rank <= summed:
        return None
    made = kernel.shape[summed:]
    matrix = kernel.reshape(-1, math.prod(made))
    linear = Linear(matrix, np.zeros(matrix.shape[1], np.float32))
    return Product(node, x, linear, summed, made, _positions(x, summed))


def _convolution(node: Any, x: Any, kernel: np.ndarray) -> Product | None:
    padding = node.attr["padding"].s.decode().lower()
    groups = (x.shape[-1] or 0) // kernel.shape[2] if x.shape.rank else 0
    if node.attr["data_format"].s != b"NHWC" or groups != 1:
        return None
    if padding not in ("same", "valid"):
        return None
    strides, dilations = (
        tuple(node.attr[name].list.i)[1:3] for name in ("strides", "dilations")
    )
    window = Window(strides, padding, dilations)
    linear = Linear(kernel, np.zeros(kernel.shape[-1], np.float32), window)
    return Product(node, x, linear, 1, kernel.shape[-1:], _positions(x, 1))


def _positions(x: Any, merged: int) -> tuple[int, ...]:
    """The extents of all axes but the merged ones, as costs count them.

    What a layer reshapes for a product of matrices is looked at before.
    """
    if x.op.type == "Reshape" and x.op.inputs[0].shape.rank is not None:
        x = x.op.inputs[0]
    first, *rest = [n or 0 for n in x.shape[: x.shape.rank - merged]] or [1]
    return (first or 1, *(n or _UNKNOWN for n in rest))


_TRANSPOSED = ("transpose_a", "transpose_b")
_READERS = {
    "BatchMatMulV2": _matmul,
    "Conv2D": _convolution,
    "Einsum": _einsum,
    "MatMul": _matmul,
}
