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
"""Reading the tensors of a `.tflite` file."""

from typing import Any

import numpy as np

from tfmot_sapp.compiler.ir.dtypes import stored_bytes
from tfmot_sapp.compiler.ir.sparsity import SparseDimension, Sparsity
from tfmot_sapp.compiler.ir.values import (
    BlockwiseQuantization,
    CustomQuantization,
    MultiAxisQuantization,
    Quantization,
    Value,
    VariantType,
)
from tfmot_sapp.compiler.readers.flatbuffer import Damage, FlatbufferReader
from tfmot_sapp.compiler.schema import enum_names, schema_module

_MOST_AXES = 64


def read_values(
    reader: FlatbufferReader,
    subgraph: Any,
    buffers: list[np.ndarray | None],
) -> list[Value]:
    """Reads the tensors of a subgraph.

    Args:
        reader: The file.
        subgraph: Object of the generated class `SubGraph`.
        buffers: The contents of the file's buffers, `None` for one that is
            absent.

    Returns:
        The values in the order of the file.
    """
    tensors = list(reader.tables(subgraph, "Tensors", "Tensor"))
    values = [_read_value(reader, tensor, buffers) for tensor in tensors]
    for tensor, value in zip(tensors, values):
        table = tensor.Quantization()
        if table is not None:
            reader.table(table, "QuantizationParameters")
            value.quantization = _read_quantization(
                reader, table, value, values
            )
    return values


def value_at(values: list[Value], index: int) -> Value:
    """Returns a value by its index in the file.

    Args:
        values: The values of the subgraph.
        index: The index.

    Raises:
        Damage: If there is no such value.
    """
    if not 0 <= index < len(values):
        raise Damage(f"it refers to tensor {index} of {len(values)}")
    return values[index]


def _read_value(
    reader: FlatbufferReader, tensor: Any, buffers: list[np.ndarray | None]
) -> Value:
    name = reader.text(tensor, "Name")
    stored_shape = _read_shape(reader, tensor)
    shape, allocated = _known_extents(reader, tensor, stored_shape)
    index = tensor.Buffer()
    if index and index >= len(buffers):
        raise Damage(f"it refers to buffer {index} of {len(buffers)}")
    value = Value(
        name=name,
        shape=shape,
        dtype=_dtype(tensor.Type()),
        # By the format's convention buffer 0 is no tensor's.
        stored=buffers[index] if index else None,
        is_variable=bool(tensor.IsVariable()),
        allocated=allocated,
        has_rank=bool(tensor.HasRank()),
        external_buffer=tensor.ExternalBuffer(),
        variants=_read_variants(reader, tensor),
    )
    if tensor.Sparsity() is not None:
        value.sparsity = _read_sparsity(reader, tensor.Sparsity())
    if value.stored is not None:
        _check_stored(value, stored_shape)
    return value


def _read_shape(reader: FlatbufferReader, table: Any) -> tuple[int, ...]:
    shape = reader.vector(table, "Shape")
    if shape is None:
        return ()
    if shape.size > _MOST_AXES or (shape < -1).any():
        raise Damage(f"a tensor has the shape {shape[:_MOST_AXES].tolist()}")
    return reader.as_tuple(shape)


def _known_extents(
    reader: FlatbufferReader, tensor: Any, stored_shape: tuple[int, ...]
) -> tuple[tuple[int | None, ...], tuple[int, ...] | None]:
    signature = reader.vector(tensor, "ShapeSignature")
    if signature is None or not signature.size:
        signature = np.array(stored_shape, np.int32)
    if signature.size != len(stored_shape):
        raise Damage(
            f"a tensor has the shape {list(stored_shape)} and "
            f"{signature.size} extents in its shape signature"
        )
    shape = tuple(
        None if extent == -1 or dynamic == -1 else extent
        for extent, dynamic in zip(stored_shape, signature.tolist())
    )
    begins_with_ones = tuple(1 if n is None else n for n in shape)
    same = stored_shape == begins_with_ones
    return shape, None if same else stored_shape


def _dtype(number: int) -> str:
    names = enum_names("TensorType")
    if number not in names:
        raise Damage(f"a tensor has the type {number}, which is not known")
    return names[number]


def _read_variants(
    reader: FlatbufferReader, tensor: Any
) -> tuple[VariantType, ...] | None:
    if tensor.VariantTensorsIsNone():
        return None
    return tuple(
        VariantType(
            _read_shape(reader, table),
            _dtype(table.Type()),
            bool(table.HasRank()),
        )
        for table in reader.tables(tensor, "VariantTensors", "VariantSubType")
    )


def _check_stored(value: Value, shape: tuple[int, ...]) -> None:
    assert value.stored is not None
    size = value.stored.size
    if not size and 0 not in shape:
        # Old files give a buffer without contents to what is no constant.
        value.stored = None
        return
    if -1 in shape:
        raise Damage(f"the constant {value.name!r} has the shape {list(shape)}")
    if value.dtype == "string":
        _check_strings(value.name, value.stored)
    if value.sparsity is not None:
        try:
            shape = (value.sparsity.stored_elements(shape),)
        except ValueError as error:
            raise Damage(str(error)) from error
    wanted = stored_bytes(value.dtype, shape)
    if wanted is not None and wanted != size:
        raise Damage(
            f"the constant {value.name!r} must have {wanted} bytes and has "
            f"{size}"
        )


