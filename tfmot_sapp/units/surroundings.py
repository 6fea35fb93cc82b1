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
"""What is before and behind a call in a graph."""

from collections.abc import Sequence
from typing import Any

from tfmot_sapp.frameworks.calls import Call, tensors_of
from tfmot_sapp.frameworks.layers.table import effect_of
from tfmot_sapp.frameworks.private.layers import operation_name
from tfmot_sapp.units.carriers import norms_last_axis


class Surroundings:
    """Finds what makes and reads the tensors of a graph.

    Args:
        calls: The graph's calls.
        outputs: Its outputs.
    """

    def __init__(self, calls: Sequence[Call], outputs: Sequence[Any]):
        self._outputs = {id(tensor) for tensor in outputs}
        self._readers: dict[int, list[Call]] = {}
        self._makers: dict[int, Call] = {}
        counts: dict[int, int] = {}
        for call in calls:
            counts[id(call.layer)] = counts.get(id(call.layer), 0) + 1
            self._makers.update((id(t), call) for t in call.outputs)
            inputs = tensors_of((call.args, call.kwargs))
            for tensor in {id(tensor): tensor for tensor in inputs}.values():
                self._readers.setdefault(id(tensor), []).append(call)
        self._shared = {layer for layer, count in counts.items() if count > 1}

    def is_shared(self, layer: Any) -> bool:
        """Whether a layer is called several times."""
        return id(layer) in self._shared

    def layers_between(self, first: Call, tensor: Any) -> tuple[Any, ...]:
        """Returns the layers from a call to a tensor, one after the other.

        Args:
            first: The call.
            tensor: A tensor.

        Returns:
            The layers, that of the call first; empty if there are others that
            the tensor depends on.
        """
        found: list[Any] = []
        while True:
            call = self._makers.get(id(tensor))
            if call is None:
                return ()
            found.append(call.layer)
            if call is first:
                return tuple(reversed(found))
            taken = tensors_of((call.args, call.kwargs))
            if len(taken) != 1 or len(call.args) != 1:
                return ()
            tensor = taken[0]

    def norm_behind(self, tensor: Any) -> Call | None:
        """Returns the call of a batch norm that alone reads a tensor."""
        call = self._only_reader(tensor)
        if call is None or effect_of(call.layer) != "scale":
            return None
        is_last = norms_last_axis(call.layer, len(tensor.shape))
        return None if self.is_shared(call.layer) or not is_last else call

    def total(self, tensor: Any) -> Any:
        """Returns the sum that a tensor alone goes into, if it does."""
        call = self._only_reader(tensor)
        while call is not None and effect_of(call.layer) == "nothing":
            tensor = call.outputs[0]
            call = self._only_reader(tensor)
        if call is None:
            return None
        is_sum = (
            effect_of(call.layer) == "add"
            or operation_name(call.layer) == "add"
        )
        terms = tensors_of((call.args, call.kwargs))
        total = call.outputs[0]
        once = sum(term is tensor for term in terms) == 1
        if is_sum and once and tuple(total.shape) == tuple(tensor.shape):
            return total
        return None

    def is_rectified(self, tensor: Any) -> bool:
        """Whether nothing but ReLUs reads a tensor."""
        readers = self._readers.get(id(tensor), ())
        if not readers or id(tensor) in self._outputs:
            return False
        return all(_is_relu(call.layer) for call in readers)

    def _only_reader(self, tensor: Any) -> Call | None:
        readers = self._readers.get(id(tensor), ())
        if len(readers) != 1 or id(tensor) in self._outputs:
            return None
        return readers[0]


def _is_relu(layer: Any) -> bool:
    effect, name = effect_of(layer), type(layer).__name__
    if effect == "activation":
        return layer.get_config()["activation"] == "relu"
    limits = ("max_value", "negative_slope", "threshold")
    return (
        effect == "map"
        and name == "ReLU"
        and not any(map(layer.get_config().get, limits))
    )
