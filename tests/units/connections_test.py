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
"""Blocks that nothing reads or feeds, and what takes their places."""

import itertools

import numpy as np
import pytest

import tfmot_sapp as sapp
from tfmot_sapp.allocations.reconnection import reconnected, useful_places
from tfmot_sapp.training.pruning_group import pruned_layers
from tfmot_sapp.units.connections import Connection, find_connections


def wrapped(keras, layers, block=(4, 4), sparsity=0.8):
    return sapp.prune_blocks(
        keras.Sequential(layers),
        sapp.OneShot(sparsity, 4, dense_fraction=0.0),
        block,
        sapp.Magnitude(),
        sapp.ConnectedAllocation(),
        pruning_policy=sapp.MinimumBlocks(1),
    )


def connections_of(model):
    kernels = {
        kernel.name: kernel
        for layer in pruned_layers(model)
        for kernel in layer.pruned_kernels
    }
    return find_connections(model, kernels)


def test_channels_are_followed_through_flatten_and_ragged_blocks(keras):
    layers = keras.layers
    model = wrapped(
        keras,
        [
            keras.Input((4, 4, 3)),
            layers.Conv2D(6, 3, strides=2, padding="same", name="conv"),
            layers.BatchNormalization(),
            layers.Activation("relu"),
            layers.Flatten(),
            layers.Dense(5, name="dense"),
        ],
    )

    (link,) = connections_of(model)

    # Four places of six channels, cut in blocks of four on both sides.
    expected = np.zeros((2, 6), bool)
    for place, channel in itertools.product(range(4), range(6)):
        expected[channel // 4, (6 * place + channel) // 4] = True
    assert link.producer == "conv" and link.closed
    np.testing.assert_array_equal(link.feeds["dense"], expected)


def test_channels_that_meet_others_or_are_read_dense_count_as_read(keras):
    layers = keras.layers
    inputs = keras.Input((8,))
    hidden = layers.Dense(8, name="a")(inputs)
    both = layers.Add()([hidden, layers.Dense(8, name="b")(hidden)])
    model = keras.Model(inputs, layers.Dense(8, name="c")(both))
    model = sapp.prune_blocks(
        model,
        sapp.OneShot(0.5, 4),
        (4, 4),
        pruning_policy=sapp.MinimumBlocks(1),
    )

    assert connections_of(model) == []


@pytest.mark.parametrize("seed", range(20))
def test_places_of_useless_blocks_go_to_the_best_useful_ones(seed):
    """Against a naive search for two layers behind each other."""
    rng = np.random.default_rng(seed)
    scores = {"a": rng.random((5, 6)), "b": rng.random((6, 4))}
    counts = {"a": int(rng.integers(1, 8)), "b": int(rng.integers(1, 5))}
    masks = {
        name: score >= np.sort(score.ravel())[-counts[name]]
        for name, score in scores.items()
    }
    alive = {name: np.ones(m.shape, bool) for name, m in masks.items()}
    link = Connection("a", {"b": np.eye(6, dtype=bool)}, closed=True)

    found = reconnected(masks, scores, alive, [link])

    made, read = found["a"].any(0), found["b"].any(1)
    assert np.all(made[read])
    if counts["a"] <= 5 * read.sum():
        np.testing.assert_array_equal(made, read)
    for name, mask in found.items():
        assert mask.sum() == counts[name]
    # The last layer moves first: only to what the first one makes.
    naive = naive_fill(masks["b"], scores["b"], masks["a"].any(0)[:, None])
    np.testing.assert_array_equal(found["b"], naive)
    naive = naive_fill(masks["a"], scores["a"], naive.any(1)[None])
    np.testing.assert_array_equal(found["a"], naive)


def naive_fill(mask, scores, useful):
    useful = np.broadcast_to(useful, mask.shape)
    places = sorted(
        np.ndindex(mask.shape),
        key=lambda i: (not (mask[i] and useful[i]), not useful[i], -scores[i]),
    )
    filled = np.zeros(mask.shape, bool)
    for place in places[: mask.sum()]:
        filled[place] = True
    return filled


def test_a_reader_that_is_not_pruned_reads_everything():
    masks = {"a": np.eye(3, dtype=bool), "b": np.eye(3, dtype=bool)[:1].T}
    link = Connection("a", {"b": np.eye(3, dtype=bool)}, closed=False)

    assert useful_places("a", masks, [link]).all()
    assert link.among({"a": 0}) is None


def test_trained_models_have_no_useless_block(keras):
    """Through the callback, at the exact count."""
    keras.utils.set_random_seed(0)
    layers = keras.layers
    model = wrapped(
        keras,
        [
            keras.Input((40,)),
            layers.Dense(40, activation="relu", name="first"),
            layers.Dense(40, activation="relu", name="second"),
            layers.Dense(40, name="third"),
        ],
        sparsity=0.93,
    )
    model.compile("sgd", "mse", run_eagerly=True)
    x = np.random.default_rng(0).normal(size=(8, 40))
    model.fit(x, x, verbose=0, callbacks=[sapp.UpdatePruningStep()])

    masks = {row.name: row.mask for row in sapp.report(model).pruned}
    assert [mask.sum() for mask in masks.values()] == [7, 7, 7]
    for first, second in itertools.pairwise(masks.values()):
        np.testing.assert_array_equal(first.any(0), second.any(1))
    for name, mask in masks.items():
        places = useful_places(name, masks, connections_of(model))
        assert not np.any(mask & ~places)


def one_after_the_other(keras):
    layers = keras.layers
    inputs = keras.Input((8,))
    hidden = layers.Dense(8, activation="relu", name="first")(inputs)
    return keras.Model(inputs, layers.Dense(8, name="second")(hidden))


def behind_a_sum(keras):
    layers = keras.layers
    inputs = keras.Input((8,))
    terms = [layers.Dense(8, name=n)(inputs) for n in ("first", "other")]
    hidden = layers.ReLU()(layers.Add()(terms))
    return keras.Model(inputs, layers.Dense(8, name="second")(hidden))


def that_miss_each_other(model):
    model = sapp.prune_blocks(
        model,
        sapp.OneShot(0.75, 1, dense_fraction=0.0),
        (4, 4),
        sapp.Magnitude(),
        pruning_policy=sapp.MinimumBlocks(1),
    )
    first, second = np.full((8, 8), 0.1), np.full((8, 8), 0.1)
    first[:4, :4] = second[4:, 4:] = 1.0
    for layer in pruned_layers(model):
        is_last = layer.layer.name == "second"
        layer.layer.set_weights([second if is_last else first, np.ones(8)])
    return model


@pytest.mark.parametrize("make", [one_after_the_other, behind_a_sum])
def test_a_network_that_nothing_passes_through_is_told(keras, make):
    model = that_miss_each_other(make(keras))
    model.compile("sgd", "mse", run_eagerly=True)
    x = np.ones((4, 8), np.float32)

    assert sapp.report(model).note is None
    with pytest.warns(UserWarning, match="Nothing passes .* `second` keeps"):
        model.fit(x, x, verbose=0, callbacks=[sapp.UpdatePruningStep()])

    for each in (model, sapp.strip_pruning(model)):
        assert "Nothing passes" in sapp.report(each).note
        outputs = each.predict(np.stack([x[0], 7 * x[0]]), verbose=0)
        np.testing.assert_array_equal(outputs[0], outputs[1])


def test_channels_of_several_makers_have_connections_of_their_own(keras):
    layers = keras.layers
    inputs = keras.Input((8,))
    x = layers.Dense(8, name="a")(inputs)
    y = layers.Dense(4, activation="sigmoid", name="b")(inputs)
    x = layers.Concatenate()([inputs, x, layers.Multiply()([y, y])])
    model = keras.Model(inputs, layers.Dense(4, name="c")(x))
    model = sapp.prune_blocks(
        model,
        sapp.OneShot(0.5, 4),
        (4, 4),
        pruning_policy=sapp.MinimumBlocks(1),
    )

    a, b = sorted(connections_of(model), key=lambda link: link.producer)

    np.testing.assert_array_equal(
        a.feeds["c"], [[0, 0, 1, 0, 0], [0, 0, 0, 1, 0]]
    )
    np.testing.assert_array_equal(b.feeds["c"], [[0, 0, 0, 0, 1]])
    np.testing.assert_array_equal(a.others["c"], [1, 1, 0, 0, 1])
    assert a.closed and b.closed
    masks = {"a": np.eye(2) > 1, "b": np.ones((2, 1), bool)}
    masks["c"] = np.ones((5, 1), bool)
    read = useful_places("c", masks, [a, b])
    np.testing.assert_array_equal(read[:, 0], [1, 1, 0, 0, 1])
