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
"""The pass `split_taps`: convolutions with blocks of single taps."""

import math

import numpy as np

from tfmot_sapp.compiler.analysis.block_structure import (
    block_mask,
    block_structure,
)
from tfmot_sapp.compiler.graph import (
    Graph,
    Packable,
    Taps,
    Value,
)
from tfmot_sapp.frameworks.channel_operations import (
    Linear,
    Window,
)
from tfmot_sapp.targets.costs import Costs


def split_taps(graph: Graph, costs: Costs) -> None:
    """Lets convolutions have blocks of their own for every tap.

    A convolution whose taps have different blocks becomes shifted copies of its
    input, one for each tap, and a product over all of them.

    Args:
        graph: The graph; it is changed.
        costs: Say when that is worth the copies.
    """
    for node in list(graph.nodes):
        if (
            isinstance(node, Packable)
            and isinstance(node.core, Linear)
            and node.shared is None
            and math.prod(node.core.taps) > 1
            and not (node.core.window and node.core.window.transposed)
            and _taps_differ(node.core, costs)
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


def _taps_differ(core: Linear, costs: Costs) -> bool:
    nonzero = core.by_tap() != 0
    structure = block_structure(nonzero)
    if min(structure.block_shape) < costs.narrowest_piece:
        return False
    mask = block_mask(nonzero, structure)
    area = np.outer(np.diff(structure.in_edges), np.diff(structure.out_edges))
    together = len(mask) * (mask.any(axis=0) * area).sum()
    return bool((mask * area).sum() < costs.tap_blocks * together)


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
