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
"""A model that is planned: its layers, and what choices for them amount to."""

import dataclasses
import functools
from collections.abc import Mapping, Sequence
from typing import Any

from tfmot_sapp.allocations.allocation import Allocation
from tfmot_sapp.allocations.balanced_allocation import BalancedAllocation
from tfmot_sapp.allocations.grouped_allocation import GroupedAllocation
from tfmot_sapp.compiler.pack_keras import Estimate
from tfmot_sapp.frameworks.kernels import find_kernels, kernel_name
from tfmot_sapp.planning.layer_times import LayerTimes
from tfmot_sapp.planning.layers import PlannedKernel
from tfmot_sapp.planning.options import Option
from tfmot_sapp.planning.taken_apart import TakenApart, taken_apart
from tfmot_sapp.planning.trial import Trial
from tfmot_sapp.targets.target import Target


@dataclasses.dataclass(frozen=True)
class Whole:
    """What the whole model takes, in microseconds and bytes."""

    dense: float
    packed: float
    dense_bytes: float
    packed_bytes: float


@dataclasses.dataclass(frozen=True)
class PlannedModel:
    """A model that is planned.

    Attributes:
        model: The model; it stays as it is.
        target: Where it will run.
        batch_size: Samples in a call.
        times: How long layers take.
        with_tables: Whether tables that are only looked up lose blocks, too.
            That makes the file smaller, and nothing faster.
    """

    model: Any
    target: Target
    batch_size: int
    times: LayerTimes
    with_tables: bool = False

    @functools.cached_property
    def layers(self) -> dict[str, list[PlannedKernel]]:
        """The kernels of each layer, by its name."""
        layers: dict[str, list[PlannedKernel]] = {}
        for kernel in self._copy.originals:
            same = self._copy.kernels.get(kernel.name, kernel)
            if kernel.steps or self.with_tables:
                layers.setdefault(kernel.layer.name, []).append(
                    dataclasses.replace(
                        kernel, shape=same.shape, steps=same.steps
                    )
                )
        return layers

    @functools.cached_property
    def _copy(self) -> TakenApart:
        return taken_apart(self.model, self.batch_size)

    @functools.cached_property
    def trial(self) -> Trial:
        """A copy that gets masks."""
        kernels = [each for some in self.layers.values() for each in some]
        return Trial(self._copy, kernels, self.batch_size, self.target)

    def allocation(self, picked: Mapping[str, Option]) -> Allocation:
        """Returns what decides which blocks stay.

        Args:
            picked: What is done with each layer, by its name.
        """
        targets = {}
        for name, kernels in self.layers.items():
            if picked[name].block:
                # What else is inside of the same layer keeps its weights.
                siblings = find_kernels(kernels[0].layer)
                for each in siblings:
                    targets[kernel_name(name, each, siblings)] = 0.0
                for kernel in kernels:
                    targets[kernel.name] = picked[name].sparsity_of(kernel)
        groups = [option.groups for option in picked.values() if option.groups]
        if not groups:
            return BalancedAllocation(targets=targets)
        channels = {
            name: sides
            for name, sides in self.trial.channels.items()
            if name in targets
        }
        return GroupedAllocation(
            targets=targets, groups=max(groups), channels=channels
        )

    def estimate(self, picked: Mapping[str, Option]) -> Estimate:
        """Asks the packer, with masks at random.

        Args:
            picked: What is done with each layer, by its name.
        """
        return self.trial.estimate(picked, self.allocation(picked))

    def estimated(
        self, kernels: Sequence[PlannedKernel], option: Option
    ) -> float:
        """Microseconds of a layer by the costs of the target.

        Args:
            kernels: The layer's kernels.
            option: What is done with it.
        """
        times, total = LayerTimes(self.target), 0.0
        for kernel in kernels:
            sparsity = option.sparsity_of(kernel)
            if option.block is None or not sparsity:
                taken = times.dense(kernel.shape)
            elif option.groups is not None:
                taken = times.grouped(kernel.shape, option.groups)
            else:
                alone = self.times.alone
                taken = times.blocked(
                    kernel.shape, option.block, sparsity, alone
                )
            total += kernel.steps * taken
        return total

    def bytes(self, picked: Mapping[str, Option]) -> float:
        """Bytes of the model's file.

        Args:
            picked: What is done with each layer, by its name.
        """
        planned = 4.0 * sum(
            kernel.shape.parameters
            for kernels in self.layers.values()
            for kernel in kernels
        )
        rest = 4.0 * self.model.count_params() - planned
        return rest + sum(option.bytes for option in picked.values())
