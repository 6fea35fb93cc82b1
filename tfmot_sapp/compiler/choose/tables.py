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
"""What looking rows up in a table with pruned blocks comes to."""

import numpy as np

from tfmot_sapp.compiler.choose.plan import Choice, Plan
from tfmot_sapp.compiler.graph import Packable, Table
from tfmot_sapp.compiler.lowerings.lookup import Lookup
from tfmot_sapp.targets.costs import Costs


def table_lowering(node: Packable, choice: Choice, plan: Plan) -> Lookup:
    """The lowering that a choice means for a table.

    Args:
        node: A node whose core is a `Table`.
        choice: How it is computed.
        plan: Choices and channels.
    """
    core = node.core
    assert isinstance(core, Table)
    pieces = plan.pieces(node.output, choice.out_form)
    kept = []
    for columns in pieces:
        used = _used_blocks(core, columns)
        # The block of zeros follows the kept ones.
        places = np.where(used, np.cumsum(used) - 1, used.sum())
        kept.append(tuple(places.tolist()))
    widths = tuple(len(columns) for columns in pieces)
    return Lookup(core.block_rows, tuple(kept), widths)


def table_arrays(
    node: Packable, choice: Choice, plan: Plan, lowering: Lookup
) -> list[np.ndarray]:
    """The tables of the pieces, in the order of the lowering.

    Args:
        node: A node whose core is a `Table`.
        choice: How it is computed.
        plan: Choices and channels.
        lowering: What `table_lowering` returned.
    """
    core = node.core
    assert isinstance(core, Table)
    arrays = []
    edges = core.row_edges
    for columns, (_, shape) in zip(
        plan.pieces(node.output, choice.out_form), lowering.weights()
    ):
        table = np.zeros(shape, core.rows.dtype)
        place = 0
        for block in np.flatnonzero(_used_blocks(core, columns)):
            rows = core.rows[edges[block] : edges[block + 1], columns]
            table[place : place + len(rows)] = rows
            place += core.block_rows
        arrays.append(table)
    return arrays


def table_cost(
    node: Packable, choice: Choice, plan: Plan, rows: float, costs: Costs
) -> float:
    """What looking up costs, and what the tables take.

    Args:
        node: A node whose core is a `Table`.
        choice: How it is computed.
        plan: Choices and channels.
        rows: Rows that are looked up.
        costs: Figures of the runtime.
    """
    lowering = table_lowering(node, choice, plan)
    stored = sum(height * width for _, (height, width) in lowering.weights())
    width, pieces = sum(lowering.widths), len(lowering.widths)
    # Tables lie outside the delegate: one excursion, three lookups a piece.
    work = costs.outside + 3 * pieces * costs.operation
    work += costs.copy(rows, width, pieces)
    return work + 4 * stored * costs.stored_byte


def _used_blocks(core: Table, columns: np.ndarray) -> np.ndarray:
    """Which blocks of rows hold anything in some columns."""
    filled = (core.rows[:, columns] != 0).any(axis=1)
    return np.asarray(np.logical_or.reduceat(filled, core.row_edges[:-1]))
