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
"""Passes over the graph of a model: batch norms, activations, dead channels.

Each pass is exact: what the graph computes at inference stays the same, but for
the rounding of folded batch norms.
"""

import dataclasses
import math
from collections.abc import Iterable

import numpy as np

from tfmot_sapp.export.block_structure import block_mask, block_structure
from tfmot_sapp.export.graph import (
    Concat,
    Depthwise,
    Graph,
    Linear,
    Node,
    Opaque,
    Packable,
    Scale,
    Step,
    Taps,
    Value,
    Window,
)

# Blocks of one tap each are worth the shifted copies if they hold this little
# of what blocks of all taps together would.
_WORTH_SHIFTING = 0.35
# A kernel whose blocks are narrower than this isn't cut in pieces.
_NARROWEST_BLOCK = 4


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
    if min(structure.block_shape) < _NARROWEST_BLOCK:
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


# --- channels -----------------------------------------------------------------


@dataclasses.dataclass(eq=False)
class Channels:
    """What is known of the channels of a value, run by run.

    A run is a range of channels that no block of any layer cuts.

    Attributes:
        edges: Where runs begin, then the number of channels.
        constant: For each run, whether it's constant.
        values: For each channel, its value where it's constant.
        needed: For each run, whether anything reads it.
    """

    edges: np.ndarray
    constant: np.ndarray
    values: np.ndarray
    needed: np.ndarray

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


def analyse_channels(graph: Graph) -> dict[Value, Channels]:
    """Finds runs, folds constant channels away and drops what nothing reads.

    A channel is constant when all weights that make it are zero. Its
    contribution moves to the biases of its readers.

    Args:
        graph: The graph. Kernels and biases in it are replaced where constants
            are folded, and nodes that nothing reads are removed.

    Returns:
        `Channels` of every value.
    """
    edges = _edges(graph)
    channels: dict[Value, Channels] = {}
    for value in graph.inputs:
        channels[value] = _given(edges[value], value)
    for node in graph.nodes:
        if isinstance(node, Packable):
            channels[node.output] = _constants(node, channels, edges)
        elif isinstance(node, Concat):
            parts = [channels[v] for v in node.inputs]
            channels[node.output] = Channels(
                edges[node.output],
                np.concatenate([p.constant for p in parts]),
                np.concatenate([p.values for p in parts]),
                np.zeros(len(edges[node.output]) - 1, bool),
            )
        else:
            for value in node.outputs:
                channels[value] = _given(edges[value], value)
    for value in graph.outputs:
        channels[value].needed[:] = True
    used = set(graph.outputs)
    for node in reversed(list(graph.nodes)):
        if not used.intersection(node.outputs):
            graph.nodes.remove(node)
            continue
        used.update(node.inputs)
        if not _demand(node, channels):
            graph.nodes.remove(node)
    return channels


def _varying(edges: np.ndarray, value: Value) -> Channels:
    runs = len(edges) - 1
    values = np.zeros(value.channels)
    return Channels(edges, np.zeros(runs, bool), values, np.zeros(runs, bool))


def _given(edges: np.ndarray, value: Value) -> Channels:
    """Channels that are there whether or not anything reads them."""
    channels = _varying(edges, value)
    channels.needed[:] = True
    return channels


def _edges(graph: Graph) -> dict[Value, np.ndarray]:
    """Common edges of all values whose channels correspond."""
    found: dict[Value, set[int]] = {}
    for value in _values(graph):
        found[value] = {0, max(value.channels, 1)}
    for node in graph.nodes:
        if isinstance(node, Packable) and isinstance(node.core, Linear):
            if node.shared is not None:
                continue
            structure = block_structure(node.core.by_tap() != 0)
            if min(structure.block_shape) < _NARROWEST_BLOCK:
                continue
            found[node.inputs[0]] |= set(structure.in_edges)
            found[node.output] |= set(structure.out_edges)
    changed = True
    while changed:
        changed = False
        for node in graph.nodes:
            for group in _corresponding(node):
                changed |= _unify(found, group)
    return {value: np.array(sorted(edges)) for value, edges in found.items()}


