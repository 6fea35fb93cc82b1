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
"""An early, steep ramp and a long sparse phase."""

import dataclasses

from tfmot_sapp.base.checks import check_fraction, check_real, check_steps
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
class EarlyRamp(SteppedSchedule):
    """Removes blocks early and fast, and trains what is left for long.

    With `t` running from 0 to 1 between the two fractions of the training, the
    sparsity is `target * (1 - (1 - t) ** power)`: the polynomial of gradual
    pruning (Zhu and Gupta, arXiv 1710.01878, Equation 1), which is usually run
    from 10 % to 70 % of the training with power 3. Run early and steeply it
    leaves fewer blocks that nothing reads any more, and time to train the
    others (`benchmarks/accuracy/accuracy.py`).

    It goes well with a learning rate that stays high for half of the training
    and falls by a cosine after it:

    ```python
    half = end_step // 2
    rate = keras.optimizers.schedules.CosineDecay(
        3e-3, decay_steps=half, warmup_target=3e-3, warmup_steps=half)
    ```

    Args:
        target_sparsity: Fraction of the blocks to remove, in [0, 1).
        end_step: Number of steps of the whole training.
        begin_step: Step at which the training begins.
        ramp_begin: Share of the training at which the ramp begins.
        ramp_end: Share of the training at which the target is reached.
        power: Exponent of the ramp, positive; more is steeper at its start.
        frequency: Steps between two updates of the masks. Defaults to
            `None`: 20, or less where the ramp would see fewer than 10.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If an argument is out of its range, or the ramp ends before
            it begins.

    Example:

    >>> schedule = EarlyRamp(0.9, end_step=1000)
    >>> schedule(50), schedule(400)
    ((True, 0.0), (True, 0.9))
    """

    ramp_begin: float = 0.05
    ramp_end: float = 0.4
    power: float = 6.0
    frequency: int | None = None

    def __post_init__(self) -> None:
        """Checks the arguments."""
        super().__post_init__()
        self._set(
            ramp_begin=check_fraction(self.ramp_begin, "ramp_begin"),
            ramp_end=check_fraction(self.ramp_end, "ramp_end"),
            power=check_real(self.power, "power", above=0),
        )
        if self.ramp_end < self.ramp_begin:
            raise ValueError(
                "`ramp_end` must not be less than `ramp_begin`. Received: "
                f"ramp_end={self.ramp_end}, ramp_begin={self.ramp_begin}."
            )
        if self.frequency is not None:
            self._set(
                frequency=check_steps(self.frequency, "frequency", least=1)
            )

    def _make_updates(self) -> Updates:
        length = self.end_step - self.begin_step
        start = self.begin_step + round(self.ramp_begin * length)
        stop = self.begin_step + round(self.ramp_end * length)
        interval = self.frequency or max(1, min(20, (stop - start) // 10))

        def ramp(step: int) -> Update:
            left = 1 - (step - start) / (stop - start)
            sparsity = self.target_sparsity * (1 - left**self.power)
            return Update(step, sparsity, SPARSIFICATION)

        return Updates(
            [
                one_update(Update(self.begin_step, 0.0, DENSE)),
                Stretch(range(start, stop, interval), ramp),
                one_update(Update(stop, self.target_sparsity, SPARSE)),
            ]
        )
