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
"""Attention heads as units: what an attention is called with, and computes.

What a `MultiHeadAttention` has before its output projection bears no name
outside of it in either Keras, so it is computed here from inputs and masks.
"""

import dataclasses
import inspect
from typing import Any

import tensorflow as tf

from tfmot_sapp.frameworks.calls import Call, tensors_of
from tfmot_sapp.frameworks.private import attention
from tfmot_sapp.frameworks.private.layers import mask_of
from tfmot_sapp.frameworks.which_keras import keras_of
from tfmot_sapp.units.carriers import LeftAloneError

_MASKS = ("query_mask", "value_mask", "key_mask", "attention_mask")


@dataclasses.dataclass(frozen=True)
class AttentionCall:
    """How an attention is called.

    Attributes:
        arguments: Symbolic tensors by name: query, value, key and the masks
            that there are.
        constant_mask: An attention mask that is no tensor of the graph, or
            `None`.
        is_causal: Whether a position sees only those before it.
        result: The attention's symbolic output.
        total: The sum that `result` alone goes into, or `None`.
    """

    arguments: dict[str, Any]
    constant_mask: Any
    is_causal: bool
    result: Any
    total: Any

    @property
    def tensors(self) -> list[Any]:
        """The symbolic tensors whose values `head_outputs` wants."""
        return list(self.arguments.values())


def read_attention(call: Call, total: Any) -> AttentionCall:
    """Reads how an attention is called.

    Args:
        call: The call of a `MultiHeadAttention` or a `GroupQueryAttention`.
        total: The sum that its output alone goes into, or `None`.

    Raises:
        LeftAloneError: If its heads can't be told apart.
    """
    layer = call.layer
    if attention.is_flash(layer):
        raise LeftAloneError("its heads are computed in one operation")
    if attention.sees_window(layer):
        raise LeftAloneError("its attention sees a sliding window")
    if len(call.outputs) > 1:
        raise LeftAloneError("it returns the scores of each head")
    bound = inspect.signature(layer.call).bind(*call.args, **call.kwargs)
    given = {k: v for k, v in bound.arguments.items() if v is not None}
    if len(given["query"].shape) != 3 or len(given["value"].shape) != 3:
        raise LeftAloneError("its attention is over several axes")
    given.setdefault("key", given["value"])
    arguments = {name: given[name] for name in ("query", "value", "key")}
    if keras_of(layer).__name__ == "keras":
        # There a mask is a tensor of the graph; in tf_keras values carry it.
        for name in ("query", "value", "key"):
            mask = mask_of(given[name])
            if mask is not None:
                given.setdefault(f"{name}_mask", mask)
    arguments.update(
        {name: given[name] for name in _MASKS if tensors_of(given.get(name))}
    )
    constant = given.get("attention_mask")
    return AttentionCall(
        arguments,
        None if tensors_of(constant) else constant,
        bool(given.get("use_causal_mask", False)),
        call.outputs[0],
        total,
    )


def head_outputs(
    layer: Any, call: AttentionCall, values: list[tf.Tensor]
) -> tf.Tensor:
    """Returns what each head gives to the output projection.

    Args:
        layer: The attention.
        call: How it is called.
        values: Values of `call.tensors`.

    Returns:
        Tensor (samples, places, heads, size).
    """
    given = dict(zip(call.arguments, values))
    query, value, key = (given[name] for name in ("query", "value", "key"))
    given.setdefault("attention_mask", call.constant_mask)
    projections = attention.projections_of(layer)
    several = attention.heads_of_group(layer)
    outputs = attention.mix_heads(
        layer,
        projections.query(query),
        tf.repeat(projections.key(key), several, axis=2),
        tf.repeat(projections.value(value), several, axis=2),
        _mask(given, call.is_causal),
    )
    gate = attention.gate_of(layer)
    return outputs if gate is None else outputs * gate(query)


def _mask(given: dict[str, Any], is_causal: bool) -> tf.Tensor | None:
    """Returns which place (samples, queries, keys) sees which, if not all."""
    masks = []
    if given["attention_mask"] is not None:
        masks.append(tf.cast(given["attention_mask"], tf.bool))
    for name, axis in (("query", 2), ("value", 1), ("key", 1)):
        mask = given.get(f"{name}_mask", mask_of(given[name]))
        if mask is not None:
            masks.append(tf.expand_dims(tf.cast(mask, tf.bool), axis))
    if is_causal:
        places = [tf.range(tf.shape(given[n])[1]) for n in ("query", "value")]
        masks.append((places[0][:, None] >= places[1])[None])
    if not masks:
        return None
    seen = masks[0]
    for mask in masks[1:]:
        seen = seen & mask
    return seen
