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
"""Reads products: dense layers, convolutions, and products with a constant."""

import math

import numpy as np

from tfmot_sapp.compiler.analysis.block_structure import block_structure
from tfmot_sapp.compiler.graph import Opaque, Table, Value
from tfmot_sapp.compiler.ir.graph import Operation
from tfmot_sapp.compiler.ir.make import make_operation
from tfmot_sapp.compiler.ir.values import Value as Tensor
from tfmot_sapp.compiler.readers.operations.reader import Reader, reads
from tfmot_sapp.frameworks.channel_operations import Depthwise, Linear, Window

# Rows of a table that a block must have, for each block has a number.
_LOWEST_BLOCK = 4


@reads("CONV_2D")
def _convolution(reader: Reader, operation: Operation) -> bool:
    x, kernel = _given(reader, operation, 0, 1)
    bias = _bias(reader, operation, 2, 0 if kernel is None else len(kernel))
    if x is None or kernel is None or bias is None:
        return False
    half = operation.inputs[1] in reader.half
    if kernel.shape[-1] == 1 and len(kernel) == x.channels > 1:
        taps = np.ascontiguousarray(np.moveaxis(kernel[..., 0], 0, -1))
        by_channel = Depthwise(taps, bias, _window(operation))
        return reader.add(operation, [x], by_channel, half=half)
    if x.channels != kernel.shape[-1]:
        # A grouped one; few runtimes are faster with its parts.
        return False
    core = Linear(np.transpose(kernel, (1, 2, 3, 0)), bias, _window(operation))
    return reader.add(operation, [x], core, half=half)


@reads("DEPTHWISE_CONV_2D")
def _depthwise(reader: Reader, operation: Operation) -> bool:
    x, kernel = _given(reader, operation, 0, 1)
    channels = 0 if kernel is None else kernel.shape[-1]
    bias = _bias(reader, operation, 2, channels)
    if x is None or kernel is None or bias is None:
        return False
    if x.channels != channels:
        return False
    core = Depthwise(kernel[0], bias, _window(operation))
    half = operation.inputs[1] in reader.half
    return reader.add(operation, [x], core, half=half)


@reads("TRANSPOSE_CONV")
def _transposed(reader: Reader, operation: Operation) -> bool:
    x, kernel = _given(reader, operation, 2, 1)
    bias = _bias(reader, operation, 3, 0 if kernel is None else len(kernel))
    if x is None or kernel is None or bias is None:
        return False
    if x.channels != kernel.shape[-1]:
        return False
    window = _window(operation, transposed=True)
    made = operation.outputs[0].shape
    for n, m, stride, taps in zip(
        x.shape[1:-1], made[1:-1], window.strides, kernel.shape[1:]
    ):
        longer = max(taps - stride, 0) if window.padding == "valid" else 0
        if n is None or m != n * stride + longer:
            return False
    core = Linear(
        np.ascontiguousarray(np.transpose(kernel, (1, 2, 3, 0))), bias, window
    )
    half = operation.inputs[1] in reader.half
    return reader.add(operation, [x], core, half=half)


@reads("FULLY_CONNECTED")
def _fully_connected(reader: Reader, operation: Operation) -> bool:
    x, kernel = _given(reader, operation, 0, 1)
    bias = _bias(reader, operation, 2, 0 if kernel is None else len(kernel))
    if x is None or kernel is None or bias is None or kernel.ndim != 2:
        return False
    attributes = operation.attributes
    if attributes.get("weights_format", "DEFAULT") != "DEFAULT":
        return False
    keeps = bool(attributes.get("keep_num_dims", False))
    outputs, inputs = map(int, kernel.shape)
    if not keeps and (len(x.shape) != 2 or x.channels != inputs):
        flat = _flattened(reader, operation, x, inputs)
        if flat is None:
            return False
        x = flat
    if x.channels != inputs:
        return False
    # A view: large kernels aren't copied as long as they stay what they are.
    core = Linear(kernel.T, bias)
    half = operation.inputs[1] in reader.half
    shape = (*x.shape[:-1], outputs)
    if len(shape) != len(operation.outputs[0].shape):
        return False
    return reader.add(operation, [x], core, half=half)


