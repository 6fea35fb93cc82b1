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
"""Which layers carry units on by themselves, and which break them up.

A layer carries units if each of its output channels depends on one input
channel alone. What is not known to do so is a reason to leave them alone.
"""

from typing import Any

from tfmot_sapp.frameworks.layers.activations import ELEMENTWISE
from tfmot_sapp.frameworks.layers.kind import BY_ITSELF, WITH_CHANNEL_WEIGHTS
from tfmot_sapp.frameworks.layers.table import effect_of


class LeftAloneError(Exception):
    """Carries the reason why units are left alone."""


def has_own_weights(layer: Any) -> bool:
    """Whether a layer that carries units holds weights for each of them."""
    return effect_of(layer) in WITH_CHANNEL_WEIGHTS


def carry(layer: Any, shape: tuple[int | None, ...], repeats: int) -> int:
    """Takes units through a layer.

    Args:
        layer: A layer, or an operation of Keras 3.
        shape: Shape of its input, whose last axis holds the units.
        repeats: How often the units come one after the other on that axis.

    Returns:
        Their repeats behind the layer.

    Raises:
        LeftAloneError: If the layer does not carry them.
    """
    effect = effect_of(layer)
    if effect == "flatten":
        check_channels(layer)
        for extent in shape[1:-1]:
            if extent is None:
                raise LeftAloneError(
                    f"`{layer.name}` flattens an unknown number of places"
                )
            repeats *= extent
        return repeats
    if effect == "scale":
        _check_norm(layer, shape, repeats)
    elif effect == "depthwise":
        _check_depthwise(layer)
    elif effect == "activation":
        check_activation(layer)
    elif effect in BY_ITSELF:
        check_channels(layer)
    elif effect in ("add", "sum"):
        raise LeftAloneError(f"its units meet others in `{layer.name}`")
    else:
        kind = type(layer).__name__
        name = getattr(layer, "name", kind)
        raise LeftAloneError(f"its units go into `{name}`, a {kind}")
    return repeats


def _check_norm(
    layer: Any, shape: tuple[int | None, ...], repeats: int
) -> None:
    if not norms_last_axis(layer, len(shape)) or repeats > 1:
        raise LeftAloneError(
            f"`{layer.name}` norms another axis than the units'"
        )


def norms_last_axis(layer: Any, rank: int) -> bool:
    """Whether a batch norm norms the last axis of tensors of some rank."""
    axis = layer.axis if isinstance(layer.axis, int) else layer.axis[0]
    return axis in (-1, rank - 1)


def _check_depthwise(layer: Any) -> None:
    check_channels(layer)
    check_activation(layer)
    if layer.depth_multiplier != 1:
        raise LeftAloneError(f"`{layer.name}` makes several channels of a unit")


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
    if name not in ELEMENTWISE or known not in ("keras", "tf_keras"):
        raise LeftAloneError(f"`{layer.name}` may mix its units by {name}")
