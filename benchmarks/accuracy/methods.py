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
"""What `accuracy.py` compares: a scorer, a schedule, a line each."""

from collections.abc import Callable
from typing import Any, NamedTuple

import keras
import numpy as np

import tfmot_sapp as sapp


class Method(NamedTuple):
    """A way of pruning.

    Attributes:
        scorer: The scorer.
        schedule: Makes the schedule from the sparsity and the number of steps.
        allocation: The allocation; `None` for the default.
    """

    scorer: sapp.Scorer
    schedule: Callable[[float, int], Any]
    allocation: sapp.Allocation | None = None


def habit(sparsity: float, steps: int) -> Any:
    """TF-MOT's usual ramp: cubic, from 10 % to 70 % of the training."""
    return sapp.PolynomialDecay(
        0.0, sparsity, steps // 10, 7 * steps // 10, power=3, frequency=20
    )


def early(sparsity: float, steps: int) -> Any:
    """The early, steep ramp."""
    return sapp.EarlyRamp(sparsity, steps)


def early_one_shot(sparsity: float, steps: int) -> Any:
    """Pruning at once, after a fifth of the training."""
    return sapp.OneShot(sparsity, steps, dense_fraction=0.2)


def short_acdc(sparsity: float, steps: int) -> Any:
    """AC/DC with three cycles and 30 % final phase."""
    return sapp.ACDCSchedule(
        sparsity,
        steps,
        cycles=3,
        cycles_fraction=0.5,
        last_sparse_fraction=0.0,
    )


def attention_early(sparsity: float, steps: int) -> Any:
    """Attention's phases without cycles, the ramp early."""
    return sapp.SequentialAttentionSchedule(
        sparsity,
        steps,
        dense_fraction=0.05,
        cycles=0,
        cycles_fraction=0.0,
        ramp_fraction=0.35,
    )


def early_swaps(sparsity: float, steps: int) -> Any:
    """The early ramp, then swaps up to 70 % of the training."""
    return sapp.BlockSwaps(early(sparsity, steps), 0.3, 100, 7 * steps // 10)


attention = sapp.SequentialAttention
connected = sapp.ConnectedAllocation()
METHODS = {
    "one-shot": Method(sapp.Magnitude(), sapp.OneShot),
    "one-shot-early": Method(sapp.Magnitude(), early_one_shot),
    "acdc": Method(sapp.Magnitude(), sapp.ACDCSchedule),
    "acdc-3-cycles": Method(sapp.Magnitude(), short_acdc),
    "one-shot-connected": Method(sapp.Magnitude(), early_one_shot, connected),
    "acdc-connected": Method(sapp.Magnitude(), short_acdc, connected),
    "gradual": Method(sapp.Magnitude(), habit),
    "power": Method(sapp.PowerPropagation(), habit),
    "power-early": Method(sapp.PowerPropagation(), early),
    "sa++": Method(attention(), sapp.SequentialAttentionSchedule),
    "sa++-2": Method(attention(2.0), sapp.SequentialAttentionSchedule),
    "sa++-paper": Method(
        attention(20.0), sapp.SequentialAttentionSchedule.imagenet
    ),
    "sa++-norm": Method(
        attention(times=sapp.Magnitude()), sapp.SequentialAttentionSchedule
    ),
    "early": Method(sapp.Magnitude(), early),
    "early-obd": Method(sapp.SecondMoment(), early),
    "early-taylor": Method(sapp.Taylor(), early),
    "early-movement": Method(sapp.Movement(), early),
    "early-swaps": Method(sapp.Magnitude(), early_swaps),
    "early-connected": Method(sapp.Magnitude(), early, connected),
    "early-obd-connected": Method(sapp.SecondMoment(), early, connected),
    "gradual-connected": Method(sapp.Magnitude(), habit, connected),
    "sa-early-connected": Method(attention(), early, connected),
    "sa-early-obd-connected": Method(
        attention(times=sapp.SecondMoment()), early, connected
    ),
    "sa-early-obd-swaps": Method(
        attention(times=sapp.SecondMoment()), early_swaps, connected
    ),
    "sa-early": Method(attention(), early),
    "sa-early-2": Method(attention(2.0), early),
    "sa-early-c4": Method(attention(), attention_early),
    "sa-early-norm": Method(attention(times=sapp.Magnitude()), early),
    "sa-early-norm-2": Method(attention(2.0, times=sapp.Magnitude()), early),
    "sa-early-norm-2-connected": Method(
        attention(2.0, times=sapp.Magnitude()), early, connected
    ),
    "sa-early-norm-1": Method(attention(1.0, times=sapp.Magnitude()), early),
    "sa-early-obd": Method(attention(times=sapp.SecondMoment()), early),
    "sa-early-obd-2": Method(attention(2.0, times=sapp.SecondMoment()), early),
    "sa-early-output": Method(attention(per_output=True), early),
    "sa-early-output-norm": Method(
        attention(2.0, per_output=True, times=sapp.Magnitude()), early
    ),
}


def learning_rate(shape: str, rate: float, steps: int) -> Any:
    """Returns a learning rate schedule.

    Args:
        shape: "cosine" from the start; "late": flat for half of the
            training, then a cosine; "raised": the same, from 40 % of the
            training, where the early ramp ends, twice as high.
        rate: The highest rate.
        steps: Number of steps of the training.
    """
    decay = keras.optimizers.schedules.CosineDecay
    if shape == "cosine":
        return decay(rate, steps)
    half = steps // 2
    late = decay(rate, steps - half, warmup_target=rate, warmup_steps=half)
    if shape == "late":
        return late
    return Raised(late, 2 * steps // 5, 2.0)


class Raised(keras.optimizers.schedules.LearningRateSchedule):
    """A learning rate that is higher from some step on.

    Args:
        schedule: The learning rate schedule before.
        begin_step: Where its rate begins to be multiplied.
        factor: What by.
    """

    def __init__(self, schedule: Any, begin_step: int, factor: float):
        self.schedule = schedule
        self.begin_step = begin_step
        self.factor = factor

    def __call__(self, step: Any) -> Any:
        """Returns the rate at a step."""
        raised = keras.ops.cast(step, "float32") >= self.begin_step
        return self.schedule(step) * keras.ops.where(raised, self.factor, 1.0)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments."""
        return {
            "schedule": self.schedule,
            "begin_step": self.begin_step,
            "factor": self.factor,
        }


class FixedMask(sapp.Scorer):
    """Keeps the blocks of given masks: for training a mask again.

    Args:
        masks: Boolean arrays by the shape of their kernel.
    """

    def __init__(self, masks: dict[tuple[int, ...], np.ndarray]):
        self.masks = masks

    def score(self, view: sapp.KernelView) -> np.ndarray:
        """Returns ones for the blocks that are kept."""
        return self.masks[view.grid.shape].astype(np.float64)
