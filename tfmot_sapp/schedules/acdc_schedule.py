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

from typing import Any

from tfmot_sapp.schedules.schedule import (
    DENSE,
    SPARSE,
    SteppedSchedule,
    Update,
    validate_fraction,
    validate_step,
)


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

    def __init__(
        self,
        target_sparsity: float,
        end_step: int,
        begin_step: int = 0,
        dense_fraction: float = 0.1,
        cycles: int = 6,
        cycles_fraction: float = 0.6,
        sparse_share: float = 0.5,
        last_sparse_fraction: float = 0.05,
        last_dense_fraction: float = 0.1,
        reset_optimizer: bool = True,
    ):
        super().__init__(target_sparsity, end_step, begin_step)
        self.dense_fraction = validate_fraction(
            dense_fraction, "dense_fraction"
        )
        self.cycles = validate_step(cycles, "cycles")
        self.cycles_fraction = validate_fraction(
            cycles_fraction, "cycles_fraction"
        )
        self.sparse_share = validate_fraction(sparse_share, "sparse_share")
        self.last_sparse_fraction = validate_fraction(
            last_sparse_fraction, "last_sparse_fraction"
        )
        self.last_dense_fraction = validate_fraction(
            last_dense_fraction, "last_dense_fraction"
        )
        fractions = (
            dense_fraction,
            cycles_fraction,
            last_sparse_fraction,
            last_dense_fraction,
        )
        if sum(fractions) > 1 + 1e-9:
            raise ValueError(
                "`dense_fraction`, `cycles_fraction`, `last_sparse_fraction` "
                "and `last_dense_fraction` must add up to at most 1. "
                f"Received: {' + '.join(map(str, fractions))} = "
                f"{sum(fractions)}."
            )
        self.reset_optimizer = bool(reset_optimizer)

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

    def _make_updates(self) -> list[Update]:
        length = self.end_step - self.begin_step
        # Keyed by step: where a phase is too short to have a step of its own,
        # the one after it takes its place.
        updates: dict[int, Update] = {}
        elapsed = 0.0
        for phase, share in self._phases():
            step = self.begin_step + round(min(1.0, elapsed) * length)
            sparsity = 0.0 if phase == DENSE else self.target_sparsity
            updates[step] = Update(step, sparsity, phase)
            elapsed += share
        return [updates[step] for step in sorted(updates)]

    def _arguments(self) -> dict[str, Any]:
        return {
            "target_sparsity": self.target_sparsity,
            "end_step": self.end_step,
            "begin_step": self.begin_step,
            "dense_fraction": self.dense_fraction,
            "cycles": self.cycles,
            "cycles_fraction": self.cycles_fraction,
            "sparse_share": self.sparse_share,
            "last_sparse_fraction": self.last_sparse_fraction,
            "last_dense_fraction": self.last_dense_fraction,
            "reset_optimizer": self.reset_optimizer,
        }
