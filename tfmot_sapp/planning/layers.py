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
"""The layers of a model that can lose blocks, and how much each computes."""

import dataclasses
import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from tfmot_sapp.compiler.choose.layer_options import LayerShape
from tfmot_sapp.frameworks.calls import Call, is_graph, is_nested, tensors_of
from tfmot_sapp.frameworks.flops import calls_of_model
from tfmot_sapp.frameworks.kernels import Kernel, find_kernels, kernel_name
from tfmot_sapp.frameworks.layers.axes import IN, OUT, merge_axes
from tfmot_sapp.frameworks.layers.table import kind_of
from tfmot_sapp.frameworks.which_keras import host_value

# An axis of unknown extent is taken to be this long, as in packing.
_UNKNOWN = 14


@dataclasses.dataclass(frozen=True, eq=False)
class PlannedKernel:
    """A kernel that can lose blocks.

    Attributes:
        name: Its name in reports and allocations.
        layer: Its layer.
        kernel: What `find_kernels` found.
        shape: What its cost depends on.
        source: The tensor that the layer is called on.
    """

    name: str
    layer: Any
    kernel: Kernel
    shape: LayerShape
    source: Any

    def weights(self) -> np.ndarray:
        """The kernel's value as (taps, inputs, outputs)."""
        value = host_value(self.kernel.variable)
        view, roles = merge_axes(self.kernel.shape, self.kernel.roles)
        value = np.reshape(value, view)
        order = sorted(range(len(roles)), key=lambda i: _PLACE.get(roles[i], 0))
        return np.transpose(value, order).reshape(
            -1, self.shape.inputs, self.shape.outputs
        )


_PLACE = {IN: 1, OUT: 2}


def find_layers(model: Any, batch_size: int) -> list[PlannedKernel]:
    """Returns the kernels of a model's graph, nested models included.

    Args:
        model: A model whose graph can be read.
        batch_size: Samples in a call.

    Returns:
        Each kernel once, in the order of the graph. A layer that is called more
        than once is left out: packing leaves it as it is.
    """
    calls = list(_calls(model))
    count: dict[int, int] = {}
    for call in calls:
        count[id(call.layer)] = count.get(id(call.layer), 0) + 1
    return [
        planned
        for call in calls
        if count[id(call.layer)] == 1
        for planned in _kernels(call, batch_size)
    ]


def _calls(model: Any) -> Iterator[Call]:
    for call in calls_of_model(model):
        if hasattr(call.layer, "layers") and is_nested(call.layer):
            if is_graph(call.layer):
                yield from _calls(call.layer)
        else:
            yield call


def _kernels(call: Call, batch_size: int) -> Iterator[PlannedKernel]:
    layer = call.layer
    kind = kind_of(layer)
    if kind is None or kind.kernels is None and not kind.holds_layers:
        return
    kernels = find_kernels(layer)
    sources = tensors_of((call.args, call.kwargs))
    if not kernels or not sources or not call.outputs:
        return
    places = [_places(tensor) for tensor in (sources[0], call.outputs[0])]
    for kernel in kernels:
        view, roles = merge_axes(kernel.shape, kernel.roles)
        if not {IN, OUT} <= set(roles):
            continue
        extent = dict.fromkeys((IN, OUT), 1)
        for role, length in zip(roles, view):
            if role in extent:
                extent[role] *= length
        size = math.prod(kernel.shape)
        taps = size // (extent[IN] * extent[OUT])
        rows = float(places[0])
        if len(kernels) == 1 and kind.multiply_adds is not None:
            rows = kind.multiply_adds(layer, *places) / size
        is_dense = len(kernel.shape) == 2
        yield PlannedKernel(
            kernel_name(layer.name, kernel, kernels),
            layer,
            kernel,
            LayerShape(
                rows * batch_size,
                0 if is_dense else taps,
                extent[IN],
                extent[OUT],
            ),
            sources[0],
        )


def _places(tensor: Any) -> int:
    return math.prod(n or _UNKNOWN for n in tuple(tensor.shape)[1:-1])
