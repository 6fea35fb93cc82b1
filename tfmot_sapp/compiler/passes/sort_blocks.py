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
"""The pass `sort_blocks`: hidden blocks of equal counts side by side."""

import itertools

import numpy as np

from tfmot_sapp.compiler.analysis.block_structure import block_structure
from tfmot_sapp.compiler.graph import (
    Graph,
    Node,
    Packable,
)
from tfmot_sapp.frameworks.channel_operations import (
    Linear,
)


def sort_blocks(graph: Graph, narrowest_piece: int) -> None:
    """Puts the blocks between two layers in the order of what they read.

    Channels between a layer and the only layer that reads it may be put in any
    order, if the weights of both follow. With blocks that read the same others,
    or equally many, side by side, a grouped product gives its output in place.

    Args:
        graph: The graph; its weights are changed.
        narrowest_piece: Kernels of narrower blocks are left alone.
    """
    consumers = graph.consumers()
    for node in graph.nodes:
        readers = consumers.get(node.outputs[0], [])
        if len(readers) != 1 or node.outputs[0] in graph.outputs:
            continue
        (reader,) = readers
        core, reading = _own_linear(node), _own_linear(reader)
        if (
            core is None
            or reading is None
            or reader.inputs[0] is not node.output
            or any(
                step.kind != "map" or step.by_channel
                for step in getattr(node, "steps", [])
            )
        ):
            continue
        order = _by_reads(core, reading, narrowest_piece)
        if order is not None:
            core.kernel, core.bias = core.kernel[..., order], core.bias[order]
            reading.kernel = reading.kernel[..., order, :]


def _own_linear(node: Node) -> Linear | None:
    if isinstance(node, Packable) and node.shared is None:
        return node.core if isinstance(node.core, Linear) else None
    return None


def _by_reads(
    core: Linear, reading: Linear, narrowest_piece: int
) -> np.ndarray | None:
    given = block_structure(reading.by_tap() != 0)
    made = block_structure(core.by_tap() != 0)
    shapes = (*made.block_shape, *given.block_shape)
    if min(shapes) < narrowest_piece:
        return None
    edges = sorted({*made.out_edges, *given.in_edges})
    read = np.asarray((core.by_tap() != 0).any(axis=0))
    runs = [np.arange(a, b) for a, b in itertools.pairwise(edges)]
    patterns = [read[:, run].any(axis=1).tobytes() for run in runs]
    widths: dict[bytes, int] = {}
    for pattern, run in zip(patterns, runs):
        widths[pattern] = widths.get(pattern, 0) + len(run)

    def place(i: int) -> tuple[int, int, int]:
        """As `bundles_of` puts bundles in an order."""
        count = int(read[:, runs[i]].any(axis=1).sum())
        first = patterns.index(patterns[i])
        return count, widths[patterns[i]], first

    return np.concatenate(
        [runs[i] for i in sorted(range(len(runs)), key=place)]
    )
