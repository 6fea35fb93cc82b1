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
"""Compiled models of classes, losses and metrics that users write."""

import tensorflow as tf
from compiled_models import X, Y, absolute_error, assert_unused, prune

import tfmot_sapp as sapp
from tfmot_sapp.frameworks.private.compiling import is_compiled


def own_model(keras, **methods):
    """A subclassed model with methods of its own."""

    class Own(keras.Model):
        def __init__(self, width=32, **kwargs):
            super().__init__(**kwargs)
            self.width = width
            self.hidden = keras.layers.Dense(width, name="hidden")
            self.head = keras.layers.Dense(8, name="head")

        def call(self, x):
            return self.head(self.hidden(x))

        def get_config(self):
            return {"width": self.width}

    cls = type("Mine", (Own,), methods)
    model = cls()
    model(X)
    return model


def test_a_loss_that_is_a_method_of_the_model(keras):
    def error(self, y, outputs):
        # What it computes with is the model that is trained.
        return absolute_error(y, outputs) + 0.0 * self.width

    model = own_model(keras, error=error)
    model.compile("sgd", model.error, run_eagerly=True)
    wrapped = prune(model)
    assert wrapped.loss.__self__ is wrapped
    assert wrapped.evaluate(X, Y, verbose=0) > 0


def test_what_cannot_be_had_leaves_the_copy_uncompiled(keras):
    class Unlike(keras.metrics.Mean):
        def __init__(self, needed):
            super().__init__()

        def get_config(self):
            return {}

    class Held(keras.losses.Loss):
        def __init__(self, layer):
            super().__init__()
            self.layer = layer

        def call(self, y, outputs):
            return absolute_error(y, outputs)

    model = own_model(keras)
    kernel = model.hidden.kernel

    def penalty(y, outputs):
        return absolute_error(y, outputs) + tf.reduce_sum(
            tf.convert_to_tensor(kernel)
        )

    for loss, metrics in (
        ("mse", [Unlike(3)]),
        (penalty, None),
        (Held(model.head), None),
    ):
        model.compile("sgd", loss, metrics=metrics)
        wrapped = prune(model)
        assert not is_compiled(wrapped)
        wrapped.compile("sgd", "mse")
        assert is_compiled(sapp.strip_pruning(wrapped))


def test_a_class_with_a_compile_of_its_own(keras):
    def compile(self, main, strength):
        keras.Model.compile(self)
        self.main, self.strength = main, strength

    model = own_model(keras, compile=compile)
    model.compile(keras.optimizers.Adam(0.25), 3.0)
    wrapped = prune(model)
    assert not is_compiled(wrapped)
    wrapped.compile(keras.optimizers.Adam(0.25), 3.0)
    assert not is_compiled(sapp.strip_pruning(wrapped))

    def get_compile_config(self):
        # As Keras's guide has it: what is in it is written by Keras.
        return {"main": self.main, "strength": self.strength}

    def compile_from_config(self, config):
        config = keras.saving.deserialize_keras_object(config)
        self.compile(**config)

    model = own_model(
        keras,
        compile=compile,
        get_compile_config=get_compile_config,
        compile_from_config=compile_from_config,
    )
    model.compile(keras.optimizers.Adam(0.25), 3.0)
    wrapped = prune(model)
    stripped = sapp.strip_pruning(wrapped)
    for copy in (wrapped, stripped):
        assert is_compiled(copy)
        assert_unused(copy.main, model.main)
        assert float(copy.main.learning_rate) == 0.25
        assert copy.strength == 3.0


def test_a_class_with_steps_of_its_own_is_not_packed_compiled(keras):
    def test_step(self, data):
        return {"mine": tf.constant(42.0)}

    model = own_model(keras, test_step=test_step)
    model.compile("sgd", "mse", run_eagerly=True)
    wrapped = prune(model)
    assert wrapped.evaluate(X, Y, verbose=0) == 42.0
    if keras.__name__ == "keras":
        assert not is_compiled(sapp.pack_blocks(model))
