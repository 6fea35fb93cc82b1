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
"""Exchanging blocks while the sparsity stays."""

import math
from typing import Any

from tfmot_sapp.base.registry import serialize
from tfmot_sapp.schedules.schedule import (
    SPARSE,
    SteppedSchedule,
    Update,
    end_step,
    target_sparsity,
    updates_between,
    validate_fraction,
    validate_schedule,
    validate_step,
)


class BlockSwaps(SteppedSchedule):
    """Swaps blocks in the sparse phases of another schedule.

    Every `frequency` steps of a sparse phase the kept blocks with the lowest
    scores are dropped, and as many dropped blocks come back, from zero: those
    with the largest gradient norm, averaged over steps. That is what a step
    of orthogonal matching pursuit with replacement does to groups (Axiotis
    and Yasuda, arXiv 2402.17902, Section 2.1, "group OMPR"), and RigL with
    blocks for weights (Evci et al., arXiv 1911.11134), whose decaying share
    is used: `fraction / 2 * (1 + cos(pi t / T))` of the kept blocks at step
    `t`, `T` being `last_swap` (Equation 1 there).

    Args:
        pruning_schedule: The schedule, one of this project's or of TF-MOT's.
        fraction: Share of the kept blocks that the first swap exchanges, in
            [0, 1].
        frequency: Steps between two swaps.
        last_swap: Last step at which blocks are swapped. Defaults to `None`:
            three quarters of the schedule's steps. What is left trains the
            blocks that came last.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If an argument is out of its range, or `last_swap` is
            missing and the schedule has no end.

    Example:

    >>> from tfmot_sapp import OneShot
    >>> schedule = BlockSwaps(OneShot(0.9, end_step=1000), last_swap=800)
    >>> [update.step for update in schedule.updates]
    [0, 500, 600, 700, 800]
    """

    swaps = True

    def __init__(
        self,
        pruning_schedule: Any,
        fraction: float = 0.2,
        frequency: int = 100,
        last_swap: int | None = None,
    ):
        self.pruning_schedule = validate_schedule(pruning_schedule)
        end, target = (
            end_step(pruning_schedule),
            target_sparsity(pruning_schedule),
        )
        if target is None:
            raise ValueError(
                "`pruning_schedule` must have a `target_sparsity`. "
                f"Received: {pruning_schedule!r}."
            )
        if last_swap is None:
            if end is None:
                raise ValueError(
                    "`last_swap` must be given for a schedule without an end. "
                    f"Received: pruning_schedule={pruning_schedule!r}."
                )
            last_swap = 3 * end // 4
        self.last_swap = validate_step(last_swap, "last_swap", least=1)
        super().__init__(
            target,
            max(end or 0, self.last_swap),
            getattr(pruning_schedule, "begin_step", 0),
        )
        self.fraction = validate_fraction(fraction, "fraction")
        self.frequency = validate_step(frequency, "frequency", least=1)
        self.reset_optimizer = getattr(
            pruning_schedule, "reset_optimizer", False
        )

    def _make_updates(self) -> list[Update]:
        updates = updates_between(self.pruning_schedule, -1, self.end_step)
        made = {update.step: update for update in updates}
        stops = [update.step for update in updates[1:]] + [self.end_step + 1]
        for update, stop in zip(updates, stops):
            if update.phase != SPARSE:
                continue
            last = min(stop, self.last_swap + 1)
            for step in range(
                update.step + self.frequency, last, self.frequency
            ):
                made[step] = update._replace(step=step, swap=self._share(step))
        return [made[step] for step in sorted(made)]

    def _share(self, step: int) -> float:
        done = math.pi * step / (self.last_swap + 1)
        return self.fraction / 2 * (1 + math.cos(done))

    def _arguments(self) -> dict[str, Any]:
        return {
            "pruning_schedule": serialize(self.pruning_schedule),
            "fraction": self.fraction,
            "frequency": self.frequency,
            "last_swap": self.last_swap,
        }
