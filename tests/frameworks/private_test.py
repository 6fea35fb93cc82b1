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
"""Each thing that is private in another library is still what we take it for.

When a new version of a library arrives, the names of the tests that fail here,
and the sentences that they print, say what broke.
"""

import importlib

import numpy as np
import pytest
import tensorflow as tf

from tfmot_sapp.frameworks.private import (
    attention,
    keras3,
    layers,
    optimizers,
    tf_keras2,
    tfmot,
)


@pytest.fixture
def keras3_module():
    return importlib.import_module("keras")


@pytest.fixture
def tf_keras_module():
    return importlib.import_module("tf_keras")


def functional(keras):
    inputs = keras.Input((4,), name="first")
    hidden = keras.layers.Dense(3, name="hidden")(inputs)
    return keras.Model(inputs, hidden + keras.layers.Dense(3)(inputs))


def test_layers_inside_a_model_are_listed(keras):
    inner = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)])
    model = keras.Sequential([keras.Input((4,)), inner])
    broke = "`_flatten_layers` no longer lists the layers inside a model."
    assert layers.is_walkable(model), broke
    assert not layers.is_walkable(object()), broke
    assert inner.layers[-1] in layers.layers_inside(model), broke
    direct = layers.layers_inside(model, recursive=False)
    assert inner in direct, broke
    assert inner.layers[-1] not in direct, broke
    assert layers.all_layers(model)[0] is model, broke


def test_attributes_are_those_of_the_user(keras):
    class Holder(keras.layers.Layer):
        def __init__(self):
            super().__init__()
            self._hidden = keras.layers.Dense(3)

        def call(self, x):
            return self._hidden(x)

    holder = Holder()
    holder(np.zeros((1, 4), np.float32))
    held = [
        name
        for name, value in layers.attributes_of(holder).items()
        if value is holder._hidden
        or (isinstance(value, list) and holder._hidden in value)
    ]
    assert held == ["_hidden"], (
        "Keras has a new attribute in which it lists a layer's layers: add it "
        f"to `_LINKS`. Found: {held}."
    )


def test_a_sequential_model_has_its_graph(keras):
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)])
    broke = "A Sequential model's graph is no longer at `_functional`."
    assert layers.has_nodes(layers.functional_of(model)), broke
    assert layers.functional_of(functional(keras)).inputs, broke


def test_nodes_are_in_an_order_of_execution(keras):
    model = functional(keras)
    broke = "`_nodes_by_depth` no longer holds a model's nodes by their depth."
    assert layers.has_nodes(model), broke
    nodes = list(layers.nodes_of(model))
    assert len(nodes) == 4, broke
    assert nodes[0].is_input, broke
    assert not any(node.is_input for node in nodes[1:]), broke


@pytest.mark.parametrize("which", ["inputs", "outputs"])
def test_a_model_keeps_the_structure_that_it_was_given(keras, which):
    a, b = keras.Input((4,), name="a"), keras.Input((4,), name="b")
    outputs = {"x": keras.layers.Add()([a, b]), "y": a * 1.0}
    model = keras.Model({"a": a, "b": b}, outputs)
    wanted = {"inputs": {"a", "b"}, "outputs": {"x", "y"}}
    assert set(layers.structure_of(model, which)) == wanted[which], (
        f"The structure of a model's {which} is no longer at "
        f"`_{which}_struct` or `_nested_{which}`."
    )


def test_calls_are_counted(keras):
    layer, x = keras.layers.Dense(4), keras.Input((4,))
    layer(layer(x))
    assert layers.call_count(layer) == 2, (
        "`_inbound_nodes` no longer holds a layer's calls."
    )


def test_a_tensor_carries_its_mask(keras):
    embedding = keras.layers.Embedding(5, 3, mask_zero=True)
    masked = embedding(np.array([[1, 0]]))
    broke = "A tensor's mask is no longer at `_keras_mask`."
    assert np.array_equal(layers.mask_of(masked), [[True, False]]), broke
    assert layers.mask_of(tf.zeros(1)) is None, broke
    bare = tf.zeros((1, 2, 3))
    layers.put_mask(bare, layers.mask_of(masked))
    pooled = keras.layers.GlobalAveragePooling1D()
    first = tf.concat([bare[:, :1] + 1, bare[:, 1:]], axis=1)
    layers.put_mask(first, layers.mask_of(bare))
    assert np.array_equal(pooled(first), np.ones((1, 3))), broke


