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
"""Equally many blocks in every column of output blocks."""

import dataclasses

import numpy as np

from tfmot_sapp.allocations.uniform_allocation import UniformAllocation
from tfmot_sapp.blocks.selection import kept_blocks, swap_blocks, top_blocks


@dataclasses.dataclass(frozen=True, eq=False)
class BalancedAllocation(UniformAllocation):
    """Keeps equally many blocks in every column of output blocks.

    Runtimes like it: all output blocks cost the same. The exact count of the
    kernel is reached by giving one block more to the columns that hold the
    best of the blocks left over.

    Args:
        targets: As in `UniformAllocation`.
        keep_readers: As in `UniformAllocation`.

    Example:

    >>> scores = {"dense": np.array([[4.0, 1.0], [3.0, 2.0]])}
    >>> alive = {"dense": np.ones((2, 2), bool)}
    >>> BalancedAllocation().allocate(scores, alive, 0.5)["dense"]
    array([[ True, False],
           [False,  True]])
    """

    def _select(
        self, score: np.ndarray, alive: np.ndarray, sparsity: float
    ) -> np.ndarray:
        outputs = score.shape[-1]
        count = kept_blocks(score.size, sparsity)
        each, extra = divmod(count, outputs)
        score, alive = self._ranked(score, count, alive, each, extra)
        columns = np.reshape(score, (-1, outputs))
        living = np.reshape(alive, columns.shape)
        mask = np.stack(
            [
                top_blocks(columns[:, j], each, living[:, j])
                for j in range(columns.shape[1])
            ],
            axis=1,
        )
        if extra:
            # The next best block of each column competes for the rest.
            following = np.stack(
                [
                    top_blocks(columns[:, j], each + 1, living[:, j])
                    for j in range(columns.shape[1])
                ],
                axis=1,
            )
            candidates = following & ~mask
            lowest = np.where(candidates, columns, -np.inf)
            chosen = top_blocks(lowest, extra, living & candidates)
            mask |= chosen & candidates
        return mask.reshape(score.shape)

    def _swap(
        self,
        score: np.ndarray,
        mask: np.ndarray,
        growth: np.ndarray,
        count: int,
    ) -> np.ndarray:
        """Exchanges within columns, as many in each as a free swap drops."""
        swapped = mask.copy()
        dropped = mask & ~super()._swap(score, mask, growth, count)
        for j in range(score.shape[-1]):
            swapped[..., j] = swap_blocks(
                np.where(dropped[..., j], -np.inf, score[..., j]),
                growth[..., j],
                mask[..., j],
                int(dropped[..., j].sum()),
            )
        return swapped
