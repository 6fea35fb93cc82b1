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
"""What can be done with each layer, and which of it is chosen."""

import dataclasses
from collections.abc import Container, Mapping, Sequence

import numpy as np

from tfmot_sapp.blocks.selection import kept_blocks
from tfmot_sapp.calibration.budgets import knapsack
from tfmot_sapp.compiler.choose.layer_options import LayerShape
from tfmot_sapp.planning.layer_times import LayerTimes
from tfmot_sapp.planning.layers import PlannedKernel
from tfmot_sapp.planning.losses import (
    block_energy,
    expected_loss,
    expected_loss_of_groups,
)
from tfmot_sapp.targets.target import Target

SPARSITIES = (
    *(0.3, 0.4, 0.5, 0.55, 0.6, 0.65, 0.7, 0.725, 0.75, 0.775, 0.8, 0.825),
    *(0.85, 0.8625, 0.875, 0.8875, 0.9, 0.9125, 0.925, 0.9375, 0.95, 0.9625),
    *(0.975, 0.9875),
)
# Blocks that gain less than this share of a layer's time gain nothing.
_LEAST_GAIN = 0.05
# Extents of a block are at least so long; packed layers of narrower ones are
# slower than they are sparse.
_NARROWEST = 16
# Blocks of groups are no longer than this: the more there are, the better the
# groups that they can form.
_WIDEST_IN_GROUPS = 32
# What an operation takes in a file, beside its weights.
_BYTES_PER_OPERATION = 700


@dataclasses.dataclass(frozen=True)
class Option:
    """One thing that can be done with a layer.

    Attributes:
        block: Channels of an input and of an output block; `None` leaves the
            layer dense.
        sparsity: Fraction of its blocks that go.
        microseconds: How long it takes then.
        bytes: What its weights take in a file.
        loss: What it is expected to lose.
        groups: Number of groups that its blocks form, if they do.
        lower: Sparsities of those of its kernels that have too few blocks for
            that of the layer, by their names.
    """

    block: tuple[int, int] | None
    sparsity: float
    microseconds: float
    bytes: float
    loss: float
    groups: int | None = None
    lower: Mapping[str, float] = dataclasses.field(default_factory=dict)

    def sparsity_of(self, kernel: PlannedKernel) -> float:
        """Returns the fraction of a kernel's blocks that go."""
        return self.lower.get(kernel.name, self.sparsity)


def options_of(
    kernels: Sequence[PlannedKernel],
    times: LayerTimes,
    most_sparsity: float,
    moments: Mapping[str, np.ndarray],
) -> list[Option]:
    """Returns what can be done with one layer, dense first.

    Args:
        kernels: The layer's kernels, which share blocks and sparsity.
        times: How long layers take.
        most_sparsity: Highest sparsity to choose.
        moments: Mean squares of input channels by the kernels' names.

    Returns:
        Options; nothing but the dense layer where no blocks gain anything.
    """
    shapes = [kernel.shape for kernel in kernels]
    dense = [each.steps * times.dense(each.shape) for each in kernels]
    found = [_untouched(shapes, dense)]
    # A table takes no time, but has something to lose.
    worth = [max(each.steps, 1) * times.dense(each.shape) for each in kernels]
    weights = [kernel.weights() for kernel in kernels]
    for block in _blocks(shapes, times.target):
        energies = [
            block_energy(weight, block, _fitting(moments, kernel))
            for weight, kernel in zip(weights, kernels)
        ]
        for sparsity in SPARSITIES:
            each_gets = [_feeding_all(energy, sparsity) for energy in energies]
            if sparsity > most_sparsity or max(each_gets) < sparsity:
                continue
            taken = sum(
                each.steps * times.blocked(each.shape, block, own)
                for each, own in zip(kernels, each_gets)
            )
            if taken > (1 - _LEAST_GAIN) * found[0].microseconds:
                continue
            # Losses count by what there is to gain, so that layers alike in
            # everything else get the same sparsity.
            loss = sum(
                weight * expected_loss(energy, own, block)
                for weight, energy, own in zip(worth, energies, each_gets)
            )
            stored = sum(
                _stored(shape, energy, own, block)
                for shape, energy, own in zip(shapes, energies, each_gets)
            )
            lower = {
                kernel.name: own
                for kernel, own in zip(kernels, each_gets)
                if own < sparsity
            }
            option = Option(block, sparsity, taken, stored, loss, lower=lower)
            found.append(option)
    return found