def _corresponding(node: Node) -> Iterable[list[tuple[Value, int, Value]]]:
    """Values that share channels: (part, offset in the whole, whole)."""
    if isinstance(node, Packable):
        same = node.inputs[1:]
        if isinstance(node.core, Taps):
            channels = node.inputs[0].channels
            for offset in range(0, node.output.channels, channels):
                yield [(node.inputs[0], offset, node.output)]
        elif not isinstance(node.core, Linear):
            same = node.inputs
        for value in same:
            yield [(value, 0, node.output)]
    elif isinstance(node, Concat):
        offset = 0
        for value in node.inputs:
            yield [(value, offset, node.output)]
            offset += value.channels


def _unify(
    found: dict[Value, set[int]], links: list[tuple[Value, int, Value]]
) -> bool:
    changed = False
    for part, offset, whole in links:
        up = {edge + offset for edge in found[part]}
        down = {
            edge - offset
            for edge in found[whole]
            if 0 <= edge - offset <= part.channels
        }
        if not up <= found[whole] or not down <= found[part]:
            found[whole] |= up
            found[part] |= down
            changed = True
    return changed


def _values(graph: Graph) -> list[Value]:
    made = [value for node in graph.nodes for value in node.outputs]
    return [*graph.inputs, *made]


def _constants(
    node: Packable,
    channels: dict[Value, Channels],
    edges: dict[Value, np.ndarray],
) -> Channels:
    before = channels[node.inputs[0]]
    width = np.diff(before.edges)
    constant = np.repeat(before.constant, width)
    values = before.values
    if node.shared is not None:
        return _varying(edges[node.output], node.output)
    if isinstance(node.core, Linear):
        constant, values = _fold_into(node.core, constant, values)
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
    operands = [channels[value] for value in node.inputs[1:]]
    own = edges[node.output]
    for step in node.steps:
        taken, operands = operands[: step.operands], operands[step.operands :]
        constant, values = _step_constants(step, constant, values, taken)
    runs = np.logical_and.reduceat(constant, own[:-1])
    if runs.all():
        # Something has to carry the shape.
        runs[0] = False
    return Channels(own, runs, values, np.zeros(len(runs), bool))


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
    silent = ~core.by_tap().any(axis=(0, 1))
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
    operands: list[Channels],
) -> tuple[np.ndarray, np.ndarray]:
    if step.kind == "pool":
        return constant, values
    if step.kind == "frame":
        return constant & (values == 0), values
    every = [values[np.newaxis].astype(np.float32)]
    for operand in operands:
        constant = constant & np.repeat(
            operand.constant, np.diff(operand.edges)
        )
        every.append(operand.values[np.newaxis].astype(np.float32))
    given = every if operands else every[0]
    return constant, np.asarray(step.layer(given))[0].astype(np.float64)


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
    assert isinstance(node, Packable)
    live = after.needed & ~after.constant
    before = channels[node.inputs[0]]
    if node.shared is not None:
        for value in node.inputs:
            channels[value].needed[:] = True
        return True
    if isinstance(node.core, Linear):
        kept = np.repeat(live, np.diff(after.edges))
        rows = (node.core.by_tap()[:, :, kept] != 0).any(axis=(0, 2))
        before.needed |= np.logical_or.reduceat(rows, before.edges[:-1])
    elif isinstance(node.core, Taps):
        before.needed |= live.reshape(-1, len(before.constant)).any(axis=0)
    else:
        before.needed |= live
    if not before.live:
        before.needed[np.flatnonzero(~before.constant)[0]] = True
    for value in node.inputs[1:]:
        channels[value].needed |= live
        if not channels[value].live:
            channels[value].needed[
                np.flatnonzero(~channels[value].constant)[0]
            ] = True
    return True
