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
"""The order in which the blocks of a matrix go, by what their loss costs.

Optimal brain surgery on blocks (Hassibi and Stork, 1993; by groups of weights
in Frantar et al., "Optimal Brain Compression", arXiv 2208.11580, and Kurtic et
al., "ZipLM", arXiv 2302.04089). Every block of output columns is a problem of
its own. With the inverse `H` of its Gram matrix, removing the rows `r` raises
the error, after all other weights have made up for it, by

    e(r) = tr(W_r' (H_rr)^-1 W_r),

the cheapest rows go, and

    W <- W - H_:r (H_rr)^-1 W_r,    H <- H - H_:r (H_rr)^-1 H_r:

until none are left. Errors are mean squares over the rows of the calibration
data, summed over outputs.
"""

import dataclasses

import numpy as np

# Costs this close are ties, which are decided by index.
_EPSILON = float(np.finfo(np.float64).eps)
_TIE = 1e-9


@dataclasses.dataclass(frozen=True)
class Removal:
    """In which order the row groups of one block of columns go.

    Attributes:
        order: Integer array: the groups, the first to go first.
        cost: Float64 array of one length more: by how much the error has risen
            when so many are gone.
    """

    order: np.ndarray
    cost: np.ndarray


def removals(
    gram: np.ndarray,
    weights: np.ndarray,
    row_groups: np.ndarray,
    column_groups: np.ndarray,
    column_scale: np.ndarray | None = None,
) -> list[Removal]:
    """Returns the order of removal within every block of columns.

    Args:
        gram: Array (inputs, inputs), positive definite.
        weights: Array (inputs, outputs): the best weights for all rows.
        row_groups: Group of each input: integers from 0 on, each of them
            there. The inputs of a group need not be neighbours.
        column_groups: Block of each output, likewise.
        column_scale: What an error in each output is multiplied by before it
            is squared. Defaults to ones.

    Returns:
        One `Removal` for every block of columns. Of groups that cost the same
        the first ones stay longest.

    Example:

    >>> weights = np.array([[1.0], [3.0], [2.0]])
    >>> found = removals(np.eye(3), weights, np.arange(3), np.zeros(1, int))
    >>> found[0].order, found[0].cost
    (array([0, 2, 1]), array([ 0.,  1.,  5., 14.]))
    """
    layout = _Layout(row_groups)
    inverse = layout.spread(_inverse(gram))
    scaled = np.asarray(weights, np.float64)
    if column_scale is not None:
        scaled = scaled * column_scale
    return [
        _removal(inverse, layout.rows(scaled[:, column_groups == c]), layout)
        for c in range(int(column_groups.max()) + 1)
    ]


class _Layout:
    """Groups side by side, the smaller ones filled up with unused rows."""

    def __init__(self, row_groups: np.ndarray):
        sizes = np.bincount(row_groups)
        self.count, self.size = len(sizes), int(sizes.max())
        order = np.argsort(row_groups, kind="stable")
        within = np.arange(len(order)) - np.repeat(
            np.cumsum(sizes) - sizes, sizes
        )
        self._place = np.empty(len(order), int)
        self._place[order] = row_groups[order] * self.size + within

    def rows(self, matrix: np.ndarray) -> np.ndarray:
        wide = np.zeros((self.count * self.size, matrix.shape[1]))
        wide[self._place] = matrix
        return wide

    def spread(self, inverse: np.ndarray) -> np.ndarray:
        # Rows that stand for nothing: apart from all others, weights of zero.
        wide = np.eye(self.count * self.size)
        wide[np.ix_(self._place, self._place)] = inverse
        return wide


def _inverse(gram: np.ndarray) -> np.ndarray:
    gram = np.asarray(gram, np.float64)
    inverse = np.linalg.inv(gram)
    return (inverse + inverse.T) / 2


