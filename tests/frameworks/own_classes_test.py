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
"""Models of classes with a `call`, `compile` or `train_step` of their own."""

import keras as keras3
import numpy as np
import pytest
import tensorflow as tf
import tf_keras

import tfmot_sapp as sapp
from tfmot_sapp.frameworks.copying import same_layer

KERASES = pytest.mark.parametrize("keras", [keras3, tf_keras])
X = np.random.default_rng(0).normal(size=(8, 16)).astype(np.float32)


def prune(model):
    return sapp.prune_blocks(
        model,
        sapp.SequentialAttentionSchedule(0.5, end_step=2),
        block_size=(8, 8),
        pruning_policy=sapp.MinimumBlocks(1),
    )


def assert_comes_through(model):
    wrapped = prune(model)
    assert type(wrapped) is type(model)
    np.testing.assert_allclose(wrapped(X), model(X), rtol=1e-5, atol=1e-6)
    stripped = sapp.strip_pruning(wrapped)
    assert type(stripped) is type(model)
    np.testing.assert_allclose(stripped(X), model(X), rtol=1e-5, atol=1e-6)


@KERASES
def test_a_functional_model_with_a_call_of_its_own(keras):
    class Own(keras.Model):
        def __init__(self):
            inputs = keras.Input((16,))
            layer = keras.layers.Dense(16)
            super().__init__(inputs, layer(inputs))
            self.inner = layer

        # It takes no mask, which a Functional model's own does.
        def call(self, x, training=None):
            return 3 * self.inner(x)

    model = Own()
    np.testing.assert_allclose(model(X), 3 * model.inner(X), rtol=1e-5)
    assert_comes_through(model)


@KERASES
def test_a_subclassed_model_whose_constructor_takes_nothing(keras):
    class Own(keras.Model):
        def __init__(self):
            super().__init__()
            self.hidden = keras.layers.Dense(32)
            self.heads = {"a": keras.layers.Dense(16)}

        def call(self, x):
            return self.heads["a"](self.hidden(x))

    model = Own()
    model(X)
    assert_comes_through(model)
    if keras is keras3:
        assert same_layer(model).name == model.name


@KERASES
def test_a_sequential_model_with_a_call_of_its_own(keras):
    class Own(keras.Sequential):
        def call(self, x, training=None, mask=None):
            return 3 * super().call(x)

    layers = keras.layers
    model = Own([keras.Input((16,)), layers.Dense(32), layers.Dense(16)])
    assert_comes_through(model)
    # Its graph isn't what it computes.
    with pytest.raises(ValueError, match="whose graph can be read"):
        sapp.prune_structured(model, X, keep=0.5)


@KERASES
def test_two_models_whose_class_makes_metrics_in_compile(keras):
    class Gan(keras.Model):
        def __init__(self, generator, judge):
            super().__init__()
            self.generator, self.judge = generator, judge

        def compile(self):
            super().compile()
            self.optimizers = [keras.optimizers.SGD(0.1) for _ in range(2)]
            self.loss_metric = keras.metrics.Mean(name="loss")

        def get_config(self):
            parts = {"generator": self.generator, "judge": self.judge}
            return {
                name: keras.saving.serialize_keras_object(part)
                for name, part in parts.items()
            }

        @classmethod
        def from_config(cls, config):
            return cls(
                **{
                    name: keras.saving.deserialize_keras_object(part)
                    for name, part in config.items()
                }
            )

        def train_step(self, real):
            parts = (self.judge, self.generator)
            for part, optimizer in zip(parts, self.optimizers):
                with tf.GradientTape() as tape:
                    made = self.judge(
                        self.generator(real, training=True), training=True
                    )
                    loss = tf.reduce_mean(tf.square(made - self.judge(real)))
                variables = part.trainable_variables
                gradients = tape.gradient(loss, variables)
                optimizer.apply_gradients(zip(gradients, variables))
            self.loss_metric.update_state(loss)
            return {"loss": self.loss_metric.result()}

    def part(name):
        return keras.Sequential(
            [keras.Input((16,)), keras.layers.Dense(16)], name=name
        )

    model = Gan(part("generator"), part("judge"))
    model.compile()
    wrapped = prune(model)
    wrapped.compile()
    data = tf.data.Dataset.from_tensor_slices(X).batch(4)
    wrapped.fit(
        data, verbose=0, shuffle=False, callbacks=[sapp.UpdatePruningStep()]
    )
    stripped = sapp.strip_pruning(wrapped)

    for inner in (stripped.generator, stripped.judge):
        kernel = np.array(inner.layers[-1].kernel)
        assert np.mean(kernel == 0) == 0.5
