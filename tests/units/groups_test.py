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

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfmot_sapp as sapp
from tfmot_sapp.frameworks.private.attention import projections_of
from tfmot_sapp.frameworks.which_keras import host_value
from tfmot_sapp.structured.opening import opened_for
from tfmot_sapp.structured.shrink import shrink
from tfmot_sapp.units.groups import find_groups


def zero_units(group, gone):
    """Zeroes what reads the units that are gone."""
    stays = np.ones(group.units + 1, bool)
    stays[gone] = False
    if group.has_heads:
        kernel = projections_of(group.producer).output.kernel
        heads = kernel.shape[0] // group.units
        zero(kernel, np.repeat(stays[:-1], heads), 0)
    for consumer in group.consumers:
        kernel = getattr(consumer.layer, "pointwise_kernel", None)
        kernel = consumer.layer.kernel if kernel is None else kernel
        read = stays[consumer.unit_of]
        zero(kernel, np.repeat(read, kernel.shape[-2] // len(read)), -2)


def zero(kernel, stays, axis):
    value = np.moveaxis(host_value(kernel).copy(), axis, 0)
    value[~stays] = 0
    kernel.assign(np.moveaxis(value, 0, axis))


def assert_shrinks(model, x, outputs_of):
    """Checks that the smaller model gives what the zeroed one does."""
    groups = {group.name: group for group in find_groups(model).groups}
    rng = np.random.default_rng(2)
    kept = {
        name: np.sort(rng.permutation(group.units)[: max(1, group.units // 3)])
        for name, group in groups.items()
    }
    before = model.get_weights()

    smaller = shrink(model, groups, kept)

    for old, new in zip(before, model.get_weights()):
        np.testing.assert_array_equal(old, new)
    whole = outputs_of(model, x)
    for name, group in groups.items():
        zero_units(group, np.setdiff1d(np.arange(group.units), kept[name]))
    expected = outputs_of(model, x)
    scale = np.abs(expected).max()
    assert np.abs(whole - expected).max() > 1e-3 * scale
    np.testing.assert_allclose(
        outputs_of(smaller, x), expected, atol=1e-5 * scale
    )
    assert smaller.count_params() < model.count_params()
    return groups


def test_the_smaller_model_is_the_original_with_units_zeroed(
    models, keras, topology
):
    model, names, x = models.make(topology, keras)
    groups = assert_shrinks(model, x, models.outputs_of)
    assert sorted(groups) == sorted(names)


def encoder(keras):
    """A nested model and a layer that is made of others."""

    @keras.saving.register_keras_serializable("groups_test")
    class Block(keras.layers.Layer):
        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            self.attention = keras.layers.GroupQueryAttention(
                4, 4, 2, name="attention"
            )
            self.up = keras.layers.Dense(24, activation="gelu", name="up")
            self.inner = keras.Sequential(
                [keras.Input((5, 24)), keras.layers.Dense(8, name="down")]
            )
            self.norm = keras.layers.LayerNormalization(name="norm")

        def build(self, shape):
            self.attention.build(shape, shape)
            self.up.build(shape)
            self.norm.build(shape)

        def call(self, x):
            x = x + self.attention(x, x, use_causal_mask=True)
            return x + self.inner(self.up(self.norm(x)))

    inner = keras.Sequential(
        [keras.Input((5, 12)), keras.layers.Dense(8, name="back")], name="stem"
    )
    inputs = keras.Input((5, 6))
    x = inner(keras.layers.Dense(12, activation="relu", name="first")(inputs))
    x = Block(name="one")(x)
    return keras.Model(inputs, Block(name="two")(x))


def test_layers_of_several_come_apart(models, tmp_path):
    model = encoder(keras)
    x = np.random.default_rng(0).normal(size=(6, 5, 6)).astype(np.float32)
    before = models.outputs_of(model, x)
    found = find_groups(model)

    flat, groups = opened_for(model, found)

    expected = ["first"]
    for block in ("one", "two"):
        expected += [f"{block}_attention", f"{block}_up"]
    assert [group.name for group in found.groups] == expected
    assert [group.name for group in groups.groups] == expected, groups
    np.testing.assert_array_equal(models.outputs_of(flat, x), before)
    assert_shrinks(flat, x, models.outputs_of)
    np.testing.assert_array_equal(models.outputs_of(model, x), before)

    smaller = sapp.prune_structured(
        model, x, 0.5, refit=True, rounds=2, verbose=False
    )
    assert smaller.get_layer("two_up").units == 12
    assert smaller.get_layer("first").units == 6
    smaller.save(tmp_path / "smaller.keras")
    again = keras.models.load_model(tmp_path / "smaller.keras")
    np.testing.assert_allclose(
        models.outputs_of(again, x), models.outputs_of(smaller, x), atol=1e-5
    )
    part = sapp.prune_structured(model, x, {"one_*": 0.5}, verbose=False)
    assert part.get_layer("two").built and part.get_layer("stem").built


@keras.saving.register_keras_serializable("groups_test")
class CachedAttention(keras.layers.MultiHeadAttention):
    def call(self, query, value, cache=None, training=None):
        assert cache is None
        return super().call(query, value, training=training)


@keras.saving.register_keras_serializable("groups_test")
class Decoder(keras.layers.Layer):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.attention = CachedAttention(2, 4, name="attention")
        self.up = keras.layers.Dense(24, activation="gelu", name="up")
        self.down = keras.layers.Dense(8, name="down")

    def build(self, shape):
        self.attention.build(shape, shape)
        self.up.build(shape)
        self.down.build((*shape[:-1], 24))

    def call(self, x, cache=None):
        x = x + self.attention(query=x, value=x, cache=cache)
        return x + self.down(self.up(x))


def test_arguments_that_are_none_do_not_keep_a_layer_whole(models, tmp_path):
    inputs = keras.Input((5, 8))
    model = keras.Model(inputs, Decoder(name="block")(inputs))
    x = np.random.default_rng(0).normal(size=(6, 5, 8)).astype(np.float32)

    flat, groups = opened_for(model, find_groups(model))

    assert [group.name for group in groups.groups] == ["up"]
    assert "symbolic_call" not in vars(model.get_layer("block").attention)
    assert_shrinks(flat, x, models.outputs_of)
    smaller = sapp.prune_structured(model, x, 0.5, verbose=False)
    smaller.save(tmp_path / "smaller.keras")
    again = keras.models.load_model(tmp_path / "smaller.keras")
    np.testing.assert_allclose(
        models.outputs_of(again, x), models.outputs_of(smaller, x), atol=1e-5
    )


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


def attended_twice(keras):
    layers = keras.layers
    inputs = keras.Input((6, 8))
    x = layers.Dense(8, name="hidden")(inputs)
    attend = layers.MultiHeadAttention(4, 2, name="attention")
    x = attend(attend(x, x), x)
    x = layers.Dense(8, name="next")(x)
    return keras.Model(inputs, layers.Dense(2, name="out")(x))


def opaque(keras):
    @keras.saving.register_keras_serializable("groups_test")
    class Opaque(keras.layers.Layer):
        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            self.deep = keras.layers.Dense(8, name="deep")

        def build(self, shape):
            self.deep.build(shape)
            super().build(shape)

        def call(self, inputs):
            # What asks for values takes no symbolic tensors.
            return self.deep(tf.raw_ops.Relu(features=inputs))

    layers = keras.layers
    inputs = keras.Input((6,))
    x = Opaque(name="inner")(layers.Dense(8, name="hidden")(inputs))
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
        (attended_twice, "attention", "several times"),
        (opaque, "hidden", "Opaque"),
        (opaque, "inner", "no units known in a Opaque"),
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
