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

# Bytes of rows that are held, as float32.
_MOST_BYTES = 2**28
_MOST_ROWS = 1024
# Floating-point operations that the order of removal of a layer may take if all
# costs are brought up to date after each removal. With more to do, fewer are.
_MOST_OPERATIONS = 5e11
_TIE = 1e-9


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
        self._seen = 0
        self._rows: list[np.ndarray] = []
        self._wanted: list[np.ndarray] = []

    def add(self, rows: np.ndarray, wanted: np.ndarray) -> None:
        """Adds a batch.

        Args:
            rows: Array (n, inputs): what the layer reads.
            wanted: Array (n, outputs): what it is wanted to give, without its
                bias.
        """
        numbers = np.arange(self._seen, self._seen + len(rows) + 1)
        taken = np.diff(np.floor(numbers * self._share)) > 0
        self._seen += len(rows)
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
        size = _mean_square(rows)
        inputs = rows.mean(axis=0, dtype=np.float64)
        if free_bias:
            outputs = wanted.mean(axis=0)
            rows -= inputs.astype(np.float32)
            wanted -= outputs
            means = inputs, outputs
        mean = _mean_square(rows)
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
        if self.input_mean is None or self.target_mean is None:
            return None
        return self.target_mean - self.input_mean @ weights

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
        groups = _members(row_groups)
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
        search = _Search(self, _members(row_groups), column_scale)
        blocks = _members(column_groups)
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
        for columns in _members(column_groups):
            parts, squares = [], []
            for group in _members(row_groups):
                own = scaled[np.ix_(group, columns)]
                parts.append((self.rows[:, group] @ own).ravel())
                squares.append(self.ridge * float(np.square(own).sum()))
            stacked = np.stack(parts).astype(np.float64)
            products = stacked @ stacked.T / len(self.rows)
            found.append(order_of_products(products + np.diag(squares)))
        return found


@dataclasses.dataclass
class _State:
    """What some groups leave to explain, for some columns.

    Attributes:
        matrix: Float64 array (n, n): `A_S`.
        rest: Float64 array (n, columns): `R`.
        loss: Float64 array (columns,): what is lost in the rows already;
            `None` if it wasn't asked for yet.
    """

    matrix: np.ndarray
    rest: np.ndarray
    loss: np.ndarray | None = None


