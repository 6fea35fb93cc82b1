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

import dataclasses
import functools
import math
from collections.abc import Sequence
from typing import Any

from tfmot_sapp.base.checks import (
    check_flag,
    check_fraction,
    check_real,
    check_steps,
    check_sum,
)
from tfmot_sapp.base.container_checks import check_tuple
from tfmot_sapp.schedules.schedule import SteppedSchedule
from tfmot_sapp.schedules.updates import (
    DENSE,
    SPARSE,
    SPARSIFICATION,
    Stretch,
    Update,
    Updates,
    one_update,
)


@dataclasses.dataclass(frozen=True, eq=False)
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

    dense_fraction: float = 0.1
    cycles: int = 3
    cycles_fraction: float = 0.4
    cycle_shares: Sequence[float] = (1, 1, 1)
    ramp_fraction: float = 0.2
    steepness: float = 4.0
    frequency: int | None = None
    reset_optimizer: bool = False

    def __post_init__(self) -> None:
        """Checks the arguments."""
        super().__post_init__()
        shares = {
            name: check_fraction(getattr(self, name), name)
            for name in ("dense_fraction", "cycles_fraction", "ramp_fraction")
        }
        check_sum(shares)
        self._set(
            **shares,
            cycles=check_steps(self.cycles, "cycles"),
            cycle_shares=_check_shares(self.cycle_shares),
            steepness=check_real(self.steepness, "steepness", above=0),
            reset_optimizer=check_flag(self.reset_optimizer, "reset_optimizer"),
        )
        if self.frequency is not None:
            self._set(
                frequency=check_steps(self.frequency, "frequency", least=1)
            )

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

    def _make_updates(self) -> Updates:
        length = self.end_step - self.begin_step
        stretches = []
        elapsed = 0.0
        for phase, share in self._phases():
            start = self.begin_step + round(elapsed * length)
            elapsed = min(1.0, elapsed + share)
            stop = self.begin_step + round(elapsed * length)
            stretches.append(self._stretch(phase, start, stop))
        return Updates(stretches)

    def _stretch(self, phase: str, start: int, stop: int) -> Stretch:
        if phase == DENSE:
            return one_update(Update(start, 0.0, DENSE))
        if phase == SPARSE:
            return one_update(Update(start, self.target_sparsity, SPARSE))
        interval = self.frequency or max(1, min(20, (stop - start) // 10))
        ramp = functools.partial(self._ramp, start, stop)
        return Stretch(range(start, stop, interval), ramp)

    def _ramp(self, start: int, stop: int, step: int) -> Update:
        risen = -math.expm1(-self.steepness * (step - start) / (stop - start))
        sparsity = self.target_sparsity * risen / -math.expm1(-self.steepness)
        return Update(step, sparsity, SPARSIFICATION)


def _check_shares(shares: Any) -> tuple[float, ...]:
    what = (
        "three numbers, none negative and not all zero: the relative lengths "
        "of sparsification, sparse and dense phase"
    )

    def check_share(value: Any, name: str) -> float:
        return check_real(value, name, least=0)

    values = check_tuple(shares, "cycle_shares", check_share, what, lengths=[3])
    if sum(values) == 0:
        raise ValueError(
            f"`cycle_shares` must be {what}. Received: cycle_shares={values}."
        )
    return values
