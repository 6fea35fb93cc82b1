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
"""How blocks are shared out between layers."""

import numpy as np
import pytest

from tfmot_sapp.calibration.block_obs import Removal, removals_without_refit
from tfmot_sapp.calibration.sensitivity import (
    Sensitivity,
    block_scores,
    change_of_outputs,
    damage,
    spread,
)


def layer(name, curve):
    curve = np.asarray(curve, float)
    return Sensitivity(name, [Removal(np.arange(len(curve) - 1), curve)], curve)


def test_damage_goes_through_what_was_measured():
    errors = np.array([0.0, 1.0, 2.0, 4.0, 8.0])

    found = damage(errors, [2.0, 4.0], [0.1, 0.4])

    np.testing.assert_allclose(found, [0, 0.05, 0.1, 0.4, 1.6])


def test_damage_never_falls():
    found = damage(np.arange(5.0), [1.0, 2.0, 3.0], [0.2, 0.1, 0.3])

    assert np.all(np.diff(found) >= 0)


@pytest.mark.parametrize("remove", [0, 1, 7, 40])
def test_spread_removes_so_many_and_spares_what_matters(remove):
    tough = layer("tough", np.linspace(0, 1, 31))
    frail = layer("frail", np.linspace(0, 100, 31))

    counts = spread([frail, tough], remove)

    assert sum(counts) == remove
    assert counts[1] == min(remove, 28)


def test_spread_takes_measured_savings():
    # The first half of a layer's blocks saves nothing.
    late = np.array([0.0, 0.0, 0.0, 4.0, 8.0])
    even = np.array([0.0, 1.0, 2.0, 3.0, 4.0])
    layers = [layer("late", even), layer("even", 2 * even)]

    assert spread(layers, 3.0, [late, even]) == [3, 0]
    assert spread(layers, 2.0, [0 * late, even]) == [0, 2]


def test_change_of_outputs():
    one = [[np.array([[0.5, 0.5], [0.9, 0.1]])]]
    other = [[np.array([[0.25, 0.75], [0.9, 0.1]])]]
    values = [[np.array([[1.0, 2.0], [3.0, -2.0]])]]

    divergence = (0.5 * np.log(2) + 0.5 * np.log(2 / 3)) / 2
    np.testing.assert_allclose(change_of_outputs(one, other), divergence)
    assert change_of_outputs(values, values) == 0
    doubled = [[2 * values[0][0]]]
    np.testing.assert_allclose(change_of_outputs(values, doubled), 18 / 10)


def test_logits_are_compared_as_probabilities():
    logits = [[np.array([[1.0, 2.0], [0.0, -3.0]])]]
    shifted = [[logits[0][0] + 5]]

    assert change_of_outputs(logits, shifted, logits=True) < 1e-12
    assert change_of_outputs(logits, shifted) > 1


def test_scores_follow_the_order_of_removal():
    order = [Removal(np.array([2, 0, 1]), np.array([0.0, 2.0, 3.0, 7.0]))]

    scores = block_scores(order)[:, 0]

    assert scores[2] < scores[0] < scores[1]


def test_without_refit_costs_are_those_of_copied_weights():
    rng = np.random.default_rng(0)
    data = rng.normal(size=(30, 8)) @ rng.normal(size=(8, 8))
    gram, weights = data.T @ data / 30, rng.normal(size=(8, 3))
    groups = np.arange(8) // 3

    (found,) = removals_without_refit(gram, weights, groups, np.zeros(3, int))

    gone, alive = [], [0, 1, 2]
    for step in range(3):
        losses = []
        for group in alive:
            lost = weights * np.isin(groups, [*gone, group])[:, None]
            losses.append(np.square(data @ lost).sum() / 30)
        gone.append(alive.pop(int(np.argmin(losses))))
        np.testing.assert_allclose(found.cost[step + 1], min(losses))
    assert found.order.tolist() == gone
