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
So the sides take turns.
"""

import dataclasses
from collections.abc import Mapping, Sequence

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
    def keys(self) -> tuple[_Key, _Key]:
        """What tells its sides from others."""
        reads, makes = self.sides
        inputs, outputs = self.value.shape
        return (reads, inputs, self.groups), (makes, outputs, self.groups)

    @property
    def worth(self) -> np.ndarray:
        """All the value together is less than what a single block lacks."""
        value = self.value - self.value.min()
        return value / max(float(value.sum()), 1e-300) + (self.alive - 1.0)


def agreeing_groups(
    kernels: Sequence[Meeting],
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Returns groups that keep much value, the same ones on shared sides.

    Sides are shared by kernels of equally many groups that name the same
    channels. Those without a name are given.

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
    labels: dict[_Key, np.ndarray] = {
        key: np.repeat(np.arange(key[2]), group_sizes(*key[1:]))
        for kernel in kernels
        for key in kernel.keys
        if key[0] is None
    }
    for kernel in kernels:
        reads, makes = kernel.keys
        if reads not in labels and makes not in labels:
            labels[reads], labels[makes] = groups_of_blocks(
                kernel.value, kernel.alive, kernel.groups
            )
        for own, other, worth in _ways(kernel):
            if own not in labels:
                labels[own] = _best(own, [(worth, labels[other])])
    shared: dict[_Key, list[Meeting]] = {}
    for kernel in kernels:
        for key in dict.fromkeys(kernel.keys):
            if key[0] is None:
                continue
            shared.setdefault(key, []).append(kernel)
    kept = _kept(kernels, labels)
    for _ in range(_MOST_TURNS):
        before = kept
        for key, members in shared.items():
            given = [
                (worth, labels[other])
                for kernel in members
                for own, other, worth in _ways(kernel)
                if own == key
            ]
            trial = {**labels, key: _best(key, given)}
            # Where a kernel makes what it reads the assignment isn't linear.
            now = _kept(members, trial) - _kept(members, labels)
            if now > 1e-12:
                labels, kept = trial, kept + now
        if kept <= before + 1e-12:
            break
    return [(labels[k.keys[0]], labels[k.keys[1]]) for k in kernels]


def _ways(kernel: Meeting) -> list[tuple[_Key, _Key, np.ndarray]]:
    """Each side, the other one, and the value with the side's blocks first."""
    reads, makes = kernel.keys
    return [(makes, reads, kernel.worth.T), (reads, makes, kernel.worth)]


def _best(key: _Key, given: list[tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
    _, blocks, groups = key
    slots = np.repeat(np.arange(groups), group_sizes(blocks, groups))
    names = np.arange(groups)
    worth = sum(value @ (other[:, None] == names) for value, other in given)
    return assigned(np.asarray(worth), slots)


def _kept(
    kernels: Sequence[Meeting], labels: Mapping[_Key, np.ndarray]
) -> float:
    total = 0.0
    for kernel in kernels:
        rows, columns = (labels[key] for key in kernel.keys)
        total += float(kernel.worth[rows[:, None] == columns].sum())
    return total
