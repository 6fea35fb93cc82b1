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
"""`LiteRtOperations`: lowerings written as operations of a LiteRT graph."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from tfmot_sapp.compiler.emit import windows
from tfmot_sapp.compiler.emit.litert_layout import LiteRtLayout, size_of
from tfmot_sapp.compiler.ir.values import Value, broadcast_shape
from tfmot_sapp.targets.operators import Operators

# Constants of more bytes are computed, not stored.
_LARGEST_FILL = 1 << 12
# XNNPACK goes through values of fewer channels one position after the other:
# at 16 channels that takes twice as long, at 8 twelve times.
_FEW_CHANNELS = 32
# A constant is repeated along the positions up to this many elements.
_LARGEST_REPEATED = 1 << 12


class LiteRtOperations(LiteRtLayout):
    """Appends operations to a list, in the order of execution."""

    def __init__(self, operators: Operators):
        super().__init__(operators)
        # One channel of zeros in the shape of a value.
        self._zeros: dict[Value, Value] = {}

    # --- arithmetic -----------------------------------------------------------

    def filled(self, x: Value, values: np.ndarray) -> Value:
        """See `Operations`."""
        values = np.asarray(values, np.float32)
        shape = (*x.shape[:-1], len(values))
        size = size_of(shape)
        if size is not None and 4 * size <= _LARGEST_FILL:
            full = np.broadcast_to(values, [n or 0 for n in shape])
            return self.constant(np.ascontiguousarray(full), "constants")
        if x not in self._zeros:
            self._zeros[x] = self.multiply(self.cut(x, 0, 1), 0.0)
        zeros = self._zeros[x]
        made = self.elementwise(
            "ADD", zeros, self.weight(values, "constants"), shape
        )
        if size is not None:
            self._filled[made] = values
        return made

    def add(self, x: Value, y: Any) -> Value:
        """See `Operations`."""
        other = y if isinstance(y, Value) else self._by_channel(x, y, "offset")
        shape = broadcast_shape(x.shape, other.shape)
        return self.elementwise("ADD", x, other, shape)

    def shifted(self, x: Value, offset: np.ndarray) -> Value:
        """See `Operations`."""
        return self.add(x, offset) if np.any(offset != 0) else x

    def scale(self, x: Value, factor: np.ndarray, offset: np.ndarray) -> Value:
        """See `Operations`."""
        if np.any(factor != 1):
            given = self._by_channel(x, factor, "factor")
            x = self.elementwise("MUL", x, given, x.shape)
        return self.shifted(x, offset)

    def _by_channel(self, x: Value, vector: np.ndarray, what: str) -> Value:
        """A number for each channel, in the shape that is fastest."""
        if np.all(vector == vector[0]):
            return self.weight(vector[0], what)
        row = x.shape[-2] if len(x.shape) > 2 else None
        few = len(vector) < _FEW_CHANNELS
        if row and few and row * len(vector) <= _LARGEST_REPEATED:
            vector = np.tile(vector, (row, 1))
        return self.weight(vector, what)

    def multiply(self, x: Value, factor: float) -> Value:
        """See `Operations`."""
        given = self.constant(np.array(factor, np.float32), "factor")
        return self.elementwise("MUL", x, given, x.shape)

    def product(
        self,
        x: Value,
        kernel: np.ndarray,
        bias: np.ndarray | None,
        window: tuple[Any, ...],
    ) -> Value:
        """See `Operations`."""
        width = kernel.shape[-1]
        offset = np.zeros(width, np.float32) if bias is None else bias
        given_bias = self.weight(offset, "bias")
        if not window:
            weights = self.weight(np.transpose(kernel), "kernel")
            return self.write(
                "FULLY_CONNECTED",
                [x, weights, given_bias],
                self.value((*x.shape[:-1], width)),
                # XNNPACK copies the input of one that doesn't keep the axes.
                version=5,
                fused_activation_function="NONE",
                weights_format="DEFAULT",
                keep_num_dims=True,
            )
        strides, padding, dilation, is_transposed = window
        if is_transposed:
            return self._spread(x, kernel, given_bias, strides, padding)
        return self._convolution(x, kernel, given_bias, window, version=1)

    def grouped(
        self,
        x: Value,
        kernel: np.ndarray,
        bias: np.ndarray,
        window: tuple[Any, ...],
    ) -> Value:
        """See `Operations`."""
        given_bias = self.weight(bias, "bias")
        if window:
            return self._convolution(x, kernel, given_bias, window, version=6)
        flat = self.rows(x, 1, 1, self.channels(x))
        point = kernel.reshape(1, 1, *kernel.shape)
        plain = ((1, 1), "valid", (1, 1), False)
        made = self._convolution(flat, point, given_bias, plain, version=6)
        return self.like(made, x)

    def _convolution(
        self,
        x: Value,
        kernel: np.ndarray,
        bias: Value,
        window: tuple[Any, ...],
        version: int,
    ) -> Value:
        strides, padding, dilation, _ = window
        weights = self.weight(np.transpose(kernel, (3, 0, 1, 2)), "kernel")
        extents = windows.extents(
            x, kernel.shape[:2], strides, padding, dilation
        )
        return self.write(
            "CONV_2D",
            [x, weights, bias],
            self.value((x.shape[0], *extents, kernel.shape[-1])),
            version=version,
            **windows.options(window),
            fused_activation_function="NONE",
        )

    def _spread(
        self,
        x: Value,
        kernel: np.ndarray,
        bias: Value,
        strides: tuple[int, ...],
        padding: str,
    ) -> Value:
        extents = [
            None
            if n is None
            else n * stride + (max(t - stride, 0) if padding == "valid" else 0)
            for n, stride, t in zip(x.shape[1:-1], strides, kernel.shape)
        ]
        if None in extents:
            raise ValueError(
                "`x` must have known extents for a transposed convolution. "
                f"Received: shape {x.shape}."
            )
        inner = [n or 0 for n in extents] + [kernel.shape[-1]]
        weights = self.weight(np.transpose(kernel, (3, 0, 1, 2)), "kernel")
        return self.write(
            "TRANSPOSE_CONV",
            [self._batch_and(x, inner), weights, x, bias],
            self.value((x.shape[0], *inner)),
            version=3,
            padding=padding.upper(),
            stride_h=strides[0],
            stride_w=strides[1],
            fused_activation_function="NONE",
        )

    def _batch_and(self, x: Value, inner: list[int]) -> Value:
        """A shape vector: the batch of a tensor, then known extents."""
        if x.shape[0] is not None:
            return self.constant(
                np.array([x.shape[0], *inner], np.int32), "shape"
            )
        shape = self.value((len(x.shape),), "int32")
        self.write("SHAPE", [x], shape, out_type="int32")
        batch = self.value((1,), "int32")
        self.write(
            "SLICE",
            [
                shape,
                self.constant(np.array([0], np.int32), "begin"),
                self.constant(np.array([1], np.int32), "size"),
            ],
            batch,
            version=2,
        )
        rest = self.constant(np.array(inner, np.int32), "extents")
        return self.write(
            "CONCATENATION",
            [batch, rest],
            self.value((1 + len(inner),), "int32"),
            axis=0,
            fused_activation_function="NONE",
        )

    def depthwise(
        self,
        x: Value,
        kernel: np.ndarray,
        bias: np.ndarray,
        window: tuple[Any, ...],
    ) -> Value:
        """See `Operations`."""
        most = self.operators.most_depthwise_taps
        is_large = kernel.shape[0] * kernel.shape[1] > most
        if is_large and None not in x.shape[1:] and kernel.shape[1] <= most:
            return self._depthwise_by_rows(x, kernel, bias, window)
        return self._depthwise(x, kernel, bias, window)

    def _depthwise(
        self,
        x: Value,
        kernel: np.ndarray,
        bias: np.ndarray,
        window: tuple[Any, ...],
    ) -> Value:
        strides, padding, dilation = window
        weights = self.weight(kernel[np.newaxis], "kernel")
        extents = windows.extents(
            x, kernel.shape[:2], strides, padding, dilation
        )
        return self.write(
            "DEPTHWISE_CONV_2D",
            [x, weights, self.weight(bias, "bias")],
            self.value((x.shape[0], *extents, kernel.shape[-1])),
            version=1 if tuple(dilation) == (1, 1) else 2,
            depth_multiplier=1,
            **windows.options(window),
            fused_activation_function="NONE",
        )

    def _depthwise_by_rows(
        self,
        x: Value,
        kernel: np.ndarray,
        bias: np.ndarray,
        window: tuple[Any, ...],
    ) -> Value:
        """A sum of convolutions of a few rows of the kernel each."""
        strides, padding, dilation = window
        if padding == "same":
            x = self.pad(
                x,
                [(0, 0), *windows.frame(x, kernel, strides, dilation), (0, 0)],
            )
        valid = (strides, "valid", dilation)
        (height,) = windows.extents(x, kernel.shape[:1], *windows.first(valid))
        count = self.operators.most_depthwise_taps // kernel.shape[1]
        parts = -(-len(kernel) // count)
        total = None
        for rows in np.array_split(np.arange(len(kernel)), parts):
            begin = int(rows[0]) * dilation[0]
            reach = (len(rows) - 1) * dilation[0]
            seen = ((height or 1) - 1) * strides[0] + reach + 1
            given = self.window(
                x, [slice(None), slice(begin, begin + seen), *2 * [slice(None)]]
            )
            offset = bias if total is None else np.zeros_like(bias)
            part = self._depthwise(given, kernel[rows], offset, valid)
            total = part if total is None else self.add(total, part)
        assert total is not None
        return total

    def matmul(self, x: Value, y: Any, transpose_y: bool = False) -> Value:
        """See `Operations`."""
        other = y if isinstance(y, Value) else self.weight(y, "kernel")
        width = other.shape[-2 if transpose_y else -1]
        return self.write(
            "BATCH_MATMUL",
            [x, other],
            self.value((*x.shape[:-1], width)),
            adj_x=False,
            adj_y=transpose_y,
            asymmetric_quantize_inputs=False,
        )

    def softmax(self, x: Value) -> Value:
        """See `Operations`."""
        return self.write("SOFTMAX", [x], self.value(x.shape), beta=1.0)

    def segment_sum(self, x: Value, ids: np.ndarray, count: int) -> Value:
        """See `Operations`."""
        return self.write(
            "UNSORTED_SEGMENT_SUM",
            [
                x,
                self.constant(np.array(ids, np.int32), "ids"),
                self.constant(np.array(count, np.int32), "count"),
            ],
            self.value((count, *x.shape[1:])),
        )

    def divided(self, numbers: Value, divisor: int) -> tuple[Value, Value]:
        """See `Operations`."""
        if numbers.dtype != "int32":
            made = self.value(numbers.shape, "int32")
            numbers = self.write("CAST", [numbers], made)
        by = self.constant(np.array(divisor, np.int32), "divisor")
        results = [
            self.write(kind, [numbers, by], self.value(numbers.shape, "int32"))
            for kind in ("FLOOR_DIV", "FLOOR_MOD")
        ]
        return results[0], results[1]

    def look_up(self, table: np.ndarray, numbers: Value) -> Value:
        """See `Operations`."""
        if table.dtype.kind == "f":
            given, dtype = self.weight(table, "table"), "float32"
        else:
            given, dtype = self.constant(table, "places"), "int32"
        made = self.value((*numbers.shape, *table.shape[1:]), dtype)
        return self.write(
            "GATHER", [given, numbers], made, axis=0, batch_dims=0
        )

    # --- weights --------------------------------------------------------------

    def weight_transposed(
        self,
        weight: np.ndarray,
        axes: tuple[int, ...],
        shape: tuple[int, ...] | None = None,
    ) -> np.ndarray:
        """See `Operations`."""
        array = np.transpose(weight, axes)
        return array if shape is None else np.reshape(array, shape)

    def weights_concatenated(
        self, weights: Sequence[np.ndarray], axis: int
    ) -> np.ndarray:
        """See `Operations`."""
        return np.concatenate(list(weights), axis)

    def weight_rows(self, weight: np.ndarray, index: np.ndarray) -> np.ndarray:
        """See `Operations`."""
        return np.reshape(weight[index], -1)
