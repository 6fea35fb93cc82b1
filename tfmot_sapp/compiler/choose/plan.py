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
from tfmot_sapp.compiler.choose.bundles import bundles_of
from tfmot_sapp.compiler.choose.cuts import cuts_of
from tfmot_sapp.compiler.graph import (
    Packable,
    Value,
)
from tfmot_sapp.compiler.lowerings.gathered import (
    GatherMatmul,
    Group,
)
from tfmot_sapp.compiler.lowerings.lowering import Lowering
from tfmot_sapp.compiler.lowerings.operations import chunks
from tfmot_sapp.compiler.lowerings.products import Products
from tfmot_sapp.frameworks.channel_operations import (
    Linear,
)

PIECES, WHOLE = "pieces", "whole"


@dataclasses.dataclass(frozen=True)
class Choice:
    """How a node is computed.

    Attributes:
        lowering: "list", "sum", the same with pieces that are cut from one
            tensor as each product wants them ("cut_list", "cut_sum"),
            "dense", "group", "sliced_group", "gather_matmul" or, of a table,
            "lookup".
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


def run_mask(node: Packable, plan: Plan) -> np.ndarray:
    """Which live runs of the output read which live runs of the input.

    Returns:
        Boolean array of shape (live input runs, live output runs).
    """
    assert isinstance(node.core, Linear)
    before, after = plan.channels[node.inputs[0]], plan.channels[node.output]
    nonzero = node.core.by_tap().any(axis=0)
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
    if choice.lowering in ("group", "sliced_group", "gather_matmul"):
        block, mask = block_reads(node, plan)
        if choice.lowering != "gather_matmul":
            bundles = bundles_of(mask)
            sizes = bundles.sizes
            return Group(
                core.taps,
                window,
                block,
                bundles.reads,
                bundles.order,
                sizes if max(sizes) > 1 else (),
                choice.lowering == "sliced_group",
            )
        reads = tuple(
            tuple(np.flatnonzero(column).tolist()) or (0,) for column in mask.T
        )
        return GatherMatmul(block, reads)
    out_pieces = plan.pieces(node.output, choice.out_form)
    widths = tuple(len(piece) for piece in out_pieces)
    spans, parts = _spans_and_parts(node, choice, plan)
    if spans:
        inputs = tuple(end - begin for begin, end in spans)
    else:
        in_pieces = plan.pieces(node.inputs[0], choice.in_form)
        inputs = tuple(len(piece) for piece in in_pieces)
    groups: list[tuple[tuple[int, ...], ...]] = []
    added = added_to(node, plan) if choice.out_form == PIECES else []
    summed = choice.lowering in ("sum", "cut_sum")
    most = 1 if summed else plan.widest_concatenation
    for j, read in enumerate(parts):
        if core.border is not None and core.border[..., out_pieces[j]].any():
            read.append(len(inputs))
        if not read and j in added:
            groups.append(())
            continue
        # A piece that reads nothing still needs a shape.
        read = read or [0]
        if len(read) > most and (most == 1 or len(parts) > 1):
            groups.append(tuple(tuple(c) for c in chunks(read, most)))
        else:
            groups.append((tuple(read),))
    if core.border is not None:
        inputs = (*inputs, 1)
    return Products(
        core.taps, window, inputs, widths, tuple(groups), tuple(spans)
    )


def _spans_and_parts(
    node: Packable, choice: Choice, plan: Plan
) -> tuple[list[tuple[int, int]], list[list[int]]]:
    """What is cut from the input, if anything, and what each piece reads.

    Returns:
        First and last-but-one channel of what is cut, among those that are
        computed; and for each output piece the indices of what it reads, cuts
        or else input pieces.
    """
    if choice.lowering not in ("cut_list", "cut_sum"):
        mask = _piece_mask(node, plan, choice)
        return [], [np.flatnonzero(column).tolist() for column in mask.T]
    cuts, reads = cuts_of(run_mask(node, plan))
    channels = plan.channels[node.inputs[0]]
    ends = np.cumsum([0, *(channels.width(run) for run in channels.live)])
    return [(int(ends[a]), int(ends[b])) for a, b in cuts], reads


def _summand(node: Packable) -> Value | None:
    """What is added to a product channel by channel, before anything else."""
    if not node.steps or node.steps[0].kind != "add" or node.shared is not None:
        return None
    value = node.inputs[1]
    return None if node.meets_all(value) else value


def summand_in_bias(node: Packable, choice: Choice, plan: Plan) -> list[int]:
    """Runs in which what is added is constant, so that the bias can hold it."""
    if choice.out_form != PIECES or not isinstance(node.core, Linear):
        return []
    value = _summand(node)
    if value is None:
        return []
    channels, live = plan.channels[value], plan.channels[node.output].live
    return [r for r in live if channels.constant[r] or channels.known[r]]


def _bias(node: Packable, choice: Choice, plan: Plan) -> np.ndarray:
    """The bias of a Linear, with what is constant of what is added to it."""
    assert isinstance(node.core, Linear)
    bias = node.core.bias
    runs = summand_in_bias(node, choice, plan)
    if runs:
        channels = plan.channels[node.inputs[1]]
        bias = bias.copy()
        for span in map(channels.span, runs):
            bias[span] += channels.values[span].astype(bias.dtype)
    return bias


def added_to(node: Packable, plan: Plan) -> list[int]:
    """Live output runs to which a value is added that has their whole shape.

    Where such a run reads nothing, that value stands for the sum.
    """
    value = _summand(node)
    if value is None or value.shape != node.output.shape:
        return []
    if None in value.shape[1:]:
        return []
    runs, live = plan.channels[value], plan.channels[node.output].live
    return [
        j
        for j, run in enumerate(live)
        if not runs.constant[run] and not runs.known[run]
    ]


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


def block_reads(
    node: Packable, plan: Plan
) -> tuple[tuple[int, int], np.ndarray]:
    """The shape of a block, and which output block reads which input block.

    Returns:
        (inputs, outputs) of a block, and a boolean array of shape (input
        blocks, output blocks).
    """
    assert isinstance(node.core, Linear)
    rows, columns = uniform_block(node, plan)
    values = (node.inputs[0], node.output)
    live = [plan.live_channels(value) for value in values]
    nonzero = np.asarray(node.core.by_tap().any(axis=0))
    if nonzero.shape != tuple(map(len, live)):
        nonzero = nonzero[np.ix_(*live)]
    shape = (nonzero.shape[0] // rows, rows, nonzero.shape[1] // columns, -1)
    return (rows, columns), np.asarray(nonzero.reshape(shape).any(axis=(1, 3)))


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
    bias = _bias(node, choice, plan)[np.concatenate(outs)]
    members = [(j,) for j in range(len(outs))]
    if isinstance(lowering, Group):
        members = [
            tuple(each)
            for each in np.split(
                np.argsort(lowering.order),
                np.cumsum(lowering.sizes or [1] * len(lowering.reads))[:-1],
            )
        ]
    kernels = [
        core.kernel[
            ...,
            np.concatenate([ins[i] for i in read])[:, None],
            np.concatenate([outs[j] for j in bundle]),
        ]
        for read, bundle in zip(lowering.reads, members)
    ]
    if isinstance(lowering, GatherMatmul):
        columns = lowering.block[1]
        kernel = np.concatenate([k.reshape(-1, columns) for k in kernels])
        return [kernel, bias]
    remaining = iter(kernels)
    return [
        *(
            np.stack([next(remaining) for _ in part])
            for part, _ in lowering.parts
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
    if lowering.spans:
        ins = [ins[0][begin:end] for begin, end in lowering.spans]
    outs = plan.pieces(node.output, choice.out_form)
    arrays: list[np.ndarray] = []
    bias = _bias(node, choice, plan)
    for columns, groups in zip(outs, lowering.reads):
        for group in groups:
            parts = [
                core.border[..., columns]
                if i == len(ins) and core.border is not None
                else core.kernel[..., ins[i][:, None], columns]
                for i in group
            ]
            arrays.append(np.concatenate(parts, axis=-2))
        arrays.append(bias[columns])
    return arrays
