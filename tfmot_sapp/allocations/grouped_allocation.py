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
"""A block diagonal, once input and output blocks are reordered."""

import dataclasses
import math
from collections.abc import Collection, Mapping
from typing import Any

import numpy as np

from tfmot_sapp.allocations.agreeing_groups import Meeting, agreeing_groups
from tfmot_sapp.allocations.grouping import number_of_groups
from tfmot_sapp.allocations.uniform_allocation import UniformAllocation
from tfmot_sapp.base.checks import check_instance, check_whole
from tfmot_sapp.base.container_checks import check_mapping, check_tuple
from tfmot_sapp.base.patterns import check_patterns, match_name
from tfmot_sapp.blocks.selection import kept_blocks, swap_blocks, top_blocks


@dataclasses.dataclass(frozen=True)
class _Wanted:
    """What is to be kept of a kernel.

    Attributes:
        score: Scores of its blocks, finite.
        alive: The blocks that are alive.
        count: How many are to stay now.
        last: How many at the end.
    """

    score: np.ndarray
    alive: np.ndarray
    count: int
    last: int


@dataclasses.dataclass(frozen=True, eq=False)
class GroupedAllocation(UniformAllocation):
    """Keeps blocks that form a block diagonal after reordering.

    Input and output blocks are assigned to groups so that the blocks inside of
    groups keep the most score: an assignment problem, solved with SciPy, the
    two sides in turns. A kernel of sparsity 0.875 has eight groups, each of
    which reads an eighth of the input. A runtime computes that as one grouped
    product, which shares among threads as well as a smaller dense layer does.

    The assignment is decided anew whenever the masks change, among those that
    need no block which is gone already. A sparsity on the way to the target
    drops what is worst outside of the groups that are best now; at the target
    nothing outside is left. Counts are exact: where groups have room for more
    blocks than are to stay, the worst of them go.

    Args:
        targets: As in `UniformAllocation`.
        keep_readers: As in `UniformAllocation`. Groups keep readers by
            themselves where they are full.
        groups: Most groups of a kernel, at least 1. Defaults to `None`: as
            many as leave room for the blocks that stay. Sparsities of
            `1 - 1 / groups` fill groups that divide the kernel evenly.
        channels: For kernels by name, or `fnmatch` patterns of names, what
            they read and what they make: two names that are free to choose.
            Kernels that name the same channels have the same groups of them,
            or whole groups of one make up each group of the other, where one
            has a multiple of the other's; so nothing is moved between them.
            What is added up counts as one, such as a residual stream. In place
            of a name, `None` stands for channels whose order is given, such as
            those of the model's inputs and outputs: neighbours form a group.
            Defaults to `None`: every kernel has groups of its own. Groups that
            agree all the way see nothing of each other; leave a kernel out, or
            dense, for them to mix.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If `groups` is less than 1, an item of `channels` isn't two
            names, or `check_names` finds one that is no kernel's.

    Example:

    >>> scores = {"dense": np.array([[1.0, 9.0], [8.0, 2.0]])}
    >>> alive = {"dense": np.ones((2, 2), bool)}
    >>> GroupedAllocation().allocate(scores, alive, 0.5)["dense"]
    array([[False,  True],
           [ True, False]])
    """

    groups: int | None = None
    channels: Mapping[str, tuple[str | None, str | None]] | None = None

    def __post_init__(self) -> None:
        """Checks the arguments."""
        super().__post_init__()
        if self.groups is not None:
            self._set(groups=check_whole(self.groups, "groups", least=1))
        if self.channels is not None:
            what = "a dictionary from names of kernels to two names of channels"
            found = check_mapping(self.channels, "channels", _two_names, what)
            self._set(channels=found)

    def check_names(self, names: Collection[str]) -> None:
        """Checks that each of the targets and channels is some kernel's."""
        super().check_names(names)
        check_patterns(self.channels or {}, names, "channels")

    def allocate(
        self,
        scores: Mapping[str, np.ndarray],
        alive: Mapping[str, np.ndarray],
        sparsity: float,
        target_sparsity: float | None = None,
    ) -> dict[str, np.ndarray]:
        """Returns masks on their way to a block diagonal."""
        wanted: dict[str, _Wanted] = {}
        masks: dict[str, np.ndarray] = {}
        for name, score in scores.items():
            now = self.sparsity_of(name, sparsity, target_sparsity)
            last = now
            if target_sparsity:
                last = self.sparsity_of(
                    name, max(sparsity, target_sparsity), target_sparsity
                )
            living = np.asarray(alive[name], bool)
            count = kept_blocks(score.size, now)
            if int(living.sum()) == count or score.ndim < 2:
                masks[name] = top_blocks(score, count, living)
            if score.ndim < 2:
                continue
            ranked, living = self._ranked(score, count, living)
            last = kept_blocks(score.size, last)
            # One that stays as it is has groups too, which others may share.
            wanted[name] = _Wanted(_finite(ranked), living, count, last)
        if len(masks) < len(scores):
            for name, groups in self._groups(wanted).items():
                if name not in masks:
                    masks[name] = _within(wanted[name], *groups)
        return {name: masks[name] for name in scores}

    def _groups(
        self, wanted: Mapping[str, _Wanted]
    ) -> dict[str, tuple[np.ndarray, np.ndarray]]:
        """The best groups of input and output blocks that hold so many."""
        meetings = []
        for name, kernel in wanted.items():
            inputs, outputs = kernel.score.shape[-2:]
            score = kernel.score.reshape(-1, inputs, outputs)
            alive = kernel.alive.reshape(score.shape)
            groups = number_of_groups(
                inputs,
                outputs,
                math.ceil(kernel.last / len(score)),
                self.groups or min(inputs, outputs),
            )
            sides = match_name(self.channels or {}, name)
            meetings.append(
                Meeting(
                    np.where(alive, score - score.min(), 0.0).sum(axis=0),
                    alive.mean(axis=0),
                    groups,
                    sides or (f"{name}/reads", f"{name}/makes"),
                )
            )
        return dict(zip(wanted, agreeing_groups(meetings)))

    def _swap(
        self,
        score: np.ndarray,
        mask: np.ndarray,
        growth: np.ndarray,
        count: int,
    ) -> np.ndarray:
        """Exchanges blocks inside of the groups that the mask has."""
        if score.ndim < 2:
            return super()._swap(score, mask, growth, count)
        count_now = int(mask.sum())
        found = _Wanted(mask.astype(float), mask, count_now, count_now)
        ((rows, columns),) = self._groups({"": found}).values()
        inside = np.broadcast_to(rows[:, None] == columns, mask.shape)
        count = min(
            count, int((inside & ~mask).sum()), int((inside & mask).sum())
        )
        inward = np.where(inside, growth, -np.inf)
        return swap_blocks(score, inward, mask, count, mask & ~inside)


