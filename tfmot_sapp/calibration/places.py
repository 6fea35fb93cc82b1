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
"""The rows that a layer multiplies its kernel with, at chosen places.

A Dense has a place for each position along all axes but the last, a convolution
for each position of its output, an EinsumDense for each position along the axes
that it keeps. Few of the places of a large picture are enough, so rows are
taken out one by one: a convolution's windows are never all built.
"""

import abc
import dataclasses
import itertools
import math
from typing import Any

import numpy as np

from tfmot_sapp.frameworks.kernels import Kernel
from tfmot_sapp.frameworks.layers.axes import BATCH, IN, OUT
from tfmot_sapp.frameworks.layers.table import computes_as_known, kind_of


class Places(abc.ABC):
    """What is read and given at the places of a layer.

    Args:
        input_shape: Shape of what the layer reads, samples first.
    """

    count: int
    """Number of places of a sample."""

    @abc.abstractmethod
    def rows(self, inputs: np.ndarray, at: np.ndarray) -> np.ndarray:
        """Returns rows of inputs.

        Args:
            inputs: Array (samples, ...): what the layer reads.
            at: Integer array (samples, n): places of each sample.

        Returns:
            Array (samples * n, inputs of the kernel).
        """

    @abc.abstractmethod
    def outputs(self, outputs: np.ndarray, at: np.ndarray) -> np.ndarray:
        """Returns rows of what the layer gives, (samples * n, outputs)."""

    def visible(self, mask: np.ndarray) -> np.ndarray | None:
        """Returns which places a Keras mask of the inputs lets through.

        Args:
            mask: Boolean array (samples, ...), over the inputs' first axes.

        Returns:
            Boolean array (samples, count), or `None` if it doesn't say.
        """
        del mask
        return None


def places_of(kernel: Kernel, input_shape: tuple[int, ...]) -> Places:
    """Returns the places of a layer, for inputs of a shape.

    Args:
        kernel: The layer's kernel.
        input_shape: Shape of what it reads, samples first.
    """
    layer = kernel.owner
    if hasattr(layer, "kernel_size"):
        return _Windows(layer, input_shape)
    if hasattr(layer, "equation"):
        return _Contraction(layer.equation, input_shape)
    return _LastAxis(input_shape)


def why_no_rows(kernel: Kernel) -> str | None:
    """Says why a kernel's rows can't be read; `None` if they can."""
    layer = kernel.owner
    kind = kind_of(layer)
    if kernel.attribute != "kernel":
        return f"`{kernel.attribute}` has no rows that could be read"
    if not computes_as_known(layer):
        return f"{type(layer).__name__} has a `call` of its own"
    if kernel.roles[-2:] == (OUT, IN) and hasattr(layer, "kernel_size"):
        return "the outputs of a transposed convolution overlap"
    if kind is None or kind.effect not in ("units", "product"):
        return f"rows of a {type(layer).__name__} can't be read"
    if getattr(layer, "groups", 1) > 1:
        return "the convolution has groups"
    if BATCH in kernel.roles:
        return "its kernel has an axis that is not summed over"
    return None


def inputs_of(kernel: Kernel) -> int:
    """Returns the length of the rows that a kernel is multiplied with."""
    return _order(kernel)[1]


def to_matrix(values: np.ndarray, kernel: Kernel) -> np.ndarray:
    """Returns an array shaped like a kernel as (inputs, outputs)."""
    order, rows = _order(kernel)
    return values.transpose(order).reshape(rows, -1)


def from_matrix(matrix: np.ndarray, kernel: Kernel) -> np.ndarray:
    """Undoes `to_matrix`."""
    order, _ = _order(kernel)
    shape = [kernel.shape[axis] for axis in order]
    return matrix.reshape(shape).transpose(np.argsort(order))


def _order(kernel: Kernel) -> tuple[list[int], int]:
    axes = range(len(kernel.roles))
    inputs = [axis for axis in axes if kernel.roles[axis] != OUT]
    outputs = [axis for axis in axes if kernel.roles[axis] == OUT]
    return inputs + outputs, math.prod(kernel.shape[axis] for axis in inputs)


@dataclasses.dataclass
class _LastAxis(Places):
    input_shape: tuple[int, ...]

    def __post_init__(self) -> None:
        self.count = math.prod(self.input_shape[1:-1])

    def rows(self, inputs: np.ndarray, at: np.ndarray) -> np.ndarray:
        return _picked(inputs.reshape(len(inputs), -1, inputs.shape[-1]), at)

    def outputs(self, outputs: np.ndarray, at: np.ndarray) -> np.ndarray:
        return self.rows(outputs, at)

    def visible(self, mask: np.ndarray) -> np.ndarray | None:
        wide = _over(mask, self.input_shape, summed=1)
        return None if wide is None else wide.reshape(len(wide), self.count)