class _Search:
    """The greedy removal of groups of inputs."""

    def __init__(
        self,
        problem: RowProblem,
        groups: list[np.ndarray],
        scale: np.ndarray | None,
    ):
        self._rows, self._ridge = problem.rows, problem.ridge
        factor: np.ndarray | float = 1.0 if scale is None else scale
        self._weights = problem.weights * factor
        self._wanted = problem.wanted * factor
        self._groups = groups
        self.count = len(groups)
        self._samples = len(problem.rows)
        largest = max(map(len, groups))
        self._is_wide = 2 * largest > self._samples
        self._products = (
            [self._product(g) for g in range(self.count)]
            if self._is_wide
            else None
        )
        self._rest = self._wanted - self._rows @ self._weights
        self._matrix = self._ridge * np.eye(self._samples)
        for group in range(self.count):
            self._matrix += self._products_of(group)

    def _product(self, group: int) -> np.ndarray:
        rows = self._rows[:, self._groups[group]]
        return rows @ rows.T / self._samples

    def _products_of(self, group: int) -> np.ndarray:
        if self._products is not None:
            return self._products[group]
        return self._product(group)

    def looks(self, blocks: int) -> int:
        """Returns how often the costs of all groups can be looked at."""
        cube, square = float(self._samples) ** 3, float(self._samples) ** 2
        each = 3 * cube + 2 * square * self._rows.shape[1]
        if self._is_wide:
            each = self.count * cube
        # Half of the groups are there on average.
        everything = blocks * self.count * each / 2
        most = self.count * _MOST_OPERATIONS / everything
        return int(np.clip(most, 1, self.count))

    def whole(self, columns: np.ndarray) -> _State:
        """Returns the state of some columns with all groups there."""
        return _State(self._matrix.copy(), self._rest[:, columns])

    def costs(
        self, alive: np.ndarray, state: _State, blocks: list[np.ndarray]
    ) -> np.ndarray:
        """Returns what the removal of each group costs.

        Args:
            alive: The groups that are there.
            state: What they leave to explain.
            blocks: Columns of the layer by block; `state.rest` has them all,
                one block after the other.

        Returns:
            Array (alive, blocks).
        """
        if self._is_wide:
            return self._by_solving(alive, state, blocks)
        return self._by_inverse(alive, state, blocks)

    def _by_solving(
        self, alive: np.ndarray, state: _State, blocks: list[np.ndarray]
    ) -> np.ndarray:
        columns = np.concatenate(blocks)
        if state.loss is None:
            state.loss = self._loss(state.matrix, state.rest)
        found = []
        for group in alive:
            weights = self._weights[np.ix_(self._groups[group], columns)]
            rest = state.rest + self._rows[:, self._groups[group]] @ weights
            matrix = state.matrix - self._products_of(group)
            lost = self._ridge * np.square(weights).sum(axis=0)
            found.append(self._loss(matrix, rest) + lost - state.loss)
        return _by_block(np.stack(found), blocks)

    def _loss(self, matrix: np.ndarray, rest: np.ndarray) -> np.ndarray:
        solved = np.linalg.solve(matrix, rest)
        return self._ridge * np.sum(rest * solved, axis=0) / self._samples

    def _by_inverse(
        self, alive: np.ndarray, state: _State, blocks: list[np.ndarray]
    ) -> np.ndarray:
        columns = np.concatenate(blocks)
        inverse = np.linalg.inv(state.matrix)
        dual = inverse @ state.rest / self._samples
        found = []
        for group in alive:
            inside = self._groups[group]
            rows = self._rows[:, inside].astype(np.float64)
            weights = self._weights[np.ix_(inside, columns)] + rows.T @ dual
            inner = rows.T @ (inverse @ rows) / self._samples
            inner = np.eye(len(inside)) - (inner + inner.T) / 2
            solved = np.linalg.solve(inner, weights)
            found.append(self._ridge * np.sum(weights * solved, axis=0))
        return _by_block(np.stack(found), blocks)

    def order(
        self, columns: np.ndarray, costs: np.ndarray, looks: int
    ) -> Removal:
        """Returns the order of removal of one block of columns.

        Args:
            columns: The columns.
            costs: What each group costs while all others are there.
            looks: How often costs are looked at.
        """
        state = self.whole(columns)
        alive = np.arange(self.count)
        order: list[int] = []
        total = [0.0]
        is_lazy = self._is_wide and looks < self.count
        while len(alive):
            if is_lazy:
                ranked = self._looked_up(alive, state, costs, columns)
            else:
                if order:
                    costs = self.costs(alive, state, [columns])[:, 0]
                ranked = _cheapest(costs, -(-len(alive) // max(looks, 1)))
                looks -= 1
            for place in ranked:
                group = int(alive[place])
                order.append(group)
                total.append(total[-1] + max(float(costs[place]), 0.0))
                self._remove(state, group, columns)
            alive, costs = np.delete(alive, ranked), np.delete(costs, ranked)
        return Removal(np.array(order), np.array(total))

    def _looked_up(
        self,
        alive: np.ndarray,
        state: _State,
        costs: np.ndarray,
        columns: np.ndarray,
    ) -> np.ndarray:
        """Returns the place of the cheapest group, bringing costs up to date.

        Costs rise almost always when other groups go, so a group that was
        dearer than one is now need not be looked at (Minoux, "Accelerated
        Greedy Algorithms", 1978).
        """
        known = np.zeros(len(alive), bool)
        while True:
            place = _cheapest(costs, 1)
            if known[place[0]]:
                return place
            known[place[0]] = True
            group = alive[place]
            costs[place[0]] = self.costs(group, state, [columns])[0, 0]

    def _remove(self, state: _State, group: int, columns: np.ndarray) -> None:
        inside = self._groups[group]
        state.matrix -= self._products_of(group)
        weights = self._weights[np.ix_(inside, columns)]
        state.rest = state.rest + self._rows[:, inside] @ weights
        state.loss = None


def _cheapest(costs: np.ndarray, number: int) -> np.ndarray:
    """Returns the places of the least costs, of equal ones the last first."""
    if number > 1:
        return np.lexsort((-np.arange(len(costs)), costs))[:number]
    least = costs.min()
    return np.flatnonzero(costs <= least + _TIE * abs(least))[-1:]


def _mean_square(rows: np.ndarray) -> float:
    return float(np.mean([np.square(row).mean() for row in rows]))


def _members(groups: np.ndarray) -> list[np.ndarray]:
    return [np.flatnonzero(groups == g) for g in range(int(groups.max()) + 1)]


def _by_block(costs: np.ndarray, blocks: list[np.ndarray]) -> np.ndarray:
    ends = np.cumsum([0] + [len(block) for block in blocks])[:-1]
    return np.add.reduceat(costs, ends, axis=1)