def _within(
    wanted: _Wanted, rows: np.ndarray, columns: np.ndarray
) -> np.ndarray:
    """A mask on its way to groups of input and output blocks."""
    score, alive = wanted.score, wanted.alive
    inside = np.broadcast_to(rows[:, None] == columns, score.shape)
    keys: tuple[np.ndarray, ...] = (~inside, ~alive)
    if wanted.count > int(inside.sum()):
        outside = _places_outside(score, alive, rows, columns)
        keys = (~alive, ~inside, *outside)
    order = np.lexsort((-score.ravel(), *(key.ravel() for key in keys[::-1])))
    mask = np.zeros(score.size, bool)
    mask[order[: wanted.count]] = True
    return mask.reshape(score.shape)


def _two_names(value: Any, name: str) -> tuple[str | None, str | None]:
    what = "two names, of the channels that the kernel reads and makes"
    reads, makes = check_tuple(value, name, _name, what, lengths=[2])
    return reads, makes


def _name(value: Any, name: str) -> str | None:
    if value is None:
        return None
    return check_instance(value, name, str, "a name, or `None`")


def _places_outside(
    score: np.ndarray, alive: np.ndarray, rows: np.ndarray, columns: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """In which order blocks outside of the groups stay.

    What one group of output blocks reads of another group's inputs goes
    together, and of the last that has to go a part, output block by output
    block. So input blocks of a group stay alike, by which the groups are found
    again when masks change the next time.

    Returns:
        For every block the place of its pair of groups, and that of its output
        block within the pair.
    """
    flat = score.reshape(-1, *score.shape[-2:])
    living = alive.reshape(flat.shape)
    value = np.where(living, flat - flat.min(), 0.0).sum(axis=0)
    share = living.mean(axis=0)
    members = rows[:, None] == np.arange(rows.max() + 1)
    wide = columns[:, None] == np.arange(columns.max() + 1)
    size = members.sum(axis=0)[:, None] * wide.sum(axis=0)
    pair = (members.T @ value @ wide) / size
    broken = (members.T @ share @ wide) / size < 1.0
    order = np.lexsort((-pair.ravel(), broken.ravel()))
    place = np.empty(order.size, int)
    place[order] = np.arange(order.size)
    pairs = place.reshape(pair.shape)[rows[:, None], columns]
    # Output blocks that have lost inputs of the pair go on losing them first.
    lost = members.T @ (1.0 - share)
    column = np.lexsort((-(members.T @ value), lost), axis=1)
    within = np.argsort(column, axis=1)[rows]
    shape = score.shape
    return np.broadcast_to(pairs, shape), np.broadcast_to(within, shape)


def _finite(score: np.ndarray) -> np.ndarray:
    """Scores without what can't be added up: NaN counts as the lowest."""
    score = np.asarray(score, np.float64)
    finite = score[np.isfinite(score)]
    low, high = (finite.min(), finite.max()) if finite.size else (0.0, 0.0)
    return np.nan_to_num(
        score, nan=low - 1.0, posinf=high + 1.0, neginf=low - 1.0
    )
