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
"""Neighbouring output blocks that read the same input blocks."""

import dataclasses
from collections.abc import Iterator

import numpy as np

from tfmot_sapp.allocations.uniform_allocation import UniformAllocation
from tfmot_sapp.base.checks import check_whole
from tfmot_sapp.blocks.selection import kept_blocks, swap_blocks, top_blocks


@dataclasses.dataclass(frozen=True, eq=False)
class BundledAllocation(UniformAllocation):
    """Has neighbouring output blocks read the same input blocks.

    Output blocks are bundled, `bundle` of them side by side. A bundle keeps or
    drops its blocks of one row of input blocks together, by the sum of their
    scores, and every bundle keeps equally many rows. What is packed is then one
    product for a bundle in place of one for each output block, and what it
    reads is put together once. The exact count of the kernel is reached by
    giving one row more to the bundles that hold the best of what is left over,
    and to the last of them only a part of it.

    It differs from blocks that are wider in that it may be changed from layer
    to layer and while scores are per block.

    Args:
        targets: As in `UniformAllocation`.
        keep_readers: As in `UniformAllocation`.
        bundle: Output blocks in a bundle, at least 1. The last bundle of a
            kernel may have fewer. With 1 this is `BalancedAllocation`.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If `bundle` is less than 1.

    Example:

    >>> scores = {"dense": np.array([[4.0, 1.0, 0.0, 2.0], [3.0, 1.0, 1.0, 2.0]])}
    >>> alive = {"dense": np.ones((2, 4), bool)}
    >>> BundledAllocation(bundle=2).allocate(scores, alive, 0.5)["dense"]
    array([[ True,  True, False, False],
           [False, False,  True,  True]])
    """  # noqa: E501 - an array

    bundle: int = 4

    def __post_init__(self) -> None:
        """Checks the arguments."""
        super().__post_init__()
        self._set(bundle=check_whole(self.bundle, "bundle", least=1))

    def _select(
        self, score: np.ndarray, alive: np.ndarray, sparsity: float
    ) -> np.ndarray:
        count = kept_blocks(score.size, sparsity)
        each, extra = divmod(count, score.shape[-1])
        score, alive = self._ranked(score, count, alive, each, extra)
        columns = np.reshape(score, (-1, score.shape[-1]))
        living = np.reshape(alive, columns.shape).astype(bool)
        mask = np.zeros(columns.shape, bool)
        following = []
        for place in self._bundles(columns.shape[1]):
            order = _rows_in_order(columns[:, place], living[:, place])
            mask[order[:each], place] = True
            if each < len(order):
                following.append((place, order[each]))
        _give_rows(mask, columns, living, following, extra)
        return mask.reshape(score.shape)

    def _bundles(self, outputs: int) -> Iterator[slice]:
        for first in range(0, outputs, self.bundle):
            yield slice(first, min(first + self.bundle, outputs))

    def _swap(
        self,
        score: np.ndarray,
        mask: np.ndarray,
        growth: np.ndarray,
        count: int,
    ) -> np.ndarray:
        """Exchanges whole rows of bundles, as many blocks as a free swap."""
        outputs = score.shape[-1]
        swapped = mask.reshape(-1, outputs).copy()
        places = list(self._bundles(outputs))
        flat = [a.reshape(-1, outputs) for a in (score, growth)]
        # One value for a row of a bundle: its mean.
        worth, promise = (
            np.stack([a[:, place].mean(axis=1) for place in places], axis=1)
            for a in flat
        )
        whole = np.stack([swapped[:, p].all(axis=1) for p in places], axis=1)
        empty = np.stack([~swapped[:, p].any(axis=1) for p in places], axis=1)
        rows = min(count // self.bundle, int(whole.sum()))
        stay = top_blocks(worth, int(whole.sum()) - rows, whole)
        dropped = whole & ~stay
        for j, place in enumerate(places):
            # A row of which only a part is kept stays as it is.
            usable = whole[:, j] | empty[:, j]
            after = swap_blocks(
                np.where(dropped[usable, j], -np.inf, worth[usable, j]),
                promise[usable, j],
                whole[usable, j],
                int(dropped[:, j].sum()),
            )
            swapped[usable, place] = after[:, None]
        return swapped.reshape(mask.shape)


def _rows_in_order(score: np.ndarray, alive: np.ndarray) -> np.ndarray:
    """Rows of a bundle: those that are all alive first, then by their sum."""
    total = np.nan_to_num(score.sum(axis=1), nan=-np.inf)
    return np.lexsort((-total, -alive.sum(axis=1)))


def _give_rows(
    mask: np.ndarray,
    score: np.ndarray,
    alive: np.ndarray,
    following: list[tuple[slice, int]],
    count: int,
) -> None:
    """Gives one row more to the best bundles, up to a number of blocks."""

    def rank(item: tuple[slice, int]) -> tuple[float, float]:
        place, row = item
        mean = float(np.nan_to_num(score[row, place].mean(), nan=-np.inf))
        return -float(alive[row, place].mean()), -mean

    left = []
    for place, row in sorted(following, key=rank):
        width = place.stop - place.start
        if width <= count:
            mask[row, place] = True
            count -= width
        else:
            left.append((place, row))
    if count:
        # The one with the most blocks in force can lose some without gaining.
        place, row = min(
            left, key=lambda item: (-alive[item[1], item[0]].sum(), rank(item))
        )
        mask[row, place] = top_blocks(
            score[row, place], count, alive[row, place]
        )
