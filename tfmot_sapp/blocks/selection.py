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
"""Which blocks stay: exact counts, ties by index, swaps, readers.

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


def swap_blocks(
    scores: np.ndarray,
    growth: np.ndarray,
    mask: np.ndarray,
    count: int,
    keep: np.ndarray | None = None,
) -> np.ndarray:
    """Returns a mask with the worst kept blocks exchanged for dropped ones.

    Args:
        scores: NumPy array of scores: the lowest of the kept blocks go.
        growth: Array likewise: the highest of the dropped blocks come.
        mask: Boolean array likewise: the blocks kept so far.
        count: Number of blocks to exchange; fewer if there are not so many.
        keep: Boolean array likewise: kept blocks that must not go. Defaults to
            none.

    Returns:
        Boolean NumPy array with as many entries true as `mask`.

    Example:

    >>> mask = np.array([True, True, False, False])
    >>> swap_blocks(np.array([2.0, 1, 0, 0]), np.array([9.0, 9, 3, 4]), mask, 1)
    array([ True, False, False,  True])
    """
    mask = np.asarray(mask, bool)
    fixed = np.zeros_like(mask) if keep is None else mask & keep
    free = mask & ~fixed
    count = min(count, int(free.sum()), int((~mask).sum()))
    stay = top_blocks(scores, int(free.sum()) - count, free)
    come = top_blocks(growth, count, ~mask)
    return fixed | stay | come


def readers(
    scores: np.ndarray,
    alive: np.ndarray,
    most: float = math.inf,
    spare: int = 0,
) -> np.ndarray:
    """Returns one block for each input block: the best that reads it.

    Args:
        scores: NumPy array of scores of rank 2 or more, input blocks on the
            last axis but one.
        alive: Boolean array like `scores`: blocks to choose from where an
            input block has any.
        most: Most blocks that an output block, on the last axis, may give.
        spare: Number of output blocks that may give one more.

    Returns:
        Boolean NumPy array shaped like `scores`.

    Example:

    >>> scores = np.array([[1.0, 4.0], [2.0, 3.0]])
    >>> readers(scores, np.ones((2, 2), bool))
    array([[False,  True],
           [False,  True]])
    """
    chosen = np.zeros(scores.shape, bool)
    given = np.zeros(scores.shape[-1], int)
    values = np.nan_to_num(np.asarray(scores, np.float64), nan=-np.inf)
    rank = np.where(alive, values, -np.inf)
    # The strongest claims come first, where places are few.
    best = np.moveaxis(rank, -2, 0).reshape(scores.shape[-2], -1).max(1)
    for row in np.argsort(-best, kind="stable"):
        full = given >= most + (np.sum(given > most) < spare)
        if np.all(full):
            break
        score, living = values[..., row, :], alive[..., row, :]
        order = np.lexsort(
            (
                -score.ravel(),
                ~living.ravel(),
                np.broadcast_to(full, score.shape).ravel(),
            )
        )
        place = np.unravel_index(order[0], score.shape)
        chosen[place[:-1] + (row, place[-1])] = True
        given[place[-1]] += 1
    return chosen
