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
from tfmot_sapp.units.groups import Group, find_groups


@dataclasses.dataclass(frozen=True)
class Connection:
    """A kernel and those that read what it makes.

    Attributes:
        producer: The kernel's name.
        feeds: For each kernel that reads it, by name, a boolean array of
            shape (output blocks of the producer, input blocks of the reader):
            which of them have a channel in common.
        closed: Whether nothing else reads it.
    """

    producer: str
    feeds: Mapping[str, np.ndarray]
    closed: bool

    def among(self, names: Container[str]) -> "Connection | None":
        """Returns the part of it between some kernels, or `None` for none."""
        feeds = {
            name: feed for name, feed in self.feeds.items() if name in names
        }
        if self.producer not in names or not feeds:
            return None
        closed = self.closed and len(feeds) == len(self.feeds)
        return Connection(self.producer, feeds, closed)


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
        others in an addition or a concatenation have none.
    """
    if not hasattr(model, "layers") or not is_graph(model):
        return []
    found = [
        _connection(group, kernels)
        for group in find_groups(model).groups
        if not group.has_heads and group.name in kernels
    ]
    return [connection for connection in found if connection.feeds]


def _connection(group: Group, kernels: Mapping[str, Any]) -> Connection:
    made = _block_of_channel(kernels[group.name], 1)
    feeds = {}
    for consumer in group.consumers:
        name = consumer.layer.name
        if name not in kernels:
            continue
        read = _block_of_channel(kernels[name], 0)
        feed = np.zeros((made.max() + 1, read.max() + 1), bool)
        feed[np.tile(made, consumer.repeats), read] = True
        feeds[name] = feed
    readers = {consumer.layer.name for consumer in group.consumers}
    return Connection(group.name, feeds, readers == set(feeds))


def _block_of_channel(kernel: Any, side: int) -> np.ndarray:
    """Returns the block that each input (0) or output (1) channel is in."""
    axis = kernel.axes[side]
    return np.arange(kernel.grid.view[axis]) // kernel.grid.block[axis]
