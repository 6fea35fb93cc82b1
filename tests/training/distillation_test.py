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
"""Training of pruned models towards what the dense ones give."""

import numpy as np
import pytest
from trained_models import change, network, normal, pruned, randomized

import tfmot_sapp as sapp


def test_distillation_keeps_zeros_and_comes_closer(keras):
    model, data = network(keras), normal(64, 8, 8, 3)
    before = pruned(model, data, 0.5)

    how = sapp.Distillation(steps=30, batch_size=16, learning_rate=3e-3)
    after = pruned(model, data, 0.5, distill=how)

    for old, new in zip(before.trainable_variables, after.trainable_variables):
        old, new = np.asarray(old), np.asarray(new)
        if old.ndim > 1:
            np.testing.assert_array_equal(new == 0, old == 0)
    assert change(model, after, data) < 0.9 * change(model, before, data)


def test_distillation_of_classes(keras):
    layers = keras.layers
    model = keras.Sequential([keras.Input((8,)), layers.Dense(6, "softmax")])
    randomized(model)
    data = normal(64, 8)
    result = pruned(model, data, 0.5, compensate=False)

    def divergence():
        wanted, given = np.asarray(model(data)), np.asarray(result(data))
        return np.sum(wanted * np.log(wanted / given), axis=-1).mean()

    before = divergence()
    how = sapp.Distillation(steps=60, learning_rate=1e-2)
    assert how(result, model, data, verbose=False) is result

    assert divergence() < 0.9 * before


def test_what_is_no_model_is_refused(keras):
    model = keras.Sequential([keras.Input((6,)), keras.layers.Dense(6)])
    how = sapp.Distillation(steps=1)

    with pytest.raises(TypeError, match="`dense` must be a model.*Received"):
        how(model, "model", normal(4, 6))
    with pytest.raises(TypeError, match="`verbose` must be True or False"):
        how(model, model, normal(4, 6), verbose=1)


def test_batches_of_different_lengths(keras):
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((None, 8)),
            layers.Dense(8, "relu"),
            layers.GlobalAveragePooling1D(),
            layers.Dense(6),
        ]
    )
    randomized(model)
    data = [normal(16, 5, 8), normal(4, 3, 8), normal(16, 5, 8)]
    result = pruned(model, data, 0.5, compensate=False)
    before = [change(model, result, batch) for batch in data]

    how = sapp.Distillation(steps=60, batch_size=8, learning_rate=1e-2)
    how(result, model, data, verbose=False)

    after = [change(model, result, batch) for batch in data]
    assert all(new < old for new, old in zip(after, before))


def test_inputs_by_name_are_distilled_on_too(keras):
    layers = keras.layers
    inputs = {
        "b": keras.Input((4,), name="b"),
        "a": keras.Input((4,), name="a"),
    }
    both = layers.Concatenate()([inputs["a"], inputs["b"]])
    model = keras.Model(inputs, layers.Dense(4, "tanh", name="out")(both))
    randomized(model)
    data = {"a": normal(32, 4), "b": normal(32, 4, seed=1)}
    before = pruned(model, data)

    how = sapp.Distillation(steps=40, batch_size=16, learning_rate=1e-2)
    after = pruned(model, data, distill=how)

    assert change(model, after, data) < change(model, before, data)


def test_what_layers_give_within_is_compared_too(keras):
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((8,)),
            layers.Dense(16, "tanh", name="hidden_1"),
            layers.Dense(16, "tanh", name="hidden_2"),
            layers.Dense(2, name="out"),
        ]
    )
    randomized(model)
    data = normal(32, 8)

    def inner(other):
        outputs = [other.get_layer("hidden_2").output]
        return keras.Model(other.inputs[0], outputs)

    options = {"steps": 60, "batch_size": 16, "learning_rate": 1e-2}
    lost = []
    for features in ((), ("hidden_*",)):
        result = pruned(model, data, 0.5, compensate=False)
        zeros = np.asarray(result.layers[0].kernel) == 0
        before = change(inner(model), inner(result), data)
        how = sapp.Distillation(**options, features=features)
        how(result, model, data, verbose=False)
        lost.append(change(inner(model), inner(result), data) / before)
        assert (np.asarray(result.layers[0].kernel)[zeros] == 0).all()

    assert lost[1] < 0.5
    assert lost[1] < 0.7 * lost[0]
    with pytest.raises(ValueError, match="`features` must name layers.*'no'"):
        sapp.Distillation(1, features=["no"])(model, model, data)
    with pytest.raises(TypeError, match="`features` must be a list.*names"):
        sapp.Distillation(1, features=[1])
