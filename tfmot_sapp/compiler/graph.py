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
"""A model as packing sees it: what happens to the channels of each value.

A Keras model or a LiteRT graph is read into a list of nodes in the order of
execution. A node that packing understands is a `Packable`: a core that mixes or
scales channels (`Linear`, `Depthwise`, `Scale`, or none at all), then steps
that treat every channel alike (`Step`: an activation, an addition, a pooling).
Steps hold layers of the model's own Keras, or operations of the LiteRT graph,
so that their meaning is defined in one place only. Whatever packing does not
understand is an `Opaque` operation that passes through.

Channels are the last axis of every value.
"""

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from tfmot_sapp.frameworks.channel_operations import (
    Depthwise,
    Linear,
    Scale,
    Window,
)

# An axis of unknown extent is taken to be this long.
UNKNOWN_EXTENT = 14


@dataclasses.dataclass(eq=False)
class Value:
    """A tensor of the model.

    Attributes:
        shape: Its shape, `None` where it's unknown; the batch comes first.
    """

    shape: tuple[int | None, ...]

    @property
    def channels(self) -> int:
        """Extent of the last axis."""
        return (self.shape[-1] or 0) if self.shape else 0

    def positions(self, batch: int, unknown: int) -> int:
        """Number of positions: the extents of all axes but the channels.

        Args:
            batch: What to take for a first axis of unknown extent.
            unknown: What to take for any other.
        """
        first = [n or batch for n in self.shape[:1] if len(self.shape) > 1]
        return math.prod(first) * math.prod(
            n or unknown for n in self.shape[1:-1]
        )


@dataclasses.dataclass(eq=False)
class Taps:
    """What each tap of a convolution sees: shifted copies, tap by tap.

    The channels of the output are those of the input, once for each tap; a
    product over them is the convolution. It lets every tap have blocks of its
    own.

    Attributes:
        taps: Spatial extents of the convolution's kernel.
        window: How it slides.
        frame: (before, after) padding of each spatial axis.
        extent: Spatial extents of the output; `None` where unknown.
    """

    taps: tuple[int, ...]
    window: Window
    frame: tuple[tuple[int, int], ...]
    extent: tuple[int | None, ...]


@dataclasses.dataclass(eq=False)
class Table:
    """Rows of a table, looked up by their numbers.

    Attributes:
        rows: Array of shape (rows, channels).
        row_edges: Where blocks of rows begin, then the number of rows.
        column_edges: Likewise for the channels.
    """

    rows: np.ndarray
    row_edges: tuple[int, ...]
    column_edges: tuple[int, ...]

    @property
    def block_rows(self) -> int:
        """Rows of a block; the last block may have fewer."""
        return self.row_edges[1]


Core = Linear | Depthwise | Scale | Taps | Table | None


@dataclasses.dataclass(eq=False)
class Step:
    """An operation without weights that treats every channel alike.

    Attributes:
        operation: A Keras layer, or the operation of a LiteRT graph. Called
            on an array of shape (1, channels), or on a list of them where
            there are operands, it computes constant channels.
        kind: "map" (each value by itself), "add", "merge" (another operation
            on several values), "pool" (a constant channel stays what it is),
            "frame" (a constant channel that isn't zero does not) or "vary"
            (none stays constant).
        operands: How many values it takes beside the one it continues. One
            that has a single channel meets all channels alike.
        keeps_zero: Whether a zero in one value makes the result zero,
            whatever the others are.
        by_channel: Whether it holds a constant for each channel, so that the
            channels can't change places.
        compute: Takes an array of the value that it continues, then one of each
            operand, and returns what the operation makes of them, or `None`
            where NumPy can't compute that.
    """

    operation: Any
    kind: str
    operands: int = 0
    keeps_zero: bool = False
    by_channel: bool = False
    compute: Callable[[list[np.ndarray]], np.ndarray | None] | None = None


@dataclasses.dataclass(eq=False)
class Node:
    """One operation. `inputs` and `outputs` are values."""

    name: str
    inputs: list[Value]
    outputs: list[Value]

    @property
    def output(self) -> Value:
        """Its only output."""
        return self.outputs[0]


@dataclasses.dataclass(eq=False)
class Packable(Node):
    """A core followed by steps. Operands of the steps follow `inputs[0]`.

    Attributes:
        core: What is computed from `inputs[0]`.
        steps: What follows, in order.
        sources: Names of the layers that it comes from.
        dtype: The dtype policy of the first of them.
        made_from: The layer that the core was read from.
        shared: Identifies a layer that the model calls more than once, whose
            weights must stay one set; `None` for any other.
    """

    core: Core
    steps: list[Step]
    sources: list[str]
    dtype: Any = None
    made_from: Any = None
    shared: int | None = None

    def meets_all(self, operand: Value) -> bool:
        """Whether an operand's only channel meets all channels of the rest."""
        return operand.channels == 1 and self.output.channels != 1

    @property
    def computes_in(self) -> str:
        """The type that its policy computes in."""
        return str(self.dtype or "").removeprefix("mixed_")

    @property
    def alike(self) -> list[Value]:
        """Inputs whose channels are those of the output."""
        mixes = isinstance(self.core, Linear | Table | Taps)
        given = self.inputs[1:] if mixes else self.inputs
        return [value for value in given if not self.meets_all(value)]


@dataclasses.dataclass(eq=False)
class Concat(Node):
    """A concatenation along the channels."""


@dataclasses.dataclass(eq=False)
class Part(Node):
    """Some neighbouring channels of a value.

    Attributes:
        begin: The first of them.
    """

    begin: int


@dataclasses.dataclass(eq=False)
class Opaque(Node):
    """An operation that passes through as it is.

    Attributes:
        operation: For a Keras model, a function that takes tensors for
            `inputs` and returns those of `outputs`; else the operation of the
            LiteRT graph.
        layer: The layer called, or `None`.
        kept: Whether it does more than to make its outputs, so that it stays
            where nothing reads them.
    """

    operation: Any
    layer: Any = None
    kept: bool = False


@dataclasses.dataclass(eq=False)
class Graph:
    """A model as nodes.

    Attributes:
        nodes: In the order of execution.
        inputs: Values of the model's inputs, flattened.
        outputs: Values of the model's outputs, flattened.
    """

    nodes: list[Node]
    inputs: list[Value]
    outputs: list[Value]

    def producers(self) -> dict[Value, Node]:
        """The node that makes a value, for all but the model's inputs."""
        return {v: node for node in self.nodes for v in node.outputs}

    def consumers(self) -> dict[Value, list[Node]]:
        """The nodes that read a value, once per reading."""
        readers: dict[Value, list[Node]] = {}
        for node in self.nodes:
            for value in node.inputs:
                readers.setdefault(value, []).append(node)
        return readers
