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
"""Groups of channels that several kernels agree on.

Where one kernel reads what another makes, and both see the same groups of
blocks, the groups lie in one order for both and nothing has to be moved between
them. The best groups of one side of a kernel are a linear assignment given the
other side's, also where several kernels meet in that side: their values add up.
So the sides take turns. Where one has a multiple of the other's groups, some of
the finer ones make up each of the coarser ones.
"""

import dataclasses
from collections.abc import Collection, Iterator, Mapping, Sequence

import numpy as np

from tfmot_sapp.allocations.grouping import (
    assigned,
    group_sizes,
    groups_of_blocks,
)

_MOST_TURNS = 30

# Name, blocks and groups: what tells a side of a kernel from others.
_Key = tuple[str | None, int, int]


@dataclasses.dataclass(frozen=True)
class Meeting:
    """A kernel whose sides other kernels may share.

    Attributes:
        value: Array (input blocks, output blocks), finite.
        alive: Array likewise: what share of a block is alive.
        groups: Number of groups.
        sides: Names of the channels that it reads and makes; `None` for
            channels whose groups are neighbours.
    """

    value: np.ndarray
    alive: np.ndarray
    groups: int
    sides: tuple[str | None, str | None]

    @property
    def worth(self) -> np.ndarray:
        """All the value together is less than what a single block lacks."""
        value = self.value - self.value.min()
        return value / max(float(value.sum()), 1e-300) + (self.alive - 1.0)


def agreeing_groups(
    kernels: Sequence[Meeting],
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Returns groups that keep much value, the same ones on shared sides.

    Sides are shared by kernels that name the same channels, if one has a
    multiple of the other's groups. Those without a name are given.

    Args:
        kernels: The kernels, in the order of the model.

    Returns:
        For each kernel the group of each input block, and of each output
        block.

    Example:

    >>> ones, first = np.ones((2, 2)), np.array([[1.0, 9.0], [8.0, 2.0]])
    >>> kernels = [Meeting(first, ones, 2, ("a", "b")),
    ...            Meeting(first, ones, 2, ("b", "c"))]
    >>> [made.tolist() for _, made in agreeing_groups(kernels)]
    [[1, 0], [0, 1]]
    """
    sides = _sides(kernels)
    found = [_Kernel(*each) for each in zip(kernels, sides)]
    labels: dict[_Key, np.ndarray] = {
        key: np.repeat(np.arange(key[2]), group_sizes(*key[1:]))
        for pair in sides
        for key in pair
        if key[0] is None
    }
    # The finest groups of a side come first.
    for kernel in sorted(found, key=lambda kernel: -kernel.meeting.groups):
        reads, makes = kernel.keys
        if reads not in labels and makes not in labels:
            labels[reads], labels[makes] = groups_of_blocks(
                kernel.meeting.value,
                kernel.meeting.alive,
                kernel.meeting.groups,
            )
        for key in kernel.keys:
            if key not in labels:
                labels[key] = _best(key, [kernel], labels)
    shared: dict[_Key, list[_Kernel]] = {}
    for kernel in found:
        for key in dict.fromkeys(kernel.keys):
            if key[0] is not None:
                shared.setdefault(key, []).append(kernel)
    kept = _kept(found, labels)
    for _ in range(_MOST_TURNS):
        before = kept
        for key, members in shared.items():
            trial = {**labels, key: _best(key, members, labels)}
            # Where a kernel makes what it reads the assignment isn't linear.
            now = _kept(members, trial) - _kept(members, labels)
            if now > 1e-12:
                labels, kept = trial, kept + now
        if kept <= before + 1e-12:
            break
    return [kernel.groups(labels) for kernel in found]


@dataclasses.dataclass(frozen=True)
class _Kernel:
    """A kernel, and what tells its two sides from others."""

    meeting: Meeting
    keys: tuple[_Key, _Key]

    def groups(
        self, labels: Mapping[_Key, np.ndarray]
    ) -> tuple[np.ndarray, np.ndarray]:
        """Its groups of input blocks, and of output blocks."""
        reads, makes = (self._seen(key, labels) for key in self.keys)
        return reads, makes

    def worth(
        self, key: _Key, labels: Mapping[_Key, np.ndarray]
    ) -> Iterator[np.ndarray]:
        """What blocks of a side are worth in each of the side's groups."""
        values = self.meeting.worth, self.meeting.worth.T
        for own, other, value in zip(self.keys, self.keys[::-1], values):
            if own == key and other in labels:
                groups = np.arange(self.meeting.groups)
                seen = self._seen(other, labels)
                each = value @ (seen[:, None] == groups)
                yield np.repeat(each, own[2] // self.meeting.groups, axis=1)

    def _seen(self, key: _Key, labels: Mapping[_Key, np.ndarray]) -> np.ndarray:
        """The kernel's own groups of a side's blocks."""
        return labels[key] // (key[2] // self.meeting.groups)


def _sides(kernels: Sequence[Meeting]) -> list[tuple[_Key, _Key]]:
    """What tells the sides of kernels from others: the finest groups there."""
    ends = [tuple(zip(kernel.sides, kernel.value.shape)) for kernel in kernels]
    counts: dict[tuple[str | None, int], set[int]] = {}
    for kernel, each in zip(kernels, ends):
        for end in each:
            counts.setdefault(end, set()).add(kernel.groups)
    found = []
    for kernel, each in zip(kernels, ends):
        reads, makes = (
            (name, blocks, _finest(counts[name, blocks], blocks, kernel.groups))
            for name, blocks in each
        )
        found.append((reads, makes))
    return found


def _finest(counts: Collection[int], blocks: int, groups: int) -> int:
    """The most groups that can be put together to so many."""
    return max(
        (n for n in counts if not n % groups and not blocks % n),
        default=groups,
    )


def _best(
    key: _Key, members: Sequence[_Kernel], labels: Mapping[_Key, np.ndarray]
) -> np.ndarray:
    _, blocks, groups = key
    slots = np.repeat(np.arange(groups), group_sizes(blocks, groups))
    worth = sum(
        each for kernel in members for each in kernel.worth(key, labels)
    )
    return assigned(np.asarray(worth), slots)


def _kept(
    kernels: Sequence[_Kernel], labels: Mapping[_Key, np.ndarray]
) -> float:
    total = 0.0
    for kernel in kernels:
        rows, columns = kernel.groups(labels)
        inside = rows[:, None] == columns
        total += float(kernel.meeting.worth[inside].sum())
    return total
