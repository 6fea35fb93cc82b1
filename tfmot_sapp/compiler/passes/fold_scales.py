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
"""The pass `fold_scales`: factors and offsets go into products beside them."""

import dataclasses

import numpy as np

from tfmot_sapp.compiler.graph import (
    Graph,
    Node,
    Packable,
)
from tfmot_sapp.compiler.passes.absorb import absorb
from tfmot_sapp.frameworks.channel_operations import (
    Depthwise,
    Linear,
    Scale,
)


def fold_scales(graph: Graph) -> None:
    """Folds factors and offsets into convolutions and Dense layers beside them.

    A batch norm goes into the layer in front of it, what a layer norm ends with
    into the layers that read it. The graph computes the same, but for the
    rounding of the folded weights.

    Args:
        graph: The graph; it is changed.
    """
    _fold_backwards(graph)
    _fold_forwards(graph)


def _fold_backwards(graph: Graph) -> None:
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


def _fold_forwards(graph: Graph) -> None:
    consumers = graph.consumers()
    for node in list(graph.nodes):
        if (
            not isinstance(node, Packable)
            or not isinstance(node.core, Scale)
            or node.steps
            or node.shared is not None
            or node.output in graph.outputs
        ):
            continue
        readers = consumers.get(node.output, [])
        if not readers or not all(_takes(r, node) for r in readers):
            continue
        for reader in readers:
            assert isinstance(reader, Packable)
            _fold(node.core, reader)
            reader.inputs = [node.inputs[0], *reader.inputs[1:]]
        graph.nodes.remove(node)
        consumers[node.inputs[0]].remove(node)
        consumers[node.inputs[0]] += readers


def _takes(reader: Node, node: Packable) -> bool:
    """Whether a node can do what a factor and an offset do."""
    if (
        not isinstance(reader, Packable)
        or reader.shared is not None
        or reader.dtype == "float16"
        or reader.inputs.count(node.output) != 1
        or reader.inputs[0] is not node.output
    ):
        return False
    assert isinstance(node.core, Scale)
    if isinstance(reader.core, Scale):
        return True
    if not isinstance(reader.core, Linear) or reader.core.border is not None:
        return False
    window = reader.core.window
    # An offset doesn't reach what is padded with zeros.
    return (
        window is None
        or window.covers_constants(reader.core.taps)
        or not np.any(node.core.offset)
    )


def _fold(scale: Scale, reader: Packable) -> None:
    core = reader.core
    if isinstance(core, Scale):
        reader.core = Scale(
            scale.factor * core.factor,
            scale.offset * core.factor + core.offset,
        )
        return
    assert isinstance(core, Linear)
    dtype = core.kernel.dtype
    added = np.einsum("tio,i->o", core.by_tap(), scale.offset, dtype=np.float64)
    factor = np.asarray(scale.factor)[:, np.newaxis]
    reader.core = dataclasses.replace(
        core,
        kernel=(core.kernel * factor).astype(dtype),
        bias=(core.bias + added).astype(dtype),
    )
