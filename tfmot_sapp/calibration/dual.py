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
"""Layers of many inputs, fitted from few rows.

The Gram matrix of a convolution of 64 taps over 1,024 channels has 65,536 rows
and does not fit in memory. With `n` rows `X` of data the same least squares has
`n` unknowns for each output, whatever the number of inputs (the dual of ridge
regression; Saunders et al., "Ridge Regression Learning Algorithm in Dual
Variables", 1998). Drawn towards the old weights `W0`, for the inputs `S` that
are left,

    W_S = W0_S + X_S' A_S^-1 (T - X_S W0_S) / n,    A_S = X_S X_S' / n + l I,

and the least value of the loss that `gram.py` minimises is

    J(S) = l tr(R' A_S^-1 R) / n + l |W0_gone|^2,    R = T - X_S W0_S.

What the removal of a group costs is a difference of `J`. It is found by solving
without the group, or, where the group has fewer inputs than there are rows, by

    e(r) = l tr(W_r' (I - X_r' A_S^-1 X_r / n)^-1 W_r).
"""

import dataclasses

import numpy as np

from tfmot_sapp.calibration.block_obs import Removal, order_of_products
from tfmot_sapp.calibration.dual_search import (
    RemovalSearch,
    mean_square,
    members_of,
)
from tfmot_sapp.calibration.refit import free_bias

# Bytes of rows that are held, as float32.
_MOST_BYTES = 2**28
_MOST_ROWS = 1024


