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
"""Convolutions of all kinds."""

import math
from typing import Any

import numpy as np

from tfmot_sapp.frameworks.channel_operations import (
    ChannelOperation,
    Depthwise,
    Linear,
    Window,
)
from tfmot_sapp.frameworks.layers.axes import (
    IN,
    OUT,
    TAP,
    convolution_roles,
)
from tfmot_sapp.frameworks.layers.kind import (
    KernelAxes,
    LayerKind,
    array,
    bias_of,
    by_rank,
    window_of,
)

# Writing the kernel of a grouped convolution out costs groups times its size.
_MOST_GROUPED_WEIGHTS = 1 << 24


def _kernels(layer: Any) -> list[KernelAxes]:
    return [("kernel", convolution_roles(len(layer.kernel.shape)))]


def _transposed_kernels(layer: Any) -> list[KernelAxes]:
    taps = len(layer.kernel.shape) - 2
    return [("kernel", (*(TAP,) * taps, OUT, IN))]


def _pointwise_kernels(layer: Any) -> list[KernelAxes]:
    rank = len(layer.pointwise_kernel.shape)
    return [("pointwise_kernel", convolution_roles(rank))]


def _multiply_adds(layer: Any, given: int, made: int) -> int:
    return made * math.prod(layer.kernel.shape)


def _transposed_multiply_adds(layer: Any, given: int, made: int) -> int:
    return given * math.prod(layer.kernel.shape)


def _all_multiply_adds(layer: Any, given: int, made: int) -> int:
    kernels = [w for w in layer.weights if len(w.shape) > 1]
    return made * sum(math.prod(kernel.shape) for kernel in kernels)


def _read(layer: Any) -> list[ChannelOperation] | None:
    if layer.data_format == "channels_first":
        return None
    kernel = array(layer.kernel)
    if layer.groups > 1 and (
        kernel.size * layer.groups > _MOST_GROUPED_WEIGHTS
        or np.count_nonzero(kernel) > kernel.size / 2
    ):
        return None
    bias = bias_of(layer, kernel.shape[-1], kernel.dtype)
    window = window_of(layer, layer.rank)
    return [
        Linear(
            _ungrouped(kernel, layer.groups), bias, window, None, layer.groups
        )
    ]


def _ungrouped(kernel: np.ndarray, groups: int) -> np.ndarray:
    if groups == 1:
        return kernel
    *taps, inputs, outputs = kernel.shape
    full = np.zeros((*taps, inputs * groups, outputs), kernel.dtype)
    each = outputs // groups
    for g in range(groups):
        rows = slice(g * inputs, (g + 1) * inputs)
        columns = slice(g * each, (g + 1) * each)
        full[..., rows, columns] = kernel[..., columns]
    return full


def _read_transposed(layer: Any) -> list[ChannelOperation] | None:
    """A transposed convolution; its kernel is (*taps, outputs, inputs)."""
    dilation = tuple(layer.dilation_rate)[-layer.rank :]
    if (
        layer.data_format == "channels_first"
        or layer.output_padding is not None
        or layer.padding not in ("same", "valid")
        or set(dilation) != {1}
        or getattr(layer, "groups", 1) != 1
    ):
        return None
    kernel = np.swapaxes(array(layer.kernel), -1, -2)
    bias = bias_of(layer, kernel.shape[-1], kernel.dtype)
    strides = tuple(layer.strides)[-layer.rank :]
    return [
        Linear(kernel, bias, Window(strides, layer.padding, dilation, True))
    ]


def _read_depthwise(layer: Any) -> list[ChannelOperation] | None:
    if layer.data_format == "channels_first" or layer.depth_multiplier != 1:
        return None
    variable = getattr(layer, "depthwise_kernel", None)
    kernel = array(layer.kernel if variable is None else variable)[..., 0]
    if len(set(layer.strides)) > 1:
        return None
    bias = bias_of(layer, kernel.shape[-1], kernel.dtype)
    return [Depthwise(kernel, bias, window_of(layer, kernel.ndim - 1))]


def _read_separable(layer: Any) -> list[ChannelOperation] | None:
    if layer.data_format == "channels_first" or layer.depth_multiplier != 1:
        return None
    depthwise = array(layer.depthwise_kernel)[..., 0]
    pointwise = array(layer.pointwise_kernel)
    rank = depthwise.ndim - 1
    none = np.zeros(depthwise.shape[-1], depthwise.dtype)
    ones = (1,) * rank
    return [
        Depthwise(depthwise, none, window_of(layer, rank)),
        Linear(
            pointwise,
            bias_of(layer, pointwise.shape[-1], pointwise.dtype),
            Window(ones, "valid", ones),
        ),
    ]


CONVOLUTIONS = (
    LayerKind(
        by_rank(["Conv"]),
        kernels=_kernels,
        effect="units",
        size="filters",
        multiply_adds=_multiply_adds,
        read=_read,
    ),
    LayerKind(
        tuple(f"Conv{rank}DTranspose" for rank in (1, 2, 3)),
        kernels=_transposed_kernels,
        size="filters",
        multiply_adds=_transposed_multiply_adds,
        read=_read_transposed,
    ),
    LayerKind(
        by_rank(["SeparableConv"], (1, 2)),
        kernels=_pointwise_kernels,
        effect="separable",
        size="filters",
        multiply_adds=_all_multiply_adds,
        read=_read_separable,
    ),
    LayerKind(
        by_rank(["DepthwiseConv"], (1, 2)),
        no_blocks="a depthwise kernel has no blocks over input and output",
        effect="depthwise",
        multiply_adds=_all_multiply_adds,
        read=_read_depthwise,
    ),
)
