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
"""Counts within budgets against trying everything."""

import itertools

import numpy as np
import pytest

from tfmot_sapp.calibration.budgets import (
    cheapest_first,
    knapsack,
    marginal_costs,
)


def convex(rng, count):
    return np.concatenate([[0], np.cumsum(np.sort(rng.uniform(size=count)))])


@pytest.mark.parametrize("remove", range(0, 13))
def test_cheapest_first_is_best_for_rising_costs(remove):
    rng = np.random.default_rng(0)
    costs = [convex(rng, count) for count in (3, 5, 4)]

    found = cheapest_first(costs, remove)

    best = min(
        sum(cost[n] for cost, n in zip(costs, counts))
        for counts in itertools.product(range(4), range(6), range(5))
        if sum(counts) == remove
    )
    assert sum(found) == remove
    np.testing.assert_allclose(
        sum(cost[n] for cost, n in zip(costs, found)), best
    )


def test_sizes_are_saved_at_the_least_price():
    costs = [np.array([0.0, 1.0]), np.array([0.0, 2.0])]
    sizes = [np.array([1.0]), np.array([10.0])]

    assert cheapest_first(costs, 5.0, sizes) == [0, 1]
    assert cheapest_first(costs, 11.0, sizes) == [1, 1]
    assert cheapest_first(costs, 99.0, sizes) == [1, 1]


def test_a_cheap_removal_behind_a_dear_one_waits():
    np.testing.assert_array_equal(
        marginal_costs(np.array([0.0, 3.0, 4.0])), [3, 3]
    )
    assert cheapest_first(
        [np.array([0.0, 3.0, 4.0]), np.array([0.0, 2.0])], 1
    ) == [0, 1]


@pytest.mark.parametrize("budget", [3.0, 4.5, 6.0, 9.0, 20.0])
def test_knapsack_is_as_good_as_trying_everything(budget):
    rng = np.random.default_rng(1)
    errors = [rng.uniform(size=4) for _ in range(4)]
    prices = [rng.integers(1, 12, size=4) / 2 for _ in range(4)]
    for price in prices:
        price[0] = 0.5

    chosen = knapsack(errors, prices, budget)

    def total(table, options):
        return sum(values[option] for values, option in zip(table, options))

    best = min(
        total(errors, options)
        for options in itertools.product(range(4), repeat=4)
        if total(prices, options) <= budget
    )
    assert total(prices, chosen) <= budget
    np.testing.assert_allclose(total(errors, chosen), best)


def test_too_small_a_budget_is_refused():
    with pytest.raises(ValueError, match="`budget` must be at least.* 2"):
        knapsack([np.zeros(1)], [np.array([2.0])], 1.0)
