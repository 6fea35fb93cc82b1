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
"""Blocks in another order: how a runtime is told to put them there.

A gather leaves the delegate of a CPU and runs on one thread. Where blocks stay
in runs it takes a few slices and a concatenation instead, and where they are
dealt out evenly a transposition, both inside of the delegate.
"""

import dataclasses
from collections.abc import Sequence

from tfmot_sapp.compiler.lowerings.operations import Operations, Tensor


@dataclasses.dataclass(frozen=True)
class Arrangement:
    """How blocks are put in an order.

    Attributes:
        kind: "same" (nothing to do), "exchange" (every so many of them, as
            dealt out), "slices" (runs, put together) or "gather".
        runs: For slices, the first and the last but one block of each run.
        rows: For an exchange, how many runs the blocks are dealt out from.
    """

    kind: str
    runs: tuple[tuple[int, int], ...] = ()
    rows: int = 0


def arrangement_of(
    index: Sequence[int], count: int, sliced: bool
) -> Arrangement:
    """Finds out how blocks are put in an order.

    Args:
        index: The blocks that are wanted; some may be missing, or repeated.
        count: How many blocks there are.
        sliced: Whether runs are sliced and put together, not gathered.

    Example:

    >>> arrangement_of([0, 2, 1, 3], 4, sliced=False)
    Arrangement(kind='exchange', runs=(), rows=2)
    """
    index = list(index)
    if index == list(range(count)):
        return Arrangement("same")
    # In an exchange, the second block is from the second of the runs.
    step = index[1] if len(index) == count > 1 else 0
    if step > 1 and count % step == 0:
        rows = count // step
        if index == [i * step + j for j in range(step) for i in range(rows)]:
            return Arrangement("exchange", rows=rows)
    if not sliced:
        return Arrangement("gather")
    return Arrangement("slices", tuple(runs_of(index)))


def runs_of(index: Sequence[int]) -> list[tuple[int, int]]:
    """Puts neighbours together that follow each other.

    Args:
        index: Blocks, in any order.

    Returns:
        The first and the last but one block of each run.

    Example:

    >>> runs_of([2, 3, 0])
    [(2, 4), (0, 1)]
    """
    runs: list[tuple[int, int]] = []
    for block in index:
        if runs and runs[-1][1] == block:
            runs[-1] = (runs[-1][0], block + 1)
        else:
            runs.append((block, block + 1))
    return runs


def arranged(
    x: Tensor,
    index: Sequence[int],
    width: int,
    sliced: bool,
    write: Operations,
) -> Tensor:
    """Writes blocks of channels in another order.

    Args:
        x: A tensor whose channels are blocks.
        index: The blocks that are wanted, in order.
        width: Channels of a block.
        sliced: As `arrangement_of` takes it.
        write: Writes operations for the runtime.
    """
    count = write.channels(x) // width
    how = arrangement_of(index, count, sliced)
    if how.kind == "same":
        return x
    if how.kind == "slices":
        return write.joined(
            [write.cut(x, a * width, b * width) for a, b in how.runs]
        )
    if how.kind == "exchange":
        dealt = write.rows(x, how.rows, count // how.rows, width)
        turned = write.transpose(dealt, (0, 2, 1, 3))
        made = write.rows(turned, count * width)
    else:
        taken = write.gather(write.rows(x, count, width), index, 1)
        made = write.rows(taken, len(index) * width)
    return write.like(made, x)
