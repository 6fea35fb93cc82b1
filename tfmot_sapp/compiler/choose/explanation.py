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
"""What was chosen for each layer and why, beside the graph and its plan."""

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from tfmot_sapp.compiler.choose.plan import Plan, block_reads, linear_lowering
from tfmot_sapp.compiler.choose.tables import table_lowering
from tfmot_sapp.compiler.graph import (
    Graph,
    Packable,
    Table,
)
from tfmot_sapp.frameworks.channel_operations import (
    Linear,
)

Explanation = dict[Packable, dict[str, Any]]


def explanation_of(
    graph: Graph, plan: Plan, why: Callable[[Packable], str]
) -> Explanation:
    """Explains how every Linear of a graph is computed.

    Args:
        graph: The graph after all passes.
        plan: What was chosen.
        why: Gives the reason of a node's choice.

    Returns:
        For each node with a Linear, a row as `packing_of` describes it: plain
        values that are saved with the packed layer.
    """
    return {
        node: _row(node, plan, why(node))
        for node in graph.nodes
        if isinstance(node, Packable) and isinstance(node.core, Linear | Table)
    }


def _row(node: Packable, plan: Plan, why: str) -> dict[str, Any]:
    core, choice = node.core, plan.choices[node]
    if isinstance(core, Table):
        return _table_row(node, core, plan, why)
    assert isinstance(core, Linear)
    lowering = linear_lowering(node, choice, plan)
    stored = sum(
        math.prod(shape)
        for name, shape in lowering.weights()
        if name.startswith("kernel")
    )
    before = core.kernel.size // core.groups
    is_transposed = core.window and core.window.transposed
    multiplied = node.inputs[0] if is_transposed else node.output
    positions = multiplied.positions(1, 1)
    found = _found_blocks(node, plan)
    return {
        "layer": " + ".join(node.sources),
        "lowering": choice.lowering,
        "shape": [int(n) for n in core.kernel.shape],
        "block_size": None if found is None else list(found.block),
        "kept_blocks": None if found is None else found.kept,
        "blocks": None if found is None else found.blocks,
        "parameters": int(stored),
        "parameters_before": int(before),
        "macs": int(stored * positions),
        "macs_before": int(before * positions),
        "parameter_density": stored / before,
        "mac_density": stored / before,
        "why": why,
    }


def _table_row(
    node: Packable, core: Table, plan: Plan, why: str
) -> dict[str, Any]:
    lowering = table_lowering(node, plan.choices[node], plan)
    stored = sum(math.prod(shape) for _, shape in lowering.weights())
    filled = np.logical_or.reduceat(core.rows != 0, core.row_edges[:-1], axis=0)
    kept = np.logical_or.reduceat(filled, core.column_edges[:-1], axis=1)
    return {
        "layer": " + ".join(node.sources),
        "lowering": "lookup",
        "shape": [int(n) for n in core.rows.shape],
        "block_size": [core.block_rows, core.column_edges[1]],
        "kept_blocks": int(kept.sum()),
        "blocks": int(kept.size),
        "parameters": int(stored),
        "parameters_before": int(core.rows.size),
        "macs": 0,
        "macs_before": 0,
        "parameter_density": stored / core.rows.size,
        "mac_density": 1.0,
        "why": why,
    }


@dataclasses.dataclass(frozen=True)
class _Blocks:
    block: tuple[int, int]
    blocks: int
    kept: int


def _found_blocks(node: Packable, plan: Plan) -> _Blocks | None:
    """The blocks of a Linear, where its channels are cut at all."""
    core = node.core
    assert isinstance(core, Linear)
    values = (node.inputs[0], node.output)
    if node.shared is not None or all(
        len(plan.channels[value].edges) < 3 for value in values
    ):
        return None
    (rows, columns), reads = block_reads(node, plan)
    given, made = core.kernel.shape[-2:]
    return _Blocks(
        (int(rows), int(columns)),
        math.ceil(given / rows) * math.ceil(made / columns),
        int(reads.sum()),
    )
