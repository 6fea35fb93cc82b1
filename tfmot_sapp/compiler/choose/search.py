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
from collections.abc import Iterator

import numpy as np

from tfmot_sapp.compiler.choose.alike import alike_nodes
from tfmot_sapp.compiler.choose.estimates import (
    LayerCost,
    switch_cost,
)
from tfmot_sapp.compiler.choose.node_options import NodeOptions
from tfmot_sapp.compiler.choose.plan import (
    PIECES,
    WHOLE,
    Choice,
    Plan,
)
from tfmot_sapp.compiler.graph import (
    Concat,
    Graph,
    Node,
    Packable,
    Part,
    Value,
)
from tfmot_sapp.frameworks.channel_operations import (
    Linear,
)
from tfmot_sapp.targets.costs import Costs
from tfmot_sapp.targets.operators import Operators


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
        self._estimates = NodeOptions(
            self.plan,
            self.batch_size,
            self.costs,
            self.operators,
            self.pieces_allowed,
        )
        self._options = {
            node: dict(self._estimates.of(node)) for node in self._nodes
        }

    def run(self) -> None:
        """Fills in the plan's choices."""
        cost = self._search()
        ends = list(self._ends_with_constants())
        if not ends:
            return
        # Constant channels that are left out of a product are put between its
        # channels again at the end. Computing them may take less.
        choices = self.plan.choices
        before = {}
        for node in ends:
            channels = self.plan.channels[node.output]
            before[node] = (
                channels.constant,
                channels.needed,
                self._options[node],
            )
            channels.constant = np.zeros(len(channels.constant), bool)
            channels.needed = np.ones(len(channels.constant), bool)
            self._options[node] = dict(self._estimates.of(node))
        if self._search() < cost:
            return
        self.plan.choices = choices
        for node, (constant, needed, options) in before.items():
            channels = self.plan.channels[node.output]
            channels.constant, channels.needed = constant, needed
            self._options[node] = options

    def _search(self) -> float:
        results = []
        for form in (PIECES, WHOLE):
            self.plan.choices = {
                node: self._start(node, form) for node in self._nodes
            }
            self._improve()
            results.append((self.total(), dict(self.plan.choices)))
        cost, self.plan.choices = min(results, key=lambda result: result[0])
        return cost

    def _ends_with_constants(self) -> Iterator[Packable]:
        """Products all of whose channels are asked for, constant ones too."""
        for node in self._nodes:
            channels = self.plan.channels[node.output]
            readers = self._consumers.get(node.output, [])
            if (
                isinstance(node.core, Linear)
                and node.shared is None
                and len(channels.live) < len(channels.constant)
                and all(step.operands == 0 for step in node.steps)
                and not any(
                    isinstance(n, Packable | Concat | Part) for n in readers
                )
            ):
                yield node

    def total(self) -> float:
        """Cost of the plan as it stands."""
        values = {v for node in self.graph.nodes for v in node.inputs}
        values |= set(self.graph.outputs)
        nodes = sum(self._cost(node) for node in self._nodes)
        return nodes + sum(map(self._switches, values))

    def left_alone(self) -> float:
        """What those nodes cost that are as fast as in the dense graph."""
        # A table is looked up as before; only its file is smaller.
        alike = ("dense", "through", "lookup")
        return sum(
            self._cost(node)
            for node in self._nodes
            if self.plan.choices[node].lowering in alike
        )

    def in_time(self) -> "Chooser":
        """The same plan, by what its operations take and nothing else."""
        return dataclasses.replace(self, costs=self.costs.of_time)

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

    def _switches(self, value: Value) -> float:
        """Cost of having a value in a form that it wasn't made in."""
        channels = self.plan.channels[value]
        live = channels.live
        made = self._made(value)
        readers = self._consumers.get(value, [])
        asked = {self._asked(reader, value) for reader in readers}
        if value in self.graph.outputs:
            asked.add(WHOLE)
        rows = self._estimates.rows(value)
        cost = 0.0
        if len(live) < len(channels.constant) and (
            value in self.graph.outputs
            or any(self._takes_all(reader, value) for reader in readers)
        ):
            cost = self._fill_cost(value, made)
            asked = asked if made == WHOLE else asked - {WHOLE}
        if asked <= {made} or len(live) < 2:
            return cost
        width = sum(channels.width(run) for run in live)
        return cost + switch_cost(
            rows, width, len(live), made == PIECES, self.costs
        )

    def _takes_all(self, node: Node, value: Value) -> bool:
        """Whether a reader takes one tensor of all channels."""
        if isinstance(node, Packable):
            return node.shared is not None or node.meets_all(value)
        return not isinstance(node, Concat | Part)

    def _fill_cost(self, value: Value, made: str) -> float:
        """Putting constant channels between those that are computed."""
        channels, rows = self.plan.channels[value], self._estimates.rows(value)
        runs, live = len(channels.constant), channels.live
        width, costs = sum(channels.width(run) for run in live), self.costs
        filled = int(channels.edges[-1]) - width
        count = runs - len(live)
        cost = switch_cost(rows, width + filled, runs, True, costs)
        cost += count * costs.operation
        cost += costs.shared_copy(rows, filled, count)
        if made == WHOLE and len(live) > 1:
            cost += switch_cost(rows, width, len(live), False, costs)
        return cost

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
