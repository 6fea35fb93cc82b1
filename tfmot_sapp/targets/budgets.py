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
"""What a pruned model may take: time or space."""

import dataclasses

from tfmot_sapp.base.checks import check_real
from tfmot_sapp.base.wording import received


@dataclasses.dataclass(frozen=True)
class LatencyBudget:
    """How long one call of the packed model may take.

    Args:
        speedup: How many times faster than the dense model, above 1.
        milliseconds: How long at most, positive. Estimates are those of the
            processor that a target's figures were fitted on; for another one
            measure (`plan_pruning(measure=True)`).

    Raises:
        TypeError: If an argument is no number.
        ValueError: If it is out of its range, or not exactly one is given.

    Example:

    >>> LatencyBudget(speedup=3.0)
    LatencyBudget(speedup=3.0, milliseconds=None)
    """

    speedup: float | None = None
    milliseconds: float | None = None

    def __post_init__(self) -> None:
        """Checks the arguments."""
        for name, above in (("speedup", 1.0), ("milliseconds", 0.0)):
            if (value := getattr(self, name)) is not None:
                number = check_real(value, name, above=above)
                object.__setattr__(self, name, number)
        if (self.speedup is None) == (self.milliseconds is None):
            raise ValueError(
                "`speedup` or `milliseconds` must be given, one of the two. "
                f"{received('speedup', self.speedup)} "
                f"{received('milliseconds', self.milliseconds)}"
            )

    def microseconds(self, dense: float) -> float:
        """Returns how long the packed model may take.

        Args:
            dense: Microseconds of the dense model.
        """
        if self.speedup is not None:
            return dense / self.speedup
        assert self.milliseconds is not None
        return 1000.0 * self.milliseconds


@dataclasses.dataclass(frozen=True)
class SizeBudget:
    """How large the packed model's file may be, in float32.

    Args:
        megabytes: Its size in 1e6 bytes, positive.

    Raises:
        TypeError: If `megabytes` is no number.
        ValueError: If it is not positive.

    Example:

    >>> SizeBudget(megabytes=4)
    SizeBudget(megabytes=4.0)
    """

    megabytes: float

    def __post_init__(self) -> None:
        """Checks the arguments."""
        megabytes = check_real(self.megabytes, "megabytes", above=0.0)
        object.__setattr__(self, "megabytes", megabytes)


Budget = LatencyBudget | SizeBudget
