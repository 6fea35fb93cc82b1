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
"""How a kernel is cut in blocks.

A kernel keeps its shape. `BlockGrid` lays a grid over it in which every cell is
one block; the blocks at the far edges may be smaller ("ragged"), so the grid
is padded and the weights never are. The functions below move between the two
sides: `block_reduce` condenses a kernel to one value per block, `expand`
spreads one value per block over the kernel, and `scale` multiplies a kernel by
one factor per block without building that spread out.

>>> grid = BlockGrid.over((784, 400), (32, 32))
>>> grid.cells, grid.num_blocks
((25, 13), 325)
"""

import dataclasses
import math
from collections.abc import Callable

import numpy as np
import tensorflow as tf


@dataclasses.dataclass(frozen=True)
class BlockGrid:
    """A grid of blocks over one kernel.

    Attributes:
        shape: The kernel's shape.
        view: The shape that is cut: `shape` itself, or `shape` with
            neighbouring axes merged, as for the heads of an attention
            projection.
        block: Extent of a block along each axis of `view`, never more than
            the axis itself.
    """

    shape: tuple[int, ...]
    view: tuple[int, ...]
    block: tuple[int, ...]

    @classmethod
    def over(
        cls,
        shape: tuple[int, ...],
        block: tuple[int, ...],
        view: tuple[int, ...] | None = None,
    ) -> "BlockGrid":
        """Lays a grid over a kernel.

        Args:
            shape: The kernel's shape, of any rank.
            block: Block extents, one positive integer per axis of `view`; an
                extent beyond its axis is cut down to the axis.
            view: Shape with the same elements, in the same order, that is cut.
                Defaults to `shape`.

        Returns:
            A `BlockGrid`.

        Raises:
            ValueError: If `block` and `view` differ in length, or `view` does
                not hold as many elements as `shape`.

        Example:

        >>> BlockGrid.over((3, 3, 64, 100), (3, 3, 32, 32)).cells
        (1, 1, 2, 4)
        """
        shape = tuple(int(n) for n in shape)
        view = shape if view is None else tuple(int(n) for n in view)
        if len(block) != len(view):
            raise ValueError(
                "`block` must have one extent per axis of the kernel. "
                f"Received: block={tuple(block)} for a kernel cut as {view}."
            )
        if math.prod(view) != math.prod(shape):
            raise ValueError(
                "`view` must hold as many elements as `shape`. "
                f"Received: view={view}, shape={shape}."
            )
        clipped = tuple(min(int(b), n) for b, n in zip(block, view))
        return cls(shape, view, clipped)

    @property
    def cells(self) -> tuple[int, ...]:
        """Number of blocks along each axis of `view`."""
        return tuple(-(-n // b) for n, b in zip(self.view, self.block))

    @property
    def num_blocks(self) -> int:
        """Number of blocks in all."""
        return math.prod(self.cells)

    @property
    def num_weights(self) -> int:
        """Number of weights of the kernel."""
        return math.prod(self.shape)

    def block_weights(self) -> np.ndarray:
        """Returns the number of weights in each block, shaped `cells`."""
        sizes = np.ones((), np.int64)
        for length, extent in zip(self.view, self.block):
            edges = np.append(np.arange(0, length, extent), length)
            sizes = np.multiply.outer(sizes, np.diff(edges))
        return sizes


def block_reduce(values: np.ndarray, grid: BlockGrid) -> np.ndarray:
    """Sums an array over the blocks of a grid.

    Args:
        values: NumPy array with `grid.shape`.
        grid: A `BlockGrid`.

    Returns:
        NumPy array of shape `grid.cells` in the dtype of `values`.

    Example:

    >>> block_reduce(np.ones((3, 5)), BlockGrid.over((3, 5), (2, 2)))
    array([[4., 4., 2.],
           [2., 2., 1.]])
    """
    values = np.reshape(values, grid.view)
    for axis, extent in reversed(list(enumerate(grid.block))):
        length = values.shape[axis]
        if extent == 1:
            continue
        if length % extent == 0:
            split = (
                values.shape[:axis]
                + (length // extent, extent)
                + values.shape[axis + 1 :]
            )
            values = values.reshape(split).sum(axis=axis + 1)
        else:
            starts = np.arange(0, length, extent)
            values = np.add.reduceat(values, starts, axis=axis)
    return values


def expand(values: np.ndarray, grid: BlockGrid) -> np.ndarray:
    """Spreads one value per block over the kernel.

    Args:
        values: NumPy array of shape `grid.cells`.
        grid: A `BlockGrid`.

    Returns:
        NumPy array of shape `grid.shape`.

    Example:

    >>> expand(np.array([[1, 0]]), BlockGrid.over((2, 3), (2, 2)))
    array([[1, 1, 0],
           [1, 1, 0]])
    """
    for axis, (length, extent) in enumerate(zip(grid.view, grid.block)):
        values = np.take(values, np.arange(length) // extent, axis=axis)
    return values.reshape(grid.shape)


def scale(kernel: tf.Tensor, factor: tf.Tensor, grid: BlockGrid) -> tf.Tensor:
    """Multiplies every block of a kernel by its factor, differentiably.

    The kernel is reshaped so that the factor broadcasts, so nothing of the
    kernel's size is built but the product. Only an axis that its blocks do not
    divide has its factors spread out beforehand.

    Args:
        kernel: Tensor with `grid.shape`.
        factor: Tensor of shape `grid.cells`, of the kernel's dtype.
        grid: A `BlockGrid`.

    Returns:
        Tensor with the kernel's shape and dtype.

    Example:

    >>> grid = BlockGrid.over((2, 4), (2, 2))
    >>> scale(tf.ones((2, 4)), tf.constant([[2.0, 0.0]]), grid).numpy()
    array([[2., 2., 0., 0.],
           [2., 2., 0., 0.]], dtype=float32)
    """
    split, spread = _broadcastable(factor, grid)
    return tf.reshape(tf.reshape(kernel, split) * spread, grid.shape)


def block_sum(values: tf.Tensor, grid: BlockGrid) -> tf.Tensor:
    """Sums a tensor over the blocks of a grid, differentiably.

    The same as `block_reduce`, for tensors inside a graph.

    Args:
        values: Tensor with `grid.shape`.
        grid: A `BlockGrid`.

    Returns:
        Tensor of shape `grid.cells`.

    Example:

    >>> grid = BlockGrid.over((2, 3), (2, 2))
    >>> block_sum(tf.ones((2, 3)), grid).numpy()
    array([[4., 2.]], dtype=float32)
    """
    return _reduce(values, grid, tf.reduce_sum)


def block_max(values: tf.Tensor, grid: BlockGrid) -> tf.Tensor:
    """Returns the largest value in each block of a grid.

    Args:
        values: Tensor with `grid.shape`.
        grid: A `BlockGrid`.

    Returns:
        Tensor of shape `grid.cells`.

    Example:

    >>> grid = BlockGrid.over((2, 3), (2, 2))
    >>> block_max(tf.constant([[1, 5, 2], [0, 3, 4]]), grid).numpy()
    array([[5, 4]], dtype=int32)
    """
    return _reduce(values, grid, tf.reduce_max)


def _reduce(
    values: tf.Tensor, grid: BlockGrid, along: Callable[..., tf.Tensor]
) -> tf.Tensor:
    values = tf.reshape(values, grid.view)
    # From the first axis to the last: a sum over an outer axis runs along the
    # inner ones, which is what processors are fast at.
    for axis, (length, extent) in enumerate(zip(grid.view, grid.block)):
        values = _reduce_axis(values, axis, length, extent, along)
    return values


def _reduce_axis(
    values: tf.Tensor,
    axis: int,
    length: int,
    extent: int,
    along: Callable[..., tf.Tensor],
) -> tf.Tensor:
    if extent == 1:
        return values
    before, after = values.shape[:axis], values.shape[axis + 1 :]
    whole = length - length % extent
    reduced = along(
        tf.reshape(
            values[(slice(None),) * axis + (slice(0, whole),)],
            [*before, whole // extent, extent, *after],
        ),
        axis=axis + 1,
    )
    if whole == length:
        return reduced
    rest = values[(slice(None),) * axis + (slice(whole, length),)]
    rest = along(rest, axis=axis, keepdims=True)
    return tf.concat([reduced, rest], axis)


def _broadcastable(
    factor: tf.Tensor, grid: BlockGrid
) -> tuple[list[int], tf.Tensor]:
    """Returns the kernel's split shape and the factor shaped to fit it."""
    split: list[int] = []
    fitted: list[int] = []
    for axis, (length, extent) in enumerate(zip(grid.view, grid.block)):
        count = -(-length // extent)
        if length % extent:
            factor = repeat_along(factor, axis, extent, length)
            split.append(length)
            fitted.append(length)
        else:
            split += [count, extent]
            fitted += [count, 1]
    return split, tf.reshape(factor, fitted)


def repeat_along(
    factor: tf.Tensor, axis: int, extent: int, length: int
) -> tf.Tensor:
    # Broadcasting and slicing has a gradient of reshapes and sums, where that
    # of a gather is a scatter, which XLA runs element by element on a CPU.
    before, count = factor.shape[:axis], factor.shape[axis]
    after = factor.shape[axis + 1 :]
    wide = tf.broadcast_to(
        tf.expand_dims(factor, axis + 1), [*before, count, extent, *after]
    )
    wide = tf.reshape(wide, [*before, count * extent, *after])
    return wide[(slice(None),) * axis + (slice(0, length),)]
