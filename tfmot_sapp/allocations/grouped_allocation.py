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
from collections.abc import Mapping

import numpy as np

from tfmot_sapp.allocations.grouping import (
    groups_of_blocks,
    number_of_groups,
)
from tfmot_sapp.allocations.uniform_allocation import UniformAllocation
from tfmot_sapp.base.checks import check_whole
from tfmot_sapp.blocks.selection import kept_blocks, swap_blocks, top_blocks


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

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If `groups` is less than 1.

    Example:

    >>> scores = {"dense": np.array([[1.0, 9.0], [8.0, 2.0]])}
    >>> alive = {"dense": np.ones((2, 2), bool)}
    >>> GroupedAllocation().allocate(scores, alive, 0.5)["dense"]
    array([[False,  True],
           [ True, False]])
    """

    groups: int | None = None

    def __post_init__(self) -> None:
        """Checks the arguments."""
        super().__post_init__()
        if self.groups is not None:
            self._set(groups=check_whole(self.groups, "groups", least=1))

    def allocate(
        self,
        scores: Mapping[str, np.ndarray],
        alive: Mapping[str, np.ndarray],
        sparsity: float,
        target_sparsity: float | None = None,
    ) -> dict[str, np.ndarray]:
        """Returns masks on their way to a block diagonal."""
        masks = {}
        for name, score in scores.items():
            now = self.sparsity_of(name, sparsity, target_sparsity)
            last = now
            if target_sparsity:
                last = self.sparsity_of(
                    name, max(sparsity, target_sparsity), target_sparsity
                )
            masks[name] = self._towards(
                score,
                np.asarray(alive[name], bool),
                kept_blocks(score.size, now),
                kept_blocks(score.size, last),
            )
        return masks

    def _towards(
        self, score: np.ndarray, alive: np.ndarray, count: int, last: int
    ) -> np.ndarray:
        if int(alive.sum()) == count or score.ndim < 2:
            return top_blocks(score, count, alive)
        ranked, living = self._ranked(score, count, alive)
        ranked = _finite(ranked)
        rows, columns = self._groups(ranked, living, last)
        inside = np.broadcast_to(rows[:, None] == columns, score.shape)
        keys: tuple[np.ndarray, ...] = (~inside, ~living)
        if count > int(inside.sum()):
            outside = _places_outside(ranked, living, rows, columns)
            keys = (~living, ~inside, *outside)
        order = np.lexsort(
            (-ranked.ravel(), *(key.ravel() for key in keys[::-1]))
        )
        mask = np.zeros(score.size, bool)
        mask[order[:count]] = True
        return mask.reshape(score.shape)

    def _groups(
        self, score: np.ndarray, alive: np.ndarray, count: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """The best groups of input and output blocks that hold so many."""
        inputs, outputs = score.shape[-2:]
        score = score.reshape(-1, inputs, outputs)
        alive = alive.reshape(score.shape)
        groups = number_of_groups(
            inputs,
            outputs,
            math.ceil(count / len(score)),
            self.groups or min(inputs, outputs),
        )
        value = np.where(alive, score - score.min(), 0.0).sum(axis=0)
        return groups_of_blocks(value, alive.mean(axis=0), groups)

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
        rows, columns = self._groups(mask.astype(float), mask, int(mask.sum()))
        inside = np.broadcast_to(rows[:, None] == columns, mask.shape)
        count = min(
            count, int((inside & ~mask).sum()), int((inside & mask).sum())
        )
        inward = np.where(inside, growth, -np.inf)
        return swap_blocks(score, inward, mask, count, mask & ~inside)


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
