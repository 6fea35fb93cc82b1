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
"""The order in which groups of inputs go from a layer fitted by its rows.

The formulas are those of `dual.py`.
"""

import dataclasses

import numpy as np

from tfmot_sapp.calibration.block_obs import Removal

# Floating-point operations that the order of removal of a layer may take if all
# costs are brought up to date after each removal. With more to do, fewer are.
_MOST_OPERATIONS = 5e11
_TIE = 1e-9


@dataclasses.dataclass
class State:
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


class RemovalSearch:
    """The greedy removal of groups of inputs."""

    def __init__(
        self,
        rows: np.ndarray,
        weights: np.ndarray,
        wanted: np.ndarray,
        ridge: float,
        groups: list[np.ndarray],
    ):
        self._rows = rows
        self._ridge = ridge
        self._weights = weights
        self._wanted = wanted
        self._groups = groups
        self.count = len(groups)
        self._samples = len(rows)
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

    def whole(self, columns: np.ndarray) -> State:
        """Returns the state of some columns with all groups there."""
        return State(self._matrix.copy(), self._rest[:, columns])

    def costs(
        self, alive: np.ndarray, state: State, blocks: list[np.ndarray]
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
        self, alive: np.ndarray, state: State, blocks: list[np.ndarray]
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
        self, alive: np.ndarray, state: State, blocks: list[np.ndarray]
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
        state: State,
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

    def _remove(self, state: State, group: int, columns: np.ndarray) -> None:
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


def mean_square(rows: np.ndarray) -> float:
    return float(np.mean([np.square(row).mean() for row in rows]))


def members_of(groups: np.ndarray) -> list[np.ndarray]:
    return [np.flatnonzero(groups == g) for g in range(int(groups.max()) + 1)]


def _by_block(costs: np.ndarray, blocks: list[np.ndarray]) -> np.ndarray:
    ends = np.cumsum([0] + [len(block) for block in blocks])[:-1]
    return np.add.reduceat(costs, ends, axis=1)
