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
"""A run that is stopped and resumed ends like one that is not."""

import functools

import numpy as np
import pytest

import tfmot_sapp as sapp

STEPS, PER_EPOCH = 24, 2
EPOCHS = STEPS // PER_EPOCH


def make_data():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(8, 16)).astype(np.float32)
    return x, rng.normal(size=(8, 16)).astype(np.float32)


# Tracing costs more than the steps, where nothing asks for a graph.
def make_model(keras, schedule, scorer, rate, eager=True):
    keras.utils.set_random_seed(1)
    model = keras.Sequential(
        [
            keras.Input((16,)),
            keras.layers.Dense(16, activation="tanh"),
            keras.layers.Dense(16),
        ]
    )
    model = sapp.prune_blocks(
        model,
        schedule,
        (4, 4),
        scorer,
        pruning_policy=sapp.MinimumBlocks(1),
    )
    model.compile(keras.optimizers.Adam(rate), "mse", run_eagerly=eager)
    return model


def fit(model, begin, end, callbacks=()):
    x, y = make_data()
    model.fit(
        x,
        y,
        batch_size=4,
        initial_epoch=begin,
        epochs=end,
        shuffle=False,
        verbose=0,
        callbacks=[sapp.UpdatePruningStep(), *callbacks],
    )
    return model


def cosine(keras):
    return keras.optimizers.schedules.CosineDecay(0.02, STEPS)


def two_cycles(keras, reset=True, eager=True):
    return make_model(
        keras,
        sapp.SequentialAttentionSchedule(
            0.75, STEPS, cycles=2, reset_optimizer=reset
        ),
        sapp.SequentialAttention(),
        cosine(keras),
        eager,
    )


def state(model):
    return [v.numpy() for v in (*model.weights, *model.optimizer.variables)]


def assert_equal(some, others):
    for one, other in zip(some, others, strict=True):
        np.testing.assert_array_equal(one, other)


