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
"""The least loss within a budget of time."""

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from tfmot_sapp.base.wording import received
from tfmot_sapp.compiler.pack_keras import Estimate
from tfmot_sapp.planning.options import Option, chosen
from tfmot_sapp.planning.planned_model import PlannedModel, Whole
from tfmot_sapp.targets.budgets import LatencyBudget

_MOST_ROUNDS = 16
# How far below a budget a plan may stay.
_CLOSE = 0.96
# Bounds of what layers may take are close enough.
_NARROW = 1.005
# Above the budget by so much is the packer's rounding.
_SLACK = 1.005
# What takes this share of the dense layer's time gains nothing.
_AS_SLOW = 0.9

Options = Mapping[str, Sequence[Option]]


@dataclasses.dataclass(frozen=True)
class Found:
    """A plan that meets its budget.

    Attributes:
        options: What could be done with each layer, dense first.
        picked: What is done.
        whole: What the whole model takes then.
    """

    options: Options
    picked: dict[str, Option]
    whole: Whole

    @property
    def loss(self) -> float:
        """What all layers together are expected to lose."""
        return sum(option.loss for option in self.picked.values())


class TimeSearch:
    """Meets one budget with several sets of options.

    Args:
        planned: The model.
        budget: What it may take.
    """

    def __init__(self, planned: PlannedModel, budget: LatencyBudget):
        self._planned = planned
        self._budget = budget
        times = planned.times
        self._dense = {
            name: sum(
                kernel.steps * times.dense(kernel.shape) for kernel in kernels
            )
            for name, kernels in planned.layers.items()
        }
        undone = {
            name: Option(None, 0.0, us, 0.0, 0.0)
            for name, us in self._dense.items()
        }
        before = planned.estimate(undone)
        estimated = sum(
            planned.estimated(kernels, undone[name])
            for name, kernels in planned.layers.items()
        )
        measured = sum(self._dense.values())
        # How much slower this machine is than the estimates say.
        self._machine = measured / estimated if estimated else 1.0
        self._rest = max(before.dense - estimated, 0.0) * self._machine
        self._most = budget.microseconds(self._rest + measured)

    def loss(self, options: Options) -> float | None:
        """Expects what is lost if layers take what they take by themselves.

        Args:
            options: What can be done with each layer, dense first.

        Returns:
            The loss; `None` if the budget can't be met so.
        """
        picked, met = _nearest(options, self._most - self._rest)
        if not met:
            return None
        return sum(option.loss for option in picked.values())

    def run(self, options: Options) -> Found:
        """Finds the plan of least loss.

        Args:
            options: What can be done with each layer, dense first.

        Raises:
            ValueError: If no plan meets the budget.
        """
        most, rest = self._most, self._rest
        options = dict(options)
        free, bounds, best = most - rest, [0.0, np.inf], None
        for _ in range(_MOST_ROUNDS):
            picked, met = _nearest(options, free)
            after = self._planned.estimate(picked)
            useless = self._useless(picked, after)
            if useless:
                for name in useless:
                    options[name] = _sparser(options[name], picked[name])
                continue
            whole = self._whole(options, picked, after)
            fits = whole.packed <= _SLACK * most
            bounds[0 if fits else 1] = free
            if fits and (best is None or whole.packed > best.whole.packed):
                best = Found(options, picked, whole)
            if whole.packed >= _CLOSE * most if fits else not met:
                break
            free *= (most - rest) / max(whole.packed - rest, 1e-3)
            if not bounds[0] < free < bounds[1]:
                free = sum(bounds) / 2
            if not np.isfinite(free) or bounds[1] < _NARROW * bounds[0]:
                break
        if best is None:
            whole = self._whole(options, picked, after)
            raise ValueError(
                "`budget` can't be met by removing blocks. "
                f"{received('budget', self._budget)} The sparsest that can be "
                f"planned takes about {whole.packed / 1000:.3g} ms of "
                f"{whole.dense / 1000:.3g} ms."
            )
        return best

    def _useless(self, picked: dict[str, Option], after: Estimate) -> list[str]:
        """Layers that the packer leaves dense in spite of their masks.

        Dense with fewer channels, where nothing reads the others, is faster.
        """
        found = []
        for name, option in picked.items():
            kernels = self._planned.layers[name]
            costs = [
                after.layers[kernel.name]
                for kernel in kernels
                if kernel.name in after.layers
            ]
            undone = Option(None, 0.0, 0.0, 0.0, 0.0)
            whole = self._planned.estimated(kernels, undone)
            if (
                option.block
                and costs
                and all(cost.lowering == "dense" for cost in costs)
                and sum(cost.chosen for cost in costs) > _AS_SLOW * whole
            ):
                found.append(name)
        return found

    def _whole(
        self, options: Options, picked: dict[str, Option], after: Estimate
    ) -> Whole:
        planned = self._planned
        before, now = after.dense, after.packed
        if planned.times.alone:
            # What the packer says of all layers over what they take alone.
            alone = sum(
                planned.estimated(planned.layers[n], o)
                for n, o in picked.items()
            )
            rest = self._rest / self._machine
            factor = max(now - rest, 1e-3) / alone if alone else 1.0
            before = self._rest + sum(self._dense.values())
            now = self._rest + factor * sum(
                option.microseconds for option in picked.values()
            )
        dense = {name: each[0] for name, each in options.items()}
        return Whole(before, now, planned.bytes(dense), planned.bytes(picked))


def _nearest(options: Options, budget: float) -> tuple[dict[str, Option], bool]:
    """The options that meet a budget; if there are none, the fastest ones."""
    try:
        found = chosen([*options.values()], "microseconds", budget)
    except ValueError:
        return {
            name: min(each, key=lambda option: option.microseconds)
            for name, each in options.items()
        }, False
    return dict(zip(options, found)), True


def _sparser(options: Sequence[Option], than: Option) -> list[Option]:
    """The dense layer, and what is sparser than an option."""
    return [
        option
        for option in options
        if option.block is None or option.sparsity > than.sparsity
    ]
