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
"""Criteria that weigh what units add to the output against each other."""

import dataclasses
from typing import NamedTuple

import numpy as np

from tfmot_sapp.base.checks import check_real, check_steps
from tfmot_sapp.structured.criteria import Criterion, top
from tfmot_sapp.structured.refit import solve, stabilised
from tfmot_sapp.structured.statistics import Statistics


class _PartState(NamedTuple):
    """Unit of each feature, inverse of the Gram matrix, solved weights."""

    unit_of: np.ndarray
    inverse: np.ndarray
    weights: np.ndarray


@dataclasses.dataclass(frozen=True)
class GreedyForward(Criterion):
    """Adds the unit that lowers the loss most, one after the other.

    The output of `k` units of `d` is scaled by `d / k` (Ye et al., "Good
    Subnetworks Provably Exist", arXiv 2003.01794, Algorithm 1).
    """

    needs_gram = True

    def select(self, statistics: Statistics, keep: int) -> np.ndarray:
        """Returns the units to keep, in rising order."""
        products = statistics.unit_gram
        whole = products.sum(axis=1)
        own = np.diag(products)
        chosen = np.zeros(statistics.units, bool)
        with_chosen = np.zeros(statistics.units)
        linear = quadratic = 0.0
        for count in range(1, keep + 1):
            scale = statistics.units / count
            loss = -2 * scale * (linear + whole) + scale**2 * (
                quadratic + 2 * with_chosen + own
            )
            unit = int(np.argmin(np.where(chosen, np.inf, loss)))
            linear += whole[unit]
            quadratic += 2 * with_chosen[unit] + own[unit]
            with_chosen += products[unit]
            chosen[unit] = True
        return np.flatnonzero(chosen)


@dataclasses.dataclass(frozen=True)
class ThiNet(Criterion):
    """Removes the unit whose loss is least, one after the other.

    The loss is the square of what all removed units add to the output (Luo, Wu
    and Lin, "ThiNet", arXiv 1707.06342, Section 3.2).
    """

    needs_gram = True

    def select(self, statistics: Statistics, keep: int) -> np.ndarray:
        """Returns the units to keep, in rising order."""
        products = statistics.unit_gram
        own = np.diag(products)
        removed = np.zeros(statistics.units, bool)
        with_removed = np.zeros(statistics.units)
        for _ in range(statistics.units - keep):
            loss = np.where(removed, np.inf, 2 * with_removed + own)
            unit = int(np.argmin(loss))
            removed[unit] = True
            with_removed += products[unit]
        return np.flatnonzero(~removed)


@dataclasses.dataclass(frozen=True)
class OSSCAR(Criterion):
    """Removes the unit that the others make up for best.

    After each removal the outgoing weights of the rest are solved again: a
    unit costs `1/2 tr(W_j^T [G^-1]_jj^-1 W_j)`, and a block step updates `W`
    and `G^-1` (Optimal Brain Surgeon for units; Meng et al., "OSSCAR", arXiv
    2403.12983). Then removed units are swapped in again as long as that lowers
    the loss.

    Args:
        swaps: Most swaps to try, per removed unit. 0 for none.

    Raises:
        TypeError: If `swaps` is no number.
        ValueError: If `swaps` is negative.
    """

    needs_gram = True

    swaps: float = 0.1

    def __post_init__(self) -> None:
        """Checks the arguments."""
        check_real(self.swaps, "swaps", least=0)

    def select(self, statistics: Statistics, keep: int) -> np.ndarray:
        """Returns the units to keep, in rising order."""
        kept = np.ones(statistics.units, bool)
        state = [
            _PartState(
                part.unit_of,
                np.linalg.inv(stabilised(part.known_gram)),
                part.weights,
            )
            for part in statistics.parts
        ]
        for _ in range(statistics.units - keep):
            cost = np.where(kept, _removal_costs(state, kept), np.inf)
            unit = int(np.argmin(cost))
            kept[unit] = False
            state = [_without(part, unit) for part in state]
        return self._swapped(statistics, kept)

    def _swapped(self, statistics: Statistics, kept: np.ndarray) -> np.ndarray:
        loss = least_squares_loss(statistics, kept)
        for _ in range(round(self.swaps * np.sum(~kept))):
            state = _state_of(statistics, kept)
            out = int(
                np.argmin(np.where(kept, _removal_costs(state, kept), np.inf))
            )
            without = kept.copy()
            without[out] = False
            gains = _gains(statistics, without)
            gains[without] = -np.inf
            gains[out] = -np.inf
            trial = without.copy()
            trial[int(np.argmax(gains))] = True
            after = least_squares_loss(statistics, trial)
            if after >= loss:
                break
            kept, loss = trial, after
        return np.flatnonzero(kept)


