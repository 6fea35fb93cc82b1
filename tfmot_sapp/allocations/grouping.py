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
"""Which input and output blocks go in one group: the most score on a diagonal.

Blocks of a kernel form a block diagonal once its input and output blocks are
reordered, if each group of output blocks reads one group of input blocks and no
other. Which groups keep the most score is a hard problem; but with the groups
of the input blocks fixed, those of the output blocks are a linear assignment,
which is solved exactly, and the other way round. So the two sides take turns
until neither can gain, from several beginnings.
"""

from collections.abc import Iterator

import numpy as np

_STARTS = 4
_MOST_TURNS = 30


def group_sizes(blocks: int, groups: int) -> np.ndarray:
    """Returns how many blocks each group has: equally many, or one more.

    Args:
        blocks: Number of input or output blocks.
        groups: Number of groups, at most `blocks`.

    Example:

    >>> group_sizes(7, 3)
    array([3, 2, 2])
    """
    each, extra = divmod(blocks, groups)
    return np.array([each + (i < extra) for i in range(groups)])


def capacity(inputs: int, outputs: int, groups: int) -> int:
    """Returns how many blocks lie on a diagonal of groups.

    Example:

    >>> capacity(8, 4, 4)
    8
    """
    sizes = group_sizes(inputs, groups), group_sizes(outputs, groups)
    # The larger groups of one side meet the larger ones of the other.
    return int(np.dot(*sizes))


def number_of_groups(inputs: int, outputs: int, count: int, most: int) -> int:
    """Returns how many groups leave room for a number of blocks.

    As many as possible; but if equal groups, which are one grouped product, are
    at least three quarters as many, then so many.

    Args:
        inputs: Number of input blocks.
        outputs: Number of output blocks.
        count: Number of blocks to keep.
        most: Most groups to make.

    Example:

    >>> number_of_groups(24, 96, count=230, most=96)
    8
    """
    fitting = [
        groups
        for groups in range(1, min(inputs, outputs, most) + 1)
        if capacity(inputs, outputs, groups) >= count
    ]
    equal = [g for g in fitting if inputs % g == 0 and outputs % g == 0]
    best = max(fitting, default=1)
    return equal[-1] if equal and equal[-1] >= 0.75 * best else best


def groups_of_blocks(
    value: np.ndarray, alive: np.ndarray, groups: int
) -> tuple[np.ndarray, np.ndarray]:
    """Returns the groups that keep the most value.

    Groups that hold nothing but what is alive come before all others.

    Args:
        value: Array (input blocks, output blocks), finite.
        alive: Array likewise: what share of a block is alive.
        groups: Number of groups.

    Returns:
        The group of each input block, and that of each output block.

    Example:

    >>> groups_of_blocks(np.array([[1.0, 9.0], [8.0, 2.0]]), np.ones((2, 2)), 2)
    (array([0, 1]), array([1, 0]))
    """
    inputs, outputs = value.shape
    rows = np.repeat(np.arange(groups), group_sizes(inputs, groups))
    columns = np.repeat(np.arange(groups), group_sizes(outputs, groups))
    # All the value together is less than what a single block lacks.
    worth = value - value.min()
    worth = worth / max(float(worth.sum()), 1e-300) + (alive - 1.0)
    best, most = (rows, columns), -np.inf
    for start in _starts(worth, alive, rows):
        found, kept = _in_turns(worth, start, rows, columns)
        if kept > most + 1e-12:
            best, most = found, kept
    return best


def _starts(
    value: np.ndarray, alive: np.ndarray, slots: np.ndarray
) -> Iterator[np.ndarray]:
    """Groups of the input blocks to begin with, always the same ones."""
    yield _alike(alive, slots)
    # Input blocks that are read alike lie together along the leading singular
    # vectors.
    left, _, _ = np.linalg.svd(value - value.mean(), full_matrices=False)
    for vector in left.T[:2]:
        yield _along(vector, slots)
    generator = np.random.default_rng(0)
    for _ in range(_STARTS - 3):
        yield generator.permutation(slots)


def _alike(alive: np.ndarray, slots: np.ndarray) -> np.ndarray:
    """Puts input blocks together of which the same output blocks are alive."""
    groups = np.full(len(slots), -1)
    sizes = dict(enumerate(np.bincount(slots).tolist()))
    while sizes:
        left = np.flatnonzero(groups < 0)
        unlike = np.abs(alive[left] - alive[left[0]]).sum(axis=1)
        # The largest group that they fill, or else the smallest.
        same = int((unlike == 0).sum())
        filled = [group for group, size in sizes.items() if size <= same]
        group = filled[0] if filled else max(sizes)
        nearest = np.argsort(unlike, kind="stable")[: sizes.pop(group)]
        groups[left[nearest]] = group
    return groups


def _along(vector: np.ndarray, slots: np.ndarray) -> np.ndarray:
    groups = np.empty(len(slots), int)
    groups[np.argsort(vector, kind="stable")] = slots
    return groups


def _in_turns(
    value: np.ndarray,
    groups: np.ndarray,
    row_slots: np.ndarray,
    column_slots: np.ndarray,
) -> tuple[tuple[np.ndarray, np.ndarray], float]:
    """Assigns output blocks, then input blocks, until nothing is gained."""
    rows, kept = groups, -np.inf
    for _ in range(_MOST_TURNS):
        columns = _assigned(value.T, rows, column_slots)
        rows = _assigned(value, columns, row_slots)
        now = float(value[rows[:, None] == columns].sum())
        if now <= kept + 1e-12:
            break
        kept = now
    return (rows, columns), now


def assigned(worth: np.ndarray, slots: np.ndarray) -> np.ndarray:
    """Returns the group of each block that is worth most altogether.

    Args:
        worth: What each block is worth in each group, (blocks, groups).
        slots: The groups that there are places in, once for each place.
    """
    # Imported where it's used: an allocation is defined wherever a model loads.
    from scipy.optimize import linear_sum_assignment

    _, chosen = linear_sum_assignment(worth[:, slots], maximize=True)
    found: np.ndarray = slots[chosen]
    return found


def _assigned(
    value: np.ndarray, groups: np.ndarray, slots: np.ndarray
) -> np.ndarray:
    """The best groups of one side, given those of the other side's blocks.

    Args:
        value: Array (blocks to assign, blocks of the other side).
        groups: Group of each block of the other side.
        slots: The groups that there are places in.
    """
    members = groups[:, None] == np.arange(slots.max() + 1)
    return assigned(value @ members, slots)
