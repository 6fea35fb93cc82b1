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

import dataclasses
import functools
import math
from collections.abc import Iterable
from typing import Any, cast

from tfmot_sapp.base.checks import check_fraction, check_steps
from tfmot_sapp.base.wording import received
from tfmot_sapp.schedules.due_updates import DueUpdates
from tfmot_sapp.schedules.schedule import (
    SteppedSchedule,
    check_schedule,
    end_step,
    target_sparsity,
)
from tfmot_sapp.schedules.updates import (
    SPARSE,
    Stretch,
    Update,
    Updates,
    one_update,
)


@dataclasses.dataclass(frozen=True, eq=False)
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

    # What the other schedule says.
    target_sparsity: float = dataclasses.field(init=False, repr=False)
    end_step: int = dataclasses.field(init=False, repr=False)
    begin_step: int = dataclasses.field(init=False, repr=False)

    pruning_schedule: Any
    fraction: float = 0.2
    frequency: int = 100
    last_swap: int | None = None

    swaps = True

    def __post_init__(self) -> None:
        """Checks the arguments."""
        schedule = check_schedule(self.pruning_schedule)
        end, target = end_step(schedule), target_sparsity(schedule)
        if target is None:
            raise ValueError(
                "`pruning_schedule` must have a `target_sparsity`. "
                f"{received('pruning_schedule', schedule)}"
            )
        last = self.last_swap
        if last is None and end is None:
            raise ValueError(
                "`last_swap` must be given for a schedule without an end. "
                f"{received('pruning_schedule', schedule)}"
            )
        if last is None:
            last = 3 * (end or 0) // 4
        last = check_steps(last, "last_swap", least=1)
        self._set(
            target_sparsity=target,
            end_step=max(end or 0, last),
            begin_step=getattr(schedule, "begin_step", 0),
            fraction=check_fraction(self.fraction, "fraction"),
            frequency=check_steps(self.frequency, "frequency", least=1),
            last_swap=last,
        )
        super().__post_init__()

    @property
    def reset_optimizer(self) -> bool:  # type: ignore[override]
        """Whether the other schedule has the optimizer reset."""
        return getattr(self.pruning_schedule, "reset_optimizer", False)

    def _make_updates(self) -> Updates:
        before = self._stretches()
        stops = [steps[0] for steps, _ in before[1:]] + [self.end_step + 1]
        made = []
        for stretch, stop in zip(before, stops):
            made.append(stretch)
            last = stretch.at(stretch.steps[-1])
            if last.phase == SPARSE:
                made.append(self._swaps_after(last, stop))
        return Updates(made)

    def _stretches(self) -> list[Stretch]:
        """Returns the other schedule's updates."""
        if isinstance(self.pruning_schedule, SteppedSchedule):
            return list(_apart(self.pruning_schedule.updates.stretches))
        due = DueUpdates(self.pruning_schedule)
        return [one_update(update) for update in due.between(-1, self.end_step)]

    def _swaps_after(self, update: Update, stop: int) -> Stretch:
        last = min(stop, cast(int, self.last_swap) + 1)
        first = update.step + self.frequency
        return Stretch(
            range(first, last, self.frequency),
            functools.partial(self._swap, update),
        )

    def _swap(self, update: Update, step: int) -> Update:
        done = math.pi * step / (cast(int, self.last_swap) + 1)
        share = self.fraction / 2 * (1 + math.cos(done))
        return update._replace(step=step, swap=share)


def _apart(stretches: Iterable[Stretch]) -> Iterable[Stretch]:
    """Yields the updates of sparse phases one by one."""
    for stretch in stretches:
        if stretch.at(stretch.steps[0]).phase == SPARSE:
            yield from (one_update(stretch.at(step)) for step in stretch.steps)
        else:
            yield stretch
