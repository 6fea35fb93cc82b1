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
"""The file formats that tf_keras alone has: h5, SavedModel, TF checkpoints.

`.keras` and weights files are asked of both Keras in
`tfmot_behaviours_test.py`.
"""

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

import tfmot_sapp as sapp

EPOCHS, HALF = 6, 3

pytestmark = pytest.mark.filterwarnings(
    "ignore:You are saving your model as an HDF5"
)


def make_dense_model():
    inputs = tf_keras.Input((16,))
    hidden = tf_keras.layers.Dense(32, activation="tanh")(inputs)
    hidden = tf_keras.layers.BatchNormalization()(hidden)
    return tf_keras.Model(inputs, tf_keras.layers.Dense(8)(hidden))


def make_sequence_model():
    inputs = tf_keras.Input((16,))
    hidden = tf_keras.layers.Reshape((4, 4))(inputs)
    hidden = tf_keras.layers.SimpleRNN(8)(hidden)
    return tf_keras.Model(inputs, tf_keras.layers.Dense(8)(hidden))


@tf_keras.saving.register_keras_serializable("saving_test")
class OwnDense(tf_keras.layers.Dense):
    def call(self, x):
        return super().call(x) + 1


def make_own_model():
    return tf_keras.Sequential(
        [tf_keras.Input((16,)), OwnDense(32), tf_keras.layers.Dense(8)]
    )


def prune(make):
    tf_keras.utils.set_random_seed(1)
    model = sapp.prune_blocks(
        make(),
        sapp.SequentialAttentionSchedule(0.75, 2 * EPOCHS, cycles=1),
        (4, 4),
        pruning_policy=sapp.MinimumBlocks(1),
    )
    # Tracing costs more than the steps.
    model.compile("adam", "mse", run_eagerly=True)
    return model


def make_data():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(8, 16)).astype(np.float32)
    return x, rng.normal(size=(8, 8)).astype(np.float32)


def fit(model, begin, end):
    model.fit(
        *make_data(),
        batch_size=4,
        initial_epoch=begin,
        epochs=end,
        shuffle=False,
        verbose=0,
        callbacks=[sapp.UpdatePruningStep()],
    )
    return model


def by_h5(model, folder, make):
    model.save(folder / "model.h5")
    return tf_keras.models.load_model(folder / "model.h5")


def by_saved_model(model, folder, make):
    model.save(folder / "model", save_format="tf")
    return tf_keras.models.load_model(folder / "model")


def by_checkpoint(model, folder, make):
    path = tf.train.Checkpoint(model=model).save(folder / "checkpoint")
    again = prune(make)
    status = tf.train.Checkpoint(model=again).restore(path)
    status.assert_existing_objects_matched()
    return again


def masks(model):
    layers = [x for x in model.layers if hasattr(x, "pruned_kernels")]
    return [
        mask
        for layer in layers
        for kernel in layer.pruned_kernels
        for mask in (kernel.mask_array(), kernel.scheduled_mask_array())
    ]


@pytest.mark.parametrize(
    "save, make",
    [
        (by_h5, make_dense_model),
        (by_h5, make_own_model),
        (by_checkpoint, make_dense_model),
        (by_saved_model, make_sequence_model),
    ],
)
def test_wrapped_models_round_trip_and_go_on(
    make, save, assert_close, tmp_path
):
    x, _ = make_data()
    half = fit(prune(make), 0, HALF)

    again = save(half, tmp_path, make)
    again.run_eagerly = True

    assert_close(again.predict(x, verbose=0), half.predict(x, verbose=0))
    assert len(masks(half)) == (6 if make is make_sequence_model else 4)
    for mine, theirs in zip(masks(again), masks(half)):
        np.testing.assert_array_equal(mine, theirs)
    fit(again, HALF, EPOCHS)
    if save is by_saved_model:
        # tf_keras does not put the optimizer's variables back then.
        whole_targets = [row.kept for row in sapp.report(half).pruned]
        assert [r.kept for r in sapp.report(again).pruned] == whole_targets
        return
    whole = fit(half, HALF, EPOCHS)
    for mine, theirs in zip(again.get_weights(), whole.get_weights()):
        np.testing.assert_array_equal(mine, theirs)


def test_a_saved_model_that_would_lose_masks_is_not_loaded(tmp_path):
    def make():
        inputs = tf_keras.Input((4, 8))
        attention = tf_keras.layers.MultiHeadAttention(2, 8)
        return tf_keras.Model(inputs, attention(inputs, inputs))

    prune(make).save(tmp_path / "model", save_format="tf")

    with pytest.raises(ValueError, match="first input alone.*h5"):
        tf_keras.models.load_model(tmp_path / "model")
    served = tf.saved_model.load(tmp_path / "model")
    assert served(np.ones((1, 4, 8), np.float32), training=False).shape == (
        1,
        4,
        8,
    )


def test_a_saved_model_of_a_wrapped_one_serves_without_this_package(
    assert_close, tmp_path
):
    x, _ = make_data()
    model = fit(prune(make_dense_model), 0, EPOCHS)
    model.save(tmp_path / "model", save_format="tf")

    served = tf.saved_model.load(tmp_path / "model")

    assert_close(served(x, training=False), model.predict(x, verbose=0))


def test_keras_refuses_h5_of_wrapped_subclassed_models(tmp_path):
    class Subclassed(tf_keras.Model):
        def __init__(self):
            super().__init__()
            self.dense = tf_keras.layers.Dense(8)

        def call(self, inputs):
            return self.dense(inputs)

    def make():
        model = Subclassed()
        model(make_data()[0])
        return model

    model = fit(prune(make), 0, HALF)

    with pytest.raises(NotImplementedError, match="HDF5"):
        model.save(tmp_path / "model.h5")
    again = by_checkpoint(model, tmp_path, make)
    for mine, theirs in zip(again.get_weights(), model.get_weights()):
        np.testing.assert_array_equal(mine, theirs)
