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
"""The phases of SequentialAttention++.

Yasuda, Axiotis, Fu, Bateni, Mirrokni, "SequentialAttention++ for Block
Sparsification: Differentiable Pruning Meets Combinatorial Optimization",
arXiv 2402.17902, Section 3: dense, then cycles of (sparsification, sparse,
dense), then a last sparsification and a last sparse phase.
"""

import math
from collections.abc import Sequence
from typing import Any

from tfmot_sapp.schedules.schedule import (
    DENSE,
    SPARSE,
    SPARSIFICATION,
    SteppedSchedule,
    Update,
    validate_fraction,
    validate_step,
)


class SequentialAttentionSchedule(SteppedSchedule):
    """Dense, sparsification and sparse phases in cycles.

    Within a sparsification phase, with `t` running from 0 to 1, the sparsity is
    `target * (1 - exp(-c t)) / (1 - exp(-c))` (arXiv 2402.17902, Section 3),
    `c` being `steepness`.

    Args:
        target_sparsity: Fraction of the blocks to remove, in [0, 1).
        end_step: Number of steps of the whole training.
        begin_step: Step at which the first, dense phase begins.
        dense_fraction: Share of the training that the first dense phase takes.
        cycles: Number of (sparsification, sparse, dense) cycles.
        cycles_fraction: Share of the training that all cycles take together.
        cycle_shares: Relative lengths of a cycle's three phases.
        ramp_fraction: Share of the training that the last sparsification takes;
            what remains is the last sparse phase.
        steepness: The constant `c` of the sparsification, positive. The paper
            uses 4 and tries 2 and 8.
        frequency: Steps between two updates of the masks. Defaults to
            `None`: 20, or less where a phase would see fewer than 10.
        reset_optimizer: Whether the optimizer's moments are reset, and its bias
            correction restarted, at each phase boundary.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If an argument is out of its range, or the fractions add up
            to more than 1.

    Example:

    >>> schedule = SequentialAttentionSchedule(0.9, end_step=1000)
    >>> schedule(0), schedule.phase(120), schedule(1000)
    ((True, 0.0), 'sparsification', (False, 0.9))
    """

    def __init__(
        self,
        target_sparsity: float,
        end_step: int,
        begin_step: int = 0,
        dense_fraction: float = 0.1,
        cycles: int = 3,
        cycles_fraction: float = 0.4,
        cycle_shares: Sequence[float] = (1, 1, 1),
        ramp_fraction: float = 0.2,
        steepness: float = 4.0,
        frequency: int | None = None,
        reset_optimizer: bool = False,
    ):
        super().__init__(target_sparsity, end_step, begin_step)
        self.dense_fraction = validate_fraction(
            dense_fraction, "dense_fraction"
        )
        self.cycles = validate_step(cycles, "cycles")
        self.cycles_fraction = validate_fraction(
            cycles_fraction, "cycles_fraction"
        )
        self.cycle_shares = _validate_shares(cycle_shares)
        self.ramp_fraction = validate_fraction(ramp_fraction, "ramp_fraction")
        total = self.dense_fraction + self.cycles_fraction + self.ramp_fraction
        if total > 1 + 1e-9:
            raise ValueError(
                "`dense_fraction`, `cycles_fraction` and `ramp_fraction` must "
                f"add up to at most 1. Received: {dense_fraction} + "
                f"{cycles_fraction} + {ramp_fraction} = {total}."
            )
        if not (isinstance(steepness, (int, float)) and steepness > 0):
            raise ValueError(
                "`steepness` must be a positive number. "
                f"Received: steepness={steepness!r}."
            )
        self.steepness = float(steepness)
        self.frequency = (
            None
            if frequency is None
            else validate_step(frequency, "frequency", least=1)
        )
        self.reset_optimizer = bool(reset_optimizer)

    @classmethod
    def imagenet(
        cls, target_sparsity: float, end_step: int, **options: Any
    ) -> "SequentialAttentionSchedule":
        """The paper's phases for ImageNet (arXiv 2402.17902, Section 4.1).

        10 % dense, six cycles of 10 % in equal thirds, 15 % sparsification,
        15 % sparse, the optimizer reset between phases.

        Args:
            target_sparsity: Fraction of the blocks to remove, in [0, 1).
            end_step: Number of steps of the whole training.
            **options: Arguments of the class to set otherwise.
        """
        preset = {
            "dense_fraction": 0.1,
            "cycles": 6,
            "cycles_fraction": 0.6,
            "ramp_fraction": 0.15,
            "reset_optimizer": True,
        }
        return cls(target_sparsity, end_step, **{**preset, **options})

    @classmethod
    def criteo(
        cls, target_sparsity: float, end_step: int, **options: Any
    ) -> "SequentialAttentionSchedule":
        """The paper's phases for Criteo (arXiv 2402.17902, Section 4.2).

        20 % dense, ten cycles of 6 % in equal thirds, 20 % sparse, the
        optimizer reset between phases.

        Args:
            target_sparsity: Fraction of the blocks to remove, in [0, 1).
            end_step: Number of steps of the whole training.
            **options: Arguments of the class to set otherwise.
        """
        preset = {
            "dense_fraction": 0.2,
            "cycles": 10,
            "cycles_fraction": 0.6,
            "ramp_fraction": 0.0,
            "reset_optimizer": True,
        }
        return cls(target_sparsity, end_step, **{**preset, **options})

    def _phases(self) -> list[tuple[str, float]]:
        """Returns the phases in order, with their shares of the training."""
        cycle = self.cycles_fraction / max(1, self.cycles)
        shares = [share / sum(self.cycle_shares) for share in self.cycle_shares]
        phases = [(DENSE, self.dense_fraction)]
        for _ in range(self.cycles):
            phases += zip(
                (SPARSIFICATION, SPARSE, DENSE),
                (cycle * share for share in shares),
            )
        return phases + [(SPARSIFICATION, self.ramp_fraction), (SPARSE, 1.0)]

    def _make_updates(self) -> list[Update]:
        length = self.end_step - self.begin_step
        # Keyed by step: where a phase is too short to have a step of its own,
        # the one after it takes its place.
        updates: dict[int, Update] = {}
        elapsed = 0.0
        for phase, share in self._phases():
            start = self.begin_step + round(elapsed * length)
            elapsed = min(1.0, elapsed + share)
            stop = self.begin_step + round(elapsed * length)
            for step, sparsity in self._within(phase, start, stop):
                updates[step] = Update(step, sparsity, phase)
        return [updates[step] for step in sorted(updates)]

    def _within(
        self, phase: str, start: int, stop: int
    ) -> list[tuple[int, float]]:
        if phase == DENSE:
            return [(start, 0.0)]
        if phase == SPARSE:
            return [(start, self.target_sparsity)]
        interval = self.frequency or max(1, min(20, (stop - start) // 10))
        scale = -math.expm1(-self.steepness)
        return [
            (
                step,
                self.target_sparsity
                * -math.expm1(-self.steepness * (step - start) / (stop - start))
                / scale,
            )
            for step in range(start, stop, interval)
        ]

    def _arguments(self) -> dict[str, Any]:
        return {
            "target_sparsity": self.target_sparsity,
            "end_step": self.end_step,
            "begin_step": self.begin_step,
            "dense_fraction": self.dense_fraction,
            "cycles": self.cycles,
            "cycles_fraction": self.cycles_fraction,
            "cycle_shares": list(self.cycle_shares),
            "ramp_fraction": self.ramp_fraction,
            "steepness": self.steepness,
            "frequency": self.frequency,
            "reset_optimizer": self.reset_optimizer,
        }


def _validate_shares(shares: Sequence[float]) -> tuple[float, ...]:
    values = tuple(float(share) for share in shares)
    if len(values) != 3 or min(values) < 0 or not 0 < sum(values) < math.inf:
        raise ValueError(
            "`cycle_shares` must be three numbers, none negative and not all "
            "zero: the relative lengths of sparsification, sparse and dense "
            f"phase. Received: cycle_shares={tuple(shares)!r}."
        )
    return values