def _picked(values: np.ndarray, at: np.ndarray) -> np.ndarray:
    samples = np.arange(len(values))[:, None]
    return values[samples, at].reshape(-1, values.shape[-1])


def _over(
    mask: np.ndarray, shape: tuple[int, ...], summed: int
) -> np.ndarray | None:
    """Returns a mask over the axes that are not summed, the last so many."""
    kept = shape[: len(shape) - summed]
    if mask.shape != kept[: mask.ndim]:
        return None
    mask = mask.reshape(mask.shape + (1,) * (len(kept) - mask.ndim))
    return np.broadcast_to(mask, kept)


class _Contraction(Places):
    """Rows of an EinsumDense: the summed axes, side by side."""

    def __init__(self, equation: str, input_shape: tuple[int, ...]):
        operands, _, result = equation.replace(" ", "").partition("->")
        inputs, _, kernel = operands.partition(",")
        if "..." in equation:
            named = set(inputs + kernel + result)
            free = (c for c in "ABCDEFGHIJKLMNOPQRSTUVWXYZ" if c not in named)
            missing = len(input_shape) - len(inputs.replace(".", ""))
            letters = "".join(itertools.islice(free, missing))
            inputs = inputs.replace("...", letters)
            result = result.replace("...", letters)
        summed = [c for c in kernel if c in inputs]
        made = [c for c in kernel if c not in inputs]
        kept = [c for c in inputs if c not in kernel]
        self._inputs = [inputs.index(c) for c in kept + summed]
        self._outputs = [result.index(c) for c in kept + made]
        self._width = math.prod(input_shape[inputs.index(c)] for c in summed)
        sizes = [input_shape[inputs.index(c)] for c in kept]
        self.count = math.prod(sizes[1:])
        self._sizes, self._summed = tuple(sizes), len(summed)

    def visible(self, mask: np.ndarray) -> np.ndarray | None:
        if self._inputs[: mask.ndim] != list(range(mask.ndim)):
            return None
        shape = self._sizes + (1,) * self._summed
        wide = _over(mask, shape, self._summed)
        return None if wide is None else wide.reshape(len(wide), self.count)

    def rows(self, inputs: np.ndarray, at: np.ndarray) -> np.ndarray:
        values = inputs.transpose(self._inputs)
        return _picked(values.reshape(len(values), -1, self._width), at)

    def outputs(self, outputs: np.ndarray, at: np.ndarray) -> np.ndarray:
        values = outputs.transpose(self._outputs)
        values = values.reshape(len(values), self.count, -1)
        return _picked(values, at)


class _Windows(Places):
    """Rows of a convolution: the window at a place, tap by tap."""

    def __init__(self, layer: Any, input_shape: tuple[int, ...]):
        self._first = layer.data_format == "channels_first"
        sides = input_shape[2:] if self._first else input_shape[1:-1]
        self._taps = tuple(layer.kernel_size)
        self._strides = tuple(layer.strides)
        self._rates = tuple(layer.dilation_rate)
        self._pads: list[tuple[int, int]] = []
        self._sizes: list[int] = []
        for side, taps, stride, rate in zip(
            sides, self._taps, self._strides, self._rates
        ):
            reach = (taps - 1) * rate + 1
            if layer.padding == "same":
                size = -(-side // stride)
                pad = max((size - 1) * stride + reach - side, 0)
                before, after = pad // 2, pad - pad // 2
            elif layer.padding == "causal":
                size = -(-side // stride)
                before, after = reach - 1, 0
            else:
                size = (side - reach) // stride + 1
                before, after = 0, 0
            self._sizes.append(size)
            self._pads.append((before, after))
        self.count = math.prod(self._sizes)

    def rows(self, inputs: np.ndarray, at: np.ndarray) -> np.ndarray:
        values = self._last(inputs)
        values = np.pad(values, [(0, 0), *self._pads, (0, 0)])
        starts = np.unravel_index(at, self._sizes)
        samples = np.arange(len(values))[:, None]
        taps = []
        for tap in itertools.product(*map(range, self._taps)):
            place = tuple(
                start * stride + offset * rate
                for start, stride, offset, rate in zip(
                    starts, self._strides, tap, self._rates
                )
            )
            taps.append(values[(samples,) + place])
        windows = np.stack(taps, axis=2)
        return windows.reshape(at.size, -1)

    def outputs(self, outputs: np.ndarray, at: np.ndarray) -> np.ndarray:
        values = self._last(outputs)
        return _picked(values.reshape(len(values), self.count, -1), at)

    def _last(self, values: np.ndarray) -> np.ndarray:
        return np.moveaxis(values, 1, -1) if self._first else values
