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
"""What passes that merge two nodes share."""

from tfmot_sapp.compiler.graph import Graph, Packable, Value


def absorb(
    graph: Graph, before: Packable, node: Packable, operands: list[Value]
) -> None:
    """Lets a node make the output of the one that reads it, in its place.

    Args:
        graph: The graph; `node` is removed from it.
        before: The node that stays.
        node: The node that reads it, and goes.
        operands: What `node` reads beside the output of `before`.
    """
    before.outputs = node.outputs
    before.inputs = before.inputs + operands
    before.sources = before.sources + node.sources
    graph.nodes.remove(before)
    graph.nodes[graph.nodes.index(node)] = before
