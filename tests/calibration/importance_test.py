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
"""How much a network's answer depends on each output of its layers."""

import numpy as np
from trained_models import normal

from tfmot_sapp.calibration.data import held_batches
from tfmot_sapp.calibration.importance import squared_gradients
from tfmot_sapp.calibration.programs import program_of
from tfmot_sapp.calibration.sweep import Store
from tfmot_sapp.calibration.targets import find_targets
from tfmot_sapp.calibration.wanted_sparsity import WantedSparsity
from tfmot_sapp.training.policy import MinimumBlocks


def gradients(model, data, logits=False):
    program = program_of(model)
    targets, _ = find_targets(
        [program, program],
        MinimumBlocks(1),
        (2, 2),
        WantedSparsity.of(0.5, None),
    )
    with Store() as store:
        batches, _ = held_batches(model, data, 32, store)
        return squared_gradients(
            program, targets, batches, len(data), logits, 0, lambda: None
        )


def test_of_classes_it_is_what_chance_leaves_open(keras):
    layers = keras.layers
    model = keras.Sequential([keras.Input((4,)), layers.Dense(4, name="out")])
    data = normal(1500, 4)
    logits = np.asarray(model(data))
    chances = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    with_softmax = keras.Sequential([*model.layers, layers.Softmax()])
    with_softmax.build((None, 4))

    found = gradients(model, data, logits=True)["out"]

    wanted = (chances * (1 - chances)).mean(axis=0)
    np.testing.assert_allclose(found, wanted, rtol=0.1)
    same = gradients(with_softmax, data)["out"]
    np.testing.assert_allclose(same, found, rtol=1e-4)


def test_of_values_it_is_what_the_weights_behind_let_through(keras):
    layers = keras.layers
    inputs = keras.Input((3, 4))
    hidden = layers.Dense(6, "relu", name="hidden")
    head = layers.Dense(2, name="head")
    model = keras.Model(inputs, head(layers.Flatten()(hidden(inputs))))
    data = normal(400, 3, 4)
    activation = hidden.activation

    found = gradients(model, data)["hidden"]

    is_on = (np.asarray(hidden(data)) > 0).mean(axis=0)
    kernel = np.asarray(head.kernel).reshape(3, 6, 2)
    through = np.square(kernel).sum(axis=-1)
    wanted = (is_on * through).mean(axis=0)
    np.testing.assert_allclose(
        found / found.sum(), wanted / wanted.sum(), rtol=0.3
    )
    assert hidden.activation is activation


def test_layers_within_others_are_seen(keras):
    layers = keras.layers
    inputs = keras.Input((5, 8))
    attention = layers.MultiHeadAttention(2, 4, name="attention")
    mixed = attention(inputs, inputs)
    head = layers.Dense(2, "softmax", name="head")
    model = keras.Model(inputs, head(layers.Flatten()(mixed)))
    # Nobody listens to the second head.
    projection = attention._output_dense.kernel
    value = np.array(projection)
    value[1] = 0
    projection.assign(value)

    found = gradients(model, normal(16, 5, 8))

    for name in ("query", "key", "value"):
        each = found[f"attention/{name}_dense"].reshape(2, 4).sum(axis=1)
        assert each[0] > 0 and each[1] == 0
    assert len(found["attention/output_dense"]) == 8
