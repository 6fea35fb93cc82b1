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
"""AC/DC: dense and sparse phases in turn, masks by magnitude."""

import dataclasses
from typing import Any

from tfmot_sapp.base.checks import (
    check_flag,
    check_fraction,
    check_steps,
    check_sum,
)
from tfmot_sapp.schedules.schedule import SteppedSchedule
from tfmot_sapp.schedules.updates import (
    DENSE,
    SPARSE,
    Update,
    Updates,
    one_update,
)


@dataclasses.dataclass(frozen=True, eq=False)
class ACDCSchedule(SteppedSchedule):
    """Alternates sparse and dense phases and ends sparse.

    A sparse phase starts with the best blocks of all, chosen at once; a dense
    one brings every block back, from zero (Peste et al., "AC/DC: Alternating
    Compressed/DeCompressed Training of Deep Neural Networks", arXiv
    2106.12379, Algorithm 1). The defaults are what SequentialAttention++
    compares itself with (arXiv 2402.17902, Section 4): 10 % dense, six times
    5 % sparse and 5 % dense, 5 % sparse, 10 % dense, the rest sparse.

    Args:
        target_sparsity: Fraction of the blocks to remove, in [0, 1).
        end_step: Number of steps of the whole training.
        begin_step: Step at which the first, dense phase begins.
        dense_fraction: Share of the training that the first dense phase takes.
        cycles: Number of (sparse, dense) cycles.
        cycles_fraction: Share of the training that all cycles take together.
        sparse_share: Share of a cycle that is sparse, in [0, 1].
        last_sparse_fraction: Share of the sparse phase behind the cycles.
        last_dense_fraction: Share of the dense phase behind that one. What
            remains is the last sparse phase.
        reset_optimizer: Whether the optimizer's moments are reset at each
            phase boundary.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If an argument is out of its range, or the fractions add up
            to more than 1.

    Example:

    >>> schedule = ACDCSchedule(0.9, end_step=1000)
    >>> schedule(100), schedule(150), schedule(1000)
    ((True, 0.9), (True, 0.0), (False, 0.9))
    """

    dense_fraction: float = 0.1
    cycles: int = 6
    cycles_fraction: float = 0.6
    sparse_share: float = 0.5
    last_sparse_fraction: float = 0.05
    last_dense_fraction: float = 0.1
    reset_optimizer: bool = True

    def __post_init__(self) -> None:
        """Checks the arguments."""
        super().__post_init__()
        shares = {
            name: check_fraction(getattr(self, name), name)
            for name in (
                "dense_fraction",
                "cycles_fraction",
                "last_sparse_fraction",
                "last_dense_fraction",
            )
        }
        check_sum(shares)
        self._set(
            **shares,
            cycles=check_steps(self.cycles, "cycles"),
            sparse_share=check_fraction(self.sparse_share, "sparse_share"),
            reset_optimizer=check_flag(self.reset_optimizer, "reset_optimizer"),
        )

    @classmethod
    def official(
        cls, target_sparsity: float, end_step: int, **options: Any
    ) -> "ACDCSchedule":
        """The authors' phases for ImageNet (arXiv 2106.12379, Section 4.1).

        Of 100 epochs 10 are dense, then 5 sparse and 5 dense in turn; the last
        dense phase takes 10 and the last sparse one 15. Moments are kept:
        only the momentum of weights that come back is cleared, which the mask
        updates of this project always do.

        Args:
            target_sparsity: Fraction of the blocks to remove, in [0, 1).
            end_step: Number of steps of the whole training.
            **options: Arguments of the class to set otherwise.
        """
        return cls(
            target_sparsity, end_step, **{"reset_optimizer": False, **options}
        )

    def _phases(self) -> list[tuple[str, float]]:
        cycle = self.cycles_fraction / max(1, self.cycles)
        one_cycle = [
            (SPARSE, cycle * self.sparse_share),
            (DENSE, cycle * (1 - self.sparse_share)),
        ]
        return [
            (DENSE, self.dense_fraction),
            *(self.cycles * one_cycle),
            (SPARSE, self.last_sparse_fraction),
            (DENSE, self.last_dense_fraction),
            (SPARSE, 1.0),
        ]

    def _make_updates(self) -> Updates:
        length = self.end_step - self.begin_step
        stretches = []
        elapsed = 0.0
        for phase, share in self._phases():
            step = self.begin_step + round(min(1.0, elapsed) * length)
            sparsity = 0.0 if phase == DENSE else self.target_sparsity
            stretches.append(one_update(Update(step, sparsity, phase)))
            elapsed += share
        return Updates(stretches)
