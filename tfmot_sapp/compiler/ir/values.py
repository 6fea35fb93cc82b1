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
"""Values of a graph, and how their integers stand for real numbers."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from tfmot_sapp.compiler.ir.dtypes import dtype_name, numpy_dtype
from tfmot_sapp.compiler.ir.sparsity import Sparsity

Shape = tuple[int | None, ...]


@dataclasses.dataclass(eq=False, slots=True)
class BlockwiseQuantization:
    """Scales by blocks of elements, kept in values of their own.

    Attributes:
        scales: The value that holds the scales.
        zero_points: The value that holds the zero points, `None` if all are 0.
        block_size: Elements in a block.
        block_shape: Extents of a block, `()` where the file has none.
    """

    scales: Value
    zero_points: Value | None
    block_size: int
    block_shape: tuple[int, ...] = ()


@dataclasses.dataclass(eq=False, slots=True)
class MultiAxisQuantization:
    """Scales along several axes, kept in values of their own.

    Attributes:
        scales: The value that holds the scales.
        zero_points: The value that holds the zero points, `None` if all are 0.
        block_size: Elements in a block.
        axes: The axes that the scales run along.
    """

    scales: Value
    zero_points: Value | None
    block_size: int
    axes: tuple[int, ...]


@dataclasses.dataclass(eq=False, slots=True)
class CustomQuantization:
    """A scheme that only its author can read.

    Attributes:
        contents: Its bytes.
    """

    contents: bytes


@dataclasses.dataclass(eq=False, slots=True)
class Quantization:
    """Quantization of a value: `real = scale * (stored - zero_point)`.

    Attributes:
        scale: float32 vector, one scale or one for every index of `axis`;
            `None` where the file has none.
        zero_point: int64 vector, as many.
        minimum: float32 vector of the smallest real numbers seen, if recorded.
        maximum: float32 vector of the largest.
        axis: The axis that several scales run along.
        details: A scheme that one vector of scales cannot describe.
    """

    scale: np.ndarray | None = None
    zero_point: np.ndarray | None = None
    minimum: np.ndarray | None = None
    maximum: np.ndarray | None = None
    axis: int = 0
    details: (
        BlockwiseQuantization
        | MultiAxisQuantization
        | CustomQuantization
        | None
    ) = None

    @property
    def is_scaled(self) -> bool:
        """Whether stored integers stand for other numbers than themselves."""
        has_scale = self.scale is not None and self.scale.size > 0
        return has_scale or self.details is not None

    def values(self) -> list[Value]:
        """Returns the values that hold scales and zero points."""
        if isinstance(
            self.details, BlockwiseQuantization | MultiAxisQuantization
        ):
            held = (self.details.scales, self.details.zero_points)
            return [value for value in held if value is not None]
        return []


@dataclasses.dataclass(frozen=True, slots=True)
class VariantType:
    """Shape and type of the tensors that a value of type variant holds.

    Attributes:
        shape: Its shape.
        dtype: Type of the elements.
        has_rank: Whether the shape is known.
    """

    shape: tuple[int, ...]
    dtype: str
    has_rank: bool


@dataclasses.dataclass(eq=False, slots=True)
class Value:
    """A tensor: an input, a constant, a variable, or what an operation writes.

    Attributes:
        name: Its name, which need not be unique.
        shape: Its shape, `None` for an extent that is known only at a call.
        dtype: Type of the elements, such as `"float32"`; see `dtypes`.
        stored: The bytes of a constant, a flat uint8 array; else `None`. Two
            constants with the same array are stored once.
        quantization: How integers stand for real numbers, if they do.
        sparsity: How the stored elements lie in the tensor, if not densely.
        is_variable: Whether it keeps its contents from one call to the next.
        allocated: The shape that the runtime begins with where extents are
            unknown; `None`: 1 for each of them.
        has_rank: The format's mark that an empty shape is a scalar's.
        external_buffer: Number of the buffer outside the file that holds its
            contents, 0 for none.
        variants: What a value of type variant holds.
    """

    name: str
    shape: Shape
    dtype: str
    stored: np.ndarray | None = None
    quantization: Quantization | None = None
    sparsity: Sparsity | None = None
    is_variable: bool = False
    allocated: tuple[int, ...] | None = None
    has_rank: bool = False
    external_buffer: int = 0
    variants: tuple[VariantType, ...] | None = None

    @classmethod
    def constant(
        cls,
        name: str,
        array: np.ndarray,
        quantization: Quantization | None = None,
    ) -> Value:
        """Makes a constant.

        Args:
            name: Its name.
            array: Its contents.
            quantization: How they stand for real numbers, if they do.

        Returns:
            The value.

        Raises:
            ValueError: If the format has no type for the array's elements.
        """
        dtype = dtype_name(array.dtype)
        contiguous = np.ascontiguousarray(array, numpy_dtype(dtype))
        return cls(
            name=name,
            shape=array.shape,
            dtype=dtype,
            stored=contiguous.reshape(-1).view(np.uint8),
            quantization=quantization,
        )

    @property
    def is_constant(self) -> bool:
        """Whether its contents are known, here or in a buffer outside."""
        return self.stored is not None or self.external_buffer != 0

    @property
    def is_quantized(self) -> bool:
        """Whether its elements stand for other numbers than themselves."""
        is_float = self.dtype.startswith(("float", "bfloat"))
        scaled = self.quantization is not None and self.quantization.is_scaled
        return scaled and not is_float

    @property
    def contents(self) -> np.ndarray | None:
        """The elements of a constant, in its shape.

        They are a view of what is stored, or decoded where the constant is
        sparsely encoded. `None` for what is no constant, and for a constant
        that NumPy has no type for: `stored` holds its bytes.
        """
        dtype = numpy_dtype(self.dtype)
        if self.stored is None or dtype is None:
            return None
        elements = self.stored.view(dtype)
        if self.sparsity is not None:
            return self.sparsity.to_dense(elements, self.initial_shape)
        return elements.reshape(self.initial_shape)

    @property
    def initial_shape(self) -> tuple[int, ...]:
        """The shape that the runtime begins with."""
        if self.allocated is not None:
            return self.allocated
        return tuple(1 if extent is None else extent for extent in self.shape)


def integers_of(value: Value | None) -> list[int] | None:
    """Returns the contents of a constant of integers.

    Args:
        value: The value; `None` has no contents.

    Returns:
        The integers in order, `None` for what is no such constant.
    """
    contents = None if value is None else value.contents
    if contents is None or contents.dtype.kind not in "iu":
        return None
    return [int(n) for n in contents.reshape(-1)]


def broadcast_shape(
    x: Sequence[int | None], y: Sequence[int | None]
) -> tuple[int | None, ...]:
    """Returns the shape of two values together, element by element.

    Args:
        x: Shape of one; extents of 1 are repeated.
        y: Shape of the other.
    """
    rank = max(len(x), len(y))
    left = [1] * (rank - len(x)) + list(x)
    right = [1] * (rank - len(y)) + list(y)
    return tuple(b if a == 1 else a for a, b in zip(left, right))
