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
"""The pass `complete_products`: a product takes up what follows it.

A converter that doesn't know a kernel's contents leaves a product of matrices
by itself, and behind a convolution the factors of its batch norm. With the
contents known they are a fully connected layer and part of the kernel.
"""

import numpy as np

from tfmot_sapp.compiler.ir.graph import Graph, Operation
from tfmot_sapp.compiler.ir.make import make_operation
from tfmot_sapp.compiler.ir.values import Value

_PRODUCTS = frozenset({"CONV_2D", "FULLY_CONNECTED"})


def complete_products(graph: Graph) -> None:
    """Rewrites the products with constant kernels.

    Args:
        graph: The graph; its main subgraph is changed.
    """
    subgraph = graph.main
    swapped: dict[Value, Value] = {}
    subgraph.operations = [
        _fully_connected(operation, swapped)
        for operation in subgraph.operations
    ]
    readers = subgraph.readers()
    named = {v for s in graph.signatures for v in s.outputs.values()}
    fixed = named.union(subgraph.outputs)
    taken: set[Operation] = set()
    for product in subgraph.operations:
        if product.kind not in _PRODUCTS:
            continue
        last = product
        while last.outputs[0] not in fixed:
            following = readers.get(last.outputs[0], [])
            if len(following) != 1:
                break
            if _keeps_channels(following[0]):
                last = following[0]
            elif _take_up(product, last, following[0], readers):
                taken.add(following[0])
            else:
                break
    subgraph.operations = [
        each for each in subgraph.operations if each not in taken
    ]


def _fully_connected(
    operation: Operation, swapped: dict[Value, Value]
) -> Operation:
    """A product with a constant matrix as a layer."""
    if operation.kind != "BATCH_MATMUL":
        return operation
    x, kernel = operation.inputs
    if (
        x is None
        or kernel is None
        or kernel.contents is None
        or kernel.dtype != "float32"
        or len(kernel.shape) != 2
        or len(x.shape) < 2
        or operation.attributes.get("adj_x", False)
    ):
        return operation
    if not operation.attributes.get("adj_y", False):
        if kernel not in swapped:
            swapped[kernel] = Value.constant(kernel.name, kernel.contents.T)
        kernel = swapped[kernel]
    width = kernel.shape[0] or 0
    bias = Value.constant(f"{kernel.name}/bias", np.zeros(width, np.float32))
    return make_operation(
        "FULLY_CONNECTED",
        [x, kernel, bias],
        operation.outputs,
        # Since version 5 positions may be more than one axis.
        version=5,
        fused_activation_function="NONE",
        weights_format="DEFAULT",
        keep_num_dims=True,
    )


def _keeps_channels(operation: Operation) -> bool:
    """Whether it only gives the positions another shape."""
    x, made = operation.inputs[0], operation.outputs[0]
    return (
        operation.kind == "RESHAPE"
        and x is not None
        and x.shape[-1:] == made.shape[-1:] != (None,)
    )


def _take_up(
    product: Operation,
    last: Operation,
    following: Operation,
    readers: dict[Value, list[Operation]],
) -> bool:
    """Lets a product do what follows it, if it can.

    Args:
        product: The product.
        last: It, or what gives its output another shape.
        following: The only operation that reads what `last` writes.
        readers: The operations that read each value.

    Returns:
        Whether it does; `last` writes what `following` wrote then.
    """
    _, kernel, bias = [*product.inputs, None][:3]
    others = [v for v in following.inputs if v is not last.outputs[0]]
    if (
        following.kind not in ("ADD", "MUL")
        or product.attributes.get("fused_activation_function") != "NONE"
        or len(others) != 1
        or kernel is None
        or following.outputs[0].shape != last.outputs[0].shape
    ):
        return False
    width = kernel.shape[0] or 0
    weights, vector = kernel.contents, _by_channel(others[0], width)
    offset = np.zeros(width, np.float32) if bias is None else bias.contents
    if weights is None or weights.dtype != np.float32:
        return False
    if offset is None or vector is None:
        return False
    if following.kind == "MUL":
        by_output = vector.reshape(-1, *[1] * (weights.ndim - 1))
        scaled = Value.constant(kernel.name, weights * by_output)
        if len(readers.get(kernel, [])) == 1:
            # What it held before is let go at once.
            kernel.stored = scaled.stored
        else:
            product.inputs[1] = scaled
        offset = offset * vector
    else:
        offset = offset + vector
    named = last.outputs[0].name if bias is None else bias.name
    product.inputs[2:] = [Value.constant(named, offset)]
    product.attributes["fused_activation_function"] = following.attributes[
        "fused_activation_function"
    ]
    last.outputs = following.outputs
    return True


def _by_channel(value: Value | None, width: int) -> np.ndarray | None:
    """A constant that is the same everywhere but from channel to channel."""
    array = None if value is None else value.contents
    if array is None or array.dtype != np.float32:
        return None
    if array.size != 1 and not array.size == array.shape[-1] == width:
        return None
    return np.broadcast_to(array.reshape(-1), (width,))
