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
"""Finds the blocks of a kernel from its zeros.

A packed model is made from any model, however it was pruned, so the block size
isn't known here: it is read off the zeros. A block structure is a set of edges
on the input axis and one on the output axis, such that between two edges all
channels have the same pattern of zeros. A trained weight may be zero by chance
too; such zeros are told from pruned blocks by their loneliness and filled in
before the edges are looked for.
"""

import dataclasses
from collections.abc import Iterable, Iterator

import numpy as np

# What counts as pruned: a zero that lies in a square of zeros of this size.
# Zeros by chance, up to a few percent, form none.
_SQUARE = 4
# Whole channels of zeros count, too, if there are this many of them; a few are
# cheaper to compute than to cut around.
_MANY_CHANNELS = 0.05
# Rows that are looked through at a time, so that little more than the pattern
# itself is held of a large one.
_STRIP = 256


@dataclasses.dataclass(frozen=True)
class BlockStructure:
    """Edges of the blocks along the two channel axes of a kernel.

    Attributes:
        in_edges: Sorted channel indices where an input block begins, then the
            number of input channels.
        out_edges: The same along the output axis.
    """

    in_edges: tuple[int, ...]
    out_edges: tuple[int, ...]

    @property
    def block_shape(self) -> tuple[int, int]:
        """The most frequent extent of a block along each axis."""
        return _typical(self.in_edges), _typical(self.out_edges)


def block_structure(nonzero: np.ndarray) -> BlockStructure:
    """Finds the edges of the blocks in a pattern of zeros.

    Args:
        nonzero: Boolean array of shape (taps, inputs, outputs), true where
            the weight isn't zero.

    Returns:
        A `BlockStructure`; without pruned blocks one block spans everything.

    Example:

    >>> import numpy as np
    >>> mask = np.array([[1, 0, 1], [0, 1, 1]], bool)
    >>> nonzero = np.kron(mask, np.ones((8, 16), bool))[np.newaxis]
    >>> block_structure(nonzero)
    BlockStructure(in_edges=(0, 8, 16), out_edges=(0, 16, 32, 48))
    """
    _, inputs, outputs = nonzero.shape
    if nonzero.all():
        return BlockStructure((0, inputs), (0, outputs))
    in_edges, out_edges = _edges(map(_strips, nonzero), nonzero.shape, 1)
    runs = [*np.diff(in_edges)[:-1], *np.diff(out_edges)[:-1]]
    if runs and min(runs) < _SQUARE:
        filled = map(_without_chance_zeros, nonzero)
        # At the corner of a block a single zero can pass for pruned.
        in_edges, out_edges = _edges(filled, nonzero.shape, _SQUARE)
    return BlockStructure(in_edges, out_edges)


def block_mask(nonzero: np.ndarray, structure: BlockStructure) -> np.ndarray:
    """Tells which blocks hold anything.

    Args:
        nonzero: Boolean array of shape (taps, inputs, outputs).
        structure: Edges along inputs and outputs.

    Returns:
        Boolean array of shape (taps, input blocks, output blocks).
    """
    rows = np.logical_or.reduceat(nonzero, structure.in_edges[:-1], axis=1)
    return np.logical_or.reduceat(rows, structure.out_edges[:-1], axis=2)


def _edges(
    taps: Iterable[Iterable[np.ndarray]], shape: tuple[int, ...], least: int
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Where neighbouring channels differ in at least `least` weights.

    Args:
        taps: The strips of each tap.
        shape: Shape of all of them: (taps, inputs, outputs).
        least: How many weights.
    """
    rows, columns = (np.zeros(n - 1, int) for n in shape[1:])
    for strips in taps:
        differ = np.zeros_like(columns)
        for number, strip in enumerate(strips):
            begin = number * _STRIP
            span = slice(begin, begin + len(strip) - 1)
            found = (strip[1:] != strip[:-1]).sum(axis=1)
            rows[span] = np.maximum(rows[span], found)
            own = strip[:_STRIP]
            differ += (own[:, 1:] != own[:, :-1]).sum(axis=0)
        columns = np.maximum(columns, differ)
    return _with_ends(rows >= least), _with_ends(columns >= least)


def _strips(nonzero: np.ndarray) -> Iterator[np.ndarray]:
    """Neighbouring rows of one tap, and the first of the strip behind them."""
    for begin in range(0, len(nonzero), _STRIP):
        yield nonzero[begin : begin + _STRIP + 1]


def _with_ends(changes: np.ndarray) -> tuple[int, ...]:
    inner = (np.flatnonzero(changes) + 1).tolist()
    return (0, *inner, len(changes) + 1)


def _typical(edges: tuple[int, ...]) -> int:
    lengths, counts = np.unique(np.diff(edges), return_counts=True)
    # The longer one of two equally frequent lengths: the shorter is an edge's.
    return int(lengths[len(counts) - 1 - np.argmax(counts[::-1])])


def _without_chance_zeros(nonzero: np.ndarray) -> Iterator[np.ndarray]:
    """The strips of one tap with all true that isn't pruned."""
    rows, columns = (~np.asarray(nonzero.any(axis=n)) for n in (1, 0))
    reach = _SQUARE - 1
    for begin in range(0, len(nonzero), _STRIP):
        low, end = max(0, begin - reach), begin + _STRIP + 1
        seen = ~nonzero[low : end + reach]
        pruned = _opening(seen, _SQUARE, _SQUARE)[begin - low : end - low]
        if rows.mean() > _MANY_CHANNELS:
            pruned |= rows[begin:end, np.newaxis]
        if columns.mean() > _MANY_CHANNELS:
            pruned |= columns
        yield ~pruned


def _opening(flags: np.ndarray, rows: int, columns: int) -> np.ndarray:
    """The union of all rectangles of true flags."""
    if flags.shape[0] < rows or flags.shape[1] < columns:
        return np.zeros_like(flags)
    fits = _window_sums(flags, rows, columns) == rows * columns
    if not fits.any():
        return np.zeros_like(flags)
    padding = ((rows - 1, rows - 1), (columns - 1, columns - 1))
    return _window_sums(np.pad(fits, padding), rows, columns) > 0


def _window_sums(flags: np.ndarray, rows: int, columns: int) -> np.ndarray:
    """How many flags are true in every window, of which few fit in a byte."""
    high, wide = np.subtract(flags.shape, (rows - 1, columns - 1))
    by_column = flags[:high].astype(np.uint8)
    for first in range(1, rows):
        by_column += flags[first : first + high]
    total = by_column[:, :wide].copy()
    for first in range(1, columns):
        total += by_column[:, first : first + wide]
    return total