def test_bare_operations_have_names(keras):
    relu = tf.nn.relu if keras.__name__ == "tf_keras" else keras.ops.relu
    x = keras.Input((4,))
    model = keras.Model(x, relu(x + x))
    names = [
        layers.operation_name(getattr(node, "operation", None) or node.layer)
        for node in layers.nodes_of(model)
    ]
    assert names == [None, "add", "relu"], (
        "Bare operations are no longer `keras.src.ops.*` or `TFOpLambda`s "
        "with a `symbol`."
    )


def test_an_attention_is_projections_around_heads(keras):
    layer = keras.layers.MultiHeadAttention(2, 3)
    x = np.random.default_rng(0).standard_normal((1, 5, 4)).astype("float32")
    expected = layer(x, x)
    broke = "A `MultiHeadAttention` is no longer made of the parts it had."
    assert attention.number_of_heads(layer) == 2, broke
    assert attention.key_size(layer) == 3, broke
    assert not attention.is_flash(layer), broke
    assert not attention.sees_window(layer), broke
    parts = attention.projections_of(layer)
    assert attention.last_layer_of(layer) is parts.output, broke
    assert attention.last_layer_of(parts.output) is parts.output, broke
    mixed = attention.mix_heads(
        layer, parts.query(x), parts.key(x), parts.value(x), None
    )
    np.testing.assert_allclose(
        parts.output(mixed), expected, atol=1e-6, err_msg=broke
    )


def test_an_optimizer_has_slots(keras):
    model = functional(keras)
    schedule = keras.optimizers.schedules.ExponentialDecay(0.1, 10, 0.9)
    optimizer = keras.optimizers.Adam(schedule)
    broke = "A modern optimizer keeps its slots or its rate elsewhere."
    optimizer.build(model.trainable_variables)
    variable = model.trainable_variables[1]
    index = optimizers.indices_of(optimizer)[
        optimizers.key_of(optimizer, variable)
    ]
    assert index == 1, broke
    slots = optimizers.slot_lists(optimizer)
    assert {"momentums", "velocities"} <= set(slots), broke
    assert slots["momentums"][1].shape == variable.shape, broke
    assert optimizers.learning_rate_of(optimizer) is schedule, broke
    other = keras.optimizers.schedules.ExponentialDecay(0.5, 10, 0.9)
    optimizers.set_learning_rate(optimizer, other)
    variables = [tf.Variable(tf.zeros_like(v)) for v in model.weights]
    optimizer.apply_gradients(zip(variables, model.trainable_variables))
    assert float(optimizer.learning_rate) > 0.4, broke
    optimizers.counter_of(optimizer).assign(3)
    assert int(optimizer.iterations) == 3, broke


def test_a_legacy_optimizer_has_slots(tf_keras_module):
    optimizer = tf_keras_module.optimizers.legacy.Adam(0.25)
    variable = tf.Variable([1.0])
    broke = "A legacy optimizer makes its slots or keeps its rate elsewhere."
    optimizers.make_legacy_slots(optimizer, [variable])
    assert len(optimizer.weights) == 3, broke
    assert optimizers.legacy_learning_rate_of(optimizer) == 0.25, broke
    with optimizers.without_learning_rate(optimizer):
        assert optimizers.legacy_learning_rate_of(optimizer) == 0.0, broke
    assert optimizers.legacy_learning_rate_of(optimizer) == 0.25, broke


def test_keras_3_knows_where_a_tensor_comes_from(keras3_module):
    x = keras3_module.Input((4,), name="first")
    assert keras3.operation_behind(x).name == "first", (
        "`_keras_history` no longer names the operation behind a tensor."
    )


def test_functional_models_are_told_from_subclassed_ones(keras):
    class Subclassed(keras.Model):
        def call(self, x):
            return x

    private = {"keras": keras3, "tf_keras": tf_keras2}[keras.__name__]
    broke = "Functional models no longer hold `_nodes` or the flag of graphs."
    assert private.is_functional(functional(keras)), broke
    assert not private.is_functional(Subclassed()), broke


def test_keras_3_keeps_unrounded_values(keras3_module):
    variable = keras3_module.Variable(np.float32(1 / 3))
    module = "keras.src.backend.common.variables"
    scope = importlib.import_module(module).AutocastScope
    with scope("float16"):
        value = keras3.unrounded_value(variable)
    assert value.dtype == tf.float32, (
        "`Variable._value` is no longer the value before rounding."
    )


