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
"""How many units of each group stay."""

import dataclasses
import fnmatch
import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from tfmot_sapp.base.checks import check_real
from tfmot_sapp.base.wording import received
from tfmot_sapp.frameworks.flops import count_flops
from tfmot_sapp.frameworks.which_keras import check_model
from tfmot_sapp.structured.shrink import shrink
from tfmot_sapp.units.members import Group


@dataclasses.dataclass(frozen=True)
class FlopsBudget:
    """Keeps as many units as a number of multiply-adds allows.

    All groups keep the same share.

    Args:
        budget: Multiply-adds of the smaller model: a number above 1, or a
            share of the model's own, in (0, 1].

    Raises:
        TypeError: If `budget` is no number.
        ValueError: If `budget` is not positive.
    """

    budget: float

    def __post_init__(self) -> None:
        """Checks the arguments."""
        check_real(self.budget, "budget", above=0)

    def measure(self, model: Any) -> int:
        """Returns a model's multiply-adds."""
        return count_flops(model)


@dataclasses.dataclass(frozen=True)
class ParameterBudget:
    """Keeps as many units as a number of parameters allows.

    All groups keep the same share.

    Args:
        budget: Parameters of the smaller model: a number above 1, or a share of
            the model's own, in (0, 1].

    Raises:
        TypeError: If `budget` is no number.
        ValueError: If `budget` is not positive.
    """

    budget: float

    def __post_init__(self) -> None:
        """Checks the arguments."""
        check_real(self.budget, "budget", above=0)

    def measure(self, model: Any) -> int:
        """Returns the number of a model's parameters."""
        check_model(model)
        if not model.built:
            raise ValueError(
                "`model` must be built, so that its parameters are known; call "
                f"it on data once. {received('model', model)}"
            )
        return int(model.count_params())


def kept_units(units: int, ratio: float) -> int:
    """Returns how many units a ratio keeps: rounded down, at least one."""
    # Down is what gives the multiply-adds that are published for i-SpaSP; the
    # margin is for products such as 0.29 * 100, a little less than 29.
    return max(1, min(units, math.floor(units * ratio + 1e-9)))


def counts_of(
    model: Any, groups: Mapping[str, Group], keep: Any
) -> dict[str, int]:
    """Returns how many units each group keeps.

    Args:
        model: The model.
        groups: Its groups by name.
        keep: A ratio in (0, 1]; ratios by group name or pattern, other groups
            staying whole; a `FlopsBudget` or a `ParameterBudget`.

    Returns:
        Numbers of units, without groups that stay whole.

    Raises:
        TypeError: If `keep` is none of these.
        ValueError: If a ratio is outside (0, 1], a pattern fits no group, or a
            budget can't be met.
    """
    if isinstance(keep, (FlopsBudget, ParameterBudget)):
        ratios = _within_budget(model, groups, keep)
    elif isinstance(keep, Mapping):
        ratios = _by_pattern(groups, keep)
    else:
        ratio = _check_ratio(keep)
        ratios = dict.fromkeys(groups, ratio)
    counts = {
        name: kept_units(groups[name].units, ratio)
        for name, ratio in ratios.items()
    }
    return {n: c for n, c in counts.items() if c < groups[n].units}


def _check_ratio(ratio: Any) -> float:
    return check_real(
        ratio,
        "keep",
        above=0,
        most=1,
        what="a ratio in (0, 1], a dictionary of ratios by layer name or "
        "pattern, a `FlopsBudget` or a `ParameterBudget`",
        meaning="the share of the units that stays",
    )


def _by_pattern(
    groups: Mapping[str, Group], keep: Mapping[str, float]
) -> dict[str, float]:
    if not keep:
        raise ValueError(
            "`keep` must name at least one layer or pattern. "
            f"{received('keep', keep)}"
        )
    ratios: dict[str, float] = {}
    for pattern, ratio in keep.items():
        ratio = _check_ratio(ratio)
        names = fnmatch.filter(groups, pattern)
        if not names:
            raise ValueError(
                "`keep` names layers whose units can be removed. Received: "
                f"{pattern!r}, which fits none of {sorted(groups)}."
            )
        for name in names:
            ratios.setdefault(name, ratio)
    return ratios


def _within_budget(
    model: Any,
    groups: Mapping[str, Group],
    keep: FlopsBudget | ParameterBudget,
) -> dict[str, float]:
    whole = keep.measure(model)
    limit = keep.budget * whole if keep.budget <= 1 else keep.budget

    def fits(ratio: float) -> bool:
        first = {
            name: np.arange(kept_units(group.units, ratio))
            for name, group in groups.items()
        }
        return keep.measure(shrink(model, groups, first)) <= limit

    ratio = _largest(fits)
    if ratio is None:
        raise ValueError(
            f"`keep` can't be met by removing units. Received: {keep}, where "
            f"the model has {whole:,} and one unit a group is too many."
        )
    return dict.fromkeys(groups, ratio)


def _largest(fits: Callable[[float], bool]) -> float | None:
    if fits(1.0):
        return 1.0
    low, high = 0.0, 1.0
    if not fits(low):
        return None
    for _ in range(10):
        middle = (low + high) / 2
        low, high = (middle, high) if fits(middle) else (low, middle)
    return low
