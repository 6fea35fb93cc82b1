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
"""What a layer is expected to lose with its blocks.

Before training nobody knows. Expected is what is lost of the layer's energy:
the squares of its weights, times what its inputs are on average where there are
data, in the blocks that are worth least, over what is left. Kernels at random
lose nearly their sparsity `s`, that is `s / (1 - s)`; trained ones less, and
less than others where few blocks matter. Larger blocks lose more: in this
project's comparisons (`benchmarks/accuracy/RESULTS.md`) the error that pruning
adds grows by about 1.6 with each doubling of a block's sides.
"""

import numpy as np

from tfmot_sapp.allocations.grouping import groups_of_blocks
from tfmot_sapp.blocks.selection import kept_blocks

# log2(1.6) / 2, since doubling the sides makes four times the area.
_AREA = 0.34


def expected_loss(
    energy: np.ndarray, sparsity: float, block: tuple[int, int]
) -> float:
    """Returns what a kernel is expected to lose, without a unit.

    Args:
        energy: Energy of each block, any shape.
        sparsity: Fraction of the blocks that go.
        block: Channels of an input and of an output block.

    Returns:
        0 for none, rising with the sparsity and with the blocks' size.

    Example:

    >>> expected_loss(np.ones(100), 0.5, (32, 32))
    1.0
    """
    rising = np.sort(np.ravel(energy).astype(np.float64))
    gone = rising.size - kept_blocks(rising.size, sparsity)
    total = float(rising.sum())
    share = float(rising[:gone].sum()) / total if total > 0 else sparsity
    return _loss(share, block)


def expected_loss_of_groups(
    energy: np.ndarray, groups: int, block: tuple[int, int]
) -> float:
    """Returns what a kernel is expected to lose outside of its best groups.

    Args:
        energy: Energy of each block, array (input blocks, output blocks).
        groups: Number of groups.
        block: Channels of an input and of an output block.

    Returns:
        As `expected_loss`, which is never more.

    Example:

    >>> expected_loss_of_groups(np.ones((4, 8)), 2, (32, 32))
    1.0
    """
    energy = energy.astype(np.float64)
    reads, makes = groups_of_blocks(energy, np.ones(energy.shape), groups)
    total = float(energy.sum())
    inside = float(energy[reads[:, None] == makes].sum())
    return _loss(1.0 - (inside / total if total > 0 else 1.0 / groups), block)


def _loss(share: float, block: tuple[int, int]) -> float:
    coarse = (block[0] * block[1] / 1024) ** _AREA
    return share / max(1.0 - share, 1e-9) * coarse


def block_energy(
    kernel: np.ndarray,
    block: tuple[int, int],
    moments: np.ndarray | None = None,
) -> np.ndarray:
    """Returns the energy of each block.

    Args:
        kernel: Array (taps, inputs, outputs).
        block: Channels of an input and of an output block.
        moments: Mean square of each input channel, or `None` where it isn't
            known.

    Returns:
        Array (input blocks, output blocks).
    """
    squares = np.square(kernel.astype(np.float64)).sum(axis=0)
    if moments is not None:
        squares *= moments[:, None]
    for axis, side in enumerate(block):
        starts = np.arange(0, squares.shape[axis], side)
        squares = np.add.reduceat(squares, starts, axis=axis)
    return squares
