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
"""Units found in a graph: the same outputs without them, nothing broken."""

import numpy as np
import pytest
import tensorflow as tf

import tfmot_sapp as sapp
from tfmot_sapp.frameworks.which_keras import host_value
from tfmot_sapp.structured.shrink import shrink
from tfmot_sapp.units.groups import find_groups


def zero_units(group, gone):
    """Zeroes what reads the units that are gone."""
    if group.has_heads:
        kernel = group.producer._output_dense.kernel
        value = host_value(kernel).copy()
        value[gone] = 0
        kernel.assign(value)
    for consumer in group.consumers:
        value = host_value(consumer.layer.kernel).copy()
        steps = np.arange(consumer.repeats)[:, None] * group.units
        value[..., (steps + gone).ravel(), :] = 0
        consumer.layer.kernel.assign(value)


def test_the_smaller_model_is_the_original_with_units_zeroed(
    models, keras, topology
):
    model, names, x = models.make(topology, keras)
    groups = {group.name: group for group in find_groups(model).groups}
    assert sorted(groups) == sorted(names)
    rng = np.random.default_rng(2)
    kept = {
        name: np.sort(rng.permutation(group.units)[: max(1, group.units // 3)])
        for name, group in groups.items()
    }
    before = model.get_weights()

    smaller = shrink(model, groups, kept)

    for old, new in zip(before, model.get_weights()):
        np.testing.assert_array_equal(old, new)
    for name, group in groups.items():
        zero_units(group, np.setdiff1d(np.arange(group.units), kept[name]))
    expected = models.outputs_of(model, x)
    np.testing.assert_allclose(
        models.outputs_of(smaller, x),
        expected,
        atol=1e-5 * np.abs(expected).max(),
    )
    assert smaller.count_params() < model.count_params()


def reshaped(keras):
    layers = keras.layers
    inputs = keras.Input((6,))
    x = layers.Dense(8, name="hidden")(inputs)
    x = layers.Reshape((2, 4))(x)
    x = layers.Dense(8, name="next")(x)
    x = layers.Flatten()(x)
    return keras.Model(inputs, layers.Dense(2, name="out")(x))


def softmaxed(keras):
    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input((6,)),
            layers.Dense(8, activation="softmax", name="hidden"),
            layers.Dense(8, name="next"),
            layers.ReLU(),
            layers.Dense(2, name="out"),
        ]
    )


def custom_activation(keras):
    @keras.saving.register_keras_serializable("structured_test")
    def share(values):
        return values / tf.reduce_sum(values, axis=-1, keepdims=True)

    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input((6,)),
            layers.Dense(8, activation=share, name="hidden"),
            layers.Dense(8, activation="relu", name="next"),
            layers.Dense(2, name="out"),
        ]
    )


def attention_scores(keras):
    layers = keras.layers
    inputs = keras.Input((6, 8))
    x, scores = layers.MultiHeadAttention(4, 2, name="attention")(
        inputs, inputs, return_attention_scores=True
    )
    x = layers.Dense(8, name="next")(x)
    return keras.Model(inputs, [layers.Dense(2, name="out")(x), scores])


def shared_reader(keras):
    layers = keras.layers
    one, two = keras.Input((6,)), keras.Input((6,))
    reader = layers.Dense(4, name="reader")
    hidden = layers.Dense(8, name="hidden")
    a, b = reader(hidden(one)), reader(hidden(two))
    x = layers.Concatenate(name="both")([a, b])
    x = layers.Dense(8, name="next")(x)
    return keras.Model([one, two], layers.Dense(2, name="out")(x))


def nested(keras):
    layers = keras.layers
    inner = keras.Sequential(
        [keras.Input((8,)), layers.Dense(8, name="deep"), layers.Dense(8)],
        name="inner",
    )
    inputs = keras.Input((6,))
    x = inner(layers.Dense(8, name="hidden")(inputs))
    x = layers.Dense(8, name="next")(x)
    return keras.Model(inputs, layers.Dense(2, name="out")(x))


def normed_across(keras):
    layers = keras.layers
    inputs = keras.Input((6,))
    x = layers.Dense(8, name="hidden")(inputs)
    x = layers.LayerNormalization(name="norm")(x)
    x = layers.Dense(8, name="next")(x)
    return keras.Model(inputs, layers.Dense(2, name="out")(x))


@pytest.mark.parametrize(
    "topology, name, reason",
    [
        (reshaped, "hidden", "Reshape"),
        (softmaxed, "hidden", "softmax"),
        (custom_activation, "hidden", "may mix its units by share"),
        (attention_scores, "attention", "scores of each head"),
        (shared_reader, "hidden", "several times"),
        (nested, "hidden", "Sequential"),
        (nested, "deep", "inside `inner`"),
        (normed_across, "hidden", "LayerNormalization"),
        ("residual", "back", "`join`"),
        ("residual", "out", "output of the model"),
    ],
    ids=lambda value: getattr(value, "__name__", str(value)),
)
def test_what_is_not_supported_is_left_alone_and_reported(
    models, keras, topology, name, reason
):
    if isinstance(topology, str):
        model, *_ = models.make(topology, keras)
    else:
        model = topology(keras)
    groups = find_groups(model)
    inputs = [
        np.random.default_rng(0).normal(size=(8, *tensor.shape[1:]))
        for tensor in model.inputs
    ]
    inputs = [x.astype(np.float32) for x in inputs]
    data = inputs[0] if len(inputs) == 1 else tuple(inputs)

    smaller = sapp.prune_structured(model, data, 0.5, verbose=False)

    assert reason in groups.left_alone[name]
    assert name not in {group.name for group in groups.groups}
    assert reason in str(groups)
    skipped = sapp.report(smaller).skipped
    told = [why for key, why in skipped.items() if key.split("/")[0] == name]
    assert told and all(reason in why for why in told)
    smaller.predict(data if len(inputs) == 1 else inputs, verbose=0)
