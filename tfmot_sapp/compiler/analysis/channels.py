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
"""Which channels are computed: runs, constants and what nothing reads.

A run is a range of channels that no block of any layer cuts; the pieces of a
list are runs. A run is left out when it is constant, since its contribution
moves to the biases of its readers, and when nothing reads it, with all that
made it.
"""

import dataclasses
import math

import numpy as np

from tfmot_sapp.compiler.analysis.edges import common_edges, values_of
from tfmot_sapp.compiler.analysis.fixed_channels import FixedChannels
from tfmot_sapp.compiler.graph import (
    Concat,
    Graph,
    Node,
    Opaque,
    Packable,
    Part,
    Step,
    Table,
    Taps,
    Value,
)
from tfmot_sapp.frameworks.channel_operations import (
    Depthwise,
    Linear,
    Scale,
)


@dataclasses.dataclass(eq=False)
class Channels:
    """What is known of the channels of a value, run by run.

    A run is a range of channels that no block of any layer cuts.

    Attributes:
        edges: Where runs begin, then the number of channels.
        constant: For each run, whether it's constant.
        values: For each channel, its value where it's constant.
        needed: For each run, whether anything reads it.
        known: For each run, whether it's constant but computed all the same.
    """

    edges: np.ndarray
    constant: np.ndarray
    values: np.ndarray
    needed: np.ndarray
    known: np.ndarray = dataclasses.field(init=False)

    def __post_init__(self) -> None:
        """Takes nothing as computed in vain."""
        self.known = np.zeros_like(self.constant)

    @property
    def constant_channels(self) -> np.ndarray:
        """For each channel, whether it's constant."""
        return np.repeat(self.constant, np.diff(self.edges))

    @property
    def live(self) -> list[int]:
        """The runs that have to be computed."""
        return np.flatnonzero(self.needed & ~self.constant).tolist()

    def span(self, run: int) -> slice:
        """The channels of a run."""
        return slice(int(self.edges[run]), int(self.edges[run + 1]))

    def width(self, run: int) -> int:
        """The number of channels of a run."""
        return int(self.edges[run + 1] - self.edges[run])


def analyse_channels(
    graph: Graph, narrowest_piece: int
) -> dict[Value, Channels]:
    """Finds runs, folds constant channels away and drops what nothing reads.

    A channel is constant when all weights that make it are zero. Its
    contribution moves to the biases of its readers.

    Args:
        graph: The graph. Kernels and biases in it are replaced where constants
            are folded, and nodes that nothing reads are removed.
        narrowest_piece: Kernels whose blocks are narrower aren't cut.

    Returns:
        `Channels` of every value.
    """
    edges = common_edges(graph, narrowest_piece)
    channels: dict[Value, Channels] = {}
    fixed = FixedChannels(graph)
    for value in graph.inputs:
        channels[value] = _given(edges[value], value)
    for node in graph.nodes:
        if isinstance(node, Packable):
            channels[node.output] = _constants(node, channels, edges)
            _add_constants(node, channels, fixed)
        elif isinstance(node, Concat):
            parts = [channels[v] for v in node.inputs]
            channels[node.output] = Channels(
                edges[node.output],
                np.concatenate([p.constant for p in parts]),
                np.concatenate([p.values for p in parts]),
                np.zeros(len(edges[node.output]) - 1, bool),
            )
        elif isinstance(node, Part):
            channels[node.output] = _part_of(node, channels, edges)
        else:
            for value in node.outputs:
                channels[value] = _given(edges[value], value)
    for value in graph.outputs:
        channels[value].needed[:] = True
    used = set(graph.outputs)
    for node in reversed(list(graph.nodes)):
        kept = isinstance(node, Opaque) and node.kept
        if not kept and not used.intersection(node.outputs):
            graph.nodes.remove(node)
            continue
        used.update(node.inputs)
        if not _demand(node, channels):
            graph.nodes.remove(node)
    _compute_where_they_vary(graph, channels)
    return channels


