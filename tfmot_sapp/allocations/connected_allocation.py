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
"""An allocation that leaves no block which nothing reads or feeds."""

import dataclasses
from collections.abc import Collection, Mapping, Sequence
from typing import cast

import numpy as np

from tfmot_sapp.allocations.allocation import Allocation, check_allocation
from tfmot_sapp.allocations.reconnection import reconnected
from tfmot_sapp.allocations.uniform_allocation import UniformAllocation
from tfmot_sapp.units.connections import Connection


@dataclasses.dataclass(frozen=True, eq=False)
class ConnectedAllocation(Allocation):
    """Gives the places of useless blocks to useful ones.

    At high sparsity many kept blocks do nothing: their outputs go to channels
    that no kept block of the next layer reads, or their inputs come from ones
    that no kept block makes. Whenever the masks change, such blocks leave, and
    the best that are read and fed take their places; the counts are those of
    the other allocation. What follows what is read from the model's graph:
    Dense and convolution layers behind each other, through activations, norms,
    pooling, flattening, concatenations and products, also inside nested models
    and layers that are made of others; channels that meet others in an addition
    count as read. Schedules that choose all blocks at once, `OneShot` and
    `ACDCSchedule`, need it most: at 98 % they often end without it in a network
    that nothing passes through (`benchmarks/accuracy/RESULTS.md`).

    Args:
        allocation: The allocation that says how many blocks each kernel keeps.
            Defaults to `None`: `UniformAllocation()`. The columns of a
            `BalancedAllocation` may come out of balance.

    Raises:
        TypeError: If `allocation` is none.

    Example:

    >>> ConnectedAllocation().uses_connections
    True
    """

    allocation: Allocation | None = None

    uses_connections = True

    def __post_init__(self) -> None:
        """Checks the arguments."""
        given = self.allocation
        self._set(
            allocation=UniformAllocation()
            if given is None
            else check_allocation(given)
        )

    @property
    def _inner(self) -> Allocation:
        # The constructor has put one in the place of `None`.
        return cast(Allocation, self.allocation)

    def sparsity_of(
        self, name: str, sparsity: float, target_sparsity: float | None
    ) -> float | None:
        """Returns the sparsity of one kernel at a sparsity of the schedule."""
        own = getattr(self.allocation, "sparsity_of", None)
        if own is None:
            return target_sparsity
        return own(name, sparsity, target_sparsity)

    def check_names(self, names: Collection[str]) -> None:
        """Checks what the other allocation says of single kernels."""
        self._inner.check_names(names)

    def allocate(
        self,
        scores: Mapping[str, np.ndarray],
        alive: Mapping[str, np.ndarray],
        sparsity: float,
        target_sparsity: float | None = None,
    ) -> dict[str, np.ndarray]:
        """Returns the other allocation's masks."""
        return self._inner.allocate(scores, alive, sparsity, target_sparsity)

    def swap(
        self,
        scores: Mapping[str, np.ndarray],
        masks: Mapping[str, np.ndarray],
        growth: Mapping[str, np.ndarray],
        fraction: float,
    ) -> dict[str, np.ndarray]:
        """Returns what the other allocation swaps."""
        return self._inner.swap(scores, masks, growth, fraction)

    def connect(
        self,
        masks: Mapping[str, np.ndarray],
        scores: Mapping[str, np.ndarray],
        alive: Mapping[str, np.ndarray],
        connections: Sequence[Connection],
    ) -> dict[str, np.ndarray]:
        """Returns the masks with useless blocks' places given away."""
        return reconnected(masks, scores, alive, connections)
