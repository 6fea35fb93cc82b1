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
"""Multiply-adds of a model."""

import dataclasses
import math
from typing import Any

from tfmot_sapp.base.wording import received
from tfmot_sapp.frameworks.calls import (
    Call,
    calls_of,
    is_graph,
    is_nested,
    tensors_of,
)
from tfmot_sapp.frameworks.layers.table import kind_of
from tfmot_sapp.frameworks.private.layers import functional_of
from tfmot_sapp.frameworks.which_keras import check_model


def count_flops(model: Any) -> int:
    """Counts the multiply-adds of a model's convolutions and Dense layers.

    As papers on structured pruning count them: for one input, without biases,
    batch norms and activations. A layer that is called twice counts twice.

    Args:
        model: A built Sequential or Functional model of either Keras; nested
            models are counted too. Its inputs' shapes must be known.

    Returns:
        The number of multiply-adds.

    Raises:
        ValueError: If the model's graph can't be read.

    Example:

    >>> import keras
    >>> model = keras.Sequential([keras.Input((8,)), keras.layers.Dense(3)])
    >>> count_flops(model)
    24
    """
    check_model(model)
    if not is_graph(model):
        raise ValueError(
            "`model` must be a built Sequential or Functional model, whose "
            f"graph can be read. {received('model', model)}"
        )
    return sum(_flops(call) for call in calls_of_model(model))


def calls_of_model(model: Any) -> list[Call]:
    """Returns the calls in a model's graph, for Sequential models too.

    A layer that is being pruned is taken for the layer that it wraps.
    """
    return [
        dataclasses.replace(call, layer=call.layer.layer)
        if hasattr(call.layer, "pruned_kernels")
        else call
        for call in calls_of(functional_of(model))
    ]


def _flops(call: Call) -> int:
    layer = call.layer
    if hasattr(layer, "layers") and is_nested(layer):
        return count_flops(layer) if is_graph(layer) else 0
    kind = kind_of(layer)
    if kind is None or kind.multiply_adds is None:
        return 0
    return kind.multiply_adds(
        layer,
        _places(tensors_of((call.args, call.kwargs))[0]),
        _places(call.outputs[0]),
    )


def _places(tensor: Any) -> int:
    """Returns the number of a tensor's places: all axes but the channels."""
    return math.prod(_shape(tensor)[1:-1])


def _shape(tensor: Any) -> tuple[int, ...]:
    shape = tuple(tensor.shape)
    if None in shape[1:]:
        raise ValueError(
            "`model` must have inputs of known shape, or its multiply-adds "
            f"can't be counted. Received: a tensor of shape {shape}."
        )
    return shape
