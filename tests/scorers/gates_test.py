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
"""The gates' formulas against samples, and what they promise."""

import numpy as np
import pytest
import tensorflow as tf

import tfmot_sapp as sapp
from tfmot_sapp.blocks.grid import BlockGrid
from tfmot_sapp.scorers import gates


@pytest.mark.parametrize("log_alpha", [-2.0, -0.5, 0.0, 1.5])
def test_open_probability_is_that_of_the_samples(log_alpha):
    rng = np.random.default_rng(0)
    draws = 400_000
    uniform = tf.constant(rng.uniform(1e-6, 1 - 1e-6, draws), tf.float32)

    samples = gates.hard_concrete(tf.fill([draws], log_alpha), uniform)

    share = np.mean(samples.numpy() != 0)
    expected = 1 / (1 + np.exp(-(log_alpha + 1.5986)))
    np.testing.assert_allclose(
        gates.open_probability(tf.constant(log_alpha)), expected, atol=1e-4
    )
    # Four standard deviations of the share.
    assert abs(share - expected) < 4 * np.sqrt(0.25 / draws)


def test_samples_are_those_of_the_formula():
    uniform = np.array([0.1, 0.5, 0.9])
    log_alpha = np.array([-1.0, 0.0, 2.0])
    s = 1 / (
        1
        + np.exp(-(np.log(uniform) - np.log(1 - uniform) + log_alpha) / (2 / 3))
    )

    found = gates.hard_concrete(
        tf.constant(log_alpha), tf.constant(uniform)
    ).numpy()

    np.testing.assert_allclose(found, np.clip(1.2 * s - 0.1, 0, 1), atol=1e-6)


def test_a_gate_is_exactly_zero_and_one_beyond_the_edge():
    gate = gates.stretched_sigmoid(tf.constant([-2.4, -2.39, 2.39, 2.4]), 1.0)

    assert gate[0] == 0 and gate[1] > 0 and gate[2] < 1 and gate[3] == 1
    np.testing.assert_allclose(gates.EDGE, 2.3979, atol=1e-4)
    colder = gates.stretched_sigmoid(tf.constant([-0.24, -0.23]), 0.1)
    assert colder[0] == 0 and colder[1] > 0


@pytest.mark.parametrize("keep", [0.05, 0.5, 0.9])
def test_moments_are_a_bernoulli_variables(keep):
    rng = np.random.default_rng(0)
    values = tf.constant(rng.normal(3, 7, (40, 25)), tf.float64)

    matched = gates.moment_matched(values, tf.constant(keep, tf.float64))

    assert abs(np.mean(matched) - keep) < 1e-6
    assert abs(np.var(matched) - keep * (1 - keep)) < 1e-6


def test_what_has_those_moments_inside_the_interval_is_binary():
    """Descending the overshoot drives the gates to zero and one."""
    values = tf.Variable(np.random.default_rng(0).normal(size=64))
    keep = tf.constant(0.25, tf.float64)

    @tf.function
    def descend():
        for _ in tf.range(3000):
            with tf.GradientTape() as tape:
                loss = gates.overshoot(gates.moment_matched(values, keep))
            values.assign_sub(20.0 * tape.gradient(loss, values))

    descend()

    gate = tf.clip_by_value(gates.moment_matched(values, keep), 0, 1).numpy()

    assert np.all(np.minimum(gate, 1 - gate) < 0.05)
    assert np.sum(gate > 0.5) == 16


def test_overshoot_counts_only_what_is_outside():
    found = gates.overshoot(tf.constant([-1.0, 0.0, 0.5, 1.0, 3.0]))

    assert float(found) == pytest.approx((1 + 4) / 5)


GATED = [
    sapp.DiffPrune(),
    sapp.DiffPrune(stochastic=True),
    sapp.DiffPrune("sigmoid"),
    sapp.DiffPrune("sigmoid", stochastic=True),
    sapp.HardConcrete(),
]


def make_state(scorer, grid):
    state = {}
    for name, spec in scorer.state_specs(grid, 0.5).items():
        initial = spec.initial
        value = initial(spec.shape) if callable(initial) else initial
        state[name] = tf.Variable(
            np.broadcast_to(np.float32(value), spec.shape)
        )
    return state


