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

Blocks are free, equally many for each output block; or they form groups, which
several threads share better, of one or two numbers in all layers that are
pruned. What is expected to lose less is planned.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from tfmot_sapp.base.wording import received
from tfmot_sapp.planning.layer_times import processor_name
from tfmot_sapp.planning.layers import PlannedKernel
from tfmot_sapp.planning.options import (
    Option,
    chosen,
    grouped_options,
    options_of,
)
from tfmot_sapp.planning.planned_model import PlannedModel, Whole
from tfmot_sapp.planning.pruning_plan import PlannedLayer, PruningPlan
from tfmot_sapp.planning.time_search import Found, Options, TimeSearch
from tfmot_sapp.targets.budgets import Budget, LatencyBudget, SizeBudget

# Numbers of groups to plan with.
_GROUPS = (2, 3, 4, 6, 8, 12, 16)


@dataclasses.dataclass(frozen=True)
class Planner:
    """What a plan is made from.

    Attributes:
        planned: The model.
        most_sparsity: Highest sparsity of a layer.
        moments: Mean squares of what kernels read, by the kernels' names.
    """

    planned: PlannedModel
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
        planned, by_size = self.planned, isinstance(budget, SizeBudget)
        if not planned.layers:
            raise ValueError(
                "`model` must have a layer that can lose blocks: one that "
                "multiplies with a kernel and is called once. Received: "
                f"{type(planned.model).__name__} `{planned.model.name}`."
            )
        if isinstance(budget, SizeBudget):
            found = self._within_size(budget)
        else:
            found = self._within_time(budget)
        picked, whole = found.picked, found.whole
        if not any(option.block for option in picked.values()):
            raise ValueError(
                "`budget` must need some layer to lose blocks. "
                f"{received('budget', budget)} The dense model takes "
                f"{whole.dense / 1000:.3g} ms and "
                f"{whole.dense_bytes / 1e6:.3g} MB."
            )
        if by_size:
            share = whole.packed_bytes / whole.dense_bytes
        else:
            share = whole.packed / whole.dense
        return PruningPlan(
            tuple(
                _planned(name, kernels, found.options[name], picked[name])
                for name, kernels in planned.layers.items()
            ),
            whole.dense / 1000,
            whole.packed / 1000,
            round(whole.dense_bytes),
            round(whole.packed_bytes),
            processor_name() if planned.times.alone else None,
            planned.allocation(picked),
            lambda: find_keep(share),
        )

    def _within_size(self, budget: SizeBudget) -> Found:
        planned, options = self.planned, self._free()
        dense = {name: each[0] for name, each in options.items()}
        limit = 1e6 * budget.megabytes
        rest = planned.bytes(dense) - sum(o.bytes for o in dense.values())
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
        after = planned.estimate(picked)
        taken = planned.bytes(dense), planned.bytes(picked)
        return Found(options, picked, Whole(after.dense, after.packed, *taken))

    def _within_time(self, budget: LatencyBudget) -> Found:
        search = TimeSearch(self.planned, budget)
        best, refusal = None, None
        try:
            best = search.run(self._free())
        except ValueError as error:
            refusal = error
        threads = self.planned.target.costs().threads
        if best is not None and threads == 1:
            return best
        # Groups by what they are expected to lose.
        promising = []
        for options in self._grouped():
            if (loss := search.loss(options)) is not None:
                promising.append((loss, options))
        for loss, options in sorted(promising, key=lambda pair: pair[0]):
            if best is not None and loss >= best.loss:
                break
            try:
                found = search.run(options)
            except ValueError:
                continue
            if best is None or found.loss < best.loss:
                best = found
        if best is None:
            assert refusal is not None
            raise refusal
        return best

    def _free(self) -> Options:
        """What can be done with each layer whose blocks are free."""
        return {
            name: options_of(
                kernels, self.planned.times, self.most_sparsity, self.moments
            )
            for name, kernels in self.planned.layers.items()
        }

    def _grouped(self) -> list[Options]:
        """What can be done with each layer, for each number of groups.

        And for each two numbers next to each other, since one number is a
        coarse choice where the layers are few.
        """
        # Where the order of channels isn't known, groups can't lie in order.
        ordered = self.planned.trial.channels
        alone: list[Options] = []
        for groups in _GROUPS:
            if 1.0 - 1.0 / groups > self.most_sparsity:
                break
            options = {
                name: grouped_options(
                    kernels, self.planned.times, groups, self.moments, ordered
                )
                for name, kernels in self.planned.layers.items()
            }
            if any(len(each) > 1 for each in options.values()):
                alone.append(options)
        mixed = [
            {name: [*each, *more[name][1:]] for name, each in fewer.items()}
            for fewer, more in zip(alone, alone[1:])
        ]
        return alone + mixed


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
    elif not option.microseconds:
        why = "a table: its file gets smaller, nothing gets faster"
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
        _share_that_goes(kernels, option),
        dense.microseconds,
        option.microseconds,
        why,
        option.groups,
    )


def _share_that_goes(kernels: Sequence[PlannedKernel], option: Option) -> float:
    """Over all kernels of a layer, of which some may have few blocks."""
    if not option.lower:
        return option.sparsity
    sizes = [kernel.shape.parameters for kernel in kernels]
    gone = sum(
        size * option.sparsity_of(kernel)
        for size, kernel in zip(sizes, kernels)
    )
    return gone / sum(sizes)


def _in_words(kernel: PlannedKernel) -> str:
    taps = "x".join(
        str(n)
        for n, role in zip(kernel.kernel.shape, kernel.kernel.roles)
        if role == "tap"
    )
    channels = f"{kernel.shape.inputs}-{kernel.shape.outputs}"
    return f"{taps} {channels}" if taps else channels