def test_keras_3_keeps_the_shapes_that_a_layer_was_built_for(keras3_module):
    layer = keras3_module.layers.Dense(3)
    layer(np.zeros((2, 4), np.float32))
    assert list(keras3.build_shapes_of(layer).values()) == [(2, 4)], (
        "`_build_shapes_dict` no longer holds the shapes of a layer's build."
    )


def test_keras_3_lets_tracked_layers_be_replaced(keras3_module):
    class Holder(keras3_module.Model):
        def __init__(self):
            super().__init__()
            self.hidden = keras3_module.layers.Dense(3)

        def call(self, x):
            return self.hidden(x)

    holder, new = Holder(), keras3_module.layers.Dense(3)
    holder(np.zeros((2, 4), np.float32))
    with keras3.open_to_layers(holder):
        keras3.replace_tracked_layer(holder, holder.hidden, new)
        del holder.hidden
        holder.hidden = new
    broke = "`_tracker` no longer lets a built layer's layers be replaced."
    assert layers.layers_inside(holder) == [new], broke
    with pytest.raises(ValueError, match=r"add|new|track"):
        holder.other = keras3_module.layers.Dense(3)


def test_keras_3_tells_the_stateless_scope(keras3_module):
    broke = "Keras 3 has its stateless scope elsewhere."
    assert keras3.stateless_scope() is None, broke
    with keras3_module.StatelessScope() as scope:
        assert keras3.stateless_scope() is scope, broke


def test_tf_keras_keeps_what_a_layer_was_called_with(tf_keras_module):
    layer = tf_keras_module.layers.Add()
    broke = "`_get_save_spec` no longer gives what a layer was called with."
    assert tf_keras2.call_spec_of(layer) is None, broke
    layer([tf.zeros((2, 4)), tf.zeros((2, 4))])
    args, kwargs = tf_keras2.call_spec_of(layer)
    assert [spec.shape[1] for spec in args[0]] == [4, 4], broke
    assert not kwargs, broke


def test_tf_keras_leaves_variables_unrounded_where_asked(tf_keras_module):
    read = []

    class Reader(tf_keras_module.layers.Layer):
        def build(self, shape):
            self.scale = self.add_weight(name="scale", shape=())

        def call(self, x):
            read.append(tf.convert_to_tensor(self.scale).dtype)
            with tf_keras2.without_autocast():
                read.append(tf.convert_to_tensor(self.scale).dtype)
            return x

    Reader(dtype="mixed_float16")(tf.zeros((2, 4)))
    assert read == [tf.float16, tf.float32], (
        "tf_keras rounds variables by something else than its autocast scope."
    )


def test_tf_keras_tells_whether_it_is_saving(tf_keras_module, tmp_path):
    told = []

    class Teller(tf_keras_module.layers.Layer):
        def call(self, x):
            told.append(tf_keras2.is_saving())
            return x

    model = tf_keras_module.Sequential([Teller(input_shape=(4,))])
    broke = "tf_keras no longer tells layers that it is saving them."
    assert not any(told), broke
    told.clear()
    model.save(tmp_path / "model", save_format="tf")
    assert any(told), broke


def test_the_schedules_of_tfmot_are_where_they_were():
    module = tfmot.pruning_schedule_module()
    for name in ("PruningSchedule", "ConstantSparsity", "PolynomialDecay"):
        assert hasattr(module, name), f"TF-MOT no longer has `{name}`."


def test_a_layer_forgets_the_graph_it_was_called_in(keras):
    model = functional(keras)
    layer = model.get_layer("hidden")
    private = keras3 if keras.__name__ == "keras" else tf_keras2
    assert layers.call_count(layer) == 1
    private.forget_calls(layer)
    assert layers.call_count(layer) == 0, "Nodes are kept elsewhere now."


def test_a_lambda_is_made_again_with_its_functions(keras3_module):
    layer = keras3_module.layers.Lambda(
        lambda x: 2 * x, output_shape=(3,), name="twice"
    )
    again = keras3.same_lambda(layer)
    assert again is not layer
    assert again.name == "twice"
    assert again.function is layer.function
    assert again.compute_output_shape((5, 4)) == (5, 3)


def test_a_variable_is_taken_out_of_training(tf_keras_module):
    layer = tf_keras_module.layers.Dense(3)
    layer.build((None, 4))
    tf_keras2.stop_training(layer, layer.bias)
    assert [v is layer.kernel for v in layer.trainable_weights] == [True]
    assert [v is layer.bias for v in layer.non_trainable_weights] == [True]
