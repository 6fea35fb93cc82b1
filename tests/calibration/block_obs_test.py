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
"""The order of removal and the refit against literal NumPy."""

import itertools

import numpy as np
import pytest

from tfmot_sapp.calibration.block_obs import removals
from tfmot_sapp.calibration.budgets import cheapest_first
from tfmot_sapp.calibration.gram import GramSums
from tfmot_sapp.calibration.refit import error, refit


def naive_order(gram, weights, row_groups):
    """Block OBS that solves the whole problem anew for every candidate."""
    target = gram @ weights
    alive = list(range(row_groups.max() + 1))
    order, costs = [], [0.0]
    while alive:
        losses = []
        for group in alive:
            rest = [other for other in alive if other != group]
            rows = np.isin(row_groups, rest)
            solved = np.zeros_like(weights)
            solved[rows] = (
                np.linalg.inv(gram[np.ix_(rows, rows)]) @ target[rows]
            )
            gap = weights - solved
            losses.append(np.trace(gap.T @ gram @ gap))
        least = min(losses)
        worst = max(
            i for i, x in enumerate(losses) if x <= least + 1e-9 * (1 + least)
        )
        order.append(alive.pop(worst))
        costs.append(losses[worst])
    return order, costs


def problem_of(rng, inputs, outputs, rows, ridge=1e-2, free_bias=False):
    data = rng.normal(size=(rows, inputs)) @ rng.normal(size=(inputs, inputs))
    weights = rng.normal(size=(inputs, outputs))
    sums = GramSums(inputs, outputs)
    sums.add(data, data @ weights)
    return sums.problem(ridge, weights, free_bias)


@pytest.mark.parametrize("rows", [200, 7])
@pytest.mark.parametrize("size", [1, 4, 5, 100])
@pytest.mark.parametrize("free_bias", [False, True])
def test_order_and_costs_equal_solving_anew_each_time(rows, size, free_bias):
    rng = np.random.default_rng(rows + size)
    problem = problem_of(rng, 18, 7, rows, free_bias=free_bias)
    weights = np.linalg.solve(problem.gram, problem.target)
    row_groups, column_groups = np.arange(18) // size, np.arange(7) // 3

    found = removals(problem.gram, weights, row_groups, column_groups)

    assert len(found) == 3
    for column, removal in enumerate(found):
        part = weights[:, column_groups == column]
        order, costs = naive_order(problem.gram, part, row_groups)
        assert removal.order.tolist() == order
        np.testing.assert_allclose(removal.cost, costs, rtol=1e-7, atol=1e-9)


def test_groups_need_not_be_neighbours():
    rng = np.random.default_rng(0)
    problem = problem_of(rng, 12, 2, 50)
    weights = np.linalg.solve(problem.gram, problem.target)
    groups = np.arange(12) % 5

    (found,) = removals(problem.gram, weights, groups, np.zeros(2, int))

    assert found.order.tolist() == naive_order(problem.gram, weights, groups)[0]


def test_scaled_columns_count_for_more():
    weights = np.array([[2.0, 0.0], [0.0, 1.0]])
    groups, columns = np.arange(2), np.zeros(2, int)

    plain = removals(np.eye(2), weights, groups, columns)
    scaled = removals(
        np.eye(2), weights, groups, columns, np.array([1.0, 10.0])
    )

    assert plain[0].order.tolist() == [1, 0]
    assert scaled[0].order.tolist() == [0, 1]
    np.testing.assert_allclose(scaled[0].cost, [0, 4, 104])


def test_of_equal_groups_the_first_stays_longest():
    (found,) = removals(
        np.eye(4), np.ones((4, 1)), np.arange(4), np.zeros(1, int)
    )

    assert found.order.tolist() == [3, 2, 1, 0]


def test_refit_of_everything_and_of_nothing():
    rng = np.random.default_rng(1)
    problem = problem_of(rng, 6, 4, 30)
    groups, columns = np.arange(6) // 2, np.arange(4) // 2
    shape = (3, 2)

    whole = refit(
        problem.gram, problem.target, np.ones(shape, bool), groups, columns
    )
    none = refit(
        problem.gram, problem.target, np.zeros(shape, bool), groups, columns
    )

    np.testing.assert_allclose(problem.gram @ whole, problem.target, atol=1e-9)
    assert not none.any()


def test_refit_costs_what_the_removals_said():
    rng = np.random.default_rng(2)
    problem = problem_of(rng, 20, 9, 12)
    best = np.linalg.solve(problem.gram, problem.target)
    groups, columns = np.arange(20) // 3, np.arange(9) // 4
    scale = rng.uniform(0.5, 2.0, 9)
    found = removals(problem.gram, best, groups, columns, scale)
    counts = cheapest_first([removal.cost for removal in found], 10)

    kept = np.ones((7, 3), bool)
    for column, (removal, count) in enumerate(zip(found, counts)):
        kept[removal.order[:count], column] = False
    weights = refit(problem.gram, problem.target, kept, groups, columns)

    said = sum(removal.cost[n] for removal, n in zip(found, counts))
    assert np.sum(~kept) == 10
    np.testing.assert_allclose(
        error(problem.gram, best, weights, scale), said, rtol=1e-7
    )
    for row, column in itertools.product(range(7), range(3)):
        block = weights[np.ix_(groups == row, columns == column)]
        assert block.any() == kept[row, column]