def _compute_where_they_vary(
    graph: Graph, channels: dict[Value, Channels]
) -> None:
    """Lets products compute constants that don't stay constant.

    A constant channel varies after a convolution that pads, or an addition. To
    fill it in beside the channels of a product takes several operations and a
    copy of all; to compute it with them takes a few columns of zeros. A piece
    of its own is filled in all the same, when it's written.
    """
    producers = graph.producers()
    for node in graph.nodes:
        if not isinstance(node, Packable):
            continue
        after = channels[node.output]
        live = after.needed & ~after.constant
        for value in node.alike:
            producer = producers.get(value)
            if (
                isinstance(producer, Packable)
                and isinstance(producer.core, Linear)
                and producer.shared is None
            ):
                before = channels[value]
                silent = before.constant_channels & (before.values == 0)
                zero = np.logical_and.reduceat(silent, before.edges[:-1])
                is_added = value is not node.inputs[0]
                filled = before.constant & live & ~(zero & is_added)
                before.constant = before.constant & ~filled
                before.known |= filled
                before.needed |= filled


def whole_channels(graph: Graph) -> dict[Value, Channels]:
    """Takes every channel as it is, and knows nothing of any.

    Args:
        graph: The graph. It isn't changed.

    Returns:
        `Channels` of every value: one run, or one for each part of what is
        concatenated.
    """
    edges = common_edges(graph, None)
    return {value: _given(edges[value], value) for value in values_of(graph)}


def _varying(edges: np.ndarray, value: Value) -> Channels:
    runs = len(edges) - 1
    values = np.zeros(value.channels)
    return Channels(edges, np.zeros(runs, bool), values, np.zeros(runs, bool))


def _given(edges: np.ndarray, value: Value) -> Channels:
    """Channels that are there whether or not anything reads them."""
    channels = _varying(edges, value)
    channels.needed[:] = True
    return channels


def _constants(
    node: Packable,
    channels: dict[Value, Channels],
    edges: dict[Value, np.ndarray],
) -> Channels:
    before = channels[node.inputs[0]]
    constant, values = before.constant_channels, before.values
    if node.shared is not None:
        return _varying(edges[node.output], node.output)
    if isinstance(node.core, Linear):
        constant, values = _fold_into(node.core, constant, values)
    elif isinstance(node.core, Table):
        constant = np.asarray(~node.core.rows.any(axis=0))
        values = np.zeros(len(constant))
    elif isinstance(node.core, Depthwise):
        constant, values = _depthwise_constants(node.core, constant, values)
    elif isinstance(node.core, Taps):
        count = math.prod(node.core.taps)
        silent = constant
        if any(sum(each) for each in node.core.frame):
            silent = constant & (values == 0)
        constant, values = np.tile(silent, count), np.tile(values, count)
    elif isinstance(node.core, Scale):
        constant = constant | (node.core.factor == 0)
        values = values * node.core.factor + node.core.offset
    operands: list[Channels | None] = [
        None if node.meets_all(value) else channels[value]
        for value in node.inputs[1:]
    ]
    own = edges[node.output]
    for step in node.steps:
        taken, operands = operands[: step.operands], operands[step.operands :]
        constant, values = _step_constants(step, constant, values, taken)
    runs = np.logical_and.reduceat(constant, own[:-1])
    if runs.all():
        # Something has to carry the shape.
        runs[0] = False
    return Channels(own, runs, values, np.zeros(len(runs), bool))


def _add_constants(
    node: Packable, channels: dict[Value, Channels], fixed: FixedChannels
) -> None:
    """Finds constants behind channels that vary but are known."""
    after = channels[node.output]
    given = [
        (channels[v].constant_channels, channels[v].values) for v in node.inputs
    ]
    found = fixed.constants_behind(node, given, after.constant_channels)
    if found is None:
        return
    constant, values = found
    runs = np.logical_and.reduceat(constant, after.edges[:-1]) & ~after.constant
    if np.all(runs | after.constant):
        # Something has to carry the shape.
        runs[np.flatnonzero(runs)[:1]] = False
    changed = np.repeat(runs, np.diff(after.edges))
    after.values = np.where(changed, values, after.values)
    after.constant = after.constant | runs


