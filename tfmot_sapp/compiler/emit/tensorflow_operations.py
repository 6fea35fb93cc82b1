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
"""`TensorFlowOperations`: lowerings written in TensorFlow."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from tfmot_sapp.compiler.lowerings.operations import (
    Operations,
    Tensor,
    Tensors,
)


class TensorFlowOperations(Operations):
    """Computes with TensorFlow, eagerly or in the graph being traced."""

    # --- shapes ---------------------------------------------------------------

    def channels(self, x: Tensor) -> int:
        """See `Operations`."""
        return int(x.shape[-1])

    def blocked(self, x: Tensor, width: int) -> Tensor:
        """See `Operations`."""
        return tf.reshape(x, [*_leading(x), x.shape[-1] // width, width])

    def unblocked(self, x: Tensor) -> Tensor:
        """See `Operations`."""
        width = x.shape[-1] * x.shape[-2]
        return tf.reshape(x, [*_leading(x)[:-1], width])

    def rows(self, x: Tensor, *extents: int) -> Tensor:
        """See `Operations`."""
        return tf.reshape(x, (-1, *extents))

    def like(self, y: Tensor, x: Tensor) -> Tensor:
        """See `Operations`."""
        return tf.reshape(y, [*_leading(x), y.shape[-1]])

    def transpose(self, x: Tensor, axes: Sequence[int]) -> Tensor:
        """See `Operations`."""
        return tf.transpose(x, axes)

    # --- copies ---------------------------------------------------------------

    def concatenate(self, pieces: Tensors, axis: int = -1) -> Tensor:
        """See `Operations`."""
        return tf.concat(list(pieces), axis)

    def split(self, x: Tensor, widths: Sequence[int]) -> list[Tensor]:
        """See `Operations`."""
        return list(tf.split(x, list(widths), -1))

    def cut(self, x: Tensor, begin: int, end: int) -> Tensor:
        """See `Operations`."""
        return x[..., begin:end]

    def gather(self, x: Tensor, index: Sequence[int], axis: int) -> Tensor:
        """See `Operations`."""
        return tf.gather(x, index, axis=axis)

    def pad(self, x: Tensor, frame: Sequence[tuple[int, int]]) -> Tensor:
        """See `Operations`."""
        return tf.pad(x, list(frame))

    def window(self, x: Tensor, spans: Sequence[slice]) -> Tensor:
        """See `Operations`."""
        return x[tuple(spans)]

    def filled(self, x: Tensor, values: Tensor) -> Tensor:
        """See `Operations`."""
        return tf.zeros_like(x[..., :1]) + values

    # --- arithmetic -----------------------------------------------------------

    def add(self, x: Tensor, y: Tensor) -> Tensor:
        """See `Operations`."""
        return x + y

    def shifted(self, x: Tensor, offset: Tensor) -> Tensor:
        """See `Operations`."""
        is_zero = isinstance(offset, np.ndarray) and not offset.any()
        return x if is_zero else x + offset

    def scale(self, x: Tensor, factor: Tensor, offset: Tensor) -> Tensor:
        """See `Operations`."""
        return x * factor + offset

    def product(
        self,
        x: Tensor,
        kernel: Tensor,
        bias: Tensor | None,
        window: tuple[Any, ...],
    ) -> Tensor:
        """See `Operations`."""
        y = self._product(x, kernel, window)
        return y if bias is None else tf.nn.bias_add(y, bias)

    def _product(
        self, x: Tensor, kernel: Tensor, window: tuple[Any, ...]
    ) -> Tensor:
        if not window:
            return tf.matmul(x, kernel)
        strides, padding, dilation, is_transposed = window
        if is_transposed:
            return self._spread(x, kernel, strides, padding)
        if padding == "causal":
            reach = dilation[0] * (kernel.shape[0] - 1)
            x = tf.pad(x, [[0, 0], [reach, 0], [0, 0]])
            padding = "valid"
        return tf.nn.convolution(
            x, kernel, list(strides), padding.upper(), dilations=list(dilation)
        )

    def _spread(
        self, x: Tensor, kernel: Tensor, strides: tuple[int, ...], padding: str
    ) -> Tensor:
        """A transposed convolution, with the extents that Keras gives it."""
        *taps, _, width = kernel.shape
        shape = [
            tf.shape(x)[i] if n is None else n for i, n in enumerate(x.shape)
        ]
        extents = [
            n * stride + (max(t - stride, 0) if padding == "valid" else 0)
            for n, stride, t in zip(shape[1:], strides, taps)
        ]
        rank = len(taps)
        swapped = self.weight_transposed(kernel, (*range(rank), rank + 1, rank))
        output_shape = [shape[0], *extents, width]
        return tf.nn.conv_transpose(
            x, swapped, output_shape, list(strides), padding.upper()
        )

    def grouped(
        self, x: Tensor, kernel: Tensor, bias: Tensor, window: tuple[Any, ...]
    ) -> Tensor:
        """See `Operations`."""
        if window:
            y = self._product(x, kernel, window)
        else:
            flat = tf.reshape(x, (-1, 1, 1, x.shape[-1]))
            point = self.weight_transposed(
                kernel, (0, 1), (1, 1, *kernel.shape)
            )
            y = self.like(tf.nn.conv2d(flat, point, 1, "VALID"), x)
        # TensorFlow on a CPU would fuse a bias that follows immediately with
        # the convolution, and then refuse it for being grouped.
        flat = tf.reshape(y, (-1, y.shape[-1]))
        return self.like(tf.nn.bias_add(flat, bias), y)

    def depthwise(
        self, x: Tensor, kernel: Tensor, bias: Tensor, window: tuple[Any, ...]
    ) -> Tensor:
        """See `Operations`."""
        return tf.nn.bias_add(_depthwise(x, kernel, window), bias)

    def matmul(self, x: Tensor, y: Tensor, transpose_y: bool = False) -> Tensor:
        """See `Operations`."""
        return tf.matmul(x, y, transpose_b=transpose_y)

    def multiply(self, x: Tensor, factor: float) -> Tensor:
        """See `Operations`."""
        return x * factor

    def softmax(self, x: Tensor) -> Tensor:
        """See `Operations`."""
        return tf.nn.softmax(x)

    def segment_sum(self, x: Tensor, ids: np.ndarray, count: int) -> Tensor:
        """See `Operations`."""
        # The sorted variant can't be compiled by XLA.
        return tf.math.unsorted_segment_sum(x, ids, count)

    def divided(self, numbers: Tensor, divisor: int) -> tuple[Tensor, Tensor]:
        """See `Operations`."""
        numbers = tf.cast(numbers, tf.int32)
        return numbers // divisor, numbers % divisor

    def look_up(self, table: Tensor, numbers: Tensor) -> Tensor:
        """See `Operations`."""
        return tf.gather(table, numbers)

    # --- weights --------------------------------------------------------------

    def weight_transposed(
        self,
        weight: Tensor,
        axes: tuple[int, ...],
        shape: tuple[int, ...] | None = None,
    ) -> Tensor:
        """See `Operations`."""
        if isinstance(weight, np.ndarray):
            array = np.transpose(weight, axes)
            return array if shape is None else np.reshape(array, shape)
        tensor = tf.transpose(weight, axes)
        return tensor if shape is None else tf.reshape(tensor, shape)

    def weights_concatenated(self, weights: Tensors, axis: int) -> Tensor:
        """See `Operations`."""
        if all(isinstance(weight, np.ndarray) for weight in weights):
            return np.concatenate(list(weights), axis)
        return tf.concat(list(weights), axis)

    def weight_rows(self, weight: Tensor, index: np.ndarray) -> Tensor:
        """See `Operations`."""
        if isinstance(weight, np.ndarray):
            return np.reshape(weight[index], -1)
        return tf.reshape(tf.gather(weight, index), (-1,))


def _leading(x: Tensor) -> list[Any]:
    """The extents but the last, at most one of them unknown as -1."""
    static = [-1 if n is None else int(n) for n in x.shape[:-1]]
    if static.count(-1) <= 1:
        return static
    shape = tf.shape(x)
    return [shape[i] for i in range(len(static))]


def _depthwise(x: Tensor, kernel: Tensor, window: tuple[Any, ...]) -> Tensor:
    strides, padding, dilation = window
    kernel = kernel[..., tf.newaxis]
    if len(strides) == 2:
        return tf.nn.depthwise_conv2d(
            x, kernel, [1, *strides, 1], padding.upper(), dilations=dilation
        )
    if padding == "causal":
        reach = dilation[0] * (kernel.shape[0] - 1)
        x = tf.pad(x, [[0, 0], [reach, 0], [0, 0]])
        padding = "valid"
    y = tf.nn.depthwise_conv2d(
        x[:, tf.newaxis],
        kernel[tf.newaxis],
        [1, strides[0], strides[0], 1],
        padding.upper(),
        dilations=(1, *dilation),
    )
    return y[:, 0]
