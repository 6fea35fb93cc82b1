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
"""What can be switched: biases that make up, and batch norms' statistics."""

import numpy as np
import pytest
from trained_models import network, normal, pruned, randomized

import tfmot_sapp as sapp

_SHARE = {"branch": 0.5}


def _values_of(model, layer, data, keras):
    """What a layer reads, by a model that ends there."""
    tensor = model.get_layer(layer).input
    return np.asarray(keras.Model(model.input, tensor)(data, training=False))


def _norms(model):
    return [layer for layer in model.layers if hasattr(layer, "moving_mean")]


def _assert_followed(norm, original, read, dense, axes):
    """Compares with means and variances of what the two of them read."""
    read, dense = read.astype(float), dense.astype(float)
    mean = np.asarray(original.moving_mean) + read.mean(axes) - dense.mean(axes)
    varied = dense.var(axes) > 0
    ratio = read.var(axes) / np.where(varied, dense.var(axes), 1)
    variance = np.asarray(original.moving_variance)
    variance = np.where(varied, variance * ratio, variance)
    np.testing.assert_allclose(norm.moving_mean, mean, atol=1e-5)
    np.testing.assert_allclose(
        norm.moving_variance, variance, rtol=1e-3, atol=1e-6
    )


@pytest.mark.parametrize("size", [5, 12])
def test_statistics_follow_what_is_read(keras, size):
    model, data = network(keras), normal(12, 8, 8, 3)
    share = {"stem": 0.25, "branch": 0.5}

    result = pruned(
        model, data, share, reestimate_statistics=True, batch_size=size
    )

    norms = _norms(result)
    assert len(norms) == 2
    for norm, original in zip(norms, _norms(model)):
        read, dense = (
            _values_of(each, norm.name, data, keras) for each in (result, model)
        )
        assert np.abs(read.mean((0, 1, 2)) - dense.mean((0, 1, 2))).max() > 0
        _assert_followed(norm, original, read, dense, (0, 1, 2))
    # All else is as without.
    plain = pruned(model, data, share, batch_size=size)
    for mine, theirs in zip(result.layers, plain.layers):
        if mine not in norms:
            for one, other in zip(mine.weights, theirs.weights):
                np.testing.assert_array_equal(one, other)


def test_statistics_of_a_model_that_loses_nothing_stay(keras):
    model, data = network(keras), normal(12, 8, 8, 3)

    result = pruned(
        model,
        data,
        1 / 1000,
        compensate=False,
        allocation=sapp.UniformAllocation(),
        reestimate_statistics=True,
    )

    for norm, original in zip(_norms(result), _norms(model)):
        for one, other in zip(norm.weights, original.weights):
            np.testing.assert_allclose(one, other, rtol=1e-6)


def test_statistics_within_layers_and_of_axes_of_their_own(keras):
    layers = keras.layers

    class Block(layers.Layer):
        def __init__(self, **config):
            super().__init__(**config)
            self.dense = layers.Dense(6)
            self.norm = layers.BatchNormalization()
            self.first = layers.BatchNormalization(axis=1)

        def call(self, x):
            return self.norm(self.dense(self.first(x)))

    inputs = keras.Input((4, 5))
    x = layers.Dense(5, name="before")(inputs)
    model = randomized(keras.Model(inputs, Block(name="block")(x)))
    data = normal(30, 4, 5)

    result = pruned(model, data, {"*": 0.5}, reestimate_statistics=True)

    reads = [_values_of(each, "block", data, keras) for each in (result, model)]
    blocks = [each.get_layer("block") for each in (result, model)]
    norms = [block.first for block in blocks]
    _assert_followed(*norms, *reads, (0, 2))
    given = [
        np.asarray(block.dense(block.first(read)))
        for block, read in zip(blocks, reads)
    ]
    _assert_followed(*[block.norm for block in blocks], *given, (0, 1))


def test_a_batch_norm_called_twice_keeps_its_statistics(keras):
    layers = keras.layers
    inputs = keras.Input((6,))
    norm = layers.BatchNormalization(name="shared")
    x = norm(layers.Dense(6, name="hidden")(norm(inputs)))
    model = randomized(keras.Model(inputs, x))

    result = pruned(model, normal(20, 6), 0.5, reestimate_statistics=True)

    np.testing.assert_array_equal(
        result.get_layer("shared").moving_mean, norm.moving_mean
    )


@pytest.mark.parametrize("compensate", [True, False])
def test_biases_make_up_for_means_or_stay(keras, compensate):
    layers = keras.layers
    inputs = keras.Input((12,))
    hidden = layers.Dense(8, name="hidden")(inputs)
    model = randomized(keras.Model(inputs, hidden))
    data = normal(40, 12) + 3
    wanted = np.asarray(model(data))

    results = {
        correct: pruned(
            model, data, 0.5, compensate=compensate, correct_biases=correct
        )
        for correct in (True, False, None)
    }

    gaps = {k: np.asarray(m(data)) - wanted for k, m in results.items()}
    # The best bias leaves no mean error.
    np.testing.assert_allclose(gaps[True].mean(0), 0, atol=1e-4)
    assert np.abs(gaps[False].mean(0)).max() > 1e-2
    assert np.square(gaps[True]).mean() < np.square(gaps[False]).mean()
    np.testing.assert_array_equal(gaps[None], gaps[compensate])
    old, new = (np.asarray(m.layers[-1].bias) for m in (model, results[False]))
    np.testing.assert_array_equal(old, new)
    if not compensate:
        kernel = np.asarray(results[True].layers[-1].kernel)
        before = np.asarray(model.layers[-1].kernel)
        np.testing.assert_array_equal(kernel, np.where(kernel, before, 0))


@pytest.mark.parametrize("name", ["correct_biases", "reestimate_statistics"])
def test_switches_are_flags(name):
    import keras

    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(4)])
    with pytest.raises(TypeError, match=f"`{name}` must be.*Received"):
        sapp.prune_post_training(model, normal(8, 4), 0.5, **{name: "yes"})
