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
"""The ridge that kernels are fitted with, chosen by samples held out."""

import numpy as np
import pytest
from trained_models import ANY, normal, pruned, randomized

from tfmot_sapp.calibration.data import held_batches
from tfmot_sapp.calibration.fitting import (
    Settings,
    problem_of,
)
from tfmot_sapp.calibration.programs import program_of
from tfmot_sapp.calibration.sweep import Store, Sweep
from tfmot_sapp.calibration.targets import find_targets
from tfmot_sapp.calibration.wanted_sparsity import WantedSparsity

_RIDGES = (3e-3, 1e-2, 3e-2, 1e-1, 3e-1, 1.0)


def _naive(rows, wanted, weights, ridge):
    """Ridge regression with a bias; returns weights, bias and the matrix."""
    centred = rows - rows.mean(0)
    gram = centred.T @ centred / len(rows)
    strength = ridge * np.trace(gram) / len(gram)
    gram += strength * np.eye(len(gram))
    target = centred.T @ (wanted - wanted.mean(0)) / len(rows)
    solved = np.linalg.solve(gram, target + strength * weights)
    return solved, wanted.mean(0) - rows.mean(0) @ solved, gram


@pytest.mark.parametrize("inputs", [8, 100])
def test_the_ridge_is_that_which_errs_least_on_what_is_held_out(inputs):
    import keras

    model = randomized(
        keras.Sequential([keras.Input((inputs,)), keras.layers.Dense(6)])
    )
    rng = np.random.default_rng(0)
    mixed = rng.normal(size=(inputs, inputs)) / np.arange(1, inputs + 1)
    data = normal(96, inputs) @ mixed.astype("f")
    kernel = np.asarray(model.layers[0].kernel)
    program = program_of(model)
    wanted = WantedSparsity.of(0.5, None)
    (target,), _ = find_targets([program] * 2, ANY, (2, 2), wanted)
    with Store() as store:
        batches, _ = held_batches(model, data, 32, store)
        sweep = Sweep([program], batches, store)
        apart, joined = (
            problem_of(sweep, target, kernel, Settings(), None, [2], joined)
            for joined in (False, True)
        )

    rows, outputs = data.astype(float), data.astype(float) @ kernel
    kept = np.flatnonzero(np.arange(inputs) // 2 % 2 == 0)
    errors = []
    for ridge in _RIDGES:
        # The ridge is in means of the diagonal with all inputs.
        whole = _naive(rows[:64], outputs[:64], kernel, ridge)[2]
        own = _naive(rows[:64, kept], outputs[:64], kernel[kept], 0.0)[2]
        strength = np.trace(whole) / (1 + ridge) * ridge / inputs
        ridge = strength * len(kept) / np.trace(own)
        solved, bias, _ = _naive(
            rows[:64, kept], outputs[:64], kernel[kept], ridge
        )
        given = rows[64:, kept] @ solved + bias
        errors.append(np.square(given - outputs[64:]).sum())
    best = _RIDGES[int(np.argmin(errors))]
    assert best == {8: 0.01, 100: 0.1}[inputs]
    for found, seen in ((apart, rows[:64]), (joined, rows)):
        wanted = _naive(seen, seen @ kernel, kernel, best)[2]
        np.testing.assert_allclose(
            found.problem.gram, wanted, rtol=1e-5, atol=1e-6
        )


def test_one_batch_is_held_out_of_as_several_are(keras):
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((12,)),
            layers.Dense(16, "relu", name="first"),
            layers.Dense(8, name="second"),
        ]
    )
    randomized(model)
    data = normal(128, 12)
    one, other = (
        pruned(model, data, 0.5, batch_size=size) for size in (32, 128)
    )
    for name in ("first", "second"):
        np.testing.assert_allclose(
            np.asarray(other.get_layer(name).kernel),
            np.asarray(one.get_layer(name).kernel),
            atol=1e-5,
        )
