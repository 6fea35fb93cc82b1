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
"""A schedule without a target: gates decide."""

import dataclasses

from tfmot_sapp.base.checks import check_steps
from tfmot_sapp.schedules.schedule import Schedule, check_step


@dataclasses.dataclass(frozen=True, eq=False)
class LearnedSparsity(Schedule):
    """Removes nothing in training, and at its end what the gates closed.

    For scorers with gates, `DiffPrune` and `HardConcrete`, whose penalty sets
    how sparse a kernel becomes.

    Args:
        end_step: Number of steps of the whole training, over which gates are
            annealed.
        frequency: Steps between two changes of the annealing.

    Raises:
        TypeError: If an argument is no whole number.
        ValueError: If an argument is less than 1.

    Example:

    >>> LearnedSparsity(end_step=100)(20)
    (True, 0.0)
    """

    end_step: int
    frequency: int = 20

    def __post_init__(self) -> None:
        """Checks the arguments."""
        self._set(
            end_step=check_steps(self.end_step, "end_step", least=1),
            frequency=check_steps(self.frequency, "frequency", least=1),
        )

    def __call__(self, step: int) -> tuple[bool, float]:
        """Returns whether to anneal at a step, and a sparsity of zero."""
        step = check_step(step)
        return step % self.frequency == 0 and step <= self.end_step, 0.0
