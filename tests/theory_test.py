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
"""What arXiv 2402.17902 proves, checked by numbers."""

import pathlib

import numpy as np
import pytest
import tensorflow as tf
from scipy.optimize import minimize_scalar
from scipy.special import lambertw

import tfmot_sapp as sapp
from examples.theory import group_sparsity as theory

ROOT = pathlib.Path(__file__).resolve().parents[1]

NORMS = [0.05, 0.3, 1.0, 2.7]
LAM = 0.7


def least(decay):
    """Returns the least decay over all masks, searched on a logarithm."""
    grid = np.linspace(-9, 9, 4001)
    values = [decay(np.exp(point)) for point in grid]
    best = int(np.argmin(values))
    around = grid[max(0, best - 1)], grid[min(len(grid) - 1, best + 1)]
    found = minimize_scalar(
        lambda point: decay(np.exp(point)), bounds=around, method="bounded"
    )
    return min(found.fun, values[best])


# The mask's own decay plus that of weights whose product with it is fixed.
@pytest.mark.parametrize("norm", NORMS)
def test_a_mask_with_decay_is_group_lasso(norm):
    found = least(lambda w: LAM / 2 * (w**2 + (norm / w) ** 2))

    assert found == pytest.approx(LAM * norm, rel=1e-6)
    kernel = tf.constant([[norm, 0.0]])
    assert float(sapp.GroupLasso(LAM, (1, 2))(kernel)) == pytest.approx(
        found, rel=1e-5
    )


@pytest.mark.parametrize("norm", NORMS)
def test_an_exponential_mask_is_a_lambert_penalty(norm):
    # The mask is exp(w); w is searched on both sides of zero.
    grid = np.linspace(-6, 6, 200_001)
    found = np.min(LAM * (grid**2 + norm**2 * np.exp(-2 * grid)))

    w = np.real(lambertw(2 * norm**2))
    assert found == pytest.approx(LAM * (w**2 / 4 + w / 2), rel=1e-6)


@pytest.mark.parametrize("norm", NORMS)
def test_a_mask_with_absolute_decay_is_the_two_thirds_power(norm):
    found = least(lambda w: LAM * (w + (norm / w) ** 2))

    strength = LAM * 1.5 * 2 ** (1 / 3)
    assert found == pytest.approx(strength * norm ** (2 / 3), rel=1e-6)
    kernel = tf.constant([[norm, 0.0]])
    assert float(
        sapp.GroupPower(strength, (1, 2), power=2 / 3)(kernel)
    ) == pytest.approx(found, rel=1e-5)


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("alpha", [2.0, 3.0])
def test_power_propagation_with_decay_is_a_power(norm, alpha):
    """The decay of what the scorer trains for a kernel of a given norm."""
    rng = np.random.default_rng(0)
    kernel = rng.normal(size=(3, 4))
    kernel = tf.constant(kernel * norm / np.linalg.norm(kernel), tf.float32)
    from tfmot_sapp.blocks.grid import BlockGrid

    grid = BlockGrid.over((3, 4), (3, 4))
    trained = sapp.PowerPropagation(alpha).initial_kernel(kernel, grid)

    decay = LAM * float(tf.reduce_sum(trained**2))

    penalty = sapp.GroupPower(LAM, (3, 4), power=2 / alpha)(kernel)
    assert decay == pytest.approx(float(penalty), rel=1e-4)


@pytest.mark.parametrize("seed", range(5))
def test_just_below_the_threshold_one_group_enters(seed):
    """Theorem 1.1: it is the one with the largest gradient at zero."""
    rng = np.random.default_rng(seed)
    a, b = rng.normal(size=(30, 24)), rng.normal(size=30)
    norms = theory.gradient_norms(a, b, np.zeros(24), 3)
    threshold = norms.max()

    above = theory.group_lasso(a, b, 3, 1.0001 * threshold)
    below = theory.group_lasso(a, b, 3, 0.99 * threshold)

    assert not np.any(above)
    entered = np.flatnonzero(np.linalg.norm(below.reshape(-1, 3), axis=1))
    assert list(entered) == [int(np.argmax(norms))]


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    "q, inverse",
    [
        (lambda t: t**0.5, lambda t: t**2),
        (np.log1p, np.expm1),
    ],
    ids=["root", "log"],
)
def test_other_penalties_have_the_same_one_group_solution(seed, q, inverse):
    """Theorem 1.1: no other point is lower under q^-1(sum q(||b_i||))."""
    rng = np.random.default_rng(seed)
    a, b = rng.normal(size=(30, 12)), rng.normal(size=30)
    strength = 0.99 * theory.gradient_norms(a, b, np.zeros(12), 3).max()
    solution = theory.group_lasso(a, b, 3, strength)

    def value(x):
        norms = np.linalg.norm(x.reshape(-1, 3), axis=1)
        return 0.5 * np.sum((a @ x - b) ** 2) + strength * inverse(
            np.sum(q(norms))
        )

    lowest = value(solution)
    for _ in range(2000):
        other = solution + rng.normal(size=12) * 10 ** rng.uniform(-4, 0)
        assert value(other) >= lowest - 1e-9