def _check_strings(name: str, stored: np.ndarray) -> None:
    # A count, that many offsets and the end, then the characters.
    count = int(stored[:4].view("<i4")[0]) if stored.size >= 4 else -1
    if not 0 <= count <= stored.size // 4 - 2:
        raise Damage(f"the constant {name!r} is no vector of strings")
    offsets = stored[4 : 4 * (count + 2)].view("<i4")
    rising = bool((offsets[1:] >= offsets[:-1]).all())
    if offsets[0] != 4 * (count + 2) or not rising or offsets[-1] > stored.size:
        raise Damage(f"the constant {name!r} is no vector of strings")


def _read_quantization(
    reader: FlatbufferReader, table: Any, value: Value, values: list[Value]
) -> Quantization:
    quantization = Quantization(
        scale=reader.vector(table, "Scale"),
        zero_point=reader.vector(table, "ZeroPoint"),
        minimum=reader.vector(table, "Min"),
        maximum=reader.vector(table, "Max"),
        axis=table.QuantizedDimension(),
        details=_read_details(reader, table, values),
    )
    scales = 0 if quantization.scale is None else quantization.scale.size
    zeros = quantization.zero_point
    extents = value.initial_shape
    axis = quantization.axis
    # Old files give a bias the axis of its kernel.
    axis_exists = 0 <= axis < len(extents)
    along = extents[axis : axis + 1] if axis_exists else extents
    if scales > 1 and scales not in along:
        raise Damage(
            f"the tensor {value.name!r} of shape {list(extents)} has {scales} "
            f"scales along axis {axis}"
        )
    if scales and zeros is not None and zeros.size not in (0, 1, scales):
        raise Damage(
            f"the tensor {value.name!r} has {scales} scales and {zeros.size} "
            "zero points"
        )
    return quantization


def _read_details(
    reader: FlatbufferReader, table: Any, values: list[Value]
) -> BlockwiseQuantization | MultiAxisQuantization | CustomQuantization | None:
    number, union = table.DetailsType(), table.Details()
    if not number or union is None:
        return None
    kind = enum_names("QuantizationDetails").get(number)
    if kind is None:
        raise Damage(f"a tensor has the quantization {number}, not known")
    reader.table_at(union.Pos, kind)
    details = getattr(schema_module(), kind)()
    details.Init(union.Bytes, union.Pos)
    if kind == "CustomQuantization":
        contents = reader.vector(details, "Custom")
        return CustomQuantization(b"" if contents is None else bytes(contents))
    index = details.ZeroPoints()
    zero_points = None if index == -1 else value_at(values, index)
    scales = value_at(values, details.Scales())
    if kind == "BlockwiseQuantization":
        # TensorFlow's own version of the format lacks the shape.
        has_shape = hasattr(details, "BlockShapeIsNone")
        block_shape = (
            reader.numbers(details, "BlockShape") if has_shape else None
        )
        return BlockwiseQuantization(
            scales=scales,
            zero_points=zero_points,
            block_size=details.BlockSize(),
            block_shape=block_shape or (),
        )
    return MultiAxisQuantization(
        scales=scales,
        zero_points=zero_points,
        block_size=details.BlockSize(),
        axes=reader.numbers(details, "QuantizedDimensions") or (),
    )


def _read_sparsity(reader: FlatbufferReader, table: Any) -> Sparsity:
    reader.table(table, "SparsityParameters")
    dimensions = reader.tables(table, "DimMetadata", "DimensionMetadata")
    return Sparsity(
        traversal_order=reader.numbers(table, "TraversalOrder") or (),
        block_map=reader.numbers(table, "BlockMap") or (),
        dimensions=tuple(
            _read_sparse_dimension(reader, dimension)
            for dimension in dimensions
        ),
    )


def _read_sparse_dimension(
    reader: FlatbufferReader, table: Any
) -> SparseDimension:
    if not table.Format():
        return SparseDimension(table.DenseSize())
    segments = _read_indices(
        reader, table.ArraySegmentsType(), table.ArraySegments()
    )
    indices = _read_indices(
        reader, table.ArrayIndicesType(), table.ArrayIndices()
    )
    return SparseDimension(table.DenseSize(), segments, indices)


def _read_indices(
    reader: FlatbufferReader, number: int, union: Any
) -> np.ndarray:
    kind = enum_names("SparseIndexVector").get(number)
    if not number or union is None or kind is None:
        raise Damage("a compressed dimension of a sparse tensor has no indices")
    reader.table_at(union.Pos, kind)
    indices = getattr(schema_module(), kind)()
    indices.Init(union.Bytes, union.Pos)
    values = reader.vector(indices, "Values")
    return np.zeros(0, np.int32) if values is None else values
