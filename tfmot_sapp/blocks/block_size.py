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

>>> check_block_size((32, 32))
(32, 32)
>>> resolve_block_size({"conv*": (8, 32), "*": (32, 32)}, "conv_3", None)
(8, 32)
"""

from collections.abc import Callable, Mapping
from typing import Any

from tfmot_sapp.base.checks import check_whole
from tfmot_sapp.base.container_checks import check_mapping, check_tuple
from tfmot_sapp.base.patterns import match_name
from tfmot_sapp.base.wording import brief, received

BlockSize = tuple[int, ...]
BlockSizeLike = BlockSize | Mapping[str, BlockSize] | Callable[[Any], BlockSize]


def check_block_size(block_size: Any) -> BlockSizeLike:
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
        what = "a dictionary from layer names or patterns to tuples"
        return check_mapping(
            block_size,
            "block_size",
            lambda extents, _: check_extents(extents),
            what,
            least=1,
        )
    if callable(block_size) and not isinstance(block_size, type):
        return block_size
    return check_extents(block_size)


def resolve_block_size(
    block_size: BlockSizeLike, name: str, layer: Any
) -> BlockSize | None:
    """Returns the block size that holds for one layer.

    Args:
        block_size: What `check_block_size` returned.
        name: The layer's name, which patterns are matched against; an exact
            name wins over patterns, and among these the first one.
        layer: The layer, which a function is called with.

    Returns:
        A tuple of positive integers, or `None` if a dictionary has nothing
        for the layer or the function returned `None`.

    Raises:
        TypeError: If a function returns something else.
        ValueError: If it fails, or returns a block size that is none.
    """
    if isinstance(block_size, Mapping):
        return match_name(block_size, name)
    if callable(block_size):
        try:
            chosen = block_size(layer)
        except Exception as error:  # It is the user's own.
            raise ValueError(
                "`block_size` must be a function that takes a layer and "
                "returns a block size or `None`, where it is no tuple or "
                f"dictionary. It failed for the layer `{name}`: "
                f"{type(error).__name__}: {brief(error)}. "
                f"{received('block_size', block_size)}"
            ) from error
        return None if chosen is None else check_extents(chosen)
    return block_size


def check_extents(extents: Any) -> BlockSize:
    """Returns the block size of one layer as a tuple of integers.

    Args:
        extents: A tuple or list of one to five positive integers.

    Raises:
        TypeError: If it is none, or an extent is no integer.
        ValueError: If an extent is below 1, or there are none or too many.
    """

    def check_extent(value: Any, name: str) -> int:
        return check_whole(value, name, least=1)

    return check_tuple(
        extents,
        "block_size",
        check_extent,
        "a tuple of positive whole numbers such as (32, 32), one extent per "
        "axis of the kernel or (in, out), a dictionary from layer names to "
        "tuples, or a function of a layer",
        lengths=range(1, 6),
    )