def _fold_into(
    core: Linear, constant: np.ndarray, values: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    dtype = core.kernel.dtype
    if constant.any():
        rows = core.kernel[..., constant, :].astype(np.float64)
        given = np.einsum("...io,i->...o", rows, values[constant])
        if core.window is None or core.window.covers_constants(core.taps):
            total = given.reshape(-1, given.shape[-1]).sum(axis=0)
            core.bias = (core.bias + total).astype(dtype)
        elif given.any():
            core.border = given[..., np.newaxis, :].astype(dtype)
        core.kernel = core.kernel.copy()
        core.kernel[..., constant, :] = 0
    silent = ~np.asarray(core.by_tap().any(axis=(0, 1)))
    if core.border is not None:
        border = core.border.reshape(-1, core.border.shape[-1])
        silent &= ~border.any(axis=0)
    return silent, core.bias.astype(np.float64)


def _depthwise_constants(
    core: Depthwise, constant: np.ndarray, values: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    sums = core.kernel.reshape(-1, core.kernel.shape[-1]).sum(axis=0)
    if not core.window.covers_constants(core.taps):
        constant = constant & (values == 0)
    silent = ~core.kernel.reshape(-1, core.kernel.shape[-1]).any(axis=0)
    return constant | silent, sums * np.where(constant, values, 0) + core.bias


def _step_constants(
    step: Step,
    constant: np.ndarray,
    values: np.ndarray,
    operands: list[Channels | None],
) -> tuple[np.ndarray, np.ndarray]:
    if step.kind == "pool":
        return constant, values
    if step.kind == "frame":
        return constant & (values == 0), values
    if step.kind == "vary":
        return np.zeros_like(constant), values
    every = [values[np.newaxis].astype(np.float32)]
    silent = constant & (values == 0)
    for operand in operands:
        if operand is None:
            constant = np.zeros_like(constant)
            continue
        own = operand.constant_channels
        constant = constant & own
        silent = silent | (own & (operand.values == 0))
        every.append(operand.values[np.newaxis].astype(np.float32))
    if not constant.any():
        result = np.zeros(len(values))
    else:
        given = every if operands else every[0]
        result = np.asarray(step.operation(given))[0].astype(np.float64)
    if step.keeps_zero:
        return constant | silent, np.where(silent, 0.0, result)
    return constant, result


def _part_of(
    node: Part,
    channels: dict[Value, Channels],
    edges: dict[Value, np.ndarray],
) -> Channels:
    whole, own = channels[node.inputs[0]], edges[node.output]
    first = int(np.searchsorted(whole.edges, node.begin))
    runs = len(own) - 1
    constant = whole.constant[first : first + runs].copy()
    if constant.all():
        # Something has to carry the shape.
        constant[0] = False
    span = slice(node.begin, node.begin + node.output.channels)
    return Channels(own, constant, whole.values[span], np.zeros(runs, bool))


def _demand(node: Node, channels: dict[Value, Channels]) -> bool:
    """Passes on what is needed; whether the node is needed at all."""
    if isinstance(node, Opaque):
        for value in node.inputs:
            channels[value].needed[:] = True
        return True
    after = channels[node.output]
    if not after.needed.any():
        return False
    if not after.live:
        after.needed[np.flatnonzero(~after.constant)[0]] = True
    if isinstance(node, Concat):
        first = 0
        for value in node.inputs:
            runs = len(channels[value].constant)
            channels[value].needed |= after.needed[first : first + runs]
            first += runs
        return True
    if isinstance(node, Part):
        whole = channels[node.inputs[0]]
        first = int(np.searchsorted(whole.edges, node.begin))
        whole.needed[first : first + len(after.needed)] |= after.needed
        return True
    assert isinstance(node, Packable)
    live = after.needed & ~after.constant
    before = channels[node.inputs[0]]
    if node.shared is not None:
        # Its weights are one set, whatever each reader needs.
        after.needed[:] = True
        for value in node.inputs:
            channels[value].needed[:] = True
        return True
    if isinstance(node.core, Linear):
        kept = np.repeat(live, np.diff(after.edges))
        rows = np.any(node.core.by_tap(), axis=(0, 2), where=kept)
        before.needed |= np.logical_or.reduceat(rows, before.edges[:-1])
    elif isinstance(node.core, Table):
        before.needed[:] = True
    elif isinstance(node.core, Taps):
        before.needed |= live.reshape(-1, len(before.constant)).any(axis=0)
    else:
        before.needed |= live
    if not before.live:
        before.needed[np.flatnonzero(~before.constant)[0]] = True
    for value in node.inputs[1:]:
        if node.meets_all(value):
            channels[value].needed[:] = True
            continue
        channels[value].needed |= live
        if not channels[value].live:
            channels[value].needed[
                np.flatnonzero(~channels[value].constant)[0]
            ] = True
    return True
