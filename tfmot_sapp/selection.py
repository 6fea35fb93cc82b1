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
"""Which blocks stay: exact counts, ties by index.

The count of kept blocks is defined here and nowhere else: the nearest integer
to `(1 - sparsity) * blocks`, halves upwards, and at least one block, because a
kernel of zeros disconnects the network.

>>> kept_blocks(325, 0.9), kept_blocks(325, 0.0), kept_blocks(5, 0.99)
(33, 325, 1)
"""

import math

import numpy as np


def kept_blocks(num_blocks: int, sparsity: float) -> int:
    """Returns how many of `num_blocks` stay at a sparsity.

    Args:
        num_blocks: Number of blocks, at least 1.
        sparsity: Fraction of the blocks to remove, in [0, 1].

    Returns:
        `(1 - sparsity) * num_blocks` rounded to the nearest integer, halves
        upwards, and never less than 1.

    Example:

    >>> kept_blocks(25, 0.9)
    3
    """
    # Ten digits hide that 1 - 0.9 is not 0.1 in binary: 25 * (1 - 0.9) is a
    # half and must round as one.
    exact = round((1.0 - float(sparsity)) * num_blocks, 10)
    return min(num_blocks, max(1, math.floor(exact + 0.5)))


def top_blocks(
    scores: np.ndarray, count: int, alive: np.ndarray | None = None
) -> np.ndarray:
    """Returns the mask of the `count` blocks with the highest scores.

    Blocks that are alive come before all others, so a mask shrinks without
    exchanging blocks and, when it has to grow, grows by the best of the dropped
    ones. Equal scores are decided by index: the first ones stay.

    Args:
        scores: NumPy array of scores, one per block, any shape. NaN counts as
            the lowest score.
        count: Number of blocks to keep, in [0, scores.size].
        alive: Boolean array like `scores`: the blocks kept so far. Defaults to
            all of them.

    Returns:
        Boolean NumPy array shaped like `scores` with `count` entries true.

    Example:

    >>> top_blocks(np.array([1.0, 3.0, 3.0, 2.0]), 1)
    array([False,  True, False, False])
    """
    flat = np.nan_to_num(
        np.asarray(scores, np.float64).ravel(),
        nan=-np.inf,
        posinf=np.inf,
        neginf=-np.inf,
    )
    dead = (
        np.zeros(flat.shape, bool)
        if alive is None
        else ~np.ravel(np.asarray(alive, bool))
    )
    # lexsort is stable and its last key is the primary one.
    order = np.lexsort((-flat, dead))
    mask = np.zeros(flat.shape, bool)
    mask[order[:count]] = True
    return mask.reshape(np.shape(scores))
