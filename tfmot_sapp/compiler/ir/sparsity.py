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
"""The format's sparse encoding of constants: only non-zero blocks are stored.

The encoding is TACO's: dimensions in an order of traversal, each dense or
compressed (Kjolstad et al., "The Tensor Algebra Compiler", 2017).
"""

import dataclasses

import numpy as np


@dataclasses.dataclass(eq=False, slots=True)
class SparseDimension:
    """One dimension, in the order of traversal.

    Attributes:
        dense_size: Extent of a dense dimension.
        segments: Integer vector: where the indices of every position of the
            dimensions before begin; `None` for a dense dimension.
        indices: Integer vector of the indices that are stored; `None` for a
            dense dimension.
    """

    dense_size: int = 0
    segments: np.ndarray | None = None
    indices: np.ndarray | None = None


@dataclasses.dataclass(eq=False, slots=True)
class Sparsity:
    """How the elements of a sparsely encoded constant lie in a tensor.

    Attributes:
        traversal_order: The dimensions in the order in which they are stored:
            those of the tensor, then those within a block.
        block_map: For each dimension within a block, the dimension of the
            tensor that it belongs to.
        dimensions: One entry for each dimension in the order of traversal.
    """

    traversal_order: tuple[int, ...]
    block_map: tuple[int, ...]
    dimensions: tuple[SparseDimension, ...]

    def stored_elements(self, shape: tuple[int, ...]) -> int:
        """Counts the elements that are stored.

        Args:
            shape: Shape of the tensor.

        Returns:
            Their number.

        Raises:
            ValueError: If the encoding does not fit the shape or itself.
        """
        extents = self._extents(shape)
        count = 1
        for axis, dimension in zip(self.traversal_order, self.dimensions):
            if dimension.segments is None or dimension.indices is None:
                if dimension.dense_size != extents[axis]:
                    raise ValueError(
                        f"dimension {axis} of a sparse tensor of shape {shape} "
                        f"must have {extents[axis]} positions. Received: "
                        f"{dimension.dense_size}."
                    )
                count *= dimension.dense_size
            else:
                _check_compressed(dimension, count, extents[axis])
                count = dimension.indices.size
        return count

    def to_dense(
        self, elements: np.ndarray, shape: tuple[int, ...]
    ) -> np.ndarray:
        """Puts the stored elements in their places, among zeros.

        Args:
            elements: Vector of the elements that are stored.
            shape: Shape of the tensor.

        Returns:
            Array of this shape.

        Raises:
            ValueError: If the encoding does not fit the shape, itself or the
                number of elements.
        """
        if self.stored_elements(shape) != elements.size:
            raise ValueError(
                f"`elements` must be {self.stored_elements(shape)} for this "
                f"encoding. Received: {elements.size}."
            )
        # For every position so far, its index in each dimension so far.
        indices: dict[int, np.ndarray] = {}
        count = 1
        for axis, dimension in zip(self.traversal_order, self.dimensions):
            if dimension.segments is None or dimension.indices is None:
                repeats = np.full(count, dimension.dense_size)
                own = np.tile(np.arange(dimension.dense_size), count)
            else:
                # Compressed indices may be unsigned and narrow.
                repeats = np.diff(dimension.segments.astype(np.int64))
                own = dimension.indices.astype(np.int64)
            indices = {a: np.repeat(i, repeats) for a, i in indices.items()}
            indices[axis] = own
            count = own.size
        for offset, axis in enumerate(self.block_map):
            within = len(shape) + offset
            position = self.traversal_order.index(within)
            size = self.dimensions[position].dense_size
            indices[axis] = indices[axis] * size + indices[within]
        dense = np.zeros(shape, elements.dtype)
        dense[tuple(indices[axis] for axis in range(len(shape)))] = elements
        return dense

    def _extents(self, shape: tuple[int, ...]) -> list[int]:
        rank = len(shape) + len(self.block_map)
        order_is_whole = sorted(self.traversal_order) == list(range(rank))
        if not order_is_whole or len(self.dimensions) != rank:
            raise ValueError(
                f"a sparse tensor of shape {shape} with "
                f"{len(self.block_map)} dimensions within a block must "
                f"traverse {rank} dimensions. Received: "
                f"{self.traversal_order}."
            )
        extents = list(shape)
        for offset, axis in enumerate(self.block_map):
            position = self.traversal_order.index(len(shape) + offset)
            size = self.dimensions[position].dense_size
            if not 0 <= axis < len(shape) or size < 1 or extents[axis] % size:
                raise ValueError(
                    f"blocks of {size} must divide a dimension of the shape "
                    f"{shape}. Received: dimension {axis}."
                )
            extents[axis] //= size
            extents.append(size)
        return extents


def _check_compressed(
    dimension: SparseDimension, positions: int, extent: int
) -> None:
    segments, indices = dimension.segments, dimension.indices
    assert segments is not None and indices is not None
    fits = (
        segments.size == positions + 1
        and segments[0] == 0
        and segments[-1] == indices.size
        # Compared, not subtracted: the numbers may be unsigned.
        and bool((segments[1:] >= segments[:-1]).all())
        and bool((indices >= 0).all() and (indices < extent).all())
    )
    if not fits:
        raise ValueError(
            f"a compressed dimension of {extent} positions must have "
            f"{positions + 1} rising segments over its indices. Received: "
            f"{segments.size} segments, {indices.size} indices."
        )
