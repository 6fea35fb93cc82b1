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
"""Shares of units for a budget: the same plan as a smaller dense model."""

from typing import Any

import numpy as np

from tfmot_sapp.base.wording import received
from tfmot_sapp.compiler.choose.layer_options import dense_time
from tfmot_sapp.planning.layers import find_layers
from tfmot_sapp.structured.keep import kept_units
from tfmot_sapp.structured.opening import opened_for
from tfmot_sapp.structured.shrink import shrink
from tfmot_sapp.targets.target import Target
from tfmot_sapp.units.groups import find_groups

_STEPS = 10


def shares_of_units(
    model: Any, share: float, target: Target, batch_size: int, by_size: bool
) -> dict[str, float]:
    """Returns the shares of units that a smaller dense model keeps.

    All groups of units keep the same share, as with a `FlopsBudget`.

    Args:
        model: A model whose graph can be read.
        share: What the smaller model may take of what the model does.
        target: Where it runs.
        batch_size: Samples in a call.
        by_size: Whether parameters count, in place of time.

    Returns:
        Shares by group, as `prune_structured` takes them.

    Raises:
        ValueError: If one unit a group is too many.
    """
    model, found = opened_for(model, find_groups(model))
    groups = {group.name: group for group in found.groups}

    def taken(smaller: Any) -> float:
        if by_size:
            return float(smaller.count_params())
        kernels = find_layers(smaller, batch_size)
        return sum(
            kernel.steps * dense_time(kernel.shape, target)
            for kernel in kernels
        )

    most = share * taken(model)

    def fits(ratio: float) -> bool:
        first = {
            name: np.arange(kept_units(group.units, ratio))
            for name, group in groups.items()
        }
        return taken(shrink(model, groups, first)) <= most

    low, high = 0.0, 1.0
    if not groups or not fits(low):
        raise ValueError(
            "`keep` can't meet the budget of the plan by removing units. "
            f"{received('share', round(share, 3))}"
        )
    for _ in range(_STEPS):
        middle = (low + high) / 2
        low, high = (middle, high) if fits(middle) else (low, middle)
    # A share of 0 keeps one unit a group.
    return dict.fromkeys(groups, max(low, 1e-6))
