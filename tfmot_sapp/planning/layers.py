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

import collections
import dataclasses
import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from tfmot_sapp.compiler.choose.layer_options import LayerShape
from tfmot_sapp.compiler.graph import UNKNOWN_EXTENT
from tfmot_sapp.frameworks.calls import Call, is_nested, tensors_of
from tfmot_sapp.frameworks.kernels import Kernel, find_kernels, kernel_name
from tfmot_sapp.frameworks.layers.axes import IN, OUT, TAP, merge_axes
from tfmot_sapp.frameworks.layers.table import effect_of, kind_of
from tfmot_sapp.frameworks.private.layers import functional_of
from tfmot_sapp.frameworks.unfolding import unfolded_calls
from tfmot_sapp.frameworks.which_keras import host_value, is_layer


@dataclasses.dataclass(frozen=True, eq=False)
class PlannedKernel:
    """A kernel that can lose blocks.

    Attributes:
        name: Its name in reports and allocations.
        layer: The layer that is pruned: the kernel's own, or the one that its
            own is inside of.
        kernel: What `find_kernels` found in that layer.
        call: The call of the innermost layer that multiplies with it.
        place: Its path from that layer.
        shape: What its cost depends on.
        steps: How often a call of the model multiplies with it, one after the
            other; 0 where it is only looked up.
    """

    name: str
    layer: Any
    kernel: Kernel
    call: Call
    place: str
    shape: LayerShape
    steps: int = 1

    @property
    def source(self) -> Any:
        """The tensor that is multiplied with it; `None` for one inside."""
        if self.kernel.owner is self.call.layer:
            return _sources(self.call)[0]
        effect = effect_of(self.call.layer)
        if effect == "loop" and self.place == "cell.kernel":
            return _sources(self.call)[0]
        if effect in ("heads", "head_groups"):
            return _looked_at(self.call, self.place)
        return None

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


@dataclasses.dataclass(frozen=True)
class _Positions:
    """Where the layer of a call multiplies.

    Attributes:
        call: The call.
        samples: How many samples the model is for; `None` for any number.
        before: Positions of a sample in the product before it.
    """

    call: Call
    samples: int | None
    before: float

    def rows(self, kernel: Kernel, several: int) -> float:
        """Positions of one sample that are multiplied with a kernel."""
        call, kind = self.call, kind_of(self.call.layer)
        sources = _sources(call)
        places = [self.of(tensor) for tensor in (sources[0], call.outputs[0])]
        if kind is not None and kind.multiply_adds is not None and several == 1:
            multiply_adds = kind.multiply_adds(call.layer, *places)
            return multiply_adds / math.prod(kernel.shape)
        if kind is not None and kind.effect == "product":
            return self._of_product(kernel)
        if kernel.path.startswith(("key", "value")):
            return self.of(_looked_at(call, kernel.path))
        return places[0]

    def _of_product(self, kernel: Kernel) -> float:
        ends = (OUT, _sources(self.call)[0]), (IN, self.call.outputs[0])
        for side, tensor in ends:
            extents = tuple(tensor.shape)[1:]
            if None not in extents:
                taken = self._windows(tensor) * math.prod(extents)
                taken *= _channels(kernel)[side]
                return taken / math.prod(kernel.shape)
        return self.before

    def of(self, tensor: Any) -> int:
        """Positions of one sample: of all axes but the channels."""
        extents = [n or UNKNOWN_EXTENT for n in tuple(tensor.shape)[1:-1]]
        return self._windows(tensor) * math.prod(extents)

    def _windows(self, tensor: Any) -> int:
        """In how many parts a sample was cut, each of them like a sample."""
        first = tuple(tensor.shape)[0] if len(tensor.shape) else None
        if not self.samples or not first or first % self.samples:
            return 1
        return int(first // self.samples)


def find_layers(model: Any, batch_size: int) -> list[PlannedKernel]:
    """Returns the kernels of a model's graph.

    Those of nested models are among them, and of layers that are made of
    others.

    Args:
        model: A model whose graph can be read.
        batch_size: Samples in a call.

    Returns:
        Each kernel once, in the order of the graph. A layer that is called more
        than once is left out: packing leaves it as it is.
    """
    calls = [call for call in unfolded_calls(model) if is_layer(call.layer)]
    count = collections.Counter(id(call.layer) for call in calls)
    samples = tuple(functional_of(model).inputs[0].shape)[0]
    found: list[PlannedKernel] = []
    for call in calls:
        if count[id(call.layer)] > 1:
            continue
        # Where an attention's lengths are lost, they are those of what came
        # before.
        before = found[-1].shape.rows / batch_size if found else UNKNOWN_EXTENT
        found += _kernels(_Positions(call, samples, before), batch_size)
    return found


def _kernels(at: _Positions, batch_size: int) -> Iterator[PlannedKernel]:
    """The kernels of one layer, by their names in the one that is pruned."""
    call = at.call
    kernels = find_kernels(call.layer)
    if not kernels or not _sources(call) or not call.outputs:
        return
    outer = _pruned_layer(call)
    siblings = find_kernels(outer)
    known = {id(each.variable): each for each in siblings}
    for kernel in kernels:
        found = known.get(id(kernel.variable))
        if found is None or not {IN, OUT} <= set(found.roles):
            continue
        steps = _steps(call)
        rows = at.rows(kernel, len(kernels)) / max(steps, 1)
        yield PlannedKernel(
            kernel_name(outer.name, found, siblings),
            outer,
            found,
            call,
            kernel.path,
            _shape(kernel, rows * batch_size),
            steps,
        )


def _pruned_layer(call: Call) -> Any:
    """The layer that is wrapped to prune what a call multiplies with."""
    path = (*call.inside, call.layer)
    return next((each for each in path if not is_nested(each)), call.layer)


def _steps(call: Call) -> int:
    effect = effect_of(call.layer)
    if effect == "lookup":
        return 0
    if effect == "loop":
        return tuple(_sources(call)[0].shape)[1] or UNKNOWN_EXTENT
    return 1


def _looked_at(call: Call, place: str) -> Any:
    """What a projection of an attention reads."""
    sources = _sources(call)
    if place.startswith(("key", "value")):
        # It may be another sequence.
        return sources[min(1, len(sources) - 1)]
    return sources[0] if place.startswith("query") else None


def _shape(kernel: Kernel, rows: float) -> LayerShape:
    channels = _channels(kernel)
    inputs, outputs = channels[IN], channels[OUT]
    taps = math.prod(kernel.shape) // (inputs * outputs)
    if taps == 1 and TAP not in kernel.roles:
        taps = 0
    return LayerShape(rows, taps, inputs, outputs)


def _channels(kernel: Kernel) -> dict[str, int]:
    """What the axes of each role amount to."""
    view, roles = merge_axes(kernel.shape, kernel.roles)
    found = dict.fromkeys((IN, OUT), 1)
    for role, length in zip(roles, view):
        if role in found:
            found[role] *= length
    return found


def _sources(call: Call) -> list[Any]:
    return tensors_of((call.args, call.kwargs))
