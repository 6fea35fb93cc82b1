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
"""What is known about one kind of layer."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np

from tfmot_sapp.frameworks.channel_operations import ChannelOperation, Window

# What a layer does to channels at inference:
#   nothing      gives what it takes
#   map          a function of each value by itself
#   activation   the function that its `activation` names
#   pool         each channel by itself, and a constant one stays what it is
#   frame        each channel by itself, with zeros around it
#   flatten      puts the channels of all places after each other
#   reshape      other axes for the same values
#   scale        a factor and an offset for each channel
#   depthwise    a kernel for each channel
#   add          the sum of several values
#   sum          another combination of values that keeps zero channels apart
#   multiply     their product
#   concatenate  the channels of several values after each other
#   units        each output channel is a unit, made from all input channels
#   separable    a kernel for each channel, then one over all of them
#   heads        attention heads, each a unit
#   head_groups  attention heads of which several share keys and values
#   product      a product that is more general than one over channels
#   lookup       rows of a table, by their numbers
#   loop         one step after the other, each made from the last one
Effect = Literal[
    "nothing",
    "map",
    "activation",
    "pool",
    "frame",
    "flatten",
    "reshape",
    "scale",
    "depthwise",
    "add",
    "sum",
    "multiply",
    "concatenate",
    "units",
    "separable",
    "heads",
    "head_groups",
    "product",
    "lookup",
    "loop",
]
# The effects of layers that take each channel by itself and have no weights.
BY_ITSELF = frozenset({"nothing", "map", "pool", "frame"})
# Those of layers that have weights for each channel.
WITH_CHANNEL_WEIGHTS = frozenset({"scale", "depthwise"})

# A kernel's attribute and the roles of its axes.
KernelAxes = tuple[str, Sequence[str]]


@dataclasses.dataclass(frozen=True)
class LayerKind:
    """One entry of the table.

    Attributes:
        names: Names of the classes of this kind, in either Keras.
        kernels: Function from a built layer to the attributes that hold its
            kernels, each with the roles of its axes; `None` for a layer that
            has none of its own.
        no_blocks: Why the weights that it has can't be cut in blocks, if there
            is a reason to give.
        holds_layers: Whether there are layers inside it.
        effect: What it does to channels, if there is a word for it.
        size: The argument of its constructor that sets its number of units.
        multiply_adds: Function from a layer and the numbers of places of its
            input and output to the multiply-adds of one example; `None` for a
            layer whose are not counted.
        read: Function from a layer to what it does to channels, as arrays, one
            after the other; it returns `None` for a layer that does something
            else. `None` for a kind that can't be read.
    """

    names: tuple[str, ...]
    kernels: Callable[[Any], Sequence[KernelAxes]] | None = None
    no_blocks: str | None = None
    holds_layers: bool = False
    effect: Effect | None = None
    size: str | None = None
    multiply_adds: Callable[[Any, int, int], int] | None = None
    read: Callable[[Any], list[ChannelOperation] | None] | None = None


def by_rank(
    kinds: Sequence[str], ranks: Sequence[int] = (1, 2, 3)
) -> tuple[str, ...]:
    """Returns class names with the rank in them: "Conv1D", "Conv2D"."""
    return tuple(f"{kind}{rank}D" for kind in kinds for rank in ranks)


def array(variable: Any) -> np.ndarray:
    """Returns a variable's value."""
    return np.asarray(variable.numpy())


def bias_of(layer: Any, channels: int, dtype: Any) -> np.ndarray:
    """Returns a layer's bias, zeros where it has none."""
    bias = getattr(layer, "bias", None)
    return np.zeros(channels, dtype) if bias is None else array(bias)


def window_of(layer: Any, rank: int) -> Window:
    """Returns how a convolution slides."""
    return Window(
        tuple(layer.strides)[-rank:],
        layer.padding,
        tuple(layer.dilation_rate)[-rank:],
    )
