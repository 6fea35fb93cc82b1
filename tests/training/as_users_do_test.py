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
"""Trainings as users run them: files of own classes, frozen layers, backups."""

import numpy as np
import pytest

import tfmot_sapp as sapp

X = np.random.default_rng(0).standard_normal((32, 16)).astype(np.float32)
Y = np.random.default_rng(1).standard_normal((32, 8)).astype(np.float32)


def prune(model, schedule=None, **arguments):
    return sapp.prune_blocks(
        model,
        schedule or sapp.SequentialAttentionSchedule(0.5, end_step=4),
        block_size=(4, 4),
        pruning_policy=sapp.MinimumBlocks(1),
        **arguments,
    )


def own_class(keras):
    @keras.saving.register_keras_serializable("training_as_users_do")
    class Own(keras.Model):
        def __init__(self, width=16, **kwargs):
            inputs = keras.Input((16,))
            hidden = keras.layers.Dense(width, activation="relu")(inputs)
            outputs = keras.layers.Dense(8)(hidden)
            super().__init__(inputs, outputs, **kwargs)
            self.width = width

        def get_config(self):
            return {"width": self.width}

        @classmethod
        def from_config(cls, config):
            return cls(**config)

    return Own


def test_a_wrapped_model_of_an_own_class_is_saved(
    keras, tmp_path, assert_close
):
    Own = own_class(keras)
    model = prune(Own(width=32))
    model.compile("adam", "mse", run_eagerly=True)
    steps = [sapp.UpdatePruningStep()]
    model.fit(X, Y, batch_size=16, verbose=0, callbacks=steps)
    model.save(tmp_path / "model.keras")
    assert type(model) is Own
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert type(loaded) is Own
    assert_close(loaded(X), model(X))
    for each in (model, loaded):
        each.fit(
            X,
            Y,
            batch_size=8,
            shuffle=False,
            verbose=0,
            callbacks=[sapp.UpdatePruningStep()],
        )
    assert_close(loaded(X), model(X), 1e-4)
    assert sapp.report(loaded).sparsity == 0.5
    loaded.save(tmp_path / "again.keras")
    again = keras.models.load_model(tmp_path / "again.keras")
    assert_close(sapp.strip_pruning(again)(X), loaded(X))


def test_frozen_layers_keep_their_weights_and_logits(keras):
    model = keras.Sequential(
        [
            keras.Input((16,)),
            keras.layers.Dense(16, trainable=False),
            keras.layers.Dense(8),
        ]
    )
    before = model.layers[0].get_weights()[0]
    pruned = prune(model)
    assert not pruned.layers[0].trainable_weights
    pruned.compile("sgd", "mse", run_eagerly=True)
    pruned.fit(X, Y, verbose=0, callbacks=[sapp.UpdatePruningStep()])
    after = sapp.strip_pruning(pruned).layers[0].get_weights()[0]
    np.testing.assert_allclose(after[after != 0], before[after != 0], 1e-6)
    assert np.mean(after == 0) == 0.5


@pytest.mark.parametrize("first", [True, False])
def test_a_training_goes_on_from_a_backup(keras, first, tmp_path):
    class Stop(keras.callbacks.Callback):
        batches = 0

        def on_train_batch_end(self, batch, logs=None):
            self.batches += 1
            if self.batches == 5:
                raise KeyboardInterrupt

    def trained(*others, backup=True):
        keras.utils.set_random_seed(0)
        model = keras.Sequential(
            [
                keras.Input((16,)),
                keras.layers.Dense(16, activation="relu"),
                keras.layers.Dense(8),
            ]
        )
        rate = keras.optimizers.schedules.CosineDecay(0.01, 8)
        # Tracing costs more than the steps.
        optimizer = keras.optimizers.Adam(rate)
        model.compile(optimizer, "mse", run_eagerly=True)
        model = prune(model, sapp.ACDCSchedule(0.5, end_step=7))
        callbacks = [sapp.UpdatePruningStep(), *others]
        if backup:
            place = 0 if first else 1
            callbacks.insert(
                place, keras.callbacks.BackupAndRestore(tmp_path / "backup")
            )
        model.fit(
            X,
            Y,
            batch_size=16,
            epochs=4,
            shuffle=False,
            verbose=0,
            callbacks=callbacks,
        )
        return model

    expected = trained(backup=False)
    with pytest.raises(KeyboardInterrupt):
        trained(Stop())
    found = trained()
    for mine, theirs in zip(found.get_weights(), expected.get_weights()):
        np.testing.assert_allclose(
            np.asarray(mine, np.float32), np.asarray(theirs, np.float32), 1e-5
        )
