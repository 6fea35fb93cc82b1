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
"""The pass `fold_scales`: batch norms go into the layer in front of them."""

import dataclasses

from tfmot_sapp.compiler.graph import (
    Graph,
    Packable,
)
from tfmot_sapp.compiler.passes.absorb import absorb
from tfmot_sapp.frameworks.channel_operations import (
    Depthwise,
    Linear,
    Scale,
)


def fold_scales(graph: Graph) -> None:
    """Folds batch norms into the convolution or Dense in front of them.

    The graph computes the same, but for the rounding of the folded weights.

    Args:
        graph: The graph; it is changed.
    """
    producers, consumers = graph.producers(), graph.consumers()
    for node in list(graph.nodes):
        if not isinstance(node, Packable) or not isinstance(node.core, Scale):
            continue
        before = producers.get(node.inputs[0])
        if (
            not isinstance(before, Packable)
            or not isinstance(before.core, Linear | Depthwise)
            or before.steps
            or before.shared is not None
            or node.shared is not None
            or before.computes_in != node.computes_in
            or len(consumers[node.inputs[0]]) > 1
            or node.inputs[0] in graph.outputs
        ):
            continue
        factor, offset = node.core.factor, node.core.offset
        dtype = before.core.kernel.dtype
        before.core = dataclasses.replace(
            before.core,
            kernel=(before.core.kernel * factor).astype(dtype),
            bias=(before.core.bias * factor + offset).astype(dtype),
        )
        absorb(graph, before, node, [])
        producers[before.output] = before
