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
"""Copies don't draw values of their own, and take no memory for them."""

import keras as keras3
import numpy as np
import pytest
import tensorflow as tf
import tf_keras

import tfmot_sapp as sapp
from tfmot_sapp.frameworks.copying import same_layer
from tfmot_sapp.frameworks.initial_values import begin_like
from tfmot_sapp.frameworks.twins import twins_of

KERASES = pytest.mark.parametrize("keras", [keras3, tf_keras])


def address(variable):
    """Returns where a variable's values are."""
    return tf.convert_to_tensor(variable).numpy().ctypes.data


def counting(keras):
    """Returns an initializer that notes the shapes of what it draws."""

    @keras.saving.register_keras_serializable("initial_values_test")
    class Counting(keras.initializers.Initializer):
        drawn = []

        def __call__(self, shape, dtype=None, **kwargs):
            self.drawn.append(tuple(shape))
            return tf.ones(shape, dtype)

        def get_config(self):
            return {}

    return Counting()


@KERASES
def test_a_copy_draws_no_values(keras):
    draw = counting(keras)

    @keras.saving.register_keras_serializable("initial_values_test")
    class Own(keras.layers.Layer):
        def build(self, shape):
            self.kernel = self.add_weight(
                name="kernel",
                shape=(shape[-1], 64),
                initializer=draw,
            )
            self.bias = self.add_weight(
                name="bias", shape=(64,), initializer=draw
            )
            super().build(shape)

        def call(self, x):
            return tf.matmul(x, self.kernel) + self.bias

    layer = Own(name="own")
    layer(np.ones((1, 32), np.float32))
    layer.kernel.assign(np.arange(2048, dtype=np.float32).reshape(32, 64))
    assert draw.drawn == [(32, 64), (64,)]

    copy = same_layer(layer)

    # Small ones aren't worth it.
    assert draw.drawn == [(32, 64), (64,), (64,)]
    np.testing.assert_array_equal(copy.kernel, layer.kernel)
    copy.kernel.assign_add(tf.ones((32, 64)))
    assert float(layer.kernel[0, 1]) == 1


@KERASES
def test_wrapping_and_stripping_draw_no_kernels(keras):
    draw = counting(keras)
    layers = keras.layers
    inputs = keras.Input((4,), dtype="int32")
    hidden = layers.Embedding(64, 32, embeddings_initializer=draw)(inputs)
    hidden = layers.EinsumDense(
        "abc,cde->abde", (None, 2, 16), kernel_initializer=draw
    )(hidden)
    hidden = layers.Reshape((4, 32))(hidden)
    lstm = layers.LSTM(32, kernel_initializer=draw, recurrent_initializer=draw)
    hidden = layers.Bidirectional(lstm)(hidden)
    model = keras.Model(
        inputs, layers.Dense(64, kernel_initializer=draw)(hidden)
    )
    assert len(draw.drawn) == 7
    wrapped = sapp.prune_blocks(
        model,
        sapp.SequentialAttentionSchedule(0.5, end_step=2),
        block_size=(8, 8),
        pruning_policy=sapp.MinimumBlocks(1),
    )
    sapp.strip_pruning(wrapped)

    assert len(draw.drawn) == 7


def test_a_model_that_is_made_again_has_the_memory_of_the_original():
    model = keras3.Sequential(
        [keras3.Input((32,)), keras3.layers.Dense(64, name="one")]
    )
    (dense,) = model.layers
    twin = twins_of(model, ())[id(dense)]

    assert address(twin.kernel) == address(dense.kernel)


def test_what_is_given_a_value_keeps_it():
    source = keras3.Variable(np.ones((32, 64), np.float32))
    with begin_like([source]):
        given = tf.Variable(tf.zeros((32, 64)))
        other = keras3.Variable(
            lambda shape, dtype: tf.zeros(shape, dtype), shape=(64, 32)
        )
        like = keras3.Variable(
            lambda shape, dtype: tf.zeros(shape, dtype), shape=(32, 64)
        )

    assert float(tf.reduce_max(given)) == 0
    assert float(keras3.ops.max(other)) == 0
    assert float(keras3.ops.min(like)) == 1
