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
"""Pruning at one step."""

import dataclasses

from tfmot_sapp.base.checks import check_flag, check_fraction
from tfmot_sapp.schedules.schedule import SteppedSchedule
from tfmot_sapp.schedules.updates import (
    DENSE,
    SPARSE,
    Update,
    Updates,
    one_update,
)


@dataclasses.dataclass(frozen=True, eq=False)
class OneShot(SteppedSchedule):
    """Trains dense, prunes once, and fine-tunes what is left.

    Above 90 % take it with `ConnectedAllocation`.

    Args:
        target_sparsity: Fraction of the blocks to remove, in [0, 1).
        end_step: Number of steps of the whole training.
        begin_step: Step at which the dense phase begins.
        dense_fraction: Share of the training before the blocks go.
        reset_optimizer: Whether the optimizer's moments are reset then.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If an argument is out of its range.

    Example:

    >>> schedule = OneShot(0.9, end_step=1000)
    >>> schedule(499), schedule(500), schedule(501)
    ((False, 0.0), (True, 0.9), (False, 0.9))
    """

    dense_fraction: float = 0.5
    reset_optimizer: bool = False

    def __post_init__(self) -> None:
        """Checks the arguments."""
        super().__post_init__()
        self._set(
            dense_fraction=check_fraction(
                self.dense_fraction, "dense_fraction"
            ),
            reset_optimizer=check_flag(self.reset_optimizer, "reset_optimizer"),
        )

    def _make_updates(self) -> Updates:
        length = self.end_step - self.begin_step
        step = self.begin_step + round(self.dense_fraction * length)
        return Updates(
            [
                one_update(Update(self.begin_step, 0.0, DENSE)),
                one_update(Update(step, self.target_sparsity, SPARSE)),
            ]
        )
