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
"""Chooses blocks and sparsities so that the packed model meets a budget.

Each layer has options: blocks that the target likes, sparsities, or to stay
dense. The least loss within the budget is a knapsack. How long the whole packed
model takes depends on more than its layers, since activations between packed
layers stay in pieces; so the packer is asked, with masks at random, and the
layers' times are scaled by what it says, until the two agree. A layer that the
packer leaves dense gains nothing, and keeps its weights.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from tfmot_sapp.allocations.balanced_allocation import BalancedAllocation
from tfmot_sapp.base.wording import received
from tfmot_sapp.blocks.grid import expand
from tfmot_sapp.compiler.pack_keras import Estimate, estimate
from tfmot_sapp.frameworks.copying import same_layer
from tfmot_sapp.planning.layer_times import LayerTimes, processor_name
from tfmot_sapp.planning.layers import PlannedKernel, find_layers
from tfmot_sapp.planning.options import Option, chosen, options_of
from tfmot_sapp.planning.pruning_plan import PlannedLayer, PruningPlan
from tfmot_sapp.targets.budgets import Budget, SizeBudget
from tfmot_sapp.targets.target import Target

_MOST_ROUNDS = 16
# How far below a budget of time a plan may stay.
_CLOSE = 0.96
# Bounds of what layers may take are close enough.
_NARROW = 1.005
# Above it by so much is the packer's rounding.
_SLACK = 1.005


@dataclasses.dataclass(frozen=True)
class Whole:
    """What the whole model takes, in microseconds and bytes."""

    dense: float
    packed: float
    dense_bytes: float
    packed_bytes: float


@dataclasses.dataclass(frozen=True)
class Planner:
    """What a plan is made from.

    Attributes:
        model: The model.
        target: Where it will run.
        batch_size: Samples in a call.
        times: How long layers take.
        most_sparsity: Highest sparsity of a layer.
        moments: Mean squares of what kernels read, by the kernels' names.
    """

    model: Any
    target: Target
    batch_size: int
    times: LayerTimes
    most_sparsity: float
    moments: Mapping[str, np.ndarray]

    def plan(
        self, budget: Budget, find_keep: Callable[[float], dict[str, float]]
    ) -> PruningPlan:
        """Returns the plan that meets a budget.

        Args:
            budget: What the packed model may take.
            find_keep: Finds the shares of units that meet the same budget, as
                a share of what the dense model takes.

        Raises:
            ValueError: If it can't be met, or nothing needs to be pruned.
        """
        layers: dict[str, list[PlannedKernel]] = {}
        for kernel in find_layers(self.model, self.batch_size):
            layers.setdefault(kernel.layer.name, []).append(kernel)
        options = {
            name: options_of(
                kernels, self.times, self.most_sparsity, self.moments
            )
            for name, kernels in layers.items()
        }
        if isinstance(budget, SizeBudget):
            picked, whole = self._within_size(layers, options, budget)
        else:
            limit = budget.microseconds
            picked, whole = self._within_time(layers, options, budget, limit)
        if not any(option.block for option in picked.values()):
            raise ValueError(
                "`budget` must need some layer to lose blocks. "
                f"{received('budget', budget)} The dense model takes "
                f"{whole.dense / 1000:.3g} ms and "
                f"{whole.dense_bytes / 1e6:.3g} MB."
            )
        share = whole.packed / whole.dense
        if isinstance(budget, SizeBudget):
            share = whole.packed_bytes / whole.dense_bytes
        return PruningPlan(
            tuple(
                _planned(name, kernels, options[name], picked[name])
                for name, kernels in layers.items()
            ),
            whole.dense / 1000,
            whole.packed / 1000,
            round(whole.dense_bytes),
            round(whole.packed_bytes),
            processor_name() if self.times.alone else None,
            lambda: find_keep(share),
        )

    def _within_size(
        self,
        layers: dict[str, list[PlannedKernel]],
        options: dict[str, list[Option]],
        budget: SizeBudget,
    ) -> tuple[dict[str, Option], Whole]:
        limit = 1e6 * budget.megabytes
        dense = {name: found[0] for name, found in options.items()}
        rest = self._bytes(dense) - sum(o.bytes for o in dense.values())
        try:
            found = chosen([*options.values()], "bytes", limit - rest)
        except ValueError:
            least = rest + sum(
                min(o.bytes for o in each) for each in options.values()
            )
            raise ValueError(
                "`budget` can't be met by removing blocks. "
                f"{received('budget', budget)} At sparsities up to "
                f"{self.most_sparsity:g} the model takes {least / 1e6:.3g} MB."
            ) from None
        picked = dict(zip(options, found))
        with_masks = self._estimate(layers, picked)
        return picked, self._whole(dense, picked, with_masks, 1.0, 0.0)

    def _within_time(
        self,
        layers: dict[str, list[PlannedKernel]],
        options: dict[str, list[Option]],
        budget: Budget,
        limit: Callable[[float], float],
    ) -> tuple[dict[str, Option], Whole]:
        dense = {name: found[0] for name, found in options.items()}
        before = self._estimate(layers, dense)
        estimated = sum(self._estimated(layers[n], o) for n, o in dense.items())
        measured = sum(option.microseconds for option in dense.values())
        # How much slower this machine is than the estimates say.
        machine = measured / estimated if estimated else 1.0
        rest = max(before.dense - estimated, 0.0) * machine
        most = limit(rest + measured)
        free, bounds, best = most - rest, [0.0, np.inf], None
        for _ in range(_MOST_ROUNDS):
            picked, met = _nearest(options, free)
            after = self._estimate(layers, picked)
            useless = _useless(picked, after)
            if useless:
                for name in useless:
                    options[name] = _sparser(options[name], picked[name])
                continue
            factor = self._factor(layers, picked, after, rest / machine)
            whole = self._whole(dense, picked, after, factor, rest)
            fits = whole.packed <= _SLACK * most
            bounds[0 if fits else 1] = free
            if fits and (best is None or whole.packed > best[1].packed):
                best = picked, whole
            if whole.packed >= _CLOSE * most if fits else not met:
                break
            free *= (most - rest) / max(whole.packed - rest, 1e-3)
            if not bounds[0] < free < bounds[1]:
                free = sum(bounds) / 2
            if not np.isfinite(free) or bounds[1] < _NARROW * bounds[0]:
                break
        if best is None:
            raise ValueError(
                "`budget` can't be met by removing blocks. "
                f"{received('budget', budget)} At sparsities up to "
                f"{self.most_sparsity:g} the model takes about "
                f"{whole.packed / 1000:.3g} ms of {whole.dense / 1000:.3g} ms."
            )
        return best

    def _factor(
        self,
        layers: dict[str, list[PlannedKernel]],
        picked: dict[str, Option],
        after: Estimate,
        rest: float,
    ) -> float:
        """What the packer says of all layers over what they take one by one."""
        alone = sum(self._estimated(layers[n], o) for n, o in picked.items())
        return max(after.packed - rest, 1e-3) / alone if alone else 1.0

    def _estimated(
        self, kernels: Sequence[PlannedKernel], option: Option
    ) -> float:
        """What a layer takes by the costs of the target."""
        times = LayerTimes(self.target)
        if option.block is None:
            return sum(times.dense(kernel.shape) for kernel in kernels)
        return sum(
            times.blocked(
                kernel.shape, option.block, option.sparsity, self.times.alone
            )
            for kernel in kernels
        )

    def _whole(
        self,
        dense: dict[str, Option],
        picked: dict[str, Option],
        after: Estimate,
        factor: float,
        rest: float,
    ) -> Whole:
        before, now = after.dense, after.packed
        if self.times.alone:
            before = rest + sum(o.microseconds for o in dense.values())
            now = rest + factor * sum(o.microseconds for o in picked.values())
        return Whole(before, now, self._bytes(dense), self._bytes(picked))

    def _bytes(self, picked: dict[str, Option]) -> float:
        planned = 4.0 * sum(
            kernel.shape.parameters
            for kernel in find_layers(self.model, self.batch_size)
        )
        rest = 4.0 * self.model.count_params() - planned
        return rest + sum(option.bytes for option in picked.values())

    def _estimate(
        self,
        layers: dict[str, list[PlannedKernel]],
        picked: dict[str, Option],
    ) -> Estimate:
        """Asks the packer, with masks at random."""
        model = same_layer(self.model)
        generator = np.random.default_rng(0)
        for planned in find_layers(model, self.batch_size):
            option = picked[planned.layer.name]
            variable = planned.kernel.variable
            value = generator.normal(size=planned.kernel.shape)
            if option.block is not None:
                value *= _random_mask(planned, option, generator)
            variable.assign(value)
        return estimate(model, self.batch_size, self.target)


def _nearest(
    options: dict[str, list[Option]], budget: float
) -> tuple[dict[str, Option], bool]:
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


def _useless(picked: dict[str, Option], after: Estimate) -> list[str]:
    """Layers that the packer leaves dense in spite of their masks."""
    found = []
    for name, option in picked.items():
        costs = [
            cost
            for layer, cost in after.layers.items()
            if layer == name or layer.startswith(f"{name}/")
        ]
        if option.block and costs and all(c.lowering == "dense" for c in costs):
            found.append(name)
    return found


def _random_mask(
    planned: PlannedKernel, option: Option, generator: np.random.Generator
) -> np.ndarray:
    assert option.block is not None
    grid = planned.kernel.grid(option.block)
    axes = planned.kernel.axes(grid)
    scores = np.moveaxis(generator.random(grid.cells), axes, (-2, -1))
    masks = BalancedAllocation().allocate(
        {"kernel": scores},
        {"kernel": np.ones(scores.shape, bool)},
        option.sparsity,
    )
    mask = np.moveaxis(masks["kernel"], (-2, -1), axes)
    return expand(mask.astype(np.float32), grid)


def _planned(
    name: str,
    kernels: Sequence[PlannedKernel],
    options: Sequence[Option],
    option: Option,
) -> PlannedLayer:
    dense = options[0]
    if option.block is None:
        why = "stays dense: no blocks make it faster"
        if len(options) > 1:
            least = min(each.microseconds for each in options)
            why = (
                f"stays dense: {dense.microseconds - least:.0f} us at most are "
                "to gain, which other layers give for less"
            )
    else:
        why = (
            f"{dense.microseconds / option.microseconds:.1f}x for an expected "
            f"loss of {option.loss / max(dense.microseconds, 1e-9):.1f}"
        )
    return PlannedLayer(
        name,
        tuple(kernel.name for kernel in kernels),
        ", ".join(_in_words(kernel) for kernel in kernels),
        option.block,
        option.sparsity,
        dense.microseconds,
        option.microseconds,
        why,
    )


def _in_words(kernel: PlannedKernel) -> str:
    taps = "x".join(
        str(n)
        for n, role in zip(kernel.kernel.shape, kernel.kernel.roles)
        if role == "tap"
    )
    channels = f"{kernel.shape.inputs}-{kernel.shape.outputs}"
    return f"{taps} {channels}" if taps else channels
