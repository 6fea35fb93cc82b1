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
"""How many blocks each kernel keeps, and under which constraint.

An allocation gets the scores of all kernels that are pruned together, the masks
in force and the sparsity asked for, and returns the new masks. It is a pure
function of NumPy arrays, in which input blocks lie on the last axis but one and
output blocks on the last.
"""

import math
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np

from tfmot_sapp.base.checks import check_instance
from tfmot_sapp.base.settings import Settings
from tfmot_sapp.blocks.selection import swap_blocks
from tfmot_sapp.units.connections import Connection


class Allocation(Settings):
    """Base class of the allocations.

    Attributes:
        uses_connections: Whether `connect` must be called.
    """

    # No annotation, which would make it an argument of dataclasses.
    uses_connections = False

    def allocate(
        self,
        scores: Mapping[str, np.ndarray],
        alive: Mapping[str, np.ndarray],
        sparsity: float,
        target_sparsity: float | None = None,
    ) -> dict[str, np.ndarray]:
        """Returns the new masks.

        Args:
            scores: One array of scores per kernel, by the kernel's name, shaped
                as its grid. Higher scores are kept.
            alive: The boolean masks in force, likewise. A mask that shrinks
                only drops blocks that are alive.
            sparsity: Fraction of the blocks to remove, in [0, 1).
            target_sparsity: Sparsity the schedule ends at, if it tells.

        Returns:
            Boolean masks, by the kernel's name.
        """
        raise TypeError(
            f"{type(self).__qualname__} must define `allocate(scores, alive, "
            "sparsity, target_sparsity)`, which returns one mask per kernel."
        )

    def check_names(self, names: Collection[str]) -> None:
        """Checks what the allocation says of single kernels.

        Args:
            names: The names of a model's kernels, pruned or not.

        Raises:
            ValueError: If it names kernels that are not there.
        """

    def swap(
        self,
        scores: Mapping[str, np.ndarray],
        masks: Mapping[str, np.ndarray],
        growth: Mapping[str, np.ndarray],
        fraction: float,
    ) -> dict[str, np.ndarray]:
        """Returns masks with the worst kept blocks exchanged for dropped ones.

        Args:
            scores: One array of scores per kernel, by name: the lowest of the
                kept blocks go.
            masks: The boolean masks in force, likewise.
            growth: What a dropped block promises, likewise: the highest come.
            fraction: Fraction of each kernel's kept blocks to exchange.

        Returns:
            Boolean masks with as many blocks kept, by the kernel's name.
        """
        return {
            name: self._swap(
                score,
                masks[name],
                growth[name],
                math.floor(fraction * masks[name].sum() + 0.5),
            )
            for name, score in scores.items()
        }

    def _swap(
        self,
        score: np.ndarray,
        mask: np.ndarray,
        growth: np.ndarray,
        count: int,
    ) -> np.ndarray:
        return swap_blocks(
            score, growth, mask, count, self._unswappable(score, mask)
        )

    def _unswappable(
        self, score: np.ndarray, mask: np.ndarray
    ) -> np.ndarray | None:
        """Returns which kept blocks must stay, `None` if none must."""
        return None

    def connect(
        self,
        masks: Mapping[str, np.ndarray],
        scores: Mapping[str, np.ndarray],
        alive: Mapping[str, np.ndarray],
        connections: Sequence[Connection],
    ) -> dict[str, np.ndarray]:
        """Returns the masks, changed with a view to who reads whom.

        Called after `allocate` and `swap` where `uses_connections` is set.

        Args:
            masks: What they returned.
            scores: One array of scores per kernel, by the kernel's name.
            alive: The boolean masks in force before, likewise.
            connections: Which kernels' outputs which kernels read.
        """
        return dict(masks)


def check_allocation(allocation: Any) -> Allocation:
    """Returns the allocation if it is one.

    Raises:
        TypeError: If it is no `Allocation`.
    """
    return check_instance(
        allocation,
        "allocation",
        Allocation,
        "a `tfmot_sapp.Allocation`, such as `tfmot_sapp.UniformAllocation()`",
    )
