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
"""The plain operations that lowerings are written with.

A lowering says what is computed; `Operations` says how that is written for a
runtime. There is one for TensorFlow (`emit/tensorflow_operations.py`) and one
for the graph of a LiteRT file (`emit/litert_operations.py`). Channels are the
last axis of every tensor.
"""

import abc
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from tfmot_sapp.targets.operators import Operators

# What a runtime calls a tensor.
Tensor = Any
Tensors = Sequence[Any]


class Operations(abc.ABC):
    """Writes plain operations for a runtime.

    Weights are arrays, or the runtime's own tensors where they are variables
    that may change.

    Attributes:
        operators: How the runtime wants packed layers written.
    """

    def __init__(self, operators: Operators):
        self.operators = operators

    # --- shapes ---------------------------------------------------------------

    @abc.abstractmethod
    def channels(self, x: Tensor) -> int:
        """The extent of the last axis."""

    @abc.abstractmethod
    def blocked(self, x: Tensor, width: int) -> Tensor:
        """Channels as (blocks, channels of a block)."""

    @abc.abstractmethod
    def unblocked(self, x: Tensor) -> Tensor:
        """Blocks of channels as channels."""

    @abc.abstractmethod
    def rows(self, x: Tensor, *extents: int) -> Tensor:
        """All positions in a row: a tensor of shape (-1, *extents)."""

    @abc.abstractmethod
    def like(self, y: Tensor, x: Tensor) -> Tensor:
        """Rows in the leading shape of another tensor."""

    @abc.abstractmethod
    def transpose(self, x: Tensor, axes: Sequence[int]) -> Tensor:
        """A tensor with its axes in another order."""

    # --- copies ---------------------------------------------------------------

    @abc.abstractmethod
    def concatenate(self, pieces: Tensors, axis: int = -1) -> Tensor:
        """Pieces side by side, in one step."""

    @abc.abstractmethod
    def split(self, x: Tensor, widths: Sequence[int]) -> list[Tensor]:
        """All channels, in pieces of these widths."""

    @abc.abstractmethod
    def cut(self, x: Tensor, begin: int, end: int) -> Tensor:
        """Some neighbouring channels."""

    @abc.abstractmethod
    def gather(self, x: Tensor, index: Sequence[int], axis: int) -> Tensor:
        """Entries of an axis, in any order and as often as they are named."""

    @abc.abstractmethod
    def pad(self, x: Tensor, frame: Sequence[tuple[int, int]]) -> Tensor:
        """Zeros around a tensor: (before, after) for each axis."""

    @abc.abstractmethod
    def window(self, x: Tensor, spans: Sequence[slice]) -> Tensor:
        """Part of a tensor: a slice for each axis."""

    @abc.abstractmethod
    def filled(self, x: Tensor, values: Tensor) -> Tensor:
        """Constant channels, in the leading shape of a tensor."""

    # --- arithmetic -----------------------------------------------------------

    @abc.abstractmethod
    def add(self, x: Tensor, y: Tensor) -> Tensor:
        """A sum of two tensors."""

    @abc.abstractmethod
    def shifted(self, x: Tensor, offset: Tensor) -> Tensor:
        """A tensor and an offset for every channel."""

    @abc.abstractmethod
    def scale(self, x: Tensor, factor: Tensor, offset: Tensor) -> Tensor:
        """A factor and an offset for every channel."""

    @abc.abstractmethod
    def product(
        self,
        x: Tensor,
        kernel: Tensor,
        bias: Tensor | None,
        window: tuple[Any, ...],
    ) -> Tensor:
        """One Dense, convolution or transposed convolution.

        Args:
            x: What is multiplied.
            kernel: Of shape (*taps, inputs, outputs).
            bias: Of shape (outputs,), or `None`.
            window: (strides, padding, dilation, whether transposed); empty
                for a Dense.
        """

    @abc.abstractmethod
    def grouped(
        self, x: Tensor, kernel: Tensor, bias: Tensor, window: tuple[Any, ...]
    ) -> Tensor:
        """One convolution whose output blocks read a group of inputs each.

        Args:
            x: The groups' inputs side by side.
            kernel: Of shape (*taps, inputs of a group, all outputs).
            bias: Of shape (all outputs,).
            window: As `product` takes it; empty for a Dense.
        """

    @abc.abstractmethod
    def depthwise(
        self, x: Tensor, kernel: Tensor, bias: Tensor, window: tuple[Any, ...]
    ) -> Tensor:
        """A depthwise convolution.

        Args:
            x: What is multiplied.
            kernel: Of shape (*taps, channels).
            bias: Of shape (channels,).
            window: (strides, padding, dilation).
        """

    @abc.abstractmethod
    def matmul(self, x: Tensor, y: Tensor, transpose_y: bool = False) -> Tensor:
        """Products of the matrices in the last two axes."""

    @abc.abstractmethod
    def multiply(self, x: Tensor, factor: float) -> Tensor:
        """A tensor times a number."""

    @abc.abstractmethod
    def softmax(self, x: Tensor) -> Tensor:
        """Softmax over the last axis."""

    @abc.abstractmethod
    def segment_sum(self, x: Tensor, ids: np.ndarray, count: int) -> Tensor:
        """Sums of the entries of the first axis that have the same number."""

    @abc.abstractmethod
    def divided(self, numbers: Tensor, divisor: int) -> tuple[Tensor, Tensor]:
        """Whole quotients and remainders of integers."""

    @abc.abstractmethod
    def look_up(self, table: Tensor, numbers: Tensor) -> Tensor:
        """Entries of the first axis of a table, by their numbers."""

    # --- weights --------------------------------------------------------------
    # What is done to constants is done here and now.

    @abc.abstractmethod
    def weight_transposed(
        self,
        weight: Tensor,
        axes: tuple[int, ...],
        shape: tuple[int, ...] | None = None,
    ) -> Tensor:
        """A weight with its axes in another order, then reshaped."""

    @abc.abstractmethod
    def weights_concatenated(self, weights: Tensors, axis: int) -> Tensor:
        """Weights side by side."""

    @abc.abstractmethod
    def weight_rows(self, weight: Tensor, index: np.ndarray) -> Tensor:
        """Some rows of a weight, in a row."""

    def joined(self, pieces: Tensors, axis: int = -1) -> Tensor:
        """Pieces side by side, at most the runtime's widest in a step."""
        pieces = list(pieces)
        while len(pieces) > 1:
            pieces = [
                self.concatenate(part, axis) if len(part) > 1 else part[0]
                for part in chunks(pieces, self.operators.widest_concatenation)
            ]
        return pieces[0]

    def joined_to_multiply(
        self, pieces: Tensors, window: tuple[Any, ...], taps: int
    ) -> Tensor:
        """Pieces together, as `product` takes them.

        Args:
            pieces: What is multiplied.
            window: As `product` takes it.
            taps: Taps of the kernel.
        """
        del window, taps
        return self.joined(pieces)


def chunks(items: Sequence[Any], most: int) -> list[Any]:
    """Cuts a sequence in parts of nearly equal length, at most `most`."""
    if not items:
        return []
    count = math.ceil(len(items) / most)
    each = math.ceil(len(items) / count)
    return [items[i : i + each] for i in range(0, len(items), each)]
