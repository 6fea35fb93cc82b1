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
"""What a layer alone is estimated to cost, for blocks that nobody has yet."""

import dataclasses
import functools

import numpy as np

from tfmot_sapp.blocks.selection import kept_blocks
from tfmot_sapp.compiler.choose.estimates import (
    Shape,
    cut_cost,
    dense_cost,
    gather_matmul_cost,
    group_cost,
    list_cost,
    switch_cost,
)
from tfmot_sapp.targets.target import Target


@dataclasses.dataclass(frozen=True)
class LayerShape:
    """What the cost of a Dense or convolution depends on.

    Attributes:
        rows: Positions that are multiplied, times the batch.
        taps: Taps of the kernel; 0 for a Dense.
        inputs: Inputs of one tap.
        outputs: Its outputs.
    """

    rows: float
    taps: int
    inputs: int
    outputs: int

    @property
    def parameters(self) -> int:
        """Number of the kernel's weights."""
        return max(self.taps, 1) * self.inputs * self.outputs


def dense_time(layer: LayerShape, target: Target) -> float:
    """Microseconds of a dense layer."""
    return dense_cost(_whole(layer), target.costs().of_time)


@functools.lru_cache(maxsize=4096)
def blocked_time(
    layer: LayerShape,
    block: tuple[int, int],
    sparsity: float,
    target: Target,
    alone: bool = False,
) -> float:
    """Microseconds of a packed layer.

    Args:
        layer: The layer.
        block: Channels of an input and of an output block.
        sparsity: Fraction of its blocks that are removed, equally many for
            each output block.
        target: Where it runs.
        alone: Whether it takes and gives one tensor; otherwise it is between
            others that are packed, too.

    Returns:
        The least of the ways to compute it, the dense one included.
    """
    costs, operators = target.costs().of_time, target.operators()
    shape = _balanced(layer, block, sparsity)
    widest = operators.widest_concatenation
    found = [dense_cost(_whole(layer), costs)]
    others = []
    if min(block) >= costs.narrowest_piece:
        first, last = (
            switch_cost(layer.rows, widths.sum(), len(widths), to_one, costs)
            if alone
            else 0.0
            for widths, to_one in ((shape.ins, False), (shape.outs, True))
        )
        for each in (widest, 1) if layer.taps else (widest,):
            listed = first + list_cost(shape, each, True, costs)
            if alone:
                listed = min(listed, cut_cost(shape, each, costs))
            others.append(listed + last)
    if operators.gathers and min(block) >= costs.narrowest_gather:
        for most in (None, widest):
            others.append(group_cost(shape, most, costs))
        if not layer.taps:
            others.append(gather_matmul_cost(shape, costs))
    return min(found + others)


@functools.lru_cache(maxsize=4096)
def grouped_time(layer: LayerShape, groups: int, target: Target) -> float:
    """Microseconds of a layer whose blocks form groups, which lie in order.

    Args:
        layer: The layer.
        groups: Number of groups, each of which reads its own inputs.
        target: Where it runs.

    Returns:
        The least of the ways to compute it, the dense one included.
    """
    costs, operators = target.costs().of_time, target.operators()
    shape = _shape(
        layer,
        np.full(groups, layer.inputs / groups),
        np.full(groups, layer.outputs / groups),
        np.eye(groups, dtype=bool),
    )
    widest = operators.widest_concatenation
    found = [dense_cost(_whole(layer), costs)]
    found.append(list_cost(shape, widest, True, costs))
    if layer.taps or operators.grouped_dense:
        found.append(group_cost(shape, widest, costs))
    return min(found)


def _whole(layer: LayerShape) -> Shape:
    return _shape(
        layer,
        np.array([layer.inputs]),
        np.array([layer.outputs]),
        np.ones((1, 1), bool),
    )


def _balanced(
    layer: LayerShape, block: tuple[int, int], sparsity: float
) -> Shape:
    """The layer with blocks kept at random, equally many per output block."""
    ins, outs = (
        np.diff([*range(0, n, side), n])
        for n, side in zip((layer.inputs, layer.outputs), block)
    )
    mask = balanced_mask(len(ins), len(outs), sparsity)
    return _shape(layer, ins, outs, mask)


def balanced_mask(inputs: int, outputs: int, sparsity: float) -> np.ndarray:
    """Keeps blocks at random, equally many for each output block.

    Args:
        inputs: Number of input blocks.
        outputs: Number of output blocks.
        sparsity: Fraction of the blocks that go.

    Returns:
        Boolean array (inputs, outputs), the same one every time.
    """
    each, extra = divmod(kept_blocks(inputs * outputs, sparsity), outputs)
    generator = np.random.default_rng(0)
    mask = np.zeros((inputs, outputs), bool)
    for column in range(outputs):
        kept = generator.permutation(inputs)[: each + (column < extra)]
        mask[kept, column] = True
    return mask


def _shape(
    layer: LayerShape, ins: np.ndarray, outs: np.ndarray, mask: np.ndarray
) -> Shape:
    rows = layer.rows
    return Shape(rows, rows, rows, max(layer.taps, 1), ins, outs, mask)
