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
"""Units that hang together: what makes, carries and reads them."""

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from tfmot_sapp.base.tables import render
from tfmot_sapp.units.heads import AttentionCall


@dataclasses.dataclass(frozen=True, eq=False)
class Member:
    """A layer that has some of its channels in a group.

    Attributes:
        layer: The layer.
        unit_of: Integer array: the unit that each channel belongs to, -1 for
            those of no unit of the group. Of a layer that makes units these
            are its outputs, of any other its inputs.
        inside: The models and layers that it is inside of.
    """

    layer: Any
    unit_of: np.ndarray
    inside: tuple[Any, ...] = ()

    @property
    def places(self) -> np.ndarray:
        """Indices of the channels that are units of the group."""
        return np.flatnonzero(self.unit_of >= 0)


@dataclasses.dataclass(frozen=True, eq=False)
class Consumer(Member):
    """A layer that reads a group's units.

    Attributes:
        tensor: Its symbolic input: the units on its last axis.
        scaled_by: The batch norm behind the layer that nothing else reads, or
            `None`.
        path: The layers that the units go through, from the one that makes them
            to this one and the batch norm behind it; empty where they don't go
            through layers one after the other.
        result: What the last of them gives.
        total: The sum that `result` alone goes into, where the path is one
            branch of a residual block; else `None`.
        rectified: Whether the sum, or the result where there is none, is read
            by ReLUs alone.
    """

    tensor: Any = None
    scaled_by: Any = None
    path: tuple[Any, ...] = ()
    result: Any = None
    total: Any = None
    rectified: bool = False

    @property
    def repeats(self) -> int:
        """How often each unit comes, more than once behind a Flatten."""
        return int(np.sum(self.unit_of == 0))


@dataclasses.dataclass(frozen=True)
class Group:
    """Units that can be removed.

    Attributes:
        name: Name of the layer that makes the units, the first if there are
            several.
        units: Number of units.
        makers: The layers that make them: one, and those whose units are
            multiplied with its; for heads the attention itself.
        carried: Layers with weights for each unit between them and the
            consumers, and those that name the number of units.
        consumers: What reads the units; empty for heads, which the attention
            itself reads.
        source: The symbolic tensor that the first maker reads; `None` for
            heads.
        attention: For heads, how the attention is called.
    """

    name: str
    units: int
    makers: tuple[Member, ...]
    carried: tuple[Member, ...] = ()
    consumers: tuple[Consumer, ...] = ()
    source: Any = None
    attention: AttentionCall | None = None

    @property
    def producer(self) -> Any:
        """The layer that makes the units, the first if there are several."""
        return self.makers[0].layer

    @property
    def carriers(self) -> tuple[Any, ...]:
        """The layers between the makers and the consumers that change."""
        return tuple(member.layer for member in self.carried)

    @property
    def members(self) -> tuple[Member, ...]:
        """All that has channels of the group."""
        return (*self.makers, *self.carried, *self.consumers)

    @property
    def has_heads(self) -> bool:
        """Whether the units are attention heads, or groups of them."""
        return self.attention is not None

    @property
    def is_shared(self) -> bool:
        """Whether some layer reads its units in several calls."""
        return len({id(c.layer) for c in self.consumers}) < len(self.consumers)

    @property
    def results(self) -> tuple[Consumer | AttentionCall, ...]:
        """What has the `result` and `total` of each consumer."""
        return (self.attention,) if self.attention else self.consumers


@dataclasses.dataclass(frozen=True)
class Groups:
    """What of a model can be removed, and why the rest can't.

    Attributes:
        groups: The groups, in the order of the graph.
        left_alone: Reasons by layer name.
        layers: The layers by the names that `left_alone` has for them.
    """

    groups: tuple[Group, ...]
    left_alone: dict[str, str]
    layers: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def __str__(self) -> str:
        """Returns a table."""
        rows = [
            [
                group.name,
                f"{group.units}",
                "heads" if group.has_heads else "units",
                ", ".join(_names(group.carriers)),
                ", ".join(_names(c.layer for c in group.consumers)),
                "",
            ]
            for group in self.groups
        ]
        rows += [
            [name, "", "", "", "", reason]
            for name, reason in self.left_alone.items()
        ]
        head = [
            "made by",
            "",
            "",
            "carried by",
            "read by",
            "left alone because",
        ]
        return render(head, rows, numeric=(1,))


def _names(layers: Iterable[Any]) -> list[str]:
    """Returns the names of layers, each once."""
    return list(dict.fromkeys(layer.name for layer in layers))
