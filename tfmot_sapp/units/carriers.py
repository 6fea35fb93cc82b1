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
"""What layers and operations do to the units on the channels they take.

A layer carries units if each of its output channels depends on one input
channel alone, or on channels that go together. What is not known to do so is a
reason to leave them alone.
"""

from typing import Any

import numpy as np

from tfmot_sapp.frameworks.calls import Call, tensors_of
from tfmot_sapp.frameworks.layers.activations import ELEMENTWISE
from tfmot_sapp.frameworks.layers.kind import BY_ITSELF, WITH_CHANNEL_WEIGHTS
from tfmot_sapp.frameworks.layers.table import effect_of
from tfmot_sapp.frameworks.private.layers import operation_name
from tfmot_sapp.units.channels import Channels

_MAPS = {name.replace("_", "") for name in ELEMENTWISE} | {
    *("abs", "absolute", "cast", "clip", "exp", "identity", "negative"),
    *("rsqrt", "sqrt", "square", "stopgradient"),
}
_OF_KERAS_HUB = frozenset({"gelu_approximate", "quick_gelu"})
# Operations of two values, where one is a number.
_WITH_NUMBER = frozenset(
    {"add", "addv2", "subtract", "sub", "multiply", "mul"}
    | {"divide", "truedivide", "truediv", "realdiv", "power", "maximum"}
    | {"minimum"}
)
_PRODUCTS = frozenset({"multiply", "mul"})
_REDUCTIONS = frozenset({"mean", "max", "amax"})


class LeftAloneError(Exception):
    """Carries the reason why units are left alone."""


def has_own_weights(layer: Any) -> bool:
    """Whether a layer that carries units holds weights for each of them."""
    return effect_of(layer) in WITH_CHANNEL_WEIGHTS


def values_taken(call: Call) -> list[Any]:
    """Returns the symbolic tensors that a call takes, but for Keras masks."""
    named = {k: v for k, v in call.kwargs.items() if "mask" not in k}
    return tensors_of((call.args, named))


def is_sum_of_several(call: Call) -> bool:
    """Whether a call adds values up, channel by channel."""
    is_sum = effect_of(call.layer) in ("add", "sum") or operation_name(
        call.layer
    ) in ("add", "addv2")
    return is_sum and len(values_taken(call)) > 1


def carry(call: Call, channels: Channels) -> np.ndarray | None:
    """Takes units through a call.

    Args:
        call: A call of a layer or of an operation.
        channels: The labels of the channels that it takes. Those that can only
            go together are joined.

    Returns:
        The labels of the channels that it gives, or `None` for new ones, which
        must stay.

    Raises:
        LeftAloneError: If units may not go into it.
    """
    layer = call.layer
    operation = operation_name(layer)
    taken = values_taken(call)
    labels = [channels.of(tensor) for tensor in taken]
    effect = effect_of(layer)
    if effect == "multiply" or operation in _PRODUCTS and len(taken) > 1:
        return _multiplied(call, taken, labels, channels)
    if effect == "concatenate" or operation in ("concatenate", "concat"):
        return _concatenated(call, taken, labels, channels)
    if is_sum_of_several(call):
        raise LeftAloneError(f"its units meet others in `{layer.name}`")
    if not taken or not len(labels[0]):
        return None
    if operation is not None:
        return labels[0] if _is_map(call, operation, len(taken)) else None
    return _through_layer(layer, effect, taken[0], call.outputs[0], labels[0])


def _through_layer(
    layer: Any, effect: Any, taken: Any, given: Any, labels: np.ndarray
) -> np.ndarray | None:
    if effect == "flatten":
        check_channels(layer)
        return _flattened(layer, taken, given, labels)
    if effect == "reshape":
        if taken.shape[-1] == given.shape[-1]:
            return labels
        if len(given.shape) == 2:
            return _flattened(layer, taken, given, labels)
        return None
    if effect == "scale":
        if not norms_last_axis(layer, len(taken.shape)):
            raise LeftAloneError(
                f"`{layer.name}` norms another axis than the units'"
            )
        return labels
    if effect == "depthwise":
        check_channels(layer)
        check_activation(layer)
        return np.repeat(labels, layer.depth_multiplier)
    if effect == "activation":
        check_activation(layer)
        return labels
    if effect in BY_ITSELF:
        check_channels(layer)
        return labels
    return None


def _flattened(
    layer: Any, taken: Any, given: Any, labels: np.ndarray
) -> np.ndarray:
    if given.shape[-1] is None or None in taken.shape[1:]:
        raise LeftAloneError(
            f"`{layer.name}` flattens an unknown number of places"
        )
    return np.tile(labels, int(given.shape[-1]) // len(labels))


def _is_map(call: Call, operation: str, tensors: int) -> bool:
    """Whether an operation takes each value by itself, or sums over places."""
    others = [
        value
        for value in (*call.args, *call.kwargs.values())
        if not tensors_of(value)
    ]
    if tensors > 1:
        return False
    if operation in _MAPS or operation.replace("_", "") in _MAPS:
        return True
    if operation in _WITH_NUMBER:
        return all(np.ndim(x) == 0 and not hasattr(x, "assign") for x in others)
    if operation in _REDUCTIONS:
        axes = getattr(call.layer, "axis", call.kwargs.get("axis"))
        rank = len(tensors_of(call.args)[0].shape)
        return axes is not None and rank - 1 not in {
            axis % rank for axis in np.atleast_1d(axes)
        }
    return False


def _multiplied(
    call: Call, taken: list[Any], labels: list[np.ndarray], channels: Channels
) -> np.ndarray | None:
    width = max(map(len, labels))
    whole = [each for each in labels if len(each) == width]
    for each in labels:
        if len(each) not in (1, width):
            return None
        if len(each) < width:
            channels.fix(each, f"it scales all units of `{call.layer.name}`")
    given = call.outputs[0].shape
    if given[-1] != width or not width:
        return None
    for each in whole[1:]:
        channels.join(whole[0], each)
    return whole[0]


def _concatenated(
    call: Call, taken: list[Any], labels: list[np.ndarray], channels: Channels
) -> np.ndarray | None:
    axis = getattr(call.layer, "axis", call.kwargs.get("axis"))
    rank = len(call.outputs[0].shape)
    if axis is None or None in (t.shape[-1] for t in taken):
        return None
    if axis % rank == rank - 1:
        return np.concatenate(labels)
    for each in labels[1:]:
        channels.join(labels[0], each)
    return labels[0]


def norms_last_axis(layer: Any, rank: int) -> bool:
    """Whether a batch norm norms the last axis of tensors of some rank."""
    axis = layer.axis if isinstance(layer.axis, int) else layer.axis[0]
    return axis in (-1, rank - 1)


def check_channels(layer: Any) -> None:
    """Raises a `LeftAloneError` if a layer has its channels first."""
    if getattr(layer, "data_format", None) == "channels_first":
        raise LeftAloneError(f"`{layer.name}` has its channels first")


def check_activation(layer: Any) -> None:
    """Raises a `LeftAloneError` if a layer's activation may mix units."""
    activation = getattr(layer, "activation", None)
    if activation is None:
        return
    name = getattr(activation, "__name__", type(activation).__name__)
    known = getattr(activation, "__module__", "").split(".")[0]
    if known == "keras_hub" and name in _OF_KERAS_HUB:
        return
    if name not in ELEMENTWISE or known not in ("keras", "tf_keras"):
        raise LeftAloneError(f"`{layer.name}` may mix its units by {name}")