def grouped_options(
    kernels: Sequence[PlannedKernel],
    times: LayerTimes,
    groups: int,
    moments: Mapping[str, np.ndarray],
    ordered: Container[str],
) -> list[Option]:
    """Returns what can be done with one layer where blocks form groups.

    Args:
        kernels: The layer's kernels.
        times: How long layers take.
        groups: Number of groups.
        moments: Mean squares of input channels by the kernels' names.
        ordered: Names of the kernels whose channels can change places, so that
            groups lie in order. Others keep all blocks.

    Returns:
        The dense layer, and where that gains something the grouped one.
    """
    dense = [each.steps * times.dense(each.shape) for each in kernels]
    found = [_untouched([each.shape for each in kernels], dense)]
    blocks = {
        (_side(each.shape.inputs, groups), _side(each.shape.outputs, groups))
        for each in kernels
        if each.name in ordered
    }
    inputs, outputs = blocks.pop() if blocks else (None, None)
    if blocks or inputs is None or outputs is None:
        return found
    block, taken, stored, loss = (inputs, outputs), 0.0, 0.0, 0.0
    for time, kernel in zip(dense, kernels):
        size = 4.0 * kernel.shape.parameters
        if kernel.name not in ordered:
            taken += time
            stored += size
            continue
        taken += kernel.steps * times.grouped(kernel.shape, groups)
        stored += size / groups
        weights, moment = kernel.weights(), _fitting(moments, kernel)
        energy = block_energy(weights, block, moment)
        loss += time * expected_loss_of_groups(energy, groups, block)
    if taken > (1 - _LEAST_GAIN) * found[0].microseconds:
        return found
    lower = {each.name: 0.0 for each in kernels if each.name not in ordered}
    found.append(
        Option(block, 1.0 - 1.0 / groups, taken, stored, loss, groups, lower)
    )
    return found


def _untouched(shapes: Sequence[LayerShape], dense: Sequence[float]) -> Option:
    """The dense layer."""
    size = 4.0 * sum(shape.parameters for shape in shapes)
    return Option(None, 0.0, sum(dense), size, 0.0)


def _side(channels: int, groups: int) -> int | None:
    """Channels of a block, many of which make a group; `None` for too few.

    It depends on nothing else, so that what one kernel makes and another reads
    is cut alike.
    """
    each, rest = divmod(channels, groups)
    sides = range(_NARROWEST, _WIDEST_IN_GROUPS + 1)
    return max((n for n in sides if not rest and not each % n), default=None)


def _fitting(
    moments: Mapping[str, np.ndarray], kernel: PlannedKernel
) -> np.ndarray | None:
    found = moments.get(kernel.name)
    if found is None or len(found) != kernel.shape.inputs:
        return None
    return found


def _blocks(
    shapes: Sequence[LayerShape], target: Target
) -> list[tuple[int, int]]:
    """Blocks to consider: what the target likes, and smaller ones."""
    inputs = min(shape.inputs for shape in shapes)
    outputs = min(shape.outputs for shape in shapes)
    liked = target.block_size(inputs, outputs)
    if liked is None:
        least = _NARROWEST
        wide = min(inputs, outputs) >= 4 * least
        return [(least, least)] if wide and target.block_size(128, 128) else []
    found = [liked]
    while found[-1][1] // 2 >= max(_NARROWEST, found[-1][0]):
        found.append((found[-1][0], found[-1][1] // 2))
    return found


def _feeding_all(energy: np.ndarray, sparsity: float) -> float:
    """The next lower sparsity at which every output block keeps a block."""
    return max(
        (
            lower
            for lower in SPARSITIES
            if lower <= sparsity
            and kept_blocks(energy.size, lower) >= energy.shape[1]
        ),
        default=0.0,
    )


def _stored(
    shape: LayerShape,
    energy: np.ndarray,
    sparsity: float,
    block: tuple[int, int],
) -> float:
    kept = kept_blocks(energy.size, sparsity)
    weights = kept * block[0] * block[1] * max(shape.taps, 1)
    operations = 2 * energy.shape[1]
    return 4.0 * weights + _BYTES_PER_OPERATION * operations


def chosen(
    options: Sequence[Sequence[Option]], prices: str, budget: float
) -> list[Option]:
    """Chooses one option for each layer: the least loss within a budget.

    Args:
        options: What can be done with each layer.
        prices: `"microseconds"` or `"bytes"`.
        budget: What all of them may take.

    Raises:
        ValueError: If the cheapest of all are over the budget.
    """
    errors = [np.array([o.loss for o in each]) for each in options]
    price = [np.array([getattr(o, prices) for o in each]) for each in options]
    picked = knapsack(errors, price, budget)
    return [each[index] for each, index in zip(options, picked)]
