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
"""What each way to compute a Linear is estimated to cost.

Estimates are deterministic: the same weights give the same packed model on
every machine. The figures are the target's.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np

from tfmot_sapp.compiler.choose.bundles import bundles_of
from tfmot_sapp.compiler.choose.cuts import cuts_of
from tfmot_sapp.compiler.lowerings.arrangement import arrangement_of
from tfmot_sapp.compiler.lowerings.gathered import equal_bundles
from tfmot_sapp.targets.costs import Costs


@dataclasses.dataclass(frozen=True)
class Shape:
    """What the cost of a Linear depends on.

    Attributes:
        rows_in: Positions of the input, times the batch.
        rows_out: Positions of the output, times the batch.
        rows_multiplied: Those of the two that a tap's weights meet: the
            input's for a transposed convolution, else the output's.
        taps: Number of taps.
        ins: Widths of the live input runs.
        outs: Widths of the live output runs.
        mask: Which output run reads which input run, (inputs, outputs).
    """

    rows_in: float
    rows_out: float
    rows_multiplied: float
    taps: int
    ins: np.ndarray
    outs: np.ndarray
    mask: np.ndarray


@dataclasses.dataclass(frozen=True)
class LayerCost:
    """What a layer costs.

    Attributes:
        lowering: What was chosen for it.
        dense: What the dense layer would cost, of what is live.
        chosen: What it costs.
    """

    lowering: str
    dense: float
    chosen: float


def dense_cost(shape: Shape, costs: Costs) -> float:
    """One product of everything that is live, read as one tensor."""
    return costs.product(
        shape.rows_multiplied, shape.taps, shape.ins.sum(), shape.outs.sum()
    )


def joined_cost(shape: Shape, most: int, costs: Costs) -> float:
    """Concatenating all live pieces of the input, at most `most` a step."""
    pieces = len(shape.ins)
    steps = np.ceil(np.log(max(pieces, 2)) / np.log(most))
    return float(steps * costs.join(shape.rows_in, shape.ins.sum(), pieces))


def list_cost(shape: Shape, most: int, pieces_in: bool, costs: Costs) -> float:
    """A product for every output piece, of at most `most` joined pieces."""
    if not pieces_in:
        return sum(
            costs.product(
                shape.rows_multiplied, shape.taps, shape.ins.sum(), width
            )
            for width in shape.outs
        )
    reads = [np.flatnonzero(column).tolist() for column in shape.mask.T]
    return _products_cost(shape, shape.ins, reads, most, costs)


def cut_cost(shape: Shape, most: int, costs: Costs) -> float:
    """The same of one tensor, from which runs of its blocks are cut."""
    cuts, reads = cuts_of(shape.mask)
    widths = np.array([shape.ins[begin:end].sum() for begin, end in cuts])
    cost = _products_cost(shape, widths, reads, most, costs)
    return cost + costs.slices(shape.rows_in, float(widths.sum()), len(cuts))


def _products_cost(
    shape: Shape,
    widths: np.ndarray,
    reads: Sequence[list[int]],
    most: int,
    costs: Costs,
) -> float:
    """Products, of which each joins at most `most` of the pieces it reads."""
    cost = 0.0
    joined = set()
    for read, width in zip(reads, shape.outs):
        if not read:  # A bias, added to what follows.
            cost += costs.add(shape.rows_out, width)
            continue
        groups = max(1, -(-len(read) // most))
        depth = float(widths[read].sum())
        cost += groups * costs.product(
            shape.rows_multiplied, shape.taps, depth / groups, width
        )
        cost += (groups - 1) * costs.add(shape.rows_out, width)
        if most > 1 and tuple(read) not in joined:
            joined.add(tuple(read))
            cost += costs.join(shape.rows_in, depth, len(read))
    return cost


def arranged_cost(
    rows: float,
    widths: np.ndarray,
    index: Sequence[int],
    most: int | None,
    costs: Costs,
) -> float:
    """Blocks of a tensor in another order, as `arranged` writes it.

    Args:
        rows: Positions of the tensor, times the batch.
        widths: Widths of its blocks.
        index: The blocks that are wanted.
        most: Slices that a concatenation takes; `None` to gather.
        costs: Figures of the runtime.
    """
    how = arrangement_of(index, len(widths), most is not None)
    if how.kind == "same":
        return 0.0
    width, pieces = float(widths[list(index)].sum()), len(index)
    copies = costs.copy(rows, width, pieces)
    if rows > 1:
        copies *= costs.scattered
    if how.kind == "gather":
        return costs.gathered * copies + costs.outside
    if how.kind == "exchange":
        # A transposition knows beforehand where everything goes.
        return 3 * costs.operation + costs.shared(costs.gathered * copies / 2)
    runs = len(how.runs)
    steps = np.ceil(np.log(runs) / np.log(most or 2))
    cut = runs * costs.operation + costs.shared_copy(rows, width, runs)
    return float(cut + steps * costs.join(rows, width, runs))


def group_cost(shape: Shape, most: int | None, costs: Costs) -> float:
    """Blocks put in order, and one grouped product for each kind of bundle.

    Args:
        shape: The layer.
        most: As `arranged_cost` takes it.
        costs: Figures of the runtime.
    """
    bundles = bundles_of(shape.mask)
    # As fast as one product of 32 outputs with as many weights, or of as many
    # outputs as a bundle has. What reads nothing is computed, too.
    kept = sum(
        shape.ins[list(reads)].sum() * shape.outs[list(members)].sum()
        for reads, members in zip(bundles.reads, bundles.members)
    )
    width = max(32.0, shape.outs.sum() / len(bundles.reads))
    parts = bundles.products
    cost = costs.grouped * costs.product(
        shape.rows_multiplied, shape.taps, kept / width, width
    )
    if shape.taps == 1 and shape.rows_multiplied > 1:
        cost *= costs.grouped_points
    cost += 3 * parts * costs.operation
    first = 0.0
    for reads, _ in equal_bundles(bundles.reads, bundles.sizes):
        index = [block for read in reads for block in read]
        first += arranged_cost(shape.rows_in, shape.ins, index, most, costs)
    if most is None:
        # All gathers are one excursion from the delegate.
        first = max(first - (parts - 1) * costs.outside, first / parts)
    cost += first
    cost += arranged_cost(
        shape.rows_out, shape.outs, bundles.order, most, costs
    )
    if parts > 1:
        cost += costs.copy(shape.rows_out, shape.outs.sum(), len(shape.outs))
    return cost


def gather_matmul_cost(shape: Shape, costs: Costs) -> float:
    """Gathered blocks, one batched product, a sum where counts differ.

    Args:
        shape: The layer.
        costs: Figures of the runtime.
    """
    # What reads nothing is computed, too.
    mask = shape.mask.copy()
    mask[0] |= ~mask.any(axis=0)
    gathered = float((shape.ins @ mask).sum())
    copies = costs.copy(shape.rows_in, gathered, int(mask.sum()))
    if shape.rows_in > 1:
        copies *= costs.scattered
    kept = (shape.ins @ mask * shape.outs).sum()
    cost = costs.grouped * costs.product(
        shape.rows_multiplied, shape.taps, kept / 32.0, 32.0
    )
    if shape.rows_multiplied > 1:
        cost *= costs.grouped_points
    # A transposition before and one after; and a product that is no match for
    # a convolution.
    cost += costs.gathered * copies
    cost += 3 * costs.outside + 3 * costs.operation
    counts = mask.sum(axis=0)
    if len(np.unique(counts)) > 1:
        summed = (shape.outs * counts).sum()
        sums = costs.copy(shape.rows_out, summed, int(counts.sum()))
        cost += costs.outside + costs.summed * sums
    return cost


def switch_cost(
    rows: float, width: float, pieces: int, to_one: bool, costs: Costs
) -> float:
    """Cutting a tensor in pieces, or putting it together from them.

    Args:
        rows: Its positions, times the batch.
        width: Its channels.
        pieces: Number of pieces.
        to_one: Whether they are put together, inside of the delegate.
        costs: Figures of the runtime.
    """
    if not to_one:
        return costs.slices(rows, width, pieces)
    cost = costs.switched * costs.copy(rows, width, pieces)
    cost += costs.outside + costs.cut * pieces
    return max(cost, costs.join(rows, width, pieces))