@pytest.mark.parametrize("scorer", GATED, ids=lambda s: str(s.get_config()))
@pytest.mark.parametrize("block", [(2, 3), (1, 100), (100, 1)])
@pytest.mark.parametrize("training", [False, True])
def test_a_closed_gate_is_a_zero_block(scorer, block, training):
    """Per block, per input unit and per output unit."""
    grid = BlockGrid.over((6, 9), block)
    tf.random.set_seed(0)
    state = make_state(scorer, grid)
    name = "log_alpha" if "log_alpha" in state else "gates"
    far = np.zeros(grid.cells, np.float32)
    far.flat[::2] = 60.0
    far.flat[1::2] = -60.0
    state[name].assign(far)
    if "keep" in state:
        share = far.ravel()[::2].size / far.size
        state["keep"].assign(np.log(share / (1 - share)))
    kernel = tf.constant(np.random.default_rng(0).normal(size=(6, 9)))
    kernel = tf.cast(kernel, tf.float32)

    product = scorer.effective_kernel(
        kernel, tf.ones(grid.cells), state, grid, 0.5, training
    ).numpy()

    opened = np.repeat(np.repeat(far > 0, grid.block[0], 0), grid.block[1], 1)
    opened = opened[:6, :9]
    noisy = scorer.get_config().get("stochastic") and "keep" in state
    tolerance = 0.05 if noisy and training else 1e-4
    np.testing.assert_allclose(
        product[opened], kernel.numpy()[opened], rtol=tolerance
    )
    if "keep" not in state:
        assert not np.any(product[~opened])
    else:
        assert np.max(np.abs(product[~opened])) < 0.05


@pytest.mark.parametrize("scorer", GATED, ids=lambda s: str(s.get_config()))
def test_gates_are_reproducible_to_the_bit(scorer):
    grid = BlockGrid.over((8, 8), (2, 2))
    tf.random.set_seed(0)
    state = make_state(scorer, grid)
    kernel = tf.ones((8, 8))

    runs = [
        scorer.effective_kernel(
            kernel, tf.ones(grid.cells), state, grid, 0.5, True
        ).numpy()
        for _ in range(2)
    ]

    np.testing.assert_array_equal(*runs)


def test_noise_differs_from_step_to_step():
    first = gates.uniform_like(tf.constant([0.1, 0.2, 0.3]))
    second = gates.uniform_like(tf.constant([0.1, 0.2, 0.30001]))

    assert np.all(np.asarray(first) != np.asarray(second))
    many = gates.uniform_like(tf.random.stateless_normal((100_000,), (1, 2)))
    assert abs(np.mean(many) - 0.5) < 0.005
    assert abs(np.var(many) - 1 / 12) < 0.002


@pytest.mark.parametrize("scorer", GATED, ids=lambda s: str(s.get_config()))
def test_the_penalty_closes_gates(scorer):
    grid = BlockGrid.over((8, 8), (2, 2))
    tf.random.set_seed(0)
    state = make_state(scorer, grid)
    name = {"HardConcrete": "log_alpha"}.get(type(scorer).__name__)
    name = name or ("keep" if "keep" in state else "gates")
    with tf.GradientTape() as tape:
        penalty = scorer.penalty(state, grid)

    gradient = tape.gradient(penalty, state[name])

    assert 0 < float(penalty) <= 0.1 * (1 + 1)
    assert np.all(np.asarray(gradient) > 0)


@pytest.mark.parametrize(
    "scorer",
    [
        sapp.DiffPrune(penalty=3.0),
        sapp.DiffPrune("sigmoid", penalty=3.0),
        sapp.HardConcrete(penalty=3.0),
    ],
    ids=lambda s: type(s).__name__,
)
def test_without_a_target_the_gates_decide(keras, scorer):
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((8,)), keras.layers.Dense(8)])
    rng = np.random.default_rng(0)
    x = rng.normal(size=(64, 8)).astype(np.float32)
    y = np.zeros_like(x)
    y[:, :4] = x[:, :4] * 3
    steps = 4 * 15
    model = sapp.prune_blocks(
        model,
        sapp.LearnedSparsity(steps),
        (2, 2),
        scorer,
        pruning_policy=sapp.MinimumBlocks(1),
    )
    model.compile(keras.optimizers.Adam(0.2), "mse")
    model.fit(
        x,
        y,
        batch_size=16,
        epochs=15,
        verbose=0,
        callbacks=[sapp.UpdatePruningStep()],
    )

    (row,) = sapp.report(sapp.strip_pruning(model)).pruned

    # The blocks that hold the signal stay, and others go.
    assert row.mask[0, 0] and row.mask[1, 1]
    assert row.kept <= 10


@pytest.mark.parametrize(
    "make, name",
    [
        (lambda: sapp.DiffPrune("cosine"), "transformation"),
        (lambda: sapp.DiffPrune(penalty=-1), "penalty"),
        (lambda: sapp.HardConcrete(drop_rate=1.0), "drop_rate"),
        (lambda: sapp.HardConcrete(penalty=float("nan")), "penalty"),
    ],
)
def test_bad_arguments_are_named(make, name):
    with pytest.raises(ValueError, match=f"`{name}`.*Received"):
        make()
