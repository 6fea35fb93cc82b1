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
"""Whose output blocks feed whose input blocks, and what that makes useless.

A block whose outputs no kept block reads, or whose inputs no kept block makes,
does nothing but cost. `find_connections` reads from a model's graph which
kernels follow each other; `reconnected` gives the places of such blocks to
others, exact counts kept.
"""

import dataclasses
from collections.abc import Container, Mapping
from typing import Any

import numpy as np

from tfmot_sapp.frameworks.calls import is_graph
from tfmot_sapp.units.groups import find_groups
from tfmot_sapp.units.members import Group, Member
from tfmot_sapp.units.passage import block_of_channel


@dataclasses.dataclass(frozen=True)
class Connection:
    """A kernel and those that read what it makes.

    Attributes:
        producer: The kernel's name.
        feeds: For each kernel that reads it, by name, a boolean array of
            shape (output blocks of the producer, input blocks of the reader):
            which of them have a channel in common.
        closed: Whether nothing else reads it.
        others: For each kernel that reads it, a boolean array: which of its
            input blocks have channels that something else makes. Kernels that
            are not named have none.
    """

    producer: str
    feeds: Mapping[str, np.ndarray]
    closed: bool
    others: Mapping[str, np.ndarray] = dataclasses.field(default_factory=dict)

    def among(self, names: Container[str]) -> "Connection | None":
        """Returns the part of it between some kernels, or `None` for none."""
        feeds = {
            name: feed for name, feed in self.feeds.items() if name in names
        }
        if self.producer not in names or not feeds:
            return None
        closed = self.closed and len(feeds) == len(self.feeds)
        return Connection(self.producer, feeds, closed, self.others)


def find_connections(
    model: Any, kernels: Mapping[str, Any]
) -> list[Connection]:
    """Reads from a model's graph which pruned kernels follow each other.

    Args:
        model: A model with pruned layers, of either Keras. One whose graph
            can't be read has no connections that are known.
        kernels: Its `PrunedKernel`s, by the name of their layer.

    Returns:
        List of `Connection`, in the order of the graph. Channels that meet
        others in an addition have none.
    """
    if not hasattr(model, "layers") or not is_graph(model):
        return []
    by_layer = {id(kernel.kernel.owner): kernel for kernel in kernels.values()}
    found = [
        _connection(group, maker, by_layer)
        for group in find_groups(model).groups
        if not group.has_heads
        for maker in group.makers
        if id(maker.layer) in by_layer
    ]
    return [connection for connection in found if connection.feeds]


def _connection(
    group: Group, maker: Member, kernels: Mapping[int, Any]
) -> Connection:
    producer = kernels[id(maker.layer)]
    made = block_of_channel(producer, 1)
    block_of_unit = np.zeros(group.units, int)
    block_of_unit[maker.unit_of[maker.places]] = made[maker.places]
    feeds: dict[str, np.ndarray] = {}
    others: dict[str, np.ndarray] = {}
    for consumer in group.consumers:
        reader = kernels.get(id(consumer.layer))
        if reader is None:
            continue
        read = block_of_channel(reader, 0)
        feed = feeds.get(reader.name)
        if feed is None:
            feed = np.zeros((made.max() + 1, read.max() + 1), bool)
        # A separable convolution may make several channels of one.
        units = consumer.unit_of.repeat(len(read) // len(consumer.unit_of))
        inside = units >= 0
        feed[block_of_unit[units[inside]], read[inside]] = True
        feeds[reader.name] = feed
        others[reader.name] = np.zeros(read.max() + 1, bool)
        others[reader.name][read[~inside]] = True
    closed = len(feeds) == len({id(c.layer) for c in group.consumers})
    is_whole = bool(np.all(maker.unit_of >= 0))
    return Connection(producer.name, feeds, closed and is_whole, others)
