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
"""Writing values as the tensors of a `.tflite` file."""

from typing import Any

import numpy as np

from tfmot_sapp.compiler.ir.dtypes import stored_bytes
from tfmot_sapp.compiler.ir.sparsity import SparseDimension, Sparsity
from tfmot_sapp.compiler.ir.values import (
    BlockwiseQuantization,
    CustomQuantization,
    Quantization,
    Value,
)
from tfmot_sapp.compiler.schema import enum_numbers, new_table
from tfmot_sapp.compiler.writers.tflite_buffers import Buffers


def write_value(
    value: Value, buffers: Buffers, indices: dict[Value, int]
) -> Any:
    """Makes the tensor of a value.

    Args:
        value: The value.
        buffers: The file's buffers.
        indices: The indices of the values of the subgraph.

    Returns:
        Object of the generated class `TensorT`.

    Raises:
        ValueError: If what it stores does not fill its shape.
    """
    _check_stored(value)
    tensor = new_table("Tensor")
    tensor.name = encode(value.name)
    tensor.type = dtype_number(value.dtype)
    tensor.shape = list(value.initial_shape)
    if None in value.shape:
        tensor.shapeSignature = [-1 if n is None else n for n in value.shape]
    tensor.buffer = buffers.index(value.stored)
    tensor.isVariable = value.is_variable
    tensor.hasRank = value.has_rank
    tensor.externalBuffer = value.external_buffer
    if value.quantization is not None:
        tensor.quantization = _quantization(value.quantization, indices)
    if value.sparsity is not None:
        tensor.sparsity = _sparsity(value.sparsity)
    if value.variants is not None:
        tensor.variantTensors = [
            _variant(held.shape, held.dtype, held.has_rank)
            for held in value.variants
        ]
    return tensor


def encode(text: str) -> bytes:
    """Encodes a name as the reader decoded it.

    Args:
        text: The name.
    """
    return text.encode("utf-8", "surrogateescape")


def dtype_number(name: str) -> int:
    """Returns the format's number of a type of elements.

    Args:
        name: Its name, such as `"float32"`.

    Raises:
        ValueError: If the format has no such type.
    """
    numbers = enum_numbers("TensorType")
    if name not in numbers:
        raise ValueError(
            f"`dtype` of a value must be one of {', '.join(numbers)}. "
            f"Received: {name!r}."
        )
    return numbers[name]


def _check_stored(value: Value) -> None:
    if value.stored is None:
        return
    shape = value.initial_shape
    if value.sparsity is not None:
        shape = (value.sparsity.stored_elements(shape),)
    wanted = stored_bytes(value.dtype, shape)
    if wanted is not None and wanted != value.stored.nbytes:
        raise ValueError(
            f"the constant {value.name!r} of shape {list(value.shape)} and "
            f"type {value.dtype} must store {wanted} bytes. Received: "
            f"{value.stored.nbytes}."
        )


def _variant(shape: tuple[int, ...], dtype: str, has_rank: bool) -> Any:
    table = new_table("VariantSubType")
    table.shape = list(shape)
    table.type = dtype_number(dtype)
    table.hasRank = has_rank
    return table


def _quantization(quantization: Quantization, indices: dict[Value, int]) -> Any:
    table = new_table("QuantizationParameters")
    table.scale = _vector(quantization.scale, np.float32)
    table.zeroPoint = _vector(quantization.zero_point, np.int64)
    table.min = _vector(quantization.minimum, np.float32)
    table.max = _vector(quantization.maximum, np.float32)
    table.quantizedDimension = quantization.axis
    details = quantization.details
    if details is None:
        return table
    kind = type(details).__name__
    table.detailsType = enum_numbers("QuantizationDetails")[kind]
    table.details = new_table(kind)
    if isinstance(details, CustomQuantization):
        table.details.custom = np.frombuffer(details.contents, np.uint8)
        return table
    table.details.scales = indices[details.scales]
    zero_points = details.zero_points
    table.details.zeroPoints = (
        -1 if zero_points is None else indices[zero_points]
    )
    table.details.blockSize = details.block_size
    if isinstance(details, BlockwiseQuantization):
        if details.block_shape:
            table.details.blockShape = list(details.block_shape)
    else:
        table.details.quantizedDimensions = list(details.axes)
    return table


def _vector(numbers: np.ndarray | None, dtype: type) -> np.ndarray | None:
    return None if numbers is None else np.asarray(numbers, dtype).reshape(-1)


def _sparsity(sparsity: Sparsity) -> Any:
    table = new_table("SparsityParameters")
    table.traversalOrder = list(sparsity.traversal_order)
    table.blockMap = list(sparsity.block_map)
    table.dimMetadata = [_sparse_dimension(d) for d in sparsity.dimensions]
    return table


def _sparse_dimension(dimension: SparseDimension) -> Any:
    table = new_table("DimensionMetadata")
    table.denseSize = dimension.dense_size
    if dimension.segments is None or dimension.indices is None:
        return table
    table.format = enum_numbers("DimensionType")["SPARSE_CSR"]
    table.arraySegmentsType, table.arraySegments = _indices(dimension.segments)
    table.arrayIndicesType, table.arrayIndices = _indices(dimension.indices)
    return table


def _indices(numbers: np.ndarray) -> tuple[int, Any]:
    name = np.dtype(numbers.dtype).name
    kind = {"uint8": "Uint8Vector", "uint16": "Uint16Vector"}.get(name)
    if kind is None:
        kind, numbers = "Int32Vector", numbers.astype(np.int32)
    table = new_table(kind)
    table.values = np.ascontiguousarray(numbers)
    return enum_numbers("SparseIndexVector")[kind], table
