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
"""What is chosen for each node of a graph, and what it comes to.

A `Choice` names a lowering and the forms of input and output; the functions
here turn it into a lowering with its weights.
"""

import dataclasses
import math
from typing import Any

import numpy as np

from tfmot_sapp.compiler.analysis.channels import Channels
from tfmot_sapp.compiler.graph import (
    Packable,
    Taps,
    Value,
)
from tfmot_sapp.compiler.lowerings.gathered import (
    GatherMatmul,
    Group,
    equal_counts,
)
from tfmot_sapp.compiler.lowerings.lowering import Lowering, chunks
from tfmot_sapp.compiler.lowerings.products import Products
from tfmot_sapp.frameworks.channel_operations import (
    Linear,
)

PIECES, WHOLE = "pieces", "whole"


@dataclasses.dataclass(frozen=True)
class Choice:
    """How a node is computed.

    Attributes:
        lowering: "list", "sum", "dense", "group" or "gather_matmul".
        in_form: "pieces" or "whole".
        out_form: "pieces" or "whole".
    """

    lowering: str
    in_form: str
    out_form: str


@dataclasses.dataclass(eq=False)
class Plan:
    """Choices for all nodes, and the channels of all values.

    Attributes:
        channels: Of every value.
        widest_concatenation: Pieces that one product may read.
        choices: For every node.
    """

    channels: dict[Value, Channels]
    widest_concatenation: int
    choices: dict[Packable, Choice] = dataclasses.field(default_factory=dict)

    def live_channels(self, value: Value) -> np.ndarray:
        """Indices of the channels that are computed."""
        channels = self.channels[value]
        spans = [channels.span(run) for run in channels.live]
        return np.concatenate([np.arange(s.start, s.stop) for s in spans])

    def pieces(self, value: Value, form: str) -> list[np.ndarray]:
        """Channels of each piece of a value in a form."""
        if form == WHOLE:
            return [self.live_channels(value)]
        channels = self.channels[value]
        spans = [channels.span(run) for run in channels.live]
        return [np.arange(s.start, s.stop) for s in spans]


def alike_inputs(node: Packable) -> list[Value]:
    """Inputs whose channels are those of the output."""
    if isinstance(node.core, Linear | Taps):
        return node.inputs[1:]
    return node.inputs


def run_mask(node: Packable, plan: Plan) -> np.ndarray:
    """Which live runs of the output read which live runs of the input.

    Returns:
        Boolean array of shape (live input runs, live output runs).
    """
    assert isinstance(node.core, Linear)
    before, after = plan.channels[node.inputs[0]], plan.channels[node.output]
    nonzero = (node.core.by_tap() != 0).any(axis=0)
    rows = np.logical_or.reduceat(nonzero, before.edges[:-1], axis=0)
    mask = np.logical_or.reduceat(rows, after.edges[:-1], axis=1)
    return mask[np.ix_(before.live, after.live)]


def linear_lowering(node: Packable, choice: Choice, plan: Plan) -> Lowering:
    """The lowering that a choice means for a Linear."""
    core = node.core
    assert isinstance(core, Linear)
    window: tuple[Any, ...] = ()
    if core.window is not None:
        w = core.window
        window = (w.strides, w.padding, w.dilation, w.transposed)
    if node.shared is not None:
        inputs, outputs = core.kernel.shape[-2:]
        return Products(core.taps, window, (inputs,), (outputs,), (((0,),),))
    if choice.lowering in ("group", "gather_matmul"):
        block, reads, order = blocked_reads(node, plan)
        if choice.lowering == "group":
            computed = np.argsort(order)
            reads = tuple(reads[j] for j in computed)
            return Group(core.taps, window, block, reads, order)
        return GatherMatmul(block, reads)
    in_pieces = plan.pieces(node.inputs[0], choice.in_form)
    out_pieces = plan.pieces(node.output, choice.out_form)
    inputs = tuple(len(piece) for piece in in_pieces)
    widths = tuple(len(piece) for piece in out_pieces)
    mask = _piece_mask(node, plan, choice)
    groups: list[tuple[tuple[int, ...], ...]] = []
    most = 1 if choice.lowering == "sum" else plan.widest_concatenation
    for j in range(len(out_pieces)):
        read = np.flatnonzero(mask[:, j]).tolist()
        if core.border is not None and core.border[..., out_pieces[j]].any():
            read.append(len(in_pieces))
        # A piece that reads nothing still needs a shape.
        read = read or [0]
        if len(read) > most and (most == 1 or mask.shape[1] > 1):
            groups.append(tuple(tuple(c) for c in chunks(read, most)))
        else:
            groups.append((tuple(read),))
    if core.border is not None:
        inputs = (*inputs, 1)
    return Products(core.taps, window, inputs, widths, tuple(groups))