def noted(keras, model, begin, end):
    """Trains, and returns the state after each epoch."""
    states = []

    class Note(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            states.append(state(self.model))

    fit(model, begin, end, [Note()])
    return states


@functools.cache
def states_of_a_whole_run(keras):
    return noted(keras, two_cycles(keras), 0, EPOCHS)


def test_resuming_in_any_phase_changes_nothing(keras, tmp_path):
    """Each epoch, resumed, ends as it does in the run that goes on."""
    path = tmp_path / "stopped.keras"
    model = two_cycles(keras)
    for epoch, expected in enumerate(states_of_a_whole_run(keras)):
        if epoch:
            model.save(path)
            model = keras.models.load_model(path)
            model.run_eagerly = True
        (found,) = noted(keras, model, epoch, epoch + 1)
        assert_equal(found, expected)


def test_resuming_without_resets_in_a_graph_changes_nothing(keras, tmp_path):
    """Over all the phases that are still to come."""
    path = tmp_path / "stopped.keras"

    class Save(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            if epoch + 1 == 3:
                self.model.save(path)

    whole = two_cycles(keras, reset=False, eager=False)
    fit(whole, 0, EPOCHS, [Save()])

    resumed = fit(keras.models.load_model(path), 3, EPOCHS)

    assert_equal(state(resumed), state(whole))


@pytest.mark.parametrize(
    "keras, stop", [("keras", 5), ("tf_keras", 6)], indirect=["keras"]
)
def test_weights_alone_resume_with_the_learning_rate(keras, stop, tmp_path):
    """As `BackupAndRestore` does: the learning-rate schedule is not saved."""
    # Those of tf_keras hold the optimizer's variables in this format only.
    name = "stopped.weights.h5" if keras.__name__ == "keras" else "stopped"

    fit(two_cycles(keras), 0, stop).save_weights(tmp_path / name)
    resumed = two_cycles(keras)
    if keras.__name__ == "keras":
        resumed.optimizer.build(resumed.trainable_variables)
    resumed.load_weights(tmp_path / name)

    found = noted(keras, resumed, stop, EPOCHS)

    assert_equal(found[-1], states_of_a_whole_run(keras)[-1])


def test_a_stop_in_a_dense_phase_leaves_the_target_in_force(keras):
    schedule = sapp.SequentialAttentionSchedule(0.75, 1000)

    model = fit(make_model(keras, schedule, sapp.Magnitude(), 0.01), 0, 2)

    assert schedule.phase(4) == "dense"
    assert [row.kept for row in sapp.report(model).pruned] == [4, 4]
    kernel = model.layers[0].pruned_kernels[0]
    assert kernel.scheduled_mask_array().all()


def test_a_reset_restarts_moments_and_not_the_learning_rate(keras):
    schedule = sapp.SequentialAttentionSchedule(
        0.75, STEPS, cycles=1, reset_optimizer=True
    )
    rates = []

    class Record(keras.callbacks.Callback):
        # Keras 3 tells the rate of the step to come, tf_keras the last one's.
        def on_train_batch_begin(self, batch, logs=None):
            if keras.__name__ == "keras":
                self.record()

        def on_train_batch_end(self, batch, logs=None):
            if keras.__name__ == "tf_keras":
                self.record()

        def record(self):
            rates.append(float(self.model.optimizer.learning_rate))

    model = make_model(
        keras, schedule, sapp.SequentialAttention(), cosine(keras)
    )
    x, y = make_data()
    model.fit(
        x,
        y,
        batch_size=4,
        epochs=EPOCHS,
        verbose=0,
        callbacks=[sapp.UpdatePruningStep(), Record()],
    )

    expected = [float(cosine(keras)(step)) for step in range(STEPS)]
    np.testing.assert_allclose(rates, expected, rtol=1e-5)
    assert int(model.optimizer.iterations.numpy()) < STEPS


def test_a_training_loop_of_ones_own_prunes_as_fit_does(keras):
    import tensorflow as tf

    schedule = sapp.SequentialAttentionSchedule(0.75, STEPS)
    by_fit = fit(
        make_model(keras, schedule, sapp.SequentialAttention(), 0.01),
        0,
        EPOCHS,
    )
    model = make_model(keras, schedule, sapp.SequentialAttention(), 0.01)
    x, y = make_data()
    pruning = sapp.UpdatePruningStep()
    pruning.set_model(model)
    pruning.on_train_begin()
    for epoch in range(EPOCHS):
        for batch in range(PER_EPOCH):
            part = slice(4 * batch, 4 * batch + 4)
            with tf.GradientTape() as tape:
                outputs = model(x[part], training=True)
                loss = tf.reduce_mean((outputs - y[part]) ** 2)
            variables = model.trainable_variables
            gradients = tape.gradient(loss, variables)
            model.optimizer.apply_gradients(zip(gradients, variables))
            pruning.on_train_batch_end(batch)
        pruning.on_epoch_end(epoch)
    pruning.on_train_end()

    for mine, theirs in zip(
        sapp.report(model).pruned, sapp.report(by_fit).pruned
    ):
        np.testing.assert_array_equal(mine.mask, theirs.mask)


@pytest.mark.parametrize("scorer", [sapp.SequentialAttention, sapp.Magnitude])
def test_zero_sparsity_is_the_dense_model_in_a_graph(
    keras, scorer, assert_close
):
    """`conformance_test.py` asks for the same bits, of eager operations."""
    x, y = make_data()
    keras.utils.set_random_seed(1)
    dense = keras.Sequential(
        [
            keras.Input((16,)),
            keras.layers.Dense(16, activation="tanh"),
            keras.layers.Dense(16),
        ]
    )
    schedule = sapp.SequentialAttentionSchedule(0.0, STEPS)
    model = sapp.prune_blocks(
        dense, schedule, (4, 4), scorer(), pruning_policy=sapp.MinimumBlocks(1)
    )
    # Adam would make much of the rounding of a gradient near zero.
    for each in (model, dense):
        each.compile(keras.optimizers.SGD(0.1, momentum=0.9), "mse")

    fit(model, 0, 4)
    dense.fit(x, y, batch_size=4, epochs=4, shuffle=False, verbose=0)

    stripped = sapp.strip_pruning(model)
    for mine, theirs in zip(stripped.get_weights(), dense.get_weights()):
        assert_close(mine, theirs)
