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
"""The right units: each criterion against its literal version."""

import numpy as np
import pytest
import tensorflow as tf
from structured_models import CRITERIA, TOPOLOGIES

import tfmot_sapp as sapp
from tfmot_sapp.frameworks.which_keras import host_value
from tfmot_sapp.structured.collect import collect
from tfmot_sapp.structured.gram_criteria import least_squares_loss
from tfmot_sapp.units.groups import find_groups

# A criterion sees a group's statistics alone, whatever they were collected of:
# each with some topologies, and each topology with some criteria.
PAIRS = [
    (topology, CRITERIA[(i + k) % len(CRITERIA)])
    for i, topology in enumerate(TOPOLOGIES)
    for k in (0, 3)
]


@pytest.mark.parametrize(
    "topology, criterion",
    PAIRS,
    ids=lambda each: each if isinstance(each, str) else type(each).__name__,
)
def test_every_criterion_prunes_every_topology(models, topology, criterion):
    import keras

    model, names, x = models.make(topology, keras)
    groups = {group.name: group for group in find_groups(model).groups}

    smaller = sapp.prune_structured(
        model, x, 0.5, criterion, refit=True, verbose=False
    )

    after = {group.name: group for group in find_groups(smaller).groups}
    for name in names:
        assert after[name].units == groups[name].units // 2
    assert np.all(np.isfinite(models.outputs_of(smaller, x)))
    assert sapp.count_flops(smaller) < sapp.count_flops(model) or (
        topology == "transformer"
    )


def literal_i_spasp(h_matrix, w, s, iterations=20):
    """The algorithm as it is written, samples and all."""
    h = h_matrix.sum(axis=1)
    chosen = []
    v = w @ h_matrix
    for _ in range(iterations):
        y = (w.T @ v).sum(axis=1)
        omega = np.argsort(-y, kind="stable")[: 2 * s]
        union = sorted(set(omega) | set(chosen))
        chosen = sorted(union, key=lambda i: -h[i])[:s]
        v = w @ h_matrix - w[:, chosen] @ h_matrix[chosen]
    return sorted(chosen)


@pytest.mark.parametrize("keep", [0.12, 0.3, 0.45])
@pytest.mark.parametrize("seed", range(5))
def test_i_spasp_keeps_what_the_literal_algorithm_keeps(
    models, keras, keep, seed
):
    model, x = models.random_pair(keras, seed=seed)

    smaller = sapp.prune_structured(model, x, keep, verbose=False)

    h, w = models.hidden_and_weights(model, x)
    expected = literal_i_spasp(h, w, int(50 * keep + 1e-9))
    assert models.kept_of(model, smaller) == expected


@pytest.mark.parametrize("keep", [0.5, 0.62, 0.9])
def test_i_spasp_is_top_activation_from_one_half_up(models, keras, keep):
    model, x = models.random_pair(keras)
    h, _ = models.hidden_and_weights(model, x)

    smaller = sapp.prune_structured(model, x, keep, verbose=False)

    top = np.argsort(-h.sum(1), kind="stable")[: int(50 * keep + 1e-9)]
    assert models.kept_of(model, smaller) == sorted(top)


def literal_conv_i_spasp(model, x, keep, iterations=20):
    """The same for convolutions, by the gradient of the loss."""
    hidden = find_groups(model).groups[-1].consumers[0]
    outer = type(model)(model.inputs[0], hidden.tensor)
    h_map = tf.cast(outer(x, training=False), tf.float64)
    kernel = host_value(hidden.layer.kernel).astype(np.float64)
    norm = hidden.scaled_by
    if norm is not None:
        gamma, _, _, variance = (host_value(w) for w in norm.weights)
        kernel = kernel * gamma / np.sqrt(variance + norm.epsilon)

    def consumer(values):
        return tf.nn.conv2d(
            values, kernel, hidden.layer.strides, hidden.layer.padding.upper()
        )

    whole = consumer(h_map)
    h = tf.reduce_sum(h_map, axis=(0, 1, 2)).numpy()
    chosen = np.zeros(len(h), bool)
    for _ in range(iterations):
        with tf.GradientTape() as tape:
            part = h_map * chosen.astype(np.float64)
            tape.watch(part)
            loss = 0.5 * tf.reduce_sum((whole - consumer(part)) ** 2)
        y = -tf.reduce_sum(tape.gradient(loss, part), axis=(0, 1, 2)).numpy()
        omega = np.argsort(-y, kind="stable")[: 2 * keep]
        union = np.union1d(omega, np.flatnonzero(chosen))
        best = union[np.argsort(-h[union], kind="stable")[:keep]]
        chosen = np.isin(np.arange(len(h)), best)
    return np.flatnonzero(chosen)


