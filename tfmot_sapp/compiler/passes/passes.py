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
"""Passes over the graph of a model: batch norms, activations, taps.

Each pass is exact: what the graph computes at inference stays the same, but for
the rounding of folded batch norms.
"""

import dataclasses
import itertools
import math

import numpy as np

from tfmot_sapp.compiler.analysis.block_structure import (
    block_mask,
    block_structure,
)
from tfmot_sapp.compiler.analysis.channels import NARROWEST_BLOCK
from tfmot_sapp.compiler.graph import (
    Depthwise,
    Graph,
    Linear,
    Node,
    Packable,
    Scale,
    Taps,
    Value,
    Window,
)

# Blocks of one tap each are worth the shifted copies if they hold this little
# of what blocks of all taps together would.
_WORTH_SHIFTING = 0.35


def fold_scales(graph: Graph) -> None:
    """Folds batch norms into the convolution or Dense in front of them."""
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
        _absorb(graph, before, node, [])
        producers[before.output] = before


def fuse_steps(graph: Graph) -> None:
    """Appends activations and additions to the node whose output they take."""
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
        _absorb(graph, before, node, operands)
        before.steps = before.steps + node.steps


def _fusable_producer(graph: Graph, node: Packable) -> Packable | None:
    producers, consumers = graph.producers(), graph.consumers()
    candidates = [
        before
        for value in node.inputs
        if isinstance(before := producers.get(value), Packable)
        and before.core is not None
        and before.shared is None
        and len(consumers[value]) == 1
        and value not in graph.outputs
    ]
    # The last one: by then the others have been computed.
    return max(candidates, key=graph.nodes.index, default=None)


def _absorb(
    graph: Graph, before: Packable, node: Packable, operands: list[Value]
) -> None:
    """Lets `before` make the output of `node`, in the place of `node`."""
    before.outputs = node.outputs
    before.inputs = before.inputs + operands
    before.sources = before.sources + node.sources
    graph.nodes.remove(before)
    graph.nodes[graph.nodes.index(node)] = before


def sort_blocks(graph: Graph) -> None:
    """Puts the blocks between two layers in the order of what they read.

    Nobody sees the order of channels between a layer and the only layer that
    reads it. With blocks that read equally many others side by side, a grouped
    product gives its output in place.
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
            or any(step.kind != "map" for step in getattr(node, "steps", []))
        ):
            continue
        order = _by_reads(core, reading)
        if order is not None:
            core.kernel, core.bias = core.kernel[..., order], core.bias[order]
            reading.kernel = reading.kernel[..., order, :]


def _own_linear(node: Node) -> Linear | None:
    if isinstance(node, Packable) and node.shared is None:
        return node.core if isinstance(node.core, Linear) else None
    return None


def _by_reads(core: Linear, reading: Linear) -> np.ndarray | None:
    given = block_structure(reading.by_tap() != 0)
    made = block_structure(core.by_tap() != 0)
    shapes = (*made.block_shape, *given.block_shape)
    if min(shapes) < NARROWEST_BLOCK:
        return None
    edges = sorted({*made.out_edges, *given.in_edges})
    read = np.asarray((core.by_tap() != 0).any(axis=0))
    runs = [np.arange(a, b) for a, b in itertools.pairwise(edges)]
    counts = [int(read[:, run].any(axis=1).sum()) for run in runs]
    return np.concatenate([runs[i] for i in np.argsort(counts, kind="stable")])


def split_taps(graph: Graph) -> None:
    """Lets convolutions have blocks of their own for every tap.

    A convolution whose taps have different blocks becomes shifted copies of its
    input, one for each tap, and a product over all of them.
    """
    for node in list(graph.nodes):
        if (
            isinstance(node, Packable)
            and isinstance(node.core, Linear)
            and node.shared is None
            and math.prod(node.core.taps) > 1
            and not (node.core.window and node.core.window.transposed)
            and _taps_differ(node.core)
        ):
            taps = _taps_of(node)
            if taps is None:
                continue
            *taps_shape, inputs, outputs = node.core.kernel.shape
            count = math.prod(taps_shape)
            shape = (*node.output.shape[:-1], count * inputs)
            shifted = Value(shape)
            before = Packable(
                f"{node.name}_taps",
                [node.inputs[0]],
                [shifted],
                taps,
                [],
                [],
                node.dtype,
            )
            graph.nodes.insert(graph.nodes.index(node), before)
            node.inputs = [shifted, *node.inputs[1:]]
            ones = (1,) * len(taps_shape)
            node.core = Linear(
                node.core.kernel.reshape(*ones, count * inputs, outputs),
                node.core.bias,
                Window(ones, "valid", ones),
            )


def _taps_differ(core: Linear) -> bool:
    nonzero = core.by_tap() != 0
    structure = block_structure(nonzero)
    if min(structure.block_shape) < NARROWEST_BLOCK:
        return False
    mask = block_mask(nonzero, structure)
    area = np.outer(np.diff(structure.in_edges), np.diff(structure.out_edges))
    together = len(mask) * (mask.any(axis=0) * area).sum()
    return bool((mask * area).sum() < _WORTH_SHIFTING * together)


def _taps_of(node: Packable) -> Taps | None:
    core = node.core
    assert isinstance(core, Linear) and core.window is not None
    window = core.window
    frame = []
    extents = zip(
        node.inputs[0].shape[1:-1],
        node.output.shape[1:-1],
        core.taps,
        window.strides,
        window.dilation,
    )
    for given, made, taps, stride, dilation in extents:
        reach = (taps - 1) * dilation
        if stride > 1 and (given is None or made is None):
            return None
        if window.padding == "valid":
            frame.append((0, 0))
        elif window.padding == "causal":
            frame.append((reach, 0))
        elif given is None or made is None:
            frame.append((reach // 2, reach - reach // 2))
        else:
            total = max((made - 1) * stride + reach + 1 - given, 0)
            frame.append((total // 2, total - total // 2))
    return Taps(core.taps, window, tuple(frame), node.output.shape[1:-1])