@pytest.mark.parametrize("method", ["group OMP", "group OMPR"])
@pytest.mark.parametrize("seed", range(5))
def test_pursuit_finds_a_planted_support(method, seed):
    rng = np.random.default_rng(seed)
    a, b, support = theory.planted(rng, 96, 24, 4, 5)

    assert theory.METHODS[method](a, b, 4, 5) == support


def test_replacement_finds_more_than_plain_pursuit():
    rng = np.random.default_rng(0)
    hits = {"group OMP": 0, "group OMPR": 0}
    for _ in range(60):
        a, b, support = theory.planted(rng, 32, 24, 4, 5)
        for name in hits:
            hits[name] += theory.METHODS[name](a, b, 4, 5) == support

    assert hits["group OMPR"] > hits["group OMP"]


def test_the_example_prints_and_draws(forks, tmp_path):
    done = forks.module(
        "examples.theory.group_sparsity",
        "--trials=3",
        f"--output_dir={tmp_path}",
    )

    assert done.returncode == 0, done.stderr[-2000:]
    assert "group OMPR" in done.stdout
    assert (tmp_path / "theory.png").exists()


def test_regularizers_sum_over_blocks_of_any_kernel():
    rng = np.random.default_rng(0)
    kernel = rng.normal(size=(3, 3, 5, 7)).astype(np.float32)
    expected = sum(
        np.linalg.norm(kernel[:, :, i : i + 2, j : j + 4])
        for i in range(0, 5, 2)
        for j in range(0, 7, 4)
    )

    found = sapp.GroupLasso(0.1, (2, 4))(tf.constant(kernel))

    assert float(found) == pytest.approx(0.1 * expected, rel=1e-5)
    each = sapp.GroupLasso(0.1, (1, 1, 5, 7))(tf.constant(kernel))
    taps = sum(np.linalg.norm(kernel[i, j]) for i in range(3) for j in range(3))
    assert float(each) == pytest.approx(0.1 * taps, rel=1e-5)


@pytest.mark.filterwarnings("ignore:The `keras.regularizers.serialize")
def test_regularizers_train_and_reload(keras, tmp_path):
    model = keras.Sequential(
        [
            keras.Input((8,)),
            keras.layers.Dense(
                8, kernel_regularizer=sapp.GroupPower(0.05, (2, 2), 0.5)
            ),
        ]
    )
    model.compile("adam", "mse")
    model.fit(np.ones((8, 8)), np.zeros((8, 8)), verbose=0)
    model.save(tmp_path / "model.keras")

    loaded = keras.models.load_model(tmp_path / "model.keras")

    regularizer = loaded.layers[-1].kernel_regularizer
    assert regularizer.get_config() == {
        "strength": 0.05,
        "block_size": [2, 2],
        "power": 0.5,
    }
    gradient_at_zero = tf.Variable(tf.zeros((4, 4)))
    with tf.GradientTape() as tape:
        value = sapp.GroupLasso(1.0, (2, 2))(gradient_at_zero)
    assert np.all(np.isfinite(tape.gradient(value, gradient_at_zero)))


@pytest.mark.parametrize(
    "make, name",
    [
        (lambda: sapp.GroupLasso(-1, (2, 2)), "strength"),
        (lambda: sapp.GroupLasso(1, (0, 2)), "block_size"),
        (lambda: sapp.GroupPower(1, (2, 2), power=0), "power"),
    ],
)
def test_bad_arguments_are_named(make, name):
    with pytest.raises(ValueError, match=f"`{name}`.*Received"):
        make()