def _piece_mask(node: Packable, plan: Plan, choice: Choice) -> np.ndarray:
    mask = run_mask(node, plan)
    if choice.in_form == WHOLE:
        mask = np.any(mask, axis=0, keepdims=True)
    if choice.out_form == WHOLE:
        mask = np.any(mask, axis=1, keepdims=True)
    return mask


def uniform_block(node: Packable, plan: Plan) -> tuple[int, int]:
    """The largest block that cuts all live runs of input and output evenly."""
    extents = []
    for value in (node.inputs[0], node.output):
        channels = plan.channels[value]
        extents.append(
            math.gcd(*(channels.width(run) for run in channels.live))
        )
    return extents[0], extents[1]


def _uniform_pieces(
    node: Packable, plan: Plan
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    rows, columns = uniform_block(node, plan)
    ins = plan.live_channels(node.inputs[0]).reshape(-1, rows)
    outs = plan.live_channels(node.output).reshape(-1, columns)
    return list(ins), list(outs)


def blocked_reads(
    node: Packable, plan: Plan
) -> tuple[tuple[int, int], tuple[tuple[int, ...], ...], tuple[int, ...]]:
    """Block shape, reads of every output block, and a place for each.

    Places are such that output blocks with equally many reads are neighbours.
    """
    assert isinstance(node.core, Linear)
    rows, columns = uniform_block(node, plan)
    live = np.ix_(
        plan.live_channels(node.inputs[0]), plan.live_channels(node.output)
    )
    nonzero = (node.core.by_tap() != 0).any(axis=0)[live]
    shape = (nonzero.shape[0] // rows, rows, nonzero.shape[1] // columns, -1)
    mask = nonzero.reshape(shape).any(axis=(1, 3))
    reads = [
        tuple(np.flatnonzero(column).tolist()) or (0,) for column in mask.T
    ]
    computed = sorted(range(len(reads)), key=lambda j: (len(reads[j]), j))
    order = np.argsort(computed).tolist()
    return (rows, columns), tuple(reads), tuple(order)


def linear_arrays(
    node: Packable, choice: Choice, plan: Plan, lowering: Lowering
) -> list[np.ndarray]:
    """The weights of a Linear's lowering, in its order."""
    core = node.core
    assert isinstance(core, Linear)
    if node.shared is not None:
        return [core.kernel, core.bias]
    if isinstance(lowering, Products):
        return _products_arrays(core, node, choice, plan, lowering)
    assert isinstance(lowering, Group | GatherMatmul)
    ins, outs = _uniform_pieces(node, plan)
    computed = list(range(len(outs)))
    if isinstance(lowering, Group):
        computed = np.argsort(lowering.order).tolist()
    kernels = [
        core.kernel[
            ..., np.concatenate([ins[i] for i in read])[:, None], outs[j]
        ]
        for read, j in zip(lowering.reads, computed)
    ]
    bias = core.bias[np.concatenate(outs)]
    if isinstance(lowering, GatherMatmul):
        columns = lowering.block[1]
        kernel = np.concatenate([k.reshape(-1, columns) for k in kernels])
        return [kernel, bias]
    remaining = iter(kernels)
    return [
        *(
            np.stack([next(remaining) for _ in part])
            for part in equal_counts(lowering.reads)
        ),
        bias,
    ]


def _products_arrays(
    core: Linear,
    node: Packable,
    choice: Choice,
    plan: Plan,
    lowering: Products,
) -> list[np.ndarray]:
    ins = plan.pieces(node.inputs[0], choice.in_form)
    outs = plan.pieces(node.output, choice.out_form)
    arrays: list[np.ndarray] = []
    for columns, groups in zip(outs, lowering.reads):
        for group in groups:
            parts = [
                core.border[..., columns]
                if i == len(ins) and core.border is not None
                else core.kernel[..., ins[i][:, None], columns]
                for i in group
            ]
            arrays.append(np.concatenate(parts, axis=-2))
        arrays.append(core.bias[columns])
    return arrays
