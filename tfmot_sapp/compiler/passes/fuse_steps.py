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
"""The pass `fuse_steps`: activations and additions join what they follow."""

from tfmot_sapp.compiler.graph import Graph, Packable
from tfmot_sapp.compiler.passes.absorb import absorb


def fuse_steps(graph: Graph) -> None:
    """Appends activations and additions to the node whose output they take.

    Args:
        graph: The graph; it is changed.
    """
    for node in list(graph.nodes):
        if (
            not isinstance(node, Packable)
            or node.core is not None
            or any(step.kind not in ("map", "add") for step in node.steps)
            or node.shared is not None
        ):
            continue
        before = _fusable_producer(graph, node)
        if before is None:
            continue
        operands = list(node.inputs)
        operands.remove(before.output)
        absorb(graph, before, node, operands)
        before.steps = before.steps + node.steps


def _fusable_producer(graph: Graph, node: Packable) -> Packable | None:
    producers, consumers = graph.producers(), graph.consumers()
    candidates = [
        before
        for value in node.inputs
        if isinstance(before := producers.get(value), Packable)
        and before.core is not None
        and before.shared is None
        and before.computes_in == node.computes_in
        and len(consumers[value]) == 1
        and value not in graph.outputs
    ]
    # The last one: by then the others have been computed.
    return max(candidates, key=graph.nodes.index, default=None)