@dataclasses.dataclass(frozen=True)
class CoSaMP(Criterion):
    """Sparse recovery with least squares in each iteration.

    The `2 s` units with the largest gradient of the residual join the kept
    ones, weights are solved for all of them, and the `s` that add most to the
    output stay (Needell and Tropp, arXiv 0803.2392, Algorithm 1, with units for
    entries).

    Args:
        iterations: Most iterations, at least 1.

    Raises:
        TypeError: If `iterations` is no whole number.
        ValueError: If `iterations` is less than 1.
    """

    needs_gram = True

    iterations: int = 20

    def __post_init__(self) -> None:
        """Checks the arguments."""
        iterations = check_steps(self.iterations, "iterations", least=1)
        object.__setattr__(self, "iterations", iterations)

    def select(self, statistics: Statistics, keep: int) -> np.ndarray:
        """Returns the units to keep, in rising order."""
        kept = np.zeros(statistics.units, bool)
        best, lowest = kept, np.inf
        for _ in range(self.iterations):
            gains = _gains(statistics, kept)
            gains[kept] = -np.inf
            merged = kept.copy()
            merged[top(gains, min(2 * keep, statistics.units))] = True
            energy = np.zeros(statistics.units)
            for part in statistics.parts:
                inside = merged[part.unit_of]
                weights = solve(part.known_gram, part.weights, inside)
                spread = np.diag(part.known_gram)[:, None] * np.square(weights)
                np.add.at(energy, part.unit_of, spread.sum(axis=1))
            after = np.zeros(statistics.units, bool)
            after[top(np.where(merged, energy, -1.0), keep)] = True
            loss = least_squares_loss(statistics, after)
            if loss < lowest:
                best, lowest = after, loss
            if np.array_equal(after, kept):
                break
            kept = after
        return np.flatnonzero(best)


def _state_of(statistics: Statistics, kept: np.ndarray) -> list[_PartState]:
    """Returns unit of, inverse and solved weights for kept units alone."""
    state = []
    for part in statistics.parts:
        inside = kept[part.unit_of]
        weights = solve(part.known_gram, part.weights, inside)
        inverse = np.linalg.inv(
            stabilised(part.known_gram)[np.ix_(inside, inside)]
        )
        state.append(_PartState(part.unit_of[inside], inverse, weights[inside]))
    return state


def _removal_costs(state: list[_PartState], kept: np.ndarray) -> np.ndarray:
    costs = np.zeros(len(kept))
    for unit_of, inverse, weights in state:
        if len(unit_of) == int(kept.sum()):
            # One feature a unit: every inner inverse is a number.
            own = np.sum(np.square(weights), axis=1) / np.diag(inverse)
            costs[unit_of] += own / 2
            continue
        for unit in np.flatnonzero(kept):
            at = np.flatnonzero(unit_of == unit)
            inner = inverse[np.ix_(at, at)]
            step = np.linalg.solve(inner, weights[at])
            costs[unit] += 0.5 * np.sum(weights[at] * step)
    return costs


def _without(part: _PartState, unit: int) -> _PartState:
    """Removes a unit from one part, the rest making up for it."""
    unit_of, inverse, weights = part
    at, rest = unit_of == unit, unit_of != unit
    inner = np.linalg.inv(inverse[np.ix_(at, at)])
    cross = inverse[np.ix_(rest, at)] @ inner
    return _PartState(
        unit_of[rest],
        inverse[np.ix_(rest, rest)] - cross @ inverse[np.ix_(at, rest)],
        weights[rest] - cross @ weights[at],
    )


def least_squares_loss(statistics: Statistics, kept: np.ndarray) -> float:
    """Returns the loss of the kept units at their best weights."""
    loss = 0.0
    for part in statistics.parts:
        weights = solve(part.known_gram, part.weights, kept[part.unit_of])
        difference = part.weights - weights
        loss += float(np.sum(difference * (part.known_gram @ difference)))
    return loss


def _gains(statistics: Statistics, kept: np.ndarray) -> np.ndarray:
    """Returns how much each unit alone lowers the loss of the kept ones."""
    gains = np.zeros(statistics.units)
    for part in statistics.parts:
        weights = solve(part.known_gram, part.weights, kept[part.unit_of])
        gradient = part.known_gram @ (part.weights - weights)
        power = np.maximum(np.diag(part.known_gram), 1e-300)
        lowered = np.sum(np.square(gradient), axis=1) / power
        np.add.at(gains, part.unit_of, lowered)
    return gains