def _removal(
    inverse: np.ndarray, weights: np.ndarray, layout: _Layout
) -> Removal:
    """Removes the groups one by one, without updating the inverse in place.

    After some removals the inverse is `H - L'L`, where every removal adds rows
    to `L`. Only the strip of the group that goes and the blocks on the diagonal
    are ever needed of it, which moves far less memory than the whole would.
    """
    count, size = layout.count, layout.size
    index = np.arange(count)
    blocks = inverse.reshape(count, size, count, size)[index, :, index, :]
    weights = weights.reshape(count, size, -1)
    factors = np.empty((count * size, count * size))
    alive = np.arange(count)
    order = np.empty(count, int)
    cost = np.zeros(count + 1)
    for step in range(count):
        own = weights[alive]
        solved = _solved(blocks[alive], own)
        costs = np.einsum("gio,gio->g", own, solved)
        least = costs.min()
        ties = np.flatnonzero(costs <= least + _TIE * abs(least))
        group = int(alive[ties[-1]])
        order[step] = group
        cost[step + 1] = cost[step] + max(float(costs[ties[-1]]), 0.0)
        alive = np.delete(alive, ties[-1])
        rows = slice(group * size, (group + 1) * size)
        known = factors[: step * size]
        strip = inverse[rows] - known[:, rows].T @ known
        root = _root_of_inverse(blocks[group])
        factor = root @ strip
        factors[step * size : (step + 1) * size] = factor
        factor = factor.reshape(size, count, size)
        factor = np.ascontiguousarray(factor[:, alive].transpose(1, 2, 0))
        weights[alive] -= factor @ (root @ weights[group])
        blocks[alive] -= factor @ factor.transpose(0, 2, 1)
    return Removal(order, cost)


def _solved(blocks: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Solves by blocks, also where rounding left a block without full rank."""
    try:
        return np.linalg.solve(blocks, right)
    except np.linalg.LinAlgError:
        return np.linalg.pinv(blocks, hermitian=True) @ right


def _root_of_inverse(block: np.ndarray) -> np.ndarray:
    """`R` with `R'R` the inverse of a block.

    After many removals rounding may leave a block that isn't positive; what is
    below its precision then counts as nothing.
    """
    try:
        return np.linalg.inv(np.linalg.cholesky(block))
    except np.linalg.LinAlgError:
        values, vectors = np.linalg.eigh(block)
        least = max(float(values[-1]), 0.0) * len(block) * _EPSILON
        kept = values > least
        roots = np.zeros(len(values))
        roots[kept] = 1 / np.sqrt(values[kept])
        return roots[:, np.newaxis] * vectors.T


def removals_without_refit(
    gram: np.ndarray,
    weights: np.ndarray,
    row_groups: np.ndarray,
    column_groups: np.ndarray,
    column_scale: np.ndarray | None = None,
) -> list[Removal]:
    """Returns the order of removal where surviving weights stay as they are.

    The groups `S` that are gone cost `tr(W_S' G_SS W_S)`; the one that adds
    least to it goes next.

    Args:
        gram: As for `removals`.
        weights: Array (inputs, outputs).
        row_groups: As for `removals`.
        column_groups: As for `removals`.
        column_scale: As for `removals`.

    Returns:
        One `Removal` for every block of columns.
    """
    scaled = np.asarray(weights, np.float64)
    if column_scale is not None:
        scaled = scaled * column_scale
    count = int(row_groups.max()) + 1
    members = np.zeros((count, len(row_groups)))
    members[row_groups, np.arange(len(row_groups))] = 1
    found = []
    for column in range(int(column_groups.max()) + 1):
        own = scaled[:, column_groups == column]
        shared = members @ (gram * (own @ own.T)) @ members.T
        found.append(order_of_products(shared))
    return found


def order_of_products(shared: np.ndarray) -> Removal:
    """Returns the order of removal where what groups add to outputs stays.

    Args:
        shared: Array (groups, groups): products of what they add. The sum over
            the groups that are gone is what their loss costs.
    """
    alive = np.arange(len(shared))
    order = np.empty(len(shared), int)
    cost = np.zeros(len(shared) + 1)
    added = np.diag(shared).copy()
    for step in range(len(shared)):
        costs = added[alive]
        least = costs.min()
        last = np.flatnonzero(costs <= least + _TIE * abs(least))[-1]
        order[step] = alive[last]
        cost[step + 1] = cost[step] + costs[last]
        added += 2 * shared[order[step]]
        alive = np.delete(alive, last)
    return Removal(order, cost)
