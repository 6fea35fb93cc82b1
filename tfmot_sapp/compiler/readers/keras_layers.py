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
"""Reads the weights of single layers, the same for both Keras."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from tfmot_sapp.compiler.graph import Core, Depthwise, Linear, Scale, Window

# Layers that would have to be taken apart are left alone above this density.
_PRUNED = 0.75
# Writing the kernel of a grouped convolution out costs groups times its size.
_MOST_GROUPED_WEIGHTS = 1 << 24


def _array(variable: Any) -> np.ndarray:
    return np.asarray(variable.numpy())


def _bias(layer: Any, channels: int, dtype: Any) -> np.ndarray:
    bias = getattr(layer, "bias", None)
    return np.zeros(channels, dtype) if bias is None else _array(bias)


def _window(layer: Any, rank: int) -> Window:
    return Window(
        tuple(layer.strides)[-rank:],
        layer.padding,
        tuple(layer.dilation_rate)[-rank:],
    )


def _read_dense(layer: Any) -> list[Core] | None:
    if getattr(layer, "quantization_mode", None):
        return None
    kernel = _array(layer.kernel)
    return [Linear(kernel, _bias(layer, kernel.shape[-1], kernel.dtype))]


def is_pruned(core: Linear) -> bool:
    """Whether a kernel has zeros enough for its layer to be taken apart."""
    return bool(np.count_nonzero(core.kernel) < _PRUNED * core.kernel.size)


def einsum_core(layer: Any, rank: int) -> Linear | None:
    """An EinsumDense as a product over the last axes, where it is one."""
    given, rest = layer.equation.replace(" ", "").split(",")
    kernel_axes, made = rest.split("->")
    given, made = given.replace("...", ""), made.replace("...", "")
    summed = "".join(axis for axis in kernel_axes if axis not in made)
    new = kernel_axes[len(summed) :]
    if (
        not summed
        or not new
        or kernel_axes != summed + new
        or not given.endswith(summed)
        or made != given[: len(given) - len(summed)] + new
        or len(given) > rank
    ):
        return None
    kernel = _array(layer.kernel)
    inputs = math.prod(kernel.shape[: len(summed)])
    extents = kernel.shape[len(summed) :]
    bias = np.zeros(extents, kernel.dtype)
    if getattr(layer, "bias", None) is not None:
        array = _array(layer.bias)
        if array.ndim > len(extents):
            return None
        bias = bias + array
    return Linear(kernel.reshape(inputs, -1), bias.reshape(-1))


def _read_conv(layer: Any) -> list[Core] | None:
    if layer.data_format == "channels_first":
        return None
    kernel = _array(layer.kernel)
    if layer.groups > 1 and (
        kernel.size * layer.groups > _MOST_GROUPED_WEIGHTS
        or np.count_nonzero(kernel) > kernel.size / 2
    ):
        return None
    bias = _bias(layer, kernel.shape[-1], kernel.dtype)
    window = _window(layer, layer.rank)
    return [
        Linear(
            _ungrouped(kernel, layer.groups), bias, window, None, layer.groups
        )
    ]


def _read_transposed(layer: Any) -> list[Core] | None:
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
    kernel = np.swapaxes(_array(layer.kernel), -1, -2)
    bias = _bias(layer, kernel.shape[-1], kernel.dtype)
    strides = tuple(layer.strides)[-layer.rank :]
    return [
        Linear(kernel, bias, Window(strides, layer.padding, dilation, True))
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


def _read_depthwise(layer: Any) -> list[Core] | None:
    if layer.data_format == "channels_first" or layer.depth_multiplier != 1:
        return None
    variable = getattr(layer, "depthwise_kernel", None)
    kernel = _array(layer.kernel if variable is None else variable)[..., 0]
    if len(set(layer.strides)) > 1:
        return None
    bias = _bias(layer, kernel.shape[-1], kernel.dtype)
    return [Depthwise(kernel, bias, _window(layer, kernel.ndim - 1))]


def _read_separable(layer: Any) -> list[Core] | None:
    if layer.data_format == "channels_first" or layer.depth_multiplier != 1:
        return None
    depthwise = _array(layer.depthwise_kernel)[..., 0]
    pointwise = _array(layer.pointwise_kernel)
    rank = depthwise.ndim - 1
    none = np.zeros(depthwise.shape[-1], depthwise.dtype)
    ones = (1,) * rank
    return [
        Depthwise(depthwise, none, _window(layer, rank)),
        Linear(
            pointwise,
            _bias(layer, pointwise.shape[-1], pointwise.dtype),
            Window(ones, "valid", ones),
        ),
    ]


def _read_batch_norm(layer: Any) -> list[Core] | None:
    axis = layer.axis
    axis = axis[0] if isinstance(axis, (list, tuple)) else axis
    mean, variance = _array(layer.moving_mean), _array(layer.moving_variance)
    if axis != -1 and not _is_last(layer, axis):
        return None
    factor = 1.0 / np.sqrt(variance.astype(np.float64) + layer.epsilon)
    if layer.scale:
        factor = factor * _array(layer.gamma)
    offset = -mean * factor
    if layer.center:
        offset = offset + _array(layer.beta)
    return [Scale(factor, offset)]


def _is_last(layer: Any, axis: int) -> bool:
    spec = layer.input_spec
    spec = spec[0] if isinstance(spec, (list, tuple)) else spec
    return spec is not None and axis == (spec.ndim or 0) - 1


CORES: dict[str, Callable[[Any], list[Core] | None]] = {
    "Dense": _read_dense,
    "Conv1D": _read_conv,
    "Conv2D": _read_conv,
    "Conv3D": _read_conv,
    "Conv1DTranspose": _read_transposed,
    "Conv2DTranspose": _read_transposed,
    "Conv3DTranspose": _read_transposed,
    "DepthwiseConv1D": _read_depthwise,
    "DepthwiseConv2D": _read_depthwise,
    "SeparableConv1D": _read_separable,
    "SeparableConv2D": _read_separable,
    "BatchNormalization": _read_batch_norm,
}
