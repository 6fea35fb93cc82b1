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
"""What Keras does around a layer's call, and where packing can follow it.

Keras casts what a layer takes to the type that it computes in, hands masks on
from tensor to tensor, and tells layers whether they train. A packed layer casts
as Keras does and hands on the mask of the first tensor that it takes; a call
where more than that happens passes through as it is.
"""

from typing import Any

from tfmot_sapp.frameworks.calls import Call
from tfmot_sapp.frameworks.layers.kind import Effect
from tfmot_sapp.frameworks.layers.table import exact_kind_of
from tfmot_sapp.frameworks.private.layers import mask_of
from tfmot_sapp.frameworks.run_calls import is_told

# What layers do that hand on the mask that they take, as a packed one does.
_MASK_GOES_ON: frozenset[Effect] = frozenset(
    {"nothing", "map", "activation", "scale"}
)
_FLOATS = ("float16", "bfloat16", "float32", "float64")


def can_be_read(call: Call, tensors: list[Any]) -> bool:
    """Returns whether a packed layer could stand in a call's place.

    Args:
        call: The call of a layer or an operation.
        tensors: The symbolic tensors that it takes.

    Returns:
        Whether types, masks and the phase are such that it depends only on
        what the layer computes.
    """
    if len(call.outputs) != 1 or is_told(call.kwargs.get("mask")):
        return False
    told = (*call.args[1:], call.kwargs.get("training"))
    if any(value is True for value in told):
        return False
    return _keeps_type(call, tensors) and _keeps_mask(call, tensors)


def dtype_of(tensor: Any) -> str:
    """Returns the name of a symbolic tensor's type."""
    return str(getattr(tensor.dtype, "name", tensor.dtype))


def has_masks(tensors: list[Any]) -> bool:
    """Returns whether one of some symbolic tensors carries a mask."""
    return any(mask_of(tensor) is not None for tensor in tensors)


def _keeps_type(call: Call, tensors: list[Any]) -> bool:
    made = dtype_of(call.outputs[0])
    given = {dtype_of(tensor) for tensor in tensors}
    if made not in _FLOATS or "string" in given:
        return False
    kind = exact_kind_of(call.layer)
    if kind is not None and call.layer.weights:
        return made == call.layer.compute_dtype
    return given == {made}


def _keeps_mask(call: Call, tensors: list[Any]) -> bool:
    masked = has_masks(tensors)
    if not masked and not has_masks(call.outputs):
        return True
    kind = exact_kind_of(call.layer)
    goes_on = kind is not None and (
        kind.effect in _MASK_GOES_ON or type(call.layer).__name__ == "Dense"
    )
    return goes_on and masked and len(tensors) == 1 and has_masks(call.outputs)
