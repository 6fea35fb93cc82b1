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
"""The choice of pieces that does best in this project's comparison."""

from typing import Any

from tfmot_sapp.allocations.connected_allocation import ConnectedAllocation
from tfmot_sapp.base.checks import check_flag
from tfmot_sapp.schedules.early_ramp import EarlyRamp
from tfmot_sapp.scorers.magnitude import Magnitude
from tfmot_sapp.scorers.second_moment import SecondMoment
from tfmot_sapp.scorers.sequential_attention import SequentialAttention


def recommended(
    target_sparsity: float, end_step: int, second_moments: bool = True
) -> dict[str, Any]:
    """Returns the arguments of `prune_blocks` that do best in our comparison.

    Attention that trains with the weights, times what the optimizer knows of
    each block's worth, under one early and steep ramp, with no block that
    nothing reads or feeds. The figures, and where it does not win, are in
    `benchmarks/accuracy/RESULTS.md`; the phases of the paper (arXiv 2402.17902)
    are `SequentialAttentionSchedule` and its presets. It wants a learning rate
    of two to three times the dense one's, high for half of the training (see
    `EarlyRamp`), and inputs around zero.

    Args:
        target_sparsity: Fraction of the blocks to remove, in [0, 1).
        end_step: Number of steps of the whole training.
        second_moments: Whether the optimizer averages squared gradients, as
            Adam does. For others, such as SGD, the norm of a block takes their
            place and the logits move more slowly.

    Returns:
        Dictionary of `pruning_schedule`, `scorer` and `allocation`.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If an argument is out of its range.

    Example:

    >>> import keras
    >>> from tfmot_sapp import prune_blocks
    >>> model = keras.Sequential([keras.Input((640,)), keras.layers.Dense(640)])
    >>> model = prune_blocks(
    ...     model, block_size=(32, 32), **recommended(0.9, end_step=1000))
    """
    scorer = SequentialAttention(times=SecondMoment())
    if not check_flag(second_moments, "second_moments"):
        scorer = SequentialAttention(logit_scale=2.0, times=Magnitude())
    return {
        "pruning_schedule": EarlyRamp(target_sparsity, end_step),
        "scorer": scorer,
        "allocation": ConnectedAllocation(),
    }
