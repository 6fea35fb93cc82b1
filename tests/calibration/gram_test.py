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
"""Sums over batches against the rows all at once."""

import numpy as np
import pytest

from tfmot_sapp.calibration.gram import GramSums


def summed(rows, wanted, parts):
    sums = GramSums(rows.shape[1], wanted.shape[1])
    for part in np.array_split(np.arange(len(rows)), parts):
        sums.add(rows[part], wanted[part])
    return sums


@pytest.mark.parametrize("parts", [1, 4])
@pytest.mark.parametrize("count", [60, 5])
def test_equals_all_rows_at_once(parts, count):
    rng = np.random.default_rng(count)
    rows = rng.normal(size=(count, 9)).astype(np.float32)
    wanted = rng.normal(size=(count, 4)).astype(np.float32)
    old = rng.normal(size=(9, 4))

    problem = summed(rows, wanted, parts).problem(0.1, old)

    gram = rows.T.astype(float) @ rows / count
    ridge = 0.1 * np.trace(gram) / 9
    np.testing.assert_allclose(
        problem.gram, gram + ridge * np.eye(9), rtol=1e-5, atol=1e-6
    )
    np.testing.assert_allclose(
        problem.target, rows.T @ wanted / count + ridge * old, atol=1e-5
    )
    np.testing.assert_allclose(
        problem.power, np.square(wanted).mean(0), rtol=1e-5
    )
    assert problem.bias(old) is None


def test_free_bias_equals_a_column_of_ones_without_ridge():
    rng = np.random.default_rng(1)
    rows = rng.normal(size=(40, 6)) + 3
    wanted = rng.normal(size=(40, 2)) - 5
    problem = summed(rows, wanted, 3).problem(0.05, free_bias=True)
    weights = np.linalg.solve(problem.gram, problem.target)

    ones = np.concatenate([rows, np.ones((40, 1))], axis=1)
    centred = rows - rows.mean(0)
    ridge = 0.05 * np.trace(centred.T @ centred / 40) / 6
    penalty = np.diag([ridge] * 6 + [0.0])
    solved = np.linalg.solve(ones.T @ ones / 40 + penalty, ones.T @ wanted / 40)
    np.testing.assert_allclose(weights, solved[:6], atol=1e-8)
    np.testing.assert_allclose(problem.bias(weights), solved[6], atol=1e-8)


def test_ridge_draws_towards_the_old_weights():
    rng = np.random.default_rng(2)
    rows = rng.normal(size=(3, 8))
    old = rng.normal(size=(8, 2))
    problem = summed(rows, rows @ old, 1).problem(0.5, old)

    np.testing.assert_allclose(
        np.linalg.solve(problem.gram, problem.target), old, atol=1e-10
    )


def test_rows_of_zeros_can_be_solved():
    problem = summed(np.zeros((4, 3)), np.zeros((4, 2)), 1).problem(0.01)

    assert np.all(np.linalg.eigvalsh(problem.gram) > 0)


def test_no_rows_are_refused():
    with pytest.raises(ValueError, match="at least one row"):
        GramSums(2, 1).problem(0.1)


@pytest.mark.parametrize("bias", [None, np.array([0.5, -2.0])])
def test_errors_are_those_of_the_rows(bias):
    rng = np.random.default_rng(3)
    rows, wanted = rng.normal(size=(40, 6)) + 2, rng.normal(size=(40, 2)) - 5
    weights = rng.normal(size=(6, 2))
    found = summed(rows, wanted, 3).errors(weights, bias)
    given = rows @ weights + (0 if bias is None else bias)
    np.testing.assert_allclose(found, np.square(given - wanted).mean(0))


def test_sums_joined_equal_all_rows_at_once():
    rng = np.random.default_rng(4)
    rows, wanted = rng.normal(size=(50, 6)), rng.normal(size=(50, 2))
    joined = summed(rows[:20], wanted[:20], 2)
    joined.join(summed(rows[20:], wanted[20:], 3))
    whole = summed(rows, wanted, 1)
    assert joined.count == 50
    for field in ("gram", "target", "power", "input_mean", "target_mean"):
        found, known = (
            getattr(sums.problem(0.1, free_bias=True), field)
            for sums in (joined, whole)
        )
        np.testing.assert_allclose(found, known, err_msg=field)
