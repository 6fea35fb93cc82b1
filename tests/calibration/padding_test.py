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
"""Padding that a model takes care of itself, without masks of Keras."""

import numpy as np
from trained_models import pruned, randomized

from tfmot_sapp.calibration.data import held_batches
from tfmot_sapp.calibration.padding import effective_positions
from tfmot_sapp.calibration.sweep import Store

_LENGTH = 9


def _reader(keras, **options):
    """A model that is told of padding by an input of its own."""
    layers = keras.layers
    words = keras.Input((None,), dtype="int32")
    real = keras.Input((None,))
    x = layers.Embedding(20, 8, **options)(words)
    attention = layers.MultiHeadAttention(2, 4, name="attention")
    shown = layers.Reshape((1, -1))(real)
    x = layers.Add()([x, attention(x, x, attention_mask=shown)])
    x = layers.Dense(8, "relu", name="hidden")(x)
    x = layers.Dot(1)([x, real])
    model = keras.Model([words, real], layers.Dense(3, "softmax")(x))
    return randomized(model)


def _data():
    rng = np.random.default_rng(0)
    short = rng.integers(1, 20, (20, 5))
    padded = np.pad(short, [(0, 0), (0, _LENGTH - 5)], constant_values=7)
    return [
        [words, (np.arange(words.shape[1]) < 5) * np.ones((20, 1), "f")]
        for words in (short, padded)
    ]


def _found(model, names, data, size=12):
    owners = [model.get_layer(name) for name in names]
    with Store() as store:
        batches, structure = held_batches(model, data, size, store)
        return effective_positions(model, owners, batches, structure)


def test_positions_without_effect_are_found_batch_by_batch(keras):
    data = _data()[1]
    found = _found(_reader(keras), ["hidden"], data)
    assert [set(each) for each in found] == [{_LENGTH}] * 2
    masks = np.concatenate([each[_LENGTH] for each in found])
    np.testing.assert_array_equal(masks, data[1] > 0)


def test_nothing_is_looked_for_where_there_is_no_sequence_or_a_mask(keras):
    layers = keras.layers
    dense = keras.Sequential([keras.Input((4,)), layers.Dense(3, name="one")])
    assert _found(dense, ["one"], np.ones((20, 4), "f")) == [{}, {}]
    words = keras.Input((None,), dtype="int32")
    x = layers.Embedding(20, 8, mask_zero=True)(words)
    x = layers.Dense(8, name="hidden")(x)
    model = keras.Model(words, layers.GlobalAveragePooling1D()(x))
    assert _found(model, ["hidden"], np.ones((20, 4), int)) == [{}, {}]


def test_a_sample_without_any_effect_counts_as_a_whole(keras):
    layers = keras.layers
    inputs = keras.Input((6, 4))
    x = layers.ReLU()(layers.Dense(5, name="hidden")(inputs))
    model = keras.Model(inputs, layers.GlobalAveragePooling1D()(x))
    kernel = np.full((4, 5), -1.0, "f")
    model.get_layer("hidden").set_weights([kernel, np.zeros(5, "f")])
    data = np.ones((2, 6, 4), "f")
    data[0, 2:4] = -1
    (found,) = _found(model, ["hidden"], data)
    wanted = np.ones((2, 6), bool)
    wanted[0, [0, 1, 4, 5]] = False
    np.testing.assert_array_equal(found[6], wanted)


def test_padding_changes_no_pruned_kernel(keras):
    model = _reader(keras)
    one, other = (
        pruned(model, data, 0.5, {"hidden": (2, 2)}) for data in _data()
    )
    np.testing.assert_allclose(
        np.asarray(other.get_layer("hidden").kernel),
        np.asarray(one.get_layer("hidden").kernel),
        atol=1e-5,
    )
