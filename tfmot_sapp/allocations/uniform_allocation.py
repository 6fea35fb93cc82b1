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
"""The same sparsity for every kernel."""

import dataclasses
import math
from collections.abc import Collection, Mapping

import numpy as np

from tfmot_sapp.allocations.allocation import Allocation
from tfmot_sapp.base.checks import check_flag, check_sparsity
from tfmot_sapp.base.container_checks import check_mapping
from tfmot_sapp.base.patterns import check_patterns, match_name
from tfmot_sapp.blocks.selection import kept_blocks, readers, top_blocks


@dataclasses.dataclass(frozen=True, eq=False)
class UniformAllocation(Allocation):
    """Prunes every kernel to the same sparsity, as in arXiv 2402.17902.

    Args:
        targets: Dictionary from layer names or `fnmatch` patterns to target
            sparsities of their own, in [0, 1). On the way there these layers
            follow the schedule in proportion.
        keep_readers: Whether every input block keeps at least one block, the
            best that reads it, as far as the count allows.

    Example:

    >>> allocation = UniformAllocation()
    >>> scores = {"dense": np.array([[1.0, 4.0], [3.0, 2.0]])}
    >>> alive = {"dense": np.ones((2, 2), bool)}
    >>> allocation.allocate(scores, alive, 0.5)["dense"]
    array([[False,  True],
           [ True, False]])
    """

    targets: Mapping[str, float] | None = None
    keep_readers: bool = False

    def __post_init__(self) -> None:
        """Checks the arguments."""
        what = "a dictionary from layer names to sparsities"
        given = {} if self.targets is None else self.targets
        self._set(
            targets=check_mapping(given, "targets", check_sparsity, what),
            keep_readers=check_flag(self.keep_readers, "keep_readers"),
        )

    def sparsity_of(
        self, name: str, sparsity: float, target_sparsity: float | None
    ) -> float:
        """Returns the sparsity of one kernel at a sparsity of the schedule."""
        own = match_name(self.targets or {}, name)
        if own is None or not target_sparsity:
            return sparsity
        return own * min(1.0, sparsity / target_sparsity)

    def check_names(self, names: Collection[str]) -> None:
        """Checks that each of the targets is some kernel's."""
        check_patterns(self.targets or {}, names, "targets")

    def allocate(
        self,
        scores: Mapping[str, np.ndarray],
        alive: Mapping[str, np.ndarray],
        sparsity: float,
        target_sparsity: float | None = None,
    ) -> dict[str, np.ndarray]:
        """Returns masks that keep the highest scores of each kernel."""
        return {
            name: self._select(
                score,
                alive[name],
                self.sparsity_of(name, sparsity, target_sparsity),
            )
            for name, score in scores.items()
        }

    def _select(
        self, score: np.ndarray, alive: np.ndarray, sparsity: float
    ) -> np.ndarray:
        count = kept_blocks(score.size, sparsity)
        score, alive = self._ranked(score, count, alive)
        return top_blocks(score, count, alive)

    def _ranked(
        self,
        score: np.ndarray,
        count: int,
        alive: np.ndarray,
        most: float = math.inf,
        spare: int = 0,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Puts the blocks first that the rule about readers wants."""
        if not self.keep_readers or score.ndim < 2:
            return score, alive
        reserved = readers(score, alive, most, spare)
        if count < score.shape[-2]:
            # Some input blocks go without. A block that has been dropped must
            # not come back, untrained, for one that is in force.
            reserved &= np.asarray(alive, bool)
        finite = score[np.isfinite(score)]
        span = 1.0 + float(np.ptp(finite)) if finite.size else 1.0
        return score + span * reserved, alive | reserved

    def _unswappable(
        self, score: np.ndarray, mask: np.ndarray
    ) -> np.ndarray | None:
        if not self.keep_readers or score.ndim < 2:
            return None
        return readers(score, mask) & mask
