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
"""Least squares from rows against the same from a Gram matrix."""

import numpy as np
import pytest

from tfmot_sapp.calibration import dual, dual_search
from tfmot_sapp.calibration.dual import RowStack
from tfmot_sapp.calibration.gram import GramSums


def both(samples, inputs, outputs, free_bias, seed=0):
    """Returns the problem of rows, and the same by the Gram matrix."""
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(samples, inputs)).astype(np.float32) + 1
    rows[:, 1] = rows[:, 0] + 0.1 * rows[:, 1]
    weights = rng.normal(size=(inputs, outputs)).astype(np.float32)
    wanted = rows @ weights + rng.normal(size=(samples, outputs)) / 4
    stack, sums = RowStack(inputs, samples), GramSums(inputs, outputs)
    for part in np.array_split(np.arange(samples), 3):
        stack.add(rows[part], wanted[part])
        sums.add(rows[part].astype(float), wanted[part])
    found = stack.problem(0.05, weights, free_bias)
    # The ridges are measured by the diagonals of XX' and of X'X.
    same = 0.05 * inputs / samples
    return found, sums.problem(same, weights, free_bias)


GROUPS = {"ragged": np.arange(22) // 4, "taps": np.tile(np.arange(11), 2)}


@pytest.mark.parametrize("free_bias", [False, True])
@pytest.mark.parametrize("groups", GROUPS)
@pytest.mark.parametrize("samples", [6, 16, 40])
def test_equals_the_gram_matrix(samples, groups, free_bias):
    rows, columns = GROUPS[groups], np.arange(7) // 3
    found, known = both(samples, 22, 7, free_bias)
    scale = np.linspace(0.5, 2, 7)

    for left, right in (
        (found.removals, known.removals),
        (found.removals_without_refit, known.removals_without_refit),
    ):
        for one, other in zip(
            left(rows, columns, scale), right(rows, columns, scale)
        ):
            assert one.order.tolist() == other.order.tolist()
            np.testing.assert_allclose(one.cost, other.cost, rtol=1e-4)

    kept = np.random.default_rng(1).random((rows.max() + 1, 3)) < 0.5
    weights = found.refit(kept, rows, columns)
    np.testing.assert_allclose(
        weights, known.refit(kept, rows, columns), atol=1e-5
    )
    assert not weights[~kept[np.ix_(rows, columns)]].any()
    if free_bias:
        np.testing.assert_allclose(
            found.bias(weights), known.bias(weights), atol=1e-5
        )


def test_no_more_rows_than_fit(monkeypatch):
    monkeypatch.setattr(dual, "_MOST_BYTES", 4 * 8 * 10)
    stack = RowStack(8, 100)
    rows = np.arange(800.0).reshape(100, 8)
    for part in np.array_split(rows, 7):
        stack.add(part, part[:, :2])

    problem = stack.problem(0.1, np.zeros((8, 2), np.float32), False)

    assert problem.rows.shape == (10, 8)
    np.testing.assert_array_equal(np.diff(problem.rows[:, 0]), 80)


@pytest.mark.parametrize("groups", [np.arange(24), np.arange(24) // 8])
def test_with_much_to_do_fewer_costs_are_looked_at(monkeypatch, groups):
    found, known = both(10, 24, 6, True)
    blocks = groups, np.zeros(6, int)
    monkeypatch.setattr(dual_search, "_MOST_OPERATIONS", 1e4)

    (order,) = found.removals(*blocks)

    (exact,) = known.removals(*blocks)
    assert sorted(order.order) == list(range(groups.max() + 1))
    assert np.all(np.diff(order.cost) >= 0)
    assert order.order[0] == exact.order[0]
    np.testing.assert_allclose(order.cost[1], exact.cost[1], rtol=1e-4)
