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
"""Which updates of a schedule, of whatever kind, have become due."""

from typing import Any

import numpy as np
import tensorflow as tf

from tfmot_sapp.schedules.schedule import (
    SteppedSchedule,
    answer_at,
    check_answer,
    target_sparsity,
)
from tfmot_sapp.schedules.tfmot_schedules import PruningSchedule
from tfmot_sapp.schedules.updates import (
    DENSE,
    SPARSE,
    SPARSIFICATION,
    Update,
)

_CHUNK = 1024
_ROUNDING = 1e-5  # Of a sparsity that was computed in float32.


class DueUpdates:
    """Asks one schedule for its updates, step after step.

    Args:
        schedule: A schedule of any kind.
    """

    def __init__(self, schedule: Any):
        self._schedule = schedule
        self._target = target_sparsity(schedule)
        self._chunk = -1
        self._answers: tuple[np.ndarray, np.ndarray] | None = None
        self._highest = 0.0

    def between(self, after: int, upto: int) -> list[Update]:
        """Returns the updates in the steps `after < step <= upto`.

        Args:
            after: Step already dealt with; -1 for none.
            upto: Last step to ask for.

        Returns:
            List of `Update`, in order.
        """
        if upto <= after:
            return []
        if isinstance(self._schedule, SteppedSchedule):
            updates = self._schedule.updates
            return updates[updates.count_upto(after) : updates.count_upto(upto)]
        found = []
        for step in range(after + 1, upto + 1):
            should_prune, sparsity = self._ask(step)
            if should_prune:
                self._check_rising(step, sparsity)
                found.append(Update(step, sparsity, self._phase(sparsity)))
        return found

    def _check_rising(self, step: int, sparsity: float) -> None:
        if 0.0 < sparsity < self._highest - _ROUNDING:
            raise ValueError(
                "`pruning_schedule` must not go back to fewer blocks removed, "
                "other than to none at all: what was removed stays so until a "
                f"sparsity of 0. Received: {sparsity} at step {step} after "
                f"{self._highest}."
            )
        self._highest = sparsity

    def _phase(self, sparsity: float) -> str:
        if self._target is not None and sparsity >= self._target:
            return SPARSE
        return DENSE if sparsity == 0 else SPARSIFICATION

    def _ask(self, step: int) -> tuple[bool, float]:
        # Only TF-MOT's own classes are known to take many steps in one tensor.
        if type(self._schedule).__module__ != PruningSchedule.__module__:
            return answer_at(self._schedule, step)
        if self._answers is None or step // _CHUNK != self._chunk:
            self._chunk = step // _CHUNK
            self._answers = self._ask_for_chunk()
        should_prune, sparsity = (x[step % _CHUNK] for x in self._answers)
        return bool(should_prune), check_answer(
            self._schedule, step, float(sparsity)
        )

    def _ask_for_chunk(self) -> tuple[np.ndarray, np.ndarray]:
        # A call of TF-MOT's schedules costs a millisecond, a good part of a
        # small model's step.
        start = self._chunk * _CHUNK
        steps = tf.range(start, start + _CHUNK, dtype=tf.int32)
        should_prune, sparsity = self._schedule(steps)
        shape = (_CHUNK,)
        return (
            np.broadcast_to(np.asarray(should_prune), shape),
            np.broadcast_to(np.asarray(sparsity, np.float64), shape),
        )
