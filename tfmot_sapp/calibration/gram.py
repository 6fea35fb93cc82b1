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
"""Sums over calibration data from which a layer is fitted.

A layer multiplies its rows `X` (samples x inputs) by a matrix `W` (inputs x
outputs). All that least squares needs to know of any number of rows is

    G = X'X / n + lambda I,    B = X'T / n + lambda W0,

where `T` are the outputs wanted and `W0` the matrix there was: with fewer rows
than inputs the ridge decides, and it draws towards the old weights rather than
to zero. A bias is one more column of ones in `X` without a ridge, which is the
same as to take the means off `X` and `T`.
"""

import dataclasses

import numpy as np

from tfmot_sapp.calibration import block_obs
from tfmot_sapp.calibration.block_obs import Removal
from tfmot_sapp.calibration.refit import free_bias, refit

# A variance below this share of the mean square is rounding.
_ROUNDING = 1e-12


@dataclasses.dataclass(frozen=True)
class Problem:
    """A least squares problem: the `W` that minimises tr(W'GW) - 2 tr(W'B).

    Attributes:
        gram: Float64 array (inputs, inputs), positive definite.
        target: Float64 array (inputs, outputs).
        input_mean: Means of the inputs where there is a free bias, which
            `gram` and `target` are centred by; `None` where there is none.
        target_mean: Means of the outputs wanted, likewise.
        power: Mean square of each output wanted, around its mean where there
            is a free bias: float64 array (outputs,).
        row_mean: Means of the inputs.
        weights: Array (inputs, outputs): the old weights; `None` if they are
            not known.
    """

    gram: np.ndarray
    target: np.ndarray
    input_mean: np.ndarray | None
    target_mean: np.ndarray | None
    power: np.ndarray
    row_mean: np.ndarray
    weights: np.ndarray | None = None

    def best(self) -> np.ndarray:
        """Returns the best weights with all inputs there."""
        return np.linalg.solve(self.gram, self.target)

    def removals(
        self,
        row_groups: np.ndarray,
        column_groups: np.ndarray,
        column_scale: np.ndarray | None = None,
    ) -> list[Removal]:
        """Returns the order of removal within every block of columns.

        Args:
            row_groups: Group of each input.
            column_groups: Block of each output.
            column_scale: What an error in each output is multiplied by before
                it is squared. Defaults to ones.
        """
        return block_obs.removals(
            self.gram, self.best(), row_groups, column_groups, column_scale
        )

    def removals_without_refit(
        self,
        row_groups: np.ndarray,
        column_groups: np.ndarray,
        column_scale: np.ndarray | None = None,
    ) -> list[Removal]:
        """Returns the order of removal where the old weights stay.

        Args:
            row_groups: As for `removals`.
            column_groups: As for `removals`.
            column_scale: As for `removals`.
        """
        assert self.weights is not None
        return block_obs.removals_without_refit(
            self.gram, self.weights, row_groups, column_groups, column_scale
        )

    def refit(
        self,
        kept: np.ndarray,
        row_groups: np.ndarray,
        column_groups: np.ndarray,
    ) -> np.ndarray:
        """Returns the best weights for the kept blocks, zero in the others.

        Args:
            kept: Boolean array (row groups, blocks of columns).
            row_groups: Group of each input.
            column_groups: Block of each output.
        """
        return refit(self.gram, self.target, kept, row_groups, column_groups)

    def bias(self, weights: np.ndarray) -> np.ndarray | None:
        """Returns the best bias beside `weights`, `None` if none is free."""
        return free_bias(self.input_mean, self.target_mean, weights)


class GramSums:
    """Sums up batches of rows.

    The memory it takes does not depend on the number of rows. Products of a
    batch are taken in the batch's precision and added up in float64.

    Args:
        inputs: Length of a row.
        outputs: Number of outputs.

    Example:

    >>> sums = GramSums(2, 1)
    >>> rows = np.array([[1.0, 0.0], [0.0, 2.0], [1.0, 2.0]])
    >>> sums.add(rows, rows @ np.array([[3.0], [1.0]]))
    >>> problem = sums.problem(ridge=1e-9)
    >>> np.linalg.solve(problem.gram, problem.target).round(3)
    array([[3.],
           [1.]])
    """

    def __init__(self, inputs: int, outputs: int):
        self.count = 0
        self._gram = np.zeros((inputs, inputs))
        self._target = np.zeros((inputs, outputs))
        self._input_sum = np.zeros(inputs)
        self._target_sum = np.zeros(outputs)
        self._power = np.zeros(outputs)

    def add(self, rows: np.ndarray, wanted: np.ndarray) -> None:
        """Adds a batch.

        Args:
            rows: Array (n, inputs): what the layer reads.
            wanted: Array (n, outputs): what it is wanted to give, without its
                bias.
        """
        self.count += len(rows)
        self._gram += rows.T @ rows
        self._target += rows.T @ wanted
        self._input_sum += rows.sum(axis=0, dtype=np.float64)
        self._target_sum += wanted.sum(axis=0, dtype=np.float64)
        self._power += np.square(wanted, dtype=np.float64).sum(axis=0)

    def join(self, other: "GramSums") -> None:
        """Adds the rows of other sums."""
        self.count += other.count
        self._gram += other._gram
        self._target += other._target
        self._input_sum += other._input_sum
        self._target_sum += other._target_sum
        self._power += other._power

    def errors(
        self, weights: np.ndarray, bias: np.ndarray | None = None
    ) -> np.ndarray:
        """Returns how far weights are off.

        Args:
            weights: Array (inputs, outputs).
            bias: Array (outputs,). Defaults to zeros.

        Returns:
            Float64 array (outputs,): the mean over all rows so far of the
            squared difference from what is wanted.
        """
        weights = np.asarray(weights, np.float64)
        total = np.sum(weights * (self._gram @ weights - 2 * self._target), 0)
        total += self._power
        if bias is not None:
            off = self._input_sum @ weights - self._target_sum
            total += bias * (2 * off + self.count * bias)
        return np.maximum(total, 0.0) / self.count

    def problem(
        self,
        ridge: float,
        weights: np.ndarray | None = None,
        free_bias: bool = False,
    ) -> Problem:
        """Returns the least squares problem of all rows so far.

        Args:
            ridge: The ridge, in means of the diagonal of `G`.
            weights: Array (inputs, outputs) that the ridge draws towards.
                Defaults to zeros.
            free_bias: Whether a bias is fitted as well.

        Raises:
            ValueError: If no row was added.
        """
        if not self.count:
            raise ValueError(
                "A Gram matrix needs at least one row. Received: none."
            )
        gram = self._gram / self.count
        target = self._target / self.count
        power = self._power / self.count
        means: tuple[np.ndarray | None, np.ndarray | None] = (None, None)
        size = float(np.trace(gram)) / len(gram)
        inputs = self._input_sum / self.count
        if free_bias:
            outputs = self._target_sum / self.count
            gram -= np.outer(inputs, inputs)
            target -= np.outer(inputs, outputs)
            power = np.maximum(power - np.square(outputs), 0.0)
            means = inputs, outputs
        mean = float(np.trace(gram)) / len(gram)
        # Inputs that are zero or constant leave nothing but rounding to measure
        # the ridge by.
        strength = ridge * mean if mean > _ROUNDING * size else size or 1.0
        gram[np.diag_indices(len(gram))] += strength
        if weights is not None:
            target += strength * weights
        return Problem(gram, target, *means, power, inputs, weights)
