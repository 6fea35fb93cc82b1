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
"""The ways in which each node can be computed, and what each costs."""

import dataclasses
import math
from collections.abc import Iterator

import numpy as np

from tfmot_sapp.compiler.choose.estimates import (
    Shape,
    cut_cost,
    dense_cost,
    gather_matmul_cost,
    group_cost,
    joined_cost,
    list_cost,
    switch_cost,
)
from tfmot_sapp.compiler.choose.plan import (
    PIECES,
    WHOLE,
    Choice,
    Plan,
    run_mask,
    uniform_block,
)
from tfmot_sapp.compiler.choose.tables import table_cost
from tfmot_sapp.compiler.graph import (
    UNKNOWN_EXTENT,
    Packable,
    Table,
    Taps,
    Value,
)
from tfmot_sapp.frameworks.channel_operations import Depthwise, Linear
from tfmot_sapp.targets.costs import Costs
from tfmot_sapp.targets.operators import Operators

# Lowering, form of the input, form of the output.
Key = tuple[str, str, str]


@dataclasses.dataclass(frozen=True, eq=False)
class NodeOptions:
    """Estimates what there is to choose from.

    Attributes:
        plan: Holds the channels of all values.
        batch_size: Batch to estimate for.
        costs: Figures of the runtime.
        operators: What operations may be there.
        pieces_allowed: Whether anything but dense layers may be chosen.
    """

    plan: Plan
    batch_size: int
    costs: Costs
    operators: Operators
    pieces_allowed: bool

    def rows(self, value: Value) -> float:
        """Positions of a value, times the batch."""
        return value.positions(self.batch_size, UNKNOWN_EXTENT)

    def of(self, node: Packable) -> Iterator[tuple[Key, float]]:
        """Yields every (lowering, in form, out form) and its cost."""
        costs, widest = self.costs, self.plan.widest_concatenation
        if node.shared is not None:
            yield ("dense", WHOLE, WHOLE), 0.0
            return
        after = self.plan.channels[node.output]
        widths = np.array([after.width(run) for run in after.live])
        rows = self.rows(node.output)
        extra = {
            form: sum(
                (1 + step.operands)
                * (
                    costs.shared_copy(rows, widths.sum(), n)
                    + costs.operation * n
                )
                for step in node.steps
                if step.kind != "add"
            )
            for form, n in ((PIECES, len(widths)), (WHOLE, 1))
        }
        extra[WHOLE] += sum(
            self._matched(value, node.output) for value in node.alike
        )
        if isinstance(node.core, Taps):
            cost = len(widths) * costs.operation
            cost += 2 * costs.shared_copy(rows, widths.sum(), len(widths))
            yield ("shifts", PIECES, PIECES), cost
            return
        if isinstance(node.core, Table):
            for form in (PIECES, WHOLE):
                choice = Choice("lookup", WHOLE, form)
                cost = table_cost(node, choice, self.plan, rows, costs)
                yield ("lookup", WHOLE, form), cost + extra[form]
            return
        if not isinstance(node.core, Linear):
            for form, n in ((WHOLE, 1), (PIECES, len(widths))):
                each = costs.operation
                if isinstance(node.core, Depthwise):
                    taps, width = math.prod(node.core.taps), widths.sum() / n
                    each = costs.depthwise_product(rows, taps, width)
                cost = extra[form] + n * each
                yield ("through", form, form), cost
                if not self.pieces_allowed:
                    return
            return
        shape = self._shape(node)
        if not self.pieces_allowed:
            yield ("dense", WHOLE, WHOLE), dense_cost(shape, costs)
            return
        for form_in in (PIECES, WHOLE):
            pieces = form_in == PIECES
            cost = dense_cost(shape, costs)
            if pieces:
                cost += joined_cost(shape, widest, costs)
            # Written out, a grouped convolution is mostly zeros.
            cost *= node.core.groups
            yield ("dense", form_in, WHOLE), cost + extra[WHOLE]
            cost = list_cost(shape, widest, pieces, costs)
            yield ("list", form_in, PIECES), cost * costs.margin + extra[PIECES]
        if node.core.taps:
            # A Dense adds slower than it concatenates.
            cost = list_cost(shape, 1, True, costs)
            yield ("sum", PIECES, PIECES), cost * costs.margin + extra[PIECES]
        for name, joined in self._cuts(node, shape):
            cost = cut_cost(shape, joined, costs) * costs.margin
            yield (name, WHOLE, PIECES), cost + extra[PIECES]
        if self._gathers(node):
            for name, most in (("group", None), ("sliced_group", widest)):
                cost = group_cost(shape, most, costs) * costs.margin
                yield (name, WHOLE, WHOLE), cost + extra[WHOLE]
            balanced = len(np.unique(shape.mask.sum(axis=0))) == 1
            if not node.core.taps and (balanced or self.operators.sums):
                cost = gather_matmul_cost(shape, costs) * costs.margin
                yield ("gather_matmul", WHOLE, WHOLE), cost + extra[WHOLE]

    def _cuts(self, node: Packable, shape: Shape) -> Iterator[tuple[str, int]]:
        """Lowerings that cut what they read, and how much they join."""
        assert isinstance(node.core, Linear)
        if len(shape.ins) < 2 or not shape.mask.any():
            return
        yield "cut_list", self.plan.widest_concatenation
        if node.core.taps:
            yield "cut_sum", 1

    def _matched(self, value: Value, output: Value) -> float:
        """Letting one tensor have just the channels that another has."""
        given, wanted = (self.plan.channels[v] for v in (value, output))
        if given.live == wanted.live:
            return 0.0
        cost = 0.0
        for channels, to_one in ((given, False), (wanted, True)):
            width = sum(channels.width(run) for run in channels.live)
            pieces = len(channels.live)
            cost += switch_cost(
                self.rows(value), width, pieces, to_one, self.costs
            )
        return cost

    def _gathers(self, node: Packable) -> bool:
        assert isinstance(node.core, Linear)
        rank = len(node.core.taps)
        block = uniform_block(node, self.plan)
        return (
            self.operators.gathers
            and min(block) >= self.costs.narrowest_gather
            and node.core.border is None
            and rank in (0, 2)
            # Blocks are gathered from a tensor of one more axis, of whose
            # extents a runtime can find out one.
            and node.inputs[0].shape[:-1].count(None) < 2
            and not (node.core.window and node.core.window.transposed)
        )

    def _shape(self, node: Packable) -> Shape:
        assert isinstance(node.core, Linear)
        before = self.plan.channels[node.inputs[0]]
        after = self.plan.channels[node.output]
        rows_in, rows_out = map(self.rows, (node.inputs[0], node.output))
        is_transposed = node.core.window and node.core.window.transposed
        return Shape(
            rows_in,
            rows_out,
            rows_in if is_transposed else rows_out,
            math.prod(node.core.taps),
            np.array([before.width(run) for run in before.live]),
            np.array([after.width(run) for run in after.live]),
            run_mask(node, self.plan),
        )