def most_rows(inputs: int) -> int:
    """Returns how many rows of a length are held at most."""
    return max(min(_MOST_ROWS, _MOST_BYTES // (4 * inputs)), 1)


class RowStack:
    """Holds rows of a layer, evenly taken from all there are.

    Args:
        inputs: Length of a row.
        offered: How many rows will be added.
    """

    def __init__(self, inputs: int, offered: int):
        self._share = min(most_rows(inputs) / offered, 1.0)
        self.count = 0
        self._rows: list[np.ndarray] = []
        self._wanted: list[np.ndarray] = []

    def add(self, rows: np.ndarray, wanted: np.ndarray) -> None:
        """Adds a batch.

        Args:
            rows: Array (n, inputs): what the layer reads.
            wanted: Array (n, outputs): what it is wanted to give, without its
                bias.
        """
        numbers = np.arange(self.count, self.count + len(rows) + 1)
        taken = np.diff(np.floor(numbers * self._share)) > 0
        self.count += len(rows)
        self._rows.append(rows[taken].astype(np.float32))
        self._wanted.append(wanted[taken].astype(np.float64))

    def problem(
        self, ridge: float, weights: np.ndarray, free_bias: bool
    ) -> "RowProblem":
        """Returns the least squares problem of all rows so far.

        Args:
            ridge: The ridge, in means of the diagonal of `X X' / n`.
            weights: Array (inputs, outputs) that the ridge draws towards.
            free_bias: Whether a bias is fitted as well.
        """
        rows, wanted = (np.concatenate(x) for x in (self._rows, self._wanted))
        self._rows, self._wanted = [], []
        means: tuple[np.ndarray | None, np.ndarray | None] = (None, None)
        size = mean_square(rows)
        inputs = rows.mean(axis=0, dtype=np.float64)
        if free_bias:
            outputs = wanted.mean(axis=0)
            rows -= inputs.astype(np.float32)
            wanted -= outputs
            means = inputs, outputs
        mean = mean_square(rows)
        # Constant inputs leave nothing but rounding to measure the ridge by.
        mean = mean if mean > 1e-12 * size else size or 1.0
        strength = ridge * mean * rows.shape[1] / len(rows)
        return RowProblem(rows, wanted, weights, strength, *means, inputs)


@dataclasses.dataclass
class RowProblem:
    """A least squares problem as the rows themselves.

    Attributes:
        rows: Float32 array (n, inputs), centred where there is a free bias.
        wanted: Float64 array (n, outputs), likewise.
        weights: Float32 array (inputs, outputs): the old weights, which the
            ridge draws towards.
        ridge: The ridge, as it is added to the diagonal.
        input_mean: Means of the inputs where there is a free bias, else `None`.
        target_mean: Means of the outputs wanted, likewise.
        row_mean: Means of the inputs.
    """

    rows: np.ndarray
    wanted: np.ndarray
    weights: np.ndarray
    ridge: float
    input_mean: np.ndarray | None
    target_mean: np.ndarray | None
    row_mean: np.ndarray

    def bias(self, weights: np.ndarray) -> np.ndarray | None:
        """Returns the best bias beside `weights`, `None` if none is free."""
        return free_bias(self.input_mean, self.target_mean, weights)

    def refit(
        self,
        kept: np.ndarray,
        row_groups: np.ndarray,
        column_groups: np.ndarray,
    ) -> np.ndarray:
        """Solves for the kept blocks exactly.

        Args:
            kept: Boolean array (row groups, blocks of columns).
            row_groups: Group of each input.
            column_groups: Block of each output.

        Returns:
            Array (inputs, outputs), zero in the blocks that are not kept.
        """
        groups = members_of(row_groups)
        solved = np.zeros(self.weights.shape)
        patterns, which = np.unique(kept, axis=1, return_inverse=True)
        which = np.ravel(which)
        for index, pattern in enumerate(patterns.T):
            columns = np.flatnonzero(which[column_groups] == index)
            inside = np.flatnonzero(pattern)
            if not len(inside) or not len(columns):
                continue
            matrix = self.ridge * np.eye(len(self.rows))
            rest = self.wanted[:, columns].copy()
            for group in inside:
                rows = self.rows[:, groups[group]]
                matrix += rows @ rows.T / len(rows)
                rest -= rows @ self.weights[np.ix_(groups[group], columns)]
            dual = np.linalg.solve(matrix, rest) / len(rest)
            for group in inside:
                at = np.ix_(groups[group], columns)
                back = self.rows[:, groups[group]].T @ dual
                solved[at] = self.weights[at] + back
        return solved

    def removals(
        self,
        row_groups: np.ndarray,
        column_groups: np.ndarray,
        column_scale: np.ndarray | None = None,
    ) -> list[Removal]:
        """Returns the order of removal within every block of columns.

        Args:
            row_groups: Group of each input: integers from 0 on.
            column_groups: Block of each output, likewise.
            column_scale: What an error in each output is multiplied by before
                it is squared. Defaults to ones.
        """
        factor: np.ndarray | float = (
            1.0 if column_scale is None else column_scale
        )
        search = RemovalSearch(
            self.rows,
            self.weights * factor,
            self.wanted * factor,
            self.ridge,
            members_of(row_groups),
        )
        blocks = members_of(column_groups)
        looks = search.looks(len(blocks))
        # What all columns have in common is done once.
        state = search.whole(np.concatenate(blocks))
        first = search.costs(np.arange(search.count), state, blocks)
        return [
            search.order(columns, costs, looks)
            for columns, costs in zip(blocks, first.T)
        ]

    def removals_without_refit(
        self,
        row_groups: np.ndarray,
        column_groups: np.ndarray,
        column_scale: np.ndarray | None = None,
    ) -> list[Removal]:
        """Returns the order of removal where surviving weights stay.

        Args:
            row_groups: As for `removals`.
            column_groups: As for `removals`.
            column_scale: As for `removals`.
        """
        scaled = self.weights * (1.0 if column_scale is None else column_scale)
        found = []
        for columns in members_of(column_groups):
            parts, squares = [], []
            for group in members_of(row_groups):
                own = scaled[np.ix_(group, columns)]
                parts.append((self.rows[:, group] @ own).ravel())
                squares.append(self.ridge * float(np.square(own).sum()))
            stacked = np.stack(parts).astype(np.float64)
            products = stacked @ stacked.T / len(self.rows)
            found.append(order_of_products(products + np.diag(squares)))
        return found
