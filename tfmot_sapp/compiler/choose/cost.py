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
"""What a lowering costs: the one place with figures about machines.

The model is deterministic: the same weights give the same packed model on every
machine. Its constants were fitted to LiteRT's XNNPACK delegate on one x86 core
with AVX-512; only their ratios matter. Measuring on the target is what
`pack_blocks(model, tune=...)` is for.
"""

import dataclasses

import numpy as np


@dataclasses.dataclass(frozen=True)
class Machine:
    """Figures of a runtime, in microseconds on one thread.

    Attributes:
        mac: Per multiply-add of a product with at least 32 outputs.
        operation: Per operation inside the delegate.
        copied_row: Per row of a piece that is copied.
        copied_byte: Per byte copied.
        weight_byte: Per byte of weights; they are read once per product.
        stored_byte: Per byte of weights, however often they are read: what a
            smaller model is worth where times are close.
        outside: Per operation that leaves the delegate.
        gathered: Copies that gathering blocks amounts to: the gather itself,
            and the transpositions around a batched product.
        summed: Copies that a sum by output block amounts to.
        pieces_allowed: Whether anything but dense layers may be chosen.
    """

    mac: float = 1 / 48_000
    operation: float = 0.4
    copied_row: float = 0.006
    copied_byte: float = 1 / 20_000
    weight_byte: float = 1 / 25_000
    stored_byte: float = 1 / 10_000
    outside: float = 2.5
    gathered: float = 1.5
    summed: float = 4.0
    pieces_allowed: bool = True

    def product(
        self, rows: float, taps: int, depth: float, width: float
    ) -> float:
        """One small Dense or convolution."""
        macs = rows * taps * depth * width
        # Narrow outputs leave lanes of the vector units empty.
        slow = 1 + 8 / width
        read = 4 * taps * depth * width * self.weight_byte
        stored = 4 * taps * depth * width * self.stored_byte
        return self.operation + stored + max(macs * self.mac * slow, read)

    def copy(self, rows: float, widths: float, pieces: int) -> float:
        """Copying pieces of this total width."""
        copied = rows * (pieces * self.copied_row)
        return copied + 4 * rows * widths * self.copied_byte

    def join(self, rows: float, widths: float, pieces: int) -> float:
        """A concatenation."""
        if pieces < 2:
            return 0.0
        return self.operation + self.copy(rows, widths, pieces)

    def add(self, rows: float, width: float) -> float:
        """An addition of two pieces."""
        return self.operation + 6 * rows * width * self.copied_byte


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


def dense_cost(shape: Shape, pieces_in: bool, machine: Machine) -> float:
    """One product of everything that is live."""
    cost = machine.product(
        shape.rows_multiplied, shape.taps, shape.ins.sum(), shape.outs.sum()
    )
    if pieces_in:
        # A wide concatenation takes more than one step.
        steps = np.ceil(np.log(max(len(shape.ins), 2)) / np.log(5))
        cost += steps * machine.join(
            shape.rows_in, shape.ins.sum(), len(shape.ins)
        )
    return cost


def list_cost(
    shape: Shape, most: int, pieces_in: bool, machine: Machine
) -> float:
    """A product for every output piece, of at most `most` joined pieces."""
    cost = 0.0
    joined = set()
    if not pieces_in:
        return sum(
            machine.product(
                shape.rows_multiplied, shape.taps, shape.ins.sum(), width
            )
            for width in shape.outs
        )
    for j, width in enumerate(shape.outs):
        read = np.flatnonzero(shape.mask[:, j])
        groups = max(1, -(-len(read) // most))
        depth = max(
            shape.ins[read].sum(), shape.ins[:1].sum() * (not len(read))
        )
        cost += groups * machine.product(
            shape.rows_multiplied, shape.taps, depth / groups, width
        )
        cost += (groups - 1) * machine.add(shape.rows_out, width)
        if most > 1 and tuple(read) not in joined:
            joined.add(tuple(read))
            cost += machine.join(shape.rows_in, depth, len(read))
    return cost


def gathered_cost(shape: Shape, batched: bool, machine: Machine) -> float:
    """Gathered blocks and one product for each count of blocks."""
    counts = shape.mask.sum(axis=0)
    kept = (shape.ins @ shape.mask * shape.outs).sum()
    gathered = (shape.ins @ shape.mask).sum()
    parts = len(np.unique(counts))
    copies = machine.copy(shape.rows_in, gathered, int(counts.sum()))
    if shape.rows_in > 1:
        copies *= 4
    reorder = machine.copy(shape.rows_out, shape.outs.sum(), len(shape.outs))
    narrow = machine.product(shape.rows_multiplied, shape.taps, kept / 32, 32)
    cost = narrow + machine.gathered * copies
    if batched:
        # A transposition before and one after; a sum where counts differ; and
        # a product that is no match for a convolution.
        cost += 3 * machine.outside + 3 * machine.operation
        if parts > 1:
            summed = (shape.outs * counts).sum()
            sums = machine.copy(shape.rows_out, summed, int(counts.sum()))
            cost += machine.outside + machine.summed * sums
        return cost
    # All gathers are one excursion from the delegate.
    cost += machine.outside + 3 * parts * machine.operation
    return cost + (parts > 1) * (2 * reorder + machine.outside)
