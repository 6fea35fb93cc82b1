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
"""Values whose channels correspond, and whether they may change places."""

import dataclasses
from collections.abc import Iterator

from tfmot_sapp.compiler.analysis.edges import values_of
from tfmot_sapp.compiler.graph import (
    Graph,
    Node,
    Packable,
    Table,
    Taps,
    Value,
)
from tfmot_sapp.frameworks.channel_operations import Linear


@dataclasses.dataclass(eq=False)
class ChannelClass:
    """Values whose channels are put in one order, if in another at all.

    Attributes:
        values: The values, in the order in which they are made.
        is_fixed: Whether their order means something to somebody else.
        makers: Nodes with a Linear whose outputs these channels are.
        readers: Nodes with a Linear whose inputs they are.
        others: Nodes of which they are inputs and outputs alike.
    """

    values: list[Value]
    is_fixed: bool = False
    makers: list[Packable] = dataclasses.field(default_factory=list)
    readers: list[Packable] = dataclasses.field(default_factory=list)
    others: list[Packable] = dataclasses.field(default_factory=list)


def channel_classes(graph: Graph) -> dict[Value, ChannelClass]:
    """Finds which values share their channels.

    An addition, an activation or a depthwise convolution makes channels of
    channels, one by one; so they follow whatever order those have. Whoever
    holds the model knows the channels of its inputs and outputs, and an
    operation that passes through those of what it takes and gives.

    Args:
        graph: The graph, before `split_taps`.

    Returns:
        The class of every value.
    """
    joined = _Joined(values_of(graph))
    for node in graph.nodes:
        if isinstance(node, Packable):
            for value in node.alike:
                joined.join(value, node.output)
    classes: dict[Value, ChannelClass] = {}
    for members in joined.groups():
        whole = ChannelClass(members)
        classes.update((value, whole) for value in members)
    for value in (*graph.inputs, *graph.outputs):
        classes[value].is_fixed = True
    for node in graph.nodes:
        for value in _fixed_by(node):
            classes[value].is_fixed = True
        if not isinstance(node, Packable):
            continue
        if isinstance(node.core, Linear):
            classes[node.inputs[0]].readers.append(node)
            classes[node.output].makers.append(node)
        else:
            classes[node.output].others.append(node)
    return classes


def _fixed_by(node: Node) -> Iterator[Value]:
    """Values whose order of channels a node depends on."""
    if not isinstance(node, Packable):
        yield from (*node.inputs, *node.outputs)
        return
    if (
        node.shared is not None
        or isinstance(node.core, Table | Taps)
        or any(step.by_channel for step in node.steps)
    ):
        yield from (*node.inputs, *node.outputs)
    elif isinstance(node.core, Linear) and node.core.groups > 1:
        yield from (node.inputs[0], node.output)


class _Joined:
    """Sets of values that are one."""

    def __init__(self, values: list[Value]):
        self._values = values
        self._over = {value: value for value in values}

    def top(self, value: Value) -> Value:
        while self._over[value] is not value:
            self._over[value] = value = self._over[self._over[value]]
        return value

    def join(self, one: Value, other: Value) -> None:
        self._over[self.top(other)] = self.top(one)

    def groups(self) -> list[list[Value]]:
        found: dict[Value, list[Value]] = {}
        for value in self._values:
            found.setdefault(self.top(value), []).append(value)
        return list(found.values())
