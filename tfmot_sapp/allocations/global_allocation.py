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
"""The blocks of all kernels ranked together."""

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from tfmot_sapp.allocations.allocation import Allocation
from tfmot_sapp.base.checks import check_fraction
from tfmot_sapp.blocks.selection import kept_blocks, top_blocks


@dataclasses.dataclass(frozen=True, eq=False)
class GlobalAllocation(Allocation):
    """Ranks the blocks of all kernels together.

    Scores are divided by their mean over the kernel, so that kernels whose
    scores have different scales can be compared.

    Args:
        min_density: Least fraction of its blocks that each kernel keeps, in
            [0, 1]; at least one block stays in any case.

    Example:

    >>> scores = {"a": np.array([1.0, 9.0]), "b": np.array([4.0, 6.0])}
    >>> alive = {name: np.ones(2, bool) for name in scores}
    >>> masks = GlobalAllocation().allocate(scores, alive, 0.5)
    >>> masks["a"], masks["b"]
    (array([False,  True]), array([False,  True]))
    """

    min_density: float = 0.0

    def __post_init__(self) -> None:
        """Checks the arguments."""
        self._set(min_density=check_fraction(self.min_density, "min_density"))

    def allocate(
        self,
        scores: Mapping[str, np.ndarray],
        alive: Mapping[str, np.ndarray],
        sparsity: float,
        target_sparsity: float | None = None,
    ) -> dict[str, np.ndarray]:
        """Returns masks that keep the highest scores of all kernels."""
        names = list(scores)
        sizes = [scores[name].size for name in names]
        flat = np.concatenate([_normalized(scores[n]).ravel() for n in names])
        living = np.concatenate([np.ravel(alive[name]) for name in names])
        reserved = np.concatenate(
            [
                top_blocks(
                    _normalized(scores[name]),
                    kept_blocks(scores[name].size, 1.0 - self.min_density),
                    alive[name],
                ).ravel()
                for name in names
            ]
        )
        count = max(kept_blocks(flat.size, sparsity), int(reserved.sum()))
        # Reserved blocks come first, then the living, then the rest.
        rank = np.where(reserved, np.inf, flat)
        mask = top_blocks(rank, count, living | reserved)
        return {
            name: part.reshape(scores[name].shape)
            for name, part in zip(names, _split(mask, sizes))
        }


def _normalized(score: np.ndarray) -> np.ndarray:
    score = np.asarray(score, np.float64)
    mean = np.mean(np.abs(score))
    return score / mean if mean > 0 else score


def _split(flat: np.ndarray, sizes: Sequence[int]) -> list[np.ndarray]:
    return np.split(flat, np.cumsum(sizes)[:-1])
