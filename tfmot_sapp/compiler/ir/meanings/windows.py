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
"""Convolutions and pooling: operations that slide over two spatial axes."""

import numpy as np

from tfmot_sapp.compiler.ir.graph import Operation
from tfmot_sapp.compiler.ir.meanings.activations import activate
from tfmot_sapp.compiler.ir.meanings.table import Arrays, meaning


def _pads(
    operation: Operation, extents: tuple[int, int], window: tuple[int, int]
) -> list[tuple[int, int]]:
    """How much is padded before and after each spatial axis."""
    if operation.attributes.get("padding", "SAME") == "VALID":
        return [(0, 0), (0, 0)]
    pads = []
    for extent, size, stride in zip(extents, window, _strides(operation)):
        outputs = -(-extent // stride)
        total = max((outputs - 1) * stride + size - extent, 0)
        pads.append((total // 2, total - total // 2))
    return pads


def _strides(operation: Operation) -> tuple[int, int]:
    read = operation.attributes.get
    return read("stride_h", 0), read("stride_w", 0)


def _dilations(operation: Operation) -> tuple[int, int]:
    read = operation.attributes.get
    return read("dilation_h_factor", 1), read("dilation_w_factor", 1)


def _windows(
    x: np.ndarray,
    operation: Operation,
    taps: tuple[int, int],
    dilations: tuple[int, int],
    fill: float,
) -> np.ndarray:
    """Views of all windows: batch, height, width, channels, taps."""
    extents = (x.shape[1], x.shape[2])
    height = (taps[0] - 1) * dilations[0] + 1
    width = (taps[1] - 1) * dilations[1] + 1
    pads = _pads(operation, extents, (height, width))
    padded = np.pad(x, [(0, 0), *pads, (0, 0)], constant_values=fill)
    windows = np.lib.stride_tricks.sliding_window_view(
        padded, (height, width), (1, 2)
    )
    down, right = _strides(operation)
    return windows[:, ::down, ::right, :, :: dilations[0], :: dilations[1]]


def _finish(
    operation: Operation, y: np.ndarray, bias: np.ndarray | None
) -> list[np.ndarray]:
    return [activate(operation, y if bias is None else y + bias)]


def _bias(arrays: Arrays, index: int) -> np.ndarray | None:
    return arrays[index] if len(arrays) > index else None


@meaning("CONV_2D")
def _conv_2d(operation: Operation, arrays: Arrays) -> list[np.ndarray]:
    x, kernel = arrays[:2]
    outputs, height, width, inputs = kernel.shape
    windows = _windows(x, operation, (height, width), _dilations(operation), 0)
    # A kernel with fewer inputs than there are channels is of a convolution in
    # groups.
    groups = x.shape[3] // inputs
    size = outputs // groups
    parts = [
        np.tensordot(
            windows[:, :, :, group * inputs : (group + 1) * inputs],
            kernel[group * size : (group + 1) * size],
            axes=((3, 4, 5), (3, 1, 2)),
        )
        for group in range(groups)
    ]
    return _finish(operation, np.concatenate(parts, -1), _bias(arrays, 2))


@meaning("DEPTHWISE_CONV_2D")
def _depthwise_conv_2d(
    operation: Operation, arrays: Arrays
) -> list[np.ndarray]:
    x, kernel = arrays[:2]
    _, height, width, outputs = kernel.shape
    channels = x.shape[3]
    windows = _windows(x, operation, (height, width), _dilations(operation), 0)
    per_channel = kernel[0].reshape(height, width, channels, -1)
    y = np.einsum("nhwcij,ijcm->nhwcm", windows, per_channel, optimize=True)
    y = y.reshape(*y.shape[:3], outputs)
    return _finish(operation, y, _bias(arrays, 2))


@meaning("TRANSPOSE_CONV")
def _transpose_conv(operation: Operation, arrays: Arrays) -> list[np.ndarray]:
    shape, kernel, x = arrays[:3]
    _, height, width, _ = kernel.shape
    batch, rows, columns, outputs = (int(extent) for extent in shape)
    pads = _pads(operation, (rows, columns), (height, width))
    down, right = _strides(operation)
    # Every input adds a window to the output with its padding, which is then
    # cut off.
    needed = (x.shape[1] - 1) * down + height, (x.shape[2] - 1) * right + width
    padded = np.zeros(
        (
            batch,
            max(needed[0], rows + sum(pads[0])),
            max(needed[1], columns + sum(pads[1])),
            outputs,
        ),
        x.dtype,
    )
    for i in range(height):
        for j in range(width):
            padded[
                :,
                i : i + (x.shape[1] - 1) * down + 1 : down,
                j : j + (x.shape[2] - 1) * right + 1 : right,
            ] += x @ kernel[:, i, j].T
    top, left = pads[0][0], pads[1][0]
    y = padded[:, top : top + rows, left : left + columns]
    return _finish(operation, y, _bias(arrays, 3))


def _pool_windows(
    operation: Operation, x: np.ndarray, fill: float
) -> np.ndarray:
    read = operation.attributes.get
    taps = read("filter_height", 0), read("filter_width", 0)
    return _windows(x, operation, taps, (1, 1), fill)


@meaning("MAX_POOL_2D")
def _max_pool_2d(operation: Operation, arrays: Arrays) -> list[np.ndarray]:
    windows = _pool_windows(operation, arrays[0], -np.inf)
    return [activate(operation, windows.max((4, 5)))]


@meaning("AVERAGE_POOL_2D")
def _average_pool_2d(operation: Operation, arrays: Arrays) -> list[np.ndarray]:
    x = arrays[0]
    total = _pool_windows(operation, x, 0).sum((4, 5))
    return [activate(operation, total / _counts(operation, x))]


@meaning("L2_POOL_2D")
def _l2_pool_2d(operation: Operation, arrays: Arrays) -> list[np.ndarray]:
    x = arrays[0]
    total = _pool_windows(operation, x * x, 0).sum((4, 5))
    return [activate(operation, np.sqrt(total / _counts(operation, x)))]


def _counts(operation: Operation, x: np.ndarray) -> np.ndarray:
    """How many elements of a window are no padding."""
    ones = np.ones((1, x.shape[1], x.shape[2], 1), x.dtype)
    return _pool_windows(operation, ones, 0).sum((4, 5))
