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
"""The pass `order_blocks`: what is made or read together lies together.

The channels between layers may be put in any order, if the weights of all that
make and read them follow, and those of depthwise convolutions and scales on the
way. That costs nothing when the model runs. Where output blocks fall in groups
that read the same input blocks and no other group reads, the groups of both
sides are put in one order, and a grouped product takes its input and gives its
output as they lie. Otherwise blocks that read the same others, or equally many,
lie side by side, so that grouped products give their outputs in place.
"""

import dataclasses
import itertools

import numpy as np

from tfmot_sapp.compiler.analysis.channel_classes import (
    ChannelClass,
    channel_classes,
)
from tfmot_sapp.compiler.analysis.edges import common_edges
from tfmot_sapp.compiler.graph import (
    UNKNOWN_EXTENT,
    Graph,
    Packable,
    Value,
)
from tfmot_sapp.frameworks.channel_operations import Depthwise, Linear, Scale


def order_blocks(graph: Graph, narrowest_piece: int) -> None:
    """Puts the blocks between layers in the order that groups want.

    Args:
        graph: The graph; its weights are changed.
        narrowest_piece: Kernels of narrower blocks are left alone.
    """
    classes = channel_classes(graph)
    edges = common_edges(graph, narrowest_piece)
    places: dict[ChannelClass, np.ndarray] = {}
    ordered: dict[ChannelClass, np.ndarray] = {}
    for value, whole in classes.items():
        if whole in places:
            continue
        count = len(edges[value]) - 1
        order = np.arange(count)
        if not whole.is_fixed and count > 1:
            sides = _sides(whole, classes, edges)
            order = _order(sides, places, count)
        places[whole] = np.argsort(order)
        if (order != np.arange(count)).any():
            ordered[whole] = _channels(edges[value], order)
    for whole, channels in ordered.items():
        _reorder(whole, channels)


@dataclasses.dataclass(eq=False)
class _Side:
    """What one product reads or makes of a class of channels.

    Attributes:
        mask: Which blocks of the class meet which of the product's other side.
        other: The class of that side.
        weight: Elements of the tensor, which a gather would copy.
        is_made: Whether the product makes the blocks.
        widths: Channels of the class's blocks.
    """

    mask: np.ndarray
    other: ChannelClass
    weight: float
    is_made: bool
    widths: np.ndarray

    @property
    def groups(self) -> np.ndarray | None:
        """The group of each block; -1 of one that meets nothing.

        `None` where groups share blocks of the other side, or there is one.
        """
        met = self.mask.any(axis=1)
        patterns, group = np.unique(self.mask, axis=0, return_inverse=True)
        group = group.reshape(-1)
        used = patterns[np.unique(group[met])]
        if len(used) < 2 or used.sum(axis=0).max() > 1:
            return None
        return np.where(met, group, -1)


def _sides(
    whole: ChannelClass,
    classes: dict[Value, ChannelClass],
    edges: dict[Value, np.ndarray],
) -> list[_Side]:
    sides = []
    for node, is_made in (
        *((node, True) for node in whole.makers),
        *((node, False) for node in whole.readers),
    ):
        given, made = node.inputs[0], node.output
        core = node.core
        assert isinstance(core, Linear)
        nonzero = np.asarray(core.by_tap().any(axis=0))
        rows = np.logical_or.reduceat(nonzero, edges[given][:-1], axis=0)
        mask = np.logical_or.reduceat(rows, edges[made][:-1], axis=1)
        own, other = (made, given) if is_made else (given, made)
        sides.append(
            _Side(
                mask.T if is_made else mask,
                classes[other],
                own.positions(1, UNKNOWN_EXTENT) * own.channels,
                is_made,
                np.diff(edges[own]),
            )
        )
    return sides


def _order(
    sides: list[_Side], places: dict[ChannelClass, np.ndarray], count: int
) -> np.ndarray:
    grouped: dict[bytes, tuple[np.ndarray, list[_Side]]] = {}
    for side in sides:
        groups = side.groups
        if groups is not None:
            # The same groups, whatever their numbers.
            first = np.unique(groups, return_index=True, return_inverse=True)
            key = first[1][first[2].reshape(-1)].tobytes()
            grouped.setdefault(key, (groups, []))[1].append(side)
    if not grouped:
        return _by_counts(sides, count)
    found = sorted(
        grouped.values(), key=lambda item: -sum(s.weight for s in item[1])
    )
    # The heaviest sides' groups, and within them those of the next.
    keys = [_group_places(groups, own, places) for groups, own in found]
    return np.lexsort((np.arange(count), *keys[::-1]))


def _group_places(
    groups: np.ndarray,
    sides: list[_Side],
    places: dict[ChannelClass, np.ndarray],
) -> np.ndarray:
    """Where each block's group goes: as the other side's blocks lie already."""
    known = [side for side in sides if side.other in places]
    if not known:
        first = {int(g): i for i, g in reversed(list(enumerate(groups)))}
        return np.array(
            [first[int(g)] if g >= 0 else len(groups) for g in groups]
        )
    side = max(known, key=lambda s: (s.is_made, s.weight))
    place = places[side.other]
    far = len(place)
    return np.where(side.mask, place, far).min(axis=1)


def _by_counts(sides: list[_Side], count: int) -> np.ndarray:
    """Blocks that read the same, and then equally many, side by side."""
    made = [side for side in sides if side.is_made]
    if len(made) != 1 or made[0].mask.all():
        return np.arange(count)
    (side,) = made
    patterns = [row.tobytes() for row in side.mask]
    widths: dict[bytes, int] = {}
    for pattern, width in zip(patterns, side.widths):
        widths[pattern] = widths.get(pattern, 0) + int(width)

    def place(i: int) -> tuple[int, int, int]:
        """As `bundles_of` puts bundles in an order."""
        pattern = patterns[i]
        counted = int(side.mask[i].sum())
        return counted, widths[pattern], patterns.index(pattern)

    return np.array(sorted(range(count), key=place))


def _channels(edges: np.ndarray, order: np.ndarray) -> np.ndarray:
    runs = [np.arange(a, b) for a, b in itertools.pairwise(edges.tolist())]
    return np.concatenate([runs[i] for i in order])


def _reorder(whole: ChannelClass, channels: np.ndarray) -> None:
    for node in whole.makers:
        core = _linear(node)
        core.kernel = core.kernel[..., channels]
        core.bias = core.bias[channels]
    for node in whole.readers:
        core = _linear(node)
        core.kernel = core.kernel[..., channels, :]
    for node in whole.others:
        other = node.core
        if isinstance(other, Depthwise):
            other.kernel = other.kernel[..., channels]
            other.bias = other.bias[channels]
        elif isinstance(other, Scale):
            other.factor = other.factor[channels]
            other.offset = other.offset[channels]


def _linear(node: Packable) -> Linear:
    assert isinstance(node.core, Linear)
    return node.core
