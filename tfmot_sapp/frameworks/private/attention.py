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
"""What is inside a `MultiHeadAttention`, private in both Kerases."""

from typing import Any, NamedTuple


class Projections(NamedTuple):
    """The four projections of an attention, each an `EinsumDense`."""

    query: Any
    key: Any
    value: Any
    output: Any


def projections_of(attention: Any) -> Projections:
    """Returns the projections of a built attention."""
    return Projections(
        attention._query_dense,
        attention._key_dense,
        attention._value_dense,
        attention._output_dense,
    )


def last_layer_of(layer: Any) -> Any:
    """Returns the layer inside a layer that gives what the layer gives.

    Args:
        layer: A built layer, an attention with projections or any other.

    Returns:
        The output projection of an attention, and any other layer itself.
    """
    return getattr(layer, "_output_dense", layer)


def number_of_heads(attention: Any) -> int:
    """Returns the number of heads of an attention."""
    heads = getattr(attention, "num_query_heads", None)
    return int(attention._num_heads if heads is None else heads)


def heads_of_group(attention: Any) -> int:
    """Returns how many heads of an attention share keys and values."""
    return int(getattr(attention, "num_repeats", 1))


def number_of_units(attention: Any) -> int:
    """Returns how many heads, or groups of them, could go one by one."""
    groups = getattr(attention, "num_key_value_heads", None)
    return number_of_heads(attention) if groups is None else int(groups)


def gate_of(attention: Any) -> Any:
    """Returns the layer that makes what heads are multiplied with, if any."""
    return getattr(attention, "_gate_dense", None)


def key_size(attention: Any) -> int:
    """Returns the size of the keys of one head of a `MultiHeadAttention`."""
    return int(attention._key_dim)


def is_flash(attention: Any) -> bool:
    """Returns whether a `MultiHeadAttention` computes its heads in one op."""
    return bool(getattr(attention, "_flash_attention", False))


def sees_window(attention: Any) -> bool:
    """Returns whether a `MultiHeadAttention` sees a sliding window only."""
    windows = ("_sliding_window", "sliding_window")
    return any(getattr(attention, n, None) is not None for n in windows)


def mix_heads(
    attention: Any, query: Any, key: Any, value: Any, mask: Any
) -> Any:
    """Returns what the heads give to the output projection.

    Args:
        attention: A built `MultiHeadAttention`.
        query: Tensor (samples, queries, heads, size).
        key: Tensor (samples, keys, heads, size).
        value: Tensor (samples, keys, heads, size).
        mask: Boolean tensor that broadcasts to (samples, queries, keys), or
            `None`.

    Returns:
        Tensor (samples, queries, heads, size).
    """
    outputs, _ = attention._compute_attention(
        query, key, value, attention_mask=mask
    )
    return outputs
