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
"""Channels that don't depend on the inputs, yet vary by position.

A channel that nothing makes is constant: its bias everywhere. Behind a
depthwise convolution that pads with zeros it differs at the border, but
everything that it holds is still known, and so is its mean, which is constant
again: what a squeeze-and-excite block reads of it goes into a bias.
"""

import collections
import dataclasses
import math
from collections.abc import Sequence

import numpy as np

from tfmot_sapp.compiler.graph import Graph, Packable, Table, Taps, Value
from tfmot_sapp.frameworks.channel_operations import (
    Depthwise,
    Linear,
    Scale,
)

# Values of more elements aren't followed.
_LARGEST = 1 << 21

# For each channel of a value, whether it's constant, and the constant.
Constants = tuple[np.ndarray, np.ndarray]


@dataclasses.dataclass(eq=False)
class _Fixed:
    """What is known of a value.

    Attributes:
        channels: For each channel, whether it's known.
        array: The value; what it holds in other channels means nothing.
    """

    channels: np.ndarray
    array: np.ndarray


class FixedChannels:
    """Follows channels that are known at every position.

    Args:
        graph: The graph, whose nodes are gone through in their order.
    """

    def __init__(self, graph: Graph):
        self._found: dict[Value, _Fixed] = {}
        self._readings = collections.Counter(
            value
            for node in graph.nodes
            if isinstance(node, Packable)
            for value in node.inputs
        )

    def constants_behind(
        self, node: Packable, given: Sequence[Constants], constant: np.ndarray
    ) -> Constants | None:
        """Finds channels that a node makes constant though they varied.

        Args:
            node: A node whose inputs were followed.
            given: The constants of each of its inputs.
            constant: For each channel of its output, whether it's known to be
                constant without this.

        Returns:
            The constants of its output that are found, `None` for none.
        """
        constants = self._follow(node, given, constant)
        for value in node.inputs:
            self._readings[value] -= 1
            if not self._readings[value]:
                # It may be large, and nothing asks for it any more.
                self._found.pop(value, None)
        return constants

    def _follow(
        self, node: Packable, given: Sequence[Constants], constant: np.ndarray
    ) -> Constants | None:
        if node.shared is not None or any(map(node.meets_all, node.inputs)):
            return None
        if isinstance(node.core, Linear | Table | Taps):
            return None
        known = np.ones(constant.shape, bool)
        for value, (channels, _) in zip(node.inputs, given):
            found = self._found.get(value)
            known &= channels if found is None else found.channels
        if not np.any(known & ~constant):
            return None
        arrays = [
            self._array(value, *constants)
            for value, constants in zip(node.inputs, given)
        ]
        made = _computed(node, arrays, known)
        if made is None or not made.size or not _fits(made, node.output):
            return None
        is_open = any(_has_open_batch(v) for v in (*node.inputs, node.output))
        if is_open and not (len(made) == 1 and _has_open_batch(node.output)):
            # What becomes of several samples isn't known.
            return None
        self._found[node.output] = _Fixed(known, made)
        positions = made.reshape(-1, made.shape[-1])
        even = known & (positions == positions[0]).all(axis=0)
        return even, positions[0]

    def _array(
        self, value: Value, constant: np.ndarray, values: np.ndarray
    ) -> np.ndarray | None:
        if value in self._found:
            return self._found[value].array
        # Of an unknown batch, one sample stands for all.
        extents = [value.shape[0] or 1, *value.shape[1:]]
        shape = [n for n in extents if n is not None]
        if len(shape) < len(extents) or math.prod(shape) > _LARGEST:
            return None
        known = np.where(constant, values, 0).astype(np.float32)
        return np.broadcast_to(known, shape)


def _fits(array: np.ndarray, value: Value) -> bool:
    """Whether an array has a value's shape, as far as that is known."""
    return array.ndim == len(value.shape) and all(
        n in (None, extent) for n, extent in zip(value.shape, array.shape)
    )


def _has_open_batch(value: Value) -> bool:
    return value.shape[:1] == (None,)


def _computed(
    node: Packable, arrays: Sequence[np.ndarray | None], known: np.ndarray
) -> np.ndarray | None:
    """What a node makes, where that can be computed.

    Args:
        node: The node; its core treats channels apart.
        arrays: Its inputs.
        known: The channels that count.
    """
    array, *rest = arrays
    if array is None or any(each is None for each in rest):
        return None
    if isinstance(node.core, Depthwise):
        made = _convolved(array[..., known], node.core, known)
        array = np.zeros((*made.shape[:-1], len(known)))
        array[..., known] = made
    elif isinstance(node.core, Scale):
        array = array * node.core.factor + node.core.offset
    for step in node.steps:
        if step.compute is None or array is None:
            return None
        operands, rest = rest[: step.operands], rest[step.operands :]
        given = [array, *operands]
        array = step.compute([np.asarray(x, np.float32) for x in given])
    return array


def _convolved(
    x: np.ndarray, core: Depthwise, channels: np.ndarray
) -> np.ndarray:
    """A depthwise convolution of some of the channels."""
    kernel = core.kernel[..., channels].astype(np.float64)
    extents, frame = [], []
    for n, taps, stride, dilation in zip(
        x.shape[1:-1], core.taps, core.window.strides, core.window.dilation
    ):
        reach = (taps - 1) * dilation
        if core.window.padding == "same":
            extent = -(-n // stride)
            total = max((extent - 1) * stride + reach + 1 - n, 0)
            before = total // 2
            after = total - before
        else:
            before = reach if core.window.padding == "causal" else 0
            after = 0
            extent = (n + before - reach - 1) // stride + 1
        extents.append(extent)
        frame.append((before, after))
    padded = np.pad(x.astype(np.float64), [(0, 0), *frame, (0, 0)])
    made = np.zeros((len(x), *extents, kernel.shape[-1]))
    for tap in np.ndindex(*core.taps):
        seen = [slice(None)]
        for t, extent, stride, dilation in zip(
            tap, extents, core.window.strides, core.window.dilation
        ):
            first = t * dilation
            seen.append(slice(first, first + (extent - 1) * stride + 1, stride))
        made += padded[tuple(seen)] * kernel[tap]
    return made + core.bias[channels]