@reads("BATCH_MATMUL")
def _batch_matmul(reader: Reader, operation: Operation) -> bool:
    x, kernel = _given(reader, operation, 0, 1)
    attributes = operation.attributes
    if x is None or kernel is None or attributes.get("adj_x", False):
        return False
    if math.prod(kernel.shape[:-2]) != 1 or kernel.ndim > len(x.shape):
        return False
    inputs, outputs = kernel.shape[-2:]
    kernel = kernel.reshape(inputs, outputs)
    if attributes.get("adj_y", False):
        kernel = kernel.T
    if x.channels != len(kernel):
        return False
    bias = np.zeros(kernel.shape[-1], np.float32)
    core = Linear(np.ascontiguousarray(kernel), bias)
    half = operation.inputs[1] in reader.half
    return reader.add(operation, [x], core, half=half)


@reads("GATHER")
def _lookup(reader: Reader, operation: Operation) -> bool:
    table, numbers = operation.inputs
    rows = reader.constant(table)
    if rows is None or numbers is None or rows.ndim != 2:
        return False
    given = reader.values.get(numbers)
    attributes = operation.attributes
    if given is None or attributes.get("axis", 0) or not given.shape:
        return False
    structure = block_structure(np.asarray(rows[np.newaxis] != 0))
    if len(structure.in_edges) + len(structure.out_edges) < 5:
        return False
    # Neighbouring blocks of one pattern have no edge between them.
    height = math.gcd(*structure.in_edges[:-1]) or len(rows)
    if height < _LOWEST_BLOCK:
        return False
    edges = (*range(0, len(rows), height), len(rows))
    core = Table(rows, edges, structure.out_edges)
    return reader.add(operation, [given], core, half=table in reader.half)


def _given(
    reader: Reader, operation: Operation, value: int, kernel: int
) -> tuple[Value | None, np.ndarray | None]:
    inputs = operation.inputs
    if len(inputs) <= max(value, kernel):
        return None, None
    return reader.value(inputs[value]), reader.constant(inputs[kernel])


def _bias(
    reader: Reader, operation: Operation, place: int, outputs: int
) -> np.ndarray | None:
    """The bias, zeros where there is none; `None` where it isn't constant."""
    tensor = None
    if len(operation.inputs) > place:
        tensor = operation.inputs[place]
    if tensor is None:
        return np.zeros(outputs, np.float32)
    found = reader.constant(tensor)
    return None if found is None else np.array(found.reshape(-1))


def _window(operation: Operation, transposed: bool = False) -> Window:
    attributes = operation.attributes
    return Window(
        (attributes.get("stride_h", 1), attributes.get("stride_w", 1)),
        attributes.get("padding", "SAME").lower(),
        (
            attributes.get("dilation_h_factor", 1),
            attributes.get("dilation_w_factor", 1),
        ),
        transposed,
    )


def _flattened(
    reader: Reader, operation: Operation, x: Value, inputs: int
) -> Value | None:
    """The rows that a dense layer sees in a tensor of more axes."""
    known = [n for n in x.shape if n is not None]
    unknown = len(x.shape) - len(known)
    if unknown > 1:
        return None
    count = None if unknown else math.prod(known) // max(inputs, 1)
    given = operation.inputs[0]
    assert given is not None
    flat = Tensor(f"{given.name}/rows", (count, inputs), "float32")
    wanted = np.array([-1, inputs], np.int32)
    shape = Tensor.constant(f"{given.name}/shape", wanted)
    reshape = make_operation(
        "RESHAPE", [given, shape], [flat], new_shape=wanted.tolist()
    )
    if x.channels == inputs:
        step = reader.step(reshape, (0,), "pool")
        reader.add(reshape, [x], steps=[step])
        return reader.values[flat]
    output = reader.make(flat)
    reader.nodes.append(Opaque(flat.name, [x], [output], reshape))
    return output
