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
"""From a graph as it was read to a plan for it: all passes, then the choice."""

import dataclasses
import functools

import numpy as np

from tfmot_sapp.compiler.analysis.block_structure import block_structure
from tfmot_sapp.compiler.analysis.channels import (
    analyse_channels,
    whole_channels,
)
from tfmot_sapp.compiler.choose.explanation import Explanation, explanation_of
from tfmot_sapp.compiler.choose.plan import Plan
from tfmot_sapp.compiler.choose.search import Chooser
from tfmot_sapp.compiler.graph import Graph, Packable, Table
from tfmot_sapp.compiler.passes.fold_scales import fold_scales
from tfmot_sapp.compiler.passes.fuse_steps import fuse_steps
from tfmot_sapp.compiler.passes.order_blocks import order_blocks
from tfmot_sapp.compiler.passes.split_taps import split_taps
from tfmot_sapp.frameworks.channel_operations import Linear
from tfmot_sapp.targets.costs import Costs
from tfmot_sapp.targets.operators import Operators


@dataclasses.dataclass(frozen=True)
class Choices:
    """What was chosen for a graph.

    Attributes:
        chooser: Holds the graph, the plan and what they cost.
        dense_cost: What the dense graph costs.
        dense_time: How long it is expected to take, in microseconds.
    """

    chooser: Chooser
    dense_cost: float
    dense_time: float

    @property
    def packed_time(self) -> float:
        """How long the packed graph is expected to take, in microseconds."""
        if self.is_slower:
            return self.dense_time
        return self._in_time.total()

    @functools.cached_property
    def _in_time(self) -> Chooser:
        return self.chooser.in_time()

    @property
    def plan(self) -> Plan:
        """How to compute each node."""
        return self.chooser.plan

    @property
    def explanation(self) -> Explanation:
        """The reasons."""
        chooser = self.chooser
        return explanation_of(chooser.graph, chooser.plan, chooser.why)

    @functools.cached_property
    def is_slower(self) -> bool:
        """Whether dense is estimated to be faster, or nearly as fast."""
        costs = self.chooser.costs
        saved = self.dense_cost - self.chooser.total()
        if saved < costs.least_saved:
            return True
        # What stays as it is says nothing about the rest.
        alike = self._in_time.left_alone()
        packed = self._in_time.total() - alike
        before = self.dense_time - alike
        if packed <= 0.0 or before < costs.short:
            return False
        return before < costs.surely_faster * packed


def plan_dense(
    graph: Graph, batch_size: int, costs: Costs, operators: Operators
) -> Chooser:
    """Plans a graph that stays dense, but for folded scales.

    Args:
        graph: The graph; it is changed.
        batch_size: Batch to estimate for.
        costs: Figures of the runtime.
        operators: How the runtime wants it written.

    Returns:
        What holds the plan.
    """
    fold_scales(graph)
    fuse_steps(graph)
    plan = Plan(whole_channels(graph), operators.widest_concatenation)
    chooser = Chooser(graph, plan, batch_size, costs, operators, False)
    chooser.run()
    return chooser


def plan_packed(
    graph: Graph,
    batch_size: int,
    costs: Costs,
    operators: Operators,
    pieces_allowed: bool = True,
) -> Choices:
    """Plans a graph that stores and multiplies only kept blocks.

    Args:
        graph: The graph; it is changed.
        batch_size: Batch to choose for.
        costs: Figures to choose by.
        operators: How the runtime wants it written.
        pieces_allowed: Whether anything but dense layers may be chosen.

    Returns:
        What was chosen.
    """
    dense = plan_dense(graph, batch_size, costs, operators)
    # The passes below change the graph.
    dense_cost, dense_time = dense.total(), dense.in_time().total()
    order_blocks(graph, costs.narrowest_piece)
    split_taps(graph, costs)
    channels = analyse_channels(graph, costs.narrowest_piece)
    plan = Plan(channels, operators.widest_concatenation)
    chooser = Chooser(graph, plan, batch_size, costs, operators, pieces_allowed)
    chooser.run()
    return Choices(chooser, dense_cost, dense_time)


def has_blocks(graph: Graph, narrowest_piece: int) -> bool:
    """Returns whether any product has blocks of zeros.

    Args:
        graph: The graph.
        narrowest_piece: Channels that a block has at least.
    """
    for node in graph.nodes:
        if not isinstance(node, Packable):
            continue
        if isinstance(node.core, Table):
            return True
        if isinstance(node.core, Linear):
            nonzero = np.asarray(node.core.by_tap() != 0)
            if nonzero.all():
                continue
            structure = block_structure(nonzero)
            edges = len(structure.in_edges) + len(structure.out_edges)
            if edges > 4 and min(structure.block_shape) >= narrowest_piece:
                return True
    return False
