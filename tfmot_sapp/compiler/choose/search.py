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
"""Chooses lowerings and forms for a whole graph, by the cost model.

A switch between pieces and one tensor costs a copy of the activation, so the
choices along a chain of layers belong together. The search starts from two
plans, pieces everywhere and one tensor everywhere, improves each node by node
and group by group until nothing gets better, and takes the cheaper result.
"""

import dataclasses
import math
from collections.abc import Iterator

import numpy as np

from tfmot_sapp.compiler.choose.alike import alike_nodes
from tfmot_sapp.compiler.choose.estimates import (
    LayerCost,
    Shape,
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
    Concat,
    Graph,
    Node,
    Packable,
    Part,
    Table,
    Taps,
    Value,
)
from tfmot_sapp.frameworks.channel_operations import (
    Depthwise,
    Linear,
)
from tfmot_sapp.targets.costs import Costs
from tfmot_sapp.targets.operators import Operators

# An axis of unknown extent is taken to be this long.
_UNKNOWN = 14


@dataclasses.dataclass(eq=False)
class Chooser:
    """Finds a cheap plan.

    Attributes:
        graph: The graph after all passes.
        plan: The plan, with channels; choices are filled in.
        batch_size: Batch to plan for.
        costs: Figures of the runtime.
        operators: What operations may be there.
        pieces_allowed: Whether anything but dense layers may be chosen.
    """

    graph: Graph
    plan: Plan
    batch_size: int
    costs: Costs
    operators: Operators
    pieces_allowed: bool = True

    def __post_init__(self) -> None:
        """Gathers what the costs depend on, once."""
        self._nodes = [n for n in self.graph.nodes if isinstance(n, Packable)]
        self._producers = self.graph.producers()
        self._consumers = self.graph.consumers()
        self._options = {
            node: dict(self._estimates(node)) for node in self._nodes
        }

    def run(self) -> None:
        """Fills in the plan's choices."""
        results = []
        for form in (PIECES, WHOLE):
            self.plan.choices = {
                node: self._start(node, form) for node in self._nodes
            }
            self._improve()
            results.append((self.total(), dict(self.plan.choices)))
        self.plan.choices = min(results, key=lambda result: result[0])[1]
        for node in self._nodes:
            if self._is_dense_at_the_end(node):
                self._compute_constants(node)

    def total(self) -> float:
        """Cost of the plan as it stands."""
        values = {v for node in self.graph.nodes for v in node.inputs}
        values |= set(self.graph.outputs)
        nodes = sum(self._cost(node) for node in self._nodes)
        return nodes + sum(map(self._switches, values))

    def layer_costs(self) -> dict[str, LayerCost]:
        """What each layer with a kernel costs, by its name."""
        found: dict[str, LayerCost] = {}
        for node in self._nodes:
            if not isinstance(node.core, Linear) or node.shared is not None:
                continue
            choice = self.plan.choices[node]
            dense = self._options[node]["dense", choice.in_form, WHOLE]
            found[node.sources[0]] = LayerCost(
                choice.lowering, float(dense), float(self._cost(node))
            )
        return found

    def why(self, node: Packable) -> str:
        """The reason of a choice, in a few words."""
        if node.shared is not None:
            return (
                "the layer is called more than once: its weights stay one set"
            )
        choice = self.plan.choices[node]
        if choice.lowering == "lookup":
            return "only kept blocks of rows are stored"
        dense = self._options[node]["dense", choice.in_form, WHOLE]
        chosen = self._cost(node)
        return (
            f"estimated cost {chosen:.0f}, dense {dense:.0f}, "
            f"from {choice.in_form} to {choice.out_form}"
        )

    def _is_dense_at_the_end(self, node: Packable) -> bool:
        """Whether all channels of a dense product go to where all are asked."""
        choice = self.plan.choices[node]
        readers = self._consumers.get(node.output, [])
        return (
            isinstance(node.core, Linear)
            and node.shared is None
            and (choice.lowering, choice.out_form) == ("dense", WHOLE)
            and all(step.operands == 0 for step in node.steps)
            and not any(
                isinstance(n, Packable | Concat | Part) for n in readers
            )
        )

    def _compute_constants(self, node: Packable) -> None:
        """Computes constant channels where that is cheaper than filling in.

        Left out of a dense product, they are put between its channels again
        afterwards, which copies everything.
        """
        channels = self.plan.channels[node.output]
        runs = len(channels.constant)
        if len(channels.live) == runs:
            return
        rows = self._rows(node.output)
        shape = self._shape(node)
        filled = dense_cost(shape, self.costs)
        for widths, pieces in (
            (shape.outs.sum(), len(shape.outs)),
            (int(channels.edges[-1]), runs),
        ):
            filled += self.costs.filled * self.costs.join(rows, widths, pieces)
        before = channels.constant, channels.needed
        channels.constant = np.zeros(runs, bool)
        channels.needed = np.ones(runs, bool)
        if dense_cost(self._shape(node), self.costs) > filled:
            channels.constant, channels.needed = before

    # --- search ---------------------------------------------------------------

    def _start(self, node: Packable, form: str) -> Choice:
        options = self._options[node]
        fitting = [key for key in options if key[2] == form == key[1]]
        key = min(fitting or options, key=options.__getitem__)
        return Choice(*key)

    def _improve(self) -> None:
        groups = list(
            alike_nodes(self._nodes, self._producers, self._consumers)
        )
        for _ in range(8):
            before = self.total()
            for node in self._nodes:
                self._improve_node(node)
            for group in groups:
                self._improve_group(group)
            if self.total() > before - 1e-9:
                return

    def _improve_node(self, node: Packable) -> None:
        touched = {*node.inputs, node.output}

        def local(key: tuple[str, str, str]) -> float:
            self.plan.choices[node] = Choice(*key)
            switches = sum(self._switches(v) for v in touched)
            return self._options[node][key] + switches

        best = min(self._options[node], key=local)
        self.plan.choices[node] = Choice(*best)

    def _improve_group(self, group: list[Packable]) -> None:
        """Tries both forms for the values that belong together."""
        best, cost = dict(self.plan.choices), self.total()
        for form in (PIECES, WHOLE):
            self.plan.choices = dict(best)
            values = {node.output for node in group}
            for node in group:
                self._set_form(node, node.output, form)
            for value in values:
                for reader in self._consumers.get(value, []):
                    if isinstance(reader, Packable):
                        self._set_form(reader, value, form)
            total = self.total()
            if total < cost - 1e-9:
                best, cost = dict(self.plan.choices), total
        self.plan.choices = best

    def _set_form(self, node: Packable, value: Value, form: str) -> None:
        options = self._options[node]
        now = self.plan.choices[node]
        if value is node.output:
            fitting = [k for k in options if k[2] == form]
            near = [k for k in fitting if k[1] == now.in_form]
        else:
            fitting = [k for k in options if k[1] == form]
            near = [k for k in fitting if k[2] == now.out_form]
        if near or fitting:
            key = min(near or fitting, key=options.__getitem__)
            self.plan.choices[node] = Choice(*key)

    # --- costs ----------------------------------------------------------------

    def _cost(self, node: Packable) -> float:
        choice = self.plan.choices[node]
        key = (choice.lowering, choice.in_form, choice.out_form)
        return self._options[node][key]

    def _rows(self, value: Value) -> float:
        return value.positions(self.batch_size, _UNKNOWN)

    def _estimates(
        self, node: Packable
    ) -> Iterator[tuple[tuple[str, str, str], float]]:
        """Every (lowering, in form, out form) and its cost."""
        costs, widest = self.costs, self.plan.widest_concatenation
        if node.shared is not None:
            yield ("dense", WHOLE, WHOLE), 0.0
            return
        after = self.plan.channels[node.output]
        widths = np.array([after.width(run) for run in after.live])
        rows = self._rows(node.output)
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
        if self._gathers(node):
            for name, most in (("group", None), ("sliced_group", widest)):
                cost = group_cost(shape, most, costs) * costs.margin
                yield (name, WHOLE, WHOLE), cost + extra[WHOLE]
            balanced = len(np.unique(shape.mask.sum(axis=0))) == 1
            if not node.core.taps and (balanced or self.operators.sums):
                cost = gather_matmul_cost(shape, costs) * costs.margin
                yield ("gather_matmul", WHOLE, WHOLE), cost + extra[WHOLE]

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
        rows_in, rows_out = map(self._rows, (node.inputs[0], node.output))
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

    def _switches(self, value: Value) -> float:
        """Cost of having a value in a form that it wasn't made in."""
        channels = self.plan.channels[value]
        live = channels.live
        if len(live) < 2:
            return 0.0
        made = self._made(value)
        asked = {
            self._asked(reader, value)
            for reader in self._consumers.get(value, [])
        }
        if value in self.graph.outputs:
            asked.add(WHOLE)
        if asked <= {made}:
            return 0.0
        width = sum(channels.width(run) for run in live)
        rows = self._rows(value)
        return switch_cost(rows, width, len(live), made == PIECES, self.costs)

    def _made(self, value: Value) -> str:
        producer = self._producers.get(value)
        if isinstance(producer, Packable):
            return self.plan.choices[producer].out_form
        return PIECES if isinstance(producer, Concat | Part) else WHOLE

    def _asked(self, node: Node, value: Value) -> str:
        if isinstance(node, Concat | Part):
            return PIECES
        if not isinstance(node, Packable) or node.meets_all(value):
            return WHOLE
        choice = self.plan.choices[node]
        return choice.in_form if value is node.inputs[0] else choice.out_form
