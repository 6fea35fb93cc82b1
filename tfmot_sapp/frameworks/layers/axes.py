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
"""The roles of a kernel's axes.

A block of `(in, out)` takes all taps together and never spans two slices of a
"batch" axis.
"""

import math
from collections.abc import Sequence

IN, OUT, TAP, BATCH = "in", "out", "tap", "batch"


def convolution_roles(rank: int) -> tuple[str, ...]:
    """Returns the roles of a kernel (*taps, in, out).

    Args:
        rank: Number of its axes.
    """
    return (*(TAP,) * (rank - 2), IN, OUT)


def einsum_roles(equation: str) -> list[str]:
    """Returns the roles of an `EinsumDense` kernel's axes.

    Args:
        equation: An equation such as `"abc,cde->abde"`.

    Returns:
        One role per axis of the kernel: "in" for an axis that is summed over,
        "out" for a new one, "batch" for one that input, kernel and output have
        in common.

    Example:

    >>> einsum_roles("abc,cde->abde")
    ['in', 'out', 'out']
    """
    operands, _, result = equation.replace(" ", "").partition("->")
    inputs, _, kernel = operands.partition(",")
    roles = []
    for axis in kernel:
        if axis in inputs and axis in result:
            roles.append(BATCH)
        else:
            roles.append(IN if axis in inputs else OUT)
    return roles


def merge_axes(
    shape: Sequence[int], roles: Sequence[str]
) -> tuple[tuple[int, ...], tuple[str, ...]]:
    """Merges neighbouring axes of one role, for "in" and "out" only.

    Args:
        shape: Extents of the axes.
        roles: Their roles.

    Returns:
        Extents and roles of the merged axes.
    """
    lengths: list[list[int]] = []
    merged: list[str] = []
    for length, role in zip(shape, roles):
        if merged and merged[-1] == role and role in (IN, OUT):
            lengths[-1].append(length)
        else:
            lengths.append([length])
            merged.append(role)
    return tuple(math.prod(group) for group in lengths), tuple(merged)
