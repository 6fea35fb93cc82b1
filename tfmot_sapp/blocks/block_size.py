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
"""What a user may write for `block_size`, checked once and for all.

`(in, out)` names the block's extent along a layer's input and output channels
and leaves all taps of a convolution together; a tuple of the kernel's own rank
cuts every axis. A dictionary gives sizes by layer name or pattern, a function
gives them layer by layer.

>>> validate_block_size((32, 32))
(32, 32)
>>> resolve_block_size({"conv*": (8, 32), "*": (32, 32)}, "conv_3", None)
(8, 32)
"""

import numbers
from collections.abc import Callable, Mapping
from typing import Any

from tfmot_sapp.base.patterns import match_name

BlockSize = tuple[int, ...]
BlockSizeLike = BlockSize | Mapping[str, BlockSize] | Callable[[Any], BlockSize]


def validate_block_size(block_size: Any) -> BlockSizeLike:
    """Checks a `block_size` as far as it can be without a layer.

    Args:
        block_size: A tuple of one to five positive integers, a dictionary from
            layer names or `fnmatch` patterns to such tuples, or a function from
            a layer to such a tuple.

    Returns:
        The block size with its tuples made of plain integers.

    Raises:
        TypeError: If it is none of these, or an extent is no integer.
        ValueError: If an extent is below 1, or there are none or too many.
    """
    if isinstance(block_size, Mapping):
        if not block_size:
            raise ValueError(
                "`block_size` must name at least one layer or pattern. "
                "Received: an empty dictionary."
            )
        return {
            str(pattern): _validate_extents(extents)
            for pattern, extents in block_size.items()
        }
    if callable(block_size):
        return block_size
    return _validate_extents(block_size)


def resolve_block_size(
    block_size: BlockSizeLike, name: str, layer: Any
) -> BlockSize | None:
    """Returns the block size that holds for one layer.

    Args:
        block_size: What `validate_block_size` returned.
        name: The layer's name, which patterns are matched against; an exact
            name wins over patterns, and among these the first one.
        layer: The layer, which a function is called with.

    Returns:
        A tuple of positive integers, or `None` if a dictionary has nothing
        for the layer or the function returned `None`.
    """
    if isinstance(block_size, Mapping):
        return match_name(block_size, name)
    if callable(block_size):
        chosen = block_size(layer)
        return None if chosen is None else _validate_extents(chosen)
    return block_size


def _validate_extents(extents: Any) -> BlockSize:
    if not isinstance(extents, (tuple, list)):
        raise TypeError(
            "`block_size` must be a tuple such as (32, 32), a dictionary from "
            "layer names to tuples, or a function of a layer. "
            f"Received: block_size={extents!r} of type "
            f"{type(extents).__name__}."
        )
    if not 1 <= len(extents) <= 5:
        raise ValueError(
            "`block_size` must have two extents, (in, out), or one per axis of "
            f"the kernel. Received: block_size={tuple(extents)!r}."
        )
    for extent in extents:
        if not isinstance(extent, numbers.Integral) or isinstance(extent, bool):
            raise TypeError(
                "`block_size` must hold whole numbers. "
                f"Received: block_size={tuple(extents)!r} with {extent!r} of "
                f"type {type(extent).__name__}."
            )
        if extent < 1:
            raise ValueError(
                "`block_size` must hold positive extents. "
                f"Received: block_size={tuple(extents)!r} with {extent!r}."
            )
    return tuple(int(extent) for extent in extents)