@pytest.mark.parametrize("topology", ["residual", "inverted_residual"])
@pytest.mark.parametrize("keep", [2, 4])
def test_i_spasp_of_convolutions_is_that_of_gradients(
    models, keras, topology, keep
):
    model, _, x = models.make(topology, keras)
    group = find_groups(model).groups[-1]
    statistics = collect(model, [group], [x[:9], x[9:]], False)[group.name]

    kept = sapp.ISpaSP().select(statistics, keep)

    np.testing.assert_array_equal(kept, literal_conv_i_spasp(model, x, keep))


def pair_statistics(models, seed=0, hidden=14):
    import keras

    model, x = models.random_pair(keras, hidden=hidden, seed=seed)
    group = find_groups(model).groups[0]
    statistics = collect(model, [group], [x[:30], x[30:]], True)[group.name]
    return statistics, *models.hidden_and_weights(model, x)


@pytest.mark.parametrize("seed", range(3))
def test_greedy_forward_is_greedy(models, seed):
    statistics, h, w = pair_statistics(models, seed)
    u, units = w @ h, len(h)
    chosen = []
    for count in range(1, 6):
        losses = {
            i: np.sum(
                (u - units / count * w[:, chosen + [i]] @ h[chosen + [i]]) ** 2
            )
            for i in range(units)
            if i not in chosen
        }
        chosen.append(min(losses, key=losses.get))

    found = sapp.GreedyForward().select(statistics, 5)

    assert list(found) == sorted(chosen)


@pytest.mark.parametrize("seed", range(3))
def test_thinet_removes_the_least(models, seed):
    statistics, h, w = pair_statistics(models, seed)
    gone = []
    for _ in range(9):
        losses = {
            i: np.sum((w[:, gone + [i]] @ h[gone + [i]]) ** 2)
            for i in range(len(h))
            if i not in gone
        }
        gone.append(min(losses, key=losses.get))

    found = sapp.ThiNet().select(statistics, 5)

    assert sorted(set(range(14)) - set(found)) == sorted(gone)


@pytest.mark.parametrize("seed", range(3))
def test_osscar_removes_what_costs_least_after_solving(models, seed):
    statistics, h, w = pair_statistics(models, seed)
    gram = h @ h.T
    gram += 1e-2 * np.mean(np.diag(gram)) * np.eye(len(h))
    kept = list(range(len(h)))

    def loss(units):
        solved = np.linalg.solve(gram[np.ix_(units, units)], gram[units] @ w.T)
        difference = w.T.copy()
        difference[units] -= solved
        return np.sum(difference * (gram @ difference))

    while len(kept) > 5:
        out = min(kept, key=lambda i: loss([k for k in kept if k != i]))
        kept.remove(out)

    found = sapp.OSSCAR(swaps=0).select(statistics, 5)

    assert list(found) == kept


@pytest.mark.parametrize("seed", range(4))
def test_swaps_lower_the_loss_of_a_bad_choice(models, seed):
    statistics, h, w = pair_statistics(models, seed, hidden=24)
    criterion = sapp.OSSCAR(swaps=2)
    bad = np.argsort(np.sum(h**2, 1) * np.sum(w**2, 0))[:7]
    start = np.isin(np.arange(24), bad)

    found = criterion._swapped(statistics, start)

    assert len(found) == 7
    after = np.isin(np.arange(24), found)
    before = least_squares_loss(statistics, start)
    assert least_squares_loss(statistics, after) < 0.9 * before


def test_the_residual_is_what_the_removed_units_gave(models, keras):
    model, x = models.random_pair(keras)
    group = find_groups(model).groups[0]
    statistics = collect(model, [group], [x], True)["hidden"]
    h, w = models.hidden_and_weights(model, x)
    kept = np.arange(0, 50, 3)
    gone = np.setdiff1d(np.arange(50), kept)

    expected = np.linalg.norm(w[:, gone] @ h[gone]) / np.linalg.norm(w @ h)

    assert statistics.residual(kept) == pytest.approx(expected, rel=1e-4)
