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
"""Places of blocks that nothing reads or feeds go to useful ones."""

from collections.abc import Mapping, Sequence

import numpy as np

from tfmot_sapp.units.connections import Connection


def reconnected(
    masks: Mapping[str, np.ndarray],
    scores: Mapping[str, np.ndarray],
    alive: Mapping[str, np.ndarray],
    connections: Sequence[Connection],
) -> dict[str, np.ndarray]:
    """Gives the places of blocks that nothing reads or feeds to useful ones.

    Kernels are gone through from the last to the first, until nothing changes:
    each keeps its blocks whose inputs are made and whose outputs are read, and
    fills up with the best blocks of which that is true too.

    Args:
        masks: Boolean masks by the kernel's name, in the order of the graph,
            input blocks on the last axis but one, output blocks on the last.
        scores: One array of scores per kernel, likewise.
        alive: The boolean masks in force before, likewise: blocks of these
            are taken first.
        connections: Which kernels' outputs which kernels read.

    Returns:
        Boolean masks with as many blocks kept in each kernel.

    Example:

    >>> masks = {"a": np.array([[True, False]]), "b": np.array([[0], [1]]) > 0}
    >>> scores = {"a": np.array([[2.0, 1.0]]), "b": np.array([[1.0], [2.0]])}
    >>> ones = {"a": np.ones((1, 2), bool), "b": np.ones((2, 1), bool)}
    >>> link = Connection("a", {"b": np.eye(2, dtype=bool)}, closed=True)
    >>> reconnected(masks, scores, ones, [link])["b"]
    array([[ True],
           [False]])
    """
    masks = {name: np.asarray(mask, bool) for name, mask in masks.items()}
    # Each pass carries what changed at least one kernel further.
    for _ in range(len(masks) + 1):
        changed = False
        for name in reversed(list(masks)):
            useful = useful_places(name, masks, connections)
            if np.any(masks[name] & ~useful):
                filled = _filled(masks[name], useful, scores[name], alive[name])
                changed |= bool(np.any(filled != masks[name]))
                masks[name] = filled
        if not changed:
            break
    return masks


def useful_places(
    name: str,
    masks: Mapping[str, np.ndarray],
    connections: Sequence[Connection],
) -> np.ndarray:
    """Returns which blocks of a kernel have inputs and readers.

    Args:
        name: The kernel's name.
        masks: Boolean masks by the kernels' names.
        connections: Which kernels' outputs which kernels read.

    Returns:
        Boolean array shaped like the kernel's mask.
    """
    shape = masks[name].shape
    if len(shape) < 2:
        return np.ones(shape, bool)
    read = np.ones(shape[-1], bool)
    made_by_any, others = np.zeros(shape[-2], bool), np.ones(shape[-2], bool)
    for connection in connections:
        if name in connection.feeds:
            made = _blocks_in_use(masks[connection.producer], -1)
            feed = connection.feeds[name] & made[:, None]
            made_by_any |= np.any(feed, axis=0)
            others &= connection.others.get(name, False)
        if connection.producer == name and connection.closed:
            read &= np.any(
                [
                    np.any(feed & _blocks_in_use(masks[reader], -2), axis=1)
                    for reader, feed in connection.feeds.items()
                ],
                axis=0,
            )
    # A block of channels of several counts as fed; so does one that nothing is
    # known of.
    fed = made_by_any | others
    return np.broadcast_to(fed[:, None] & read, shape)


def _blocks_in_use(mask: np.ndarray, axis: int) -> np.ndarray:
    return np.any(np.moveaxis(mask, axis, -1).reshape(-1, mask.shape[axis]), 0)


def _filled(
    mask: np.ndarray, useful: np.ndarray, score: np.ndarray, alive: np.ndarray
) -> np.ndarray:
    value = np.nan_to_num(np.asarray(score, np.float64), nan=-np.inf)
    keys = (mask & useful, useful & alive, useful, mask, value)
    order = np.lexsort([-key.ravel().astype(np.float64) for key in keys[::-1]])
    filled = np.zeros(mask.size, bool)
    filled[order[: int(mask.sum())]] = True
    return filled.reshape(mask.shape)
