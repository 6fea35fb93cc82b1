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
"""Where the channels of values are cut: edges that no block crosses."""

from collections.abc import Iterable

import numpy as np

from tfmot_sapp.compiler.analysis.block_structure import block_structure
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
from tfmot_sapp.frameworks.channel_operations import Linear


def common_edges(
    graph: Graph, narrowest_piece: int | None
) -> dict[Value, np.ndarray]:
    """Common edges of all values whose channels correspond.

    Args:
        graph: The graph.
        narrowest_piece: Kernels whose blocks are narrower aren't cut; `None`
            cuts none.
    """
    found: dict[Value, set[int]] = {}
    for value in values_of(graph):
        found[value] = {0, max(value.channels, 1)}
    for node in graph.nodes:
        if isinstance(node, Packable) and isinstance(node.core, Table):
            found[node.output] |= set(node.core.column_edges)
        if isinstance(node, Packable) and isinstance(node.core, Linear):
            if narrowest_piece is None or node.shared is not None:
                continue
            structure = block_structure(node.core.by_tap() != 0)
            if min(structure.block_shape) < narrowest_piece:
                continue
            found[node.inputs[0]] |= set(structure.in_edges)
            found[node.output] |= set(structure.out_edges)
    changed = True
    while changed:
        changed = False
        for node in graph.nodes:
            for group in _corresponding(node):
                changed |= _unify(found, group)
    return {value: np.array(sorted(edges)) for value, edges in found.items()}


def _corresponding(node: Node) -> Iterable[list[tuple[Value, int, Value]]]:
    """Values that share channels: (part, offset in the whole, whole)."""
    if isinstance(node, Packable):
        if isinstance(node.core, Taps):
            channels = node.inputs[0].channels
            for offset in range(0, node.output.channels, channels):
                yield [(node.inputs[0], offset, node.output)]
        for value in node.alike:
            yield [(value, 0, node.output)]
    elif isinstance(node, Part):
        yield [(node.output, node.begin, node.inputs[0])]
    elif isinstance(node, Concat):
        offset = 0
        for value in node.inputs:
            yield [(value, offset, node.output)]
            offset += value.channels


def _unify(
    found: dict[Value, set[int]], links: list[tuple[Value, int, Value]]
) -> bool:
    changed = False
    for part, offset, whole in links:
        up = {edge + offset for edge in found[part]}
        down = {
            edge - offset
            for edge in found[whole]
            if 0 <= edge - offset <= part.channels
        }
        if not up <= found[whole] or not down <= found[part]:
            found[whole] |= up
            found[part] |= down
            changed = True
    return changed


def values_of(graph: Graph) -> list[Value]:
    """Every value of a graph.

    Args:
        graph: The graph.
    """
    made = [value for node in graph.nodes for value in node.outputs]
    return [*graph.inputs, *made]
