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
"""The user's optimizer during and after a training that prunes."""

import textwrap

import numpy as np
import pytest

import tfmot_sapp as sapp

STEPS = 16


def make_data():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(8, 16)).astype(np.float32)
    return x, x[:, ::-1]


def make_model(keras, optimizer, reset=True):
    keras.utils.set_random_seed(1)
    model = keras.Sequential([keras.Input((16,)), keras.layers.Dense(16)])
    model = sapp.prune_blocks(
        model,
        sapp.ACDCSchedule(0.75, STEPS, cycles=2, reset_optimizer=reset),
        (4, 4),
        sapp.Magnitude(),
        pruning_policy=sapp.MinimumBlocks(1),
    )
    # Tracing costs more than the steps.
    model.compile(optimizer, "mse", run_eagerly=True)
    return model


def fit(model, begin=0, end=STEPS // 2, callbacks=()):
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


OPTIMIZERS = [
    ("keras", "Adam"),
    ("keras", "LossScaleOptimizer"),
    ("tf_keras", "Adam"),
    ("tf_keras", "legacy.Adam"),
]


def make_optimizer(keras, name, rate):
    if name == "LossScaleOptimizer":
        inner = keras.optimizers.Adam(rate)
        return keras.optimizers.LossScaleOptimizer(inner)
    made = keras.optimizers
    for part in name.split("."):
        made = getattr(made, part)
    return made(rate)


def schedule_of(optimizer):
    optimizer = getattr(optimizer, "inner_optimizer", optimizer)
    if hasattr(optimizer, "get_slot_names"):
        return optimizer._hyper["learning_rate"]
    return optimizer._learning_rate


@pytest.mark.parametrize("keras, name", OPTIMIZERS, indirect=["keras"])
def test_the_learning_rate_is_the_users_own_again(keras, name):
    rate = cosine(keras)
    optimizer = make_optimizer(keras, name, rate)
    during = []

    class Note(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            during.append(schedule_of(optimizer))

    fit(make_model(keras, optimizer), callbacks=[Note()])

    assert all(found is not rate for found in during)
    assert schedule_of(optimizer) is rate
    assert "tfmot_sapp" not in str(optimizer.get_config())


@pytest.mark.parametrize("keras, name", OPTIMIZERS, indirect=["keras"])
def test_a_second_fit_goes_on_with_the_learning_rate(keras, name):
    def make():
        return make_model(keras, make_optimizer(keras, name, cosine(keras)))

    whole = fit(make())

    stopped = fit(make(), 0, 3)
    resumed = fit(fit(stopped, 3, 5), 5)

    for mine, theirs in zip(resumed.get_weights(), whole.get_weights()):
        np.testing.assert_array_equal(mine, theirs)


RESUME = """
    import importlib, sys
    import numpy as np
    import tfmot_sapp as sapp
    keras = importlib.import_module({keras!r})
    model = keras.models.load_model({path!r})
    model.run_eagerly = True
    rng = np.random.default_rng(0)
    x = rng.normal(size=(8, 16)).astype(np.float32)
    model.fit(x, x[:, ::-1], batch_size=4, initial_epoch={begin}, epochs={end},
              shuffle=False, verbose=0, callbacks=[sapp.UpdatePruningStep()])
    np.savez({result!r}, *model.get_weights())
"""


def test_a_new_process_goes_on_with_the_learning_rate(keras, tmp_path, forks):
    model = make_model(keras, keras.optimizers.Adam(cosine(keras)))
    fit(model, 0, 5).save(tmp_path / "model.keras")
    whole = fit(model, 5)
    program = RESUME.format(
        keras=keras.__name__,
        path=str(tmp_path / "model.keras"),
        begin=5,
        end=STEPS // 2,
        result=str(tmp_path / "weights.npz"),
    )

    done = forks.run(textwrap.dedent(program))

    assert done.returncode == 0, done.stderr[-2000:]
    with np.load(tmp_path / "weights.npz") as found:
        for name, theirs in zip(found.files, whole.get_weights()):
            np.testing.assert_array_equal(found[name], theirs)


def test_averages_of_the_weights_outlive_a_reset(keras):
    """Also if nothing comes behind the reset but the end of the training."""

    class Last(sapp.SteppedSchedule):
        reset_optimizer = True

        def _make_updates(self):
            return [
                sapp.Update(0, 0.0, "dense"),
                sapp.Update(STEPS, 0.75, "sparse"),
            ]

        def _arguments(self):
            return {"target_sparsity": 0.75, "end_step": STEPS}

    model = keras.Sequential([keras.Input((16,)), keras.layers.Dense(16)])
    model = sapp.prune_blocks(
        model,
        Last(0.75, STEPS),
        (4, 4),
        sapp.Magnitude(),
        pruning_policy=sapp.MinimumBlocks(1),
    )
    model.compile(
        keras.optimizers.Adam(0.01, use_ema=True, ema_momentum=0.5),
        "mse",
        run_eagerly=True,
    )

    fit(model)

    stripped = sapp.strip_pruning(model).get_weights()[0]
    blocks = np.abs(stripped.reshape(4, 4, 4, 4)).max((1, 3))
    assert np.count_nonzero(blocks) == 4


@pytest.mark.parametrize("name", ["Ftrl", "Adafactor"])
def test_a_reset_leaves_weights_that_train_on(keras, name):
    optimizer = getattr(keras.optimizers, name)(0.05)
    before = dict(optimizer.get_config())
    losses = []

    class Note(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            losses.append(logs["loss"])

    model = fit(make_model(keras, optimizer), callbacks=[Note()])

    assert np.all(np.isfinite(losses))
    for weights in sapp.strip_pruning(model).get_weights():
        assert np.all(np.isfinite(weights)) and np.any(weights)
    (row,) = sapp.report(model).pruned
    kernel = sapp.strip_pruning(model).get_weights()[0]
    blocks = np.abs(kernel.reshape(4, 4, 4, 4)).max((1, 3))
    assert np.count_nonzero(blocks) == row.kept == 4
    assert optimizer.get_config() == before


@pytest.mark.parametrize("thing", ["adam", 3, object()])
def test_what_is_no_optimizer_is_refused(thing):
    with pytest.raises(TypeError, match="`optimizer`.*Received"):
        sapp.UpdatePruningStep(optimizer=thing)
