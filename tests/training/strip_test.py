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
"""Stripping reads the model, in the midst of its training too."""

import numpy as np
import pytest

import tfmot_sapp as sapp


def make_model(keras, schedule, scorer=None):
    keras.utils.set_random_seed(1)
    model = keras.Sequential(
        [
            keras.Input((16,)),
            keras.layers.Dense(16, activation="tanh"),
            keras.layers.Dense(16),
        ]
    )
    model = sapp.prune_blocks(
        model, schedule, (2, 2), scorer, pruning_policy=sapp.MinimumBlocks(1)
    )
    # Tracing costs more than the steps.
    model.compile(keras.optimizers.Adam(0.01), "mse", run_eagerly=True)
    return model


def fit(model, callbacks=(), epochs=4):
    x = np.random.default_rng(0).normal(size=(8, 16)).astype(np.float32)
    model.fit(
        x,
        x[:, ::-1],
        batch_size=4,
        epochs=epochs,
        shuffle=False,
        verbose=0,
        callbacks=[sapp.UpdatePruningStep(), *callbacks],
    )
    return model


def state(model):
    return [v.numpy() for v in (*model.weights, *model.optimizer.variables)]


SCORERS = [
    sapp.SequentialAttention(times=sapp.SecondMoment()),
    sapp.PowerPropagation(),
    sapp.HardConcrete(),
]


@pytest.mark.parametrize("scorer", SCORERS, ids=lambda s: type(s).__name__)
def test_stripping_in_a_callback_changes_nothing(keras, scorer):
    schedule = sapp.SequentialAttentionSchedule(0.9, 8, cycles=1)
    kept = []

    class Strip(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            before = state(self.model)
            rows = sapp.report(sapp.strip_pruning(self.model)).pruned
            kept.append([row.kept for row in rows])
            for old, new in zip(before, state(self.model), strict=True):
                np.testing.assert_array_equal(old, new)

    watched = fit(make_model(keras, schedule, scorer), [Strip()])
    alone = fit(make_model(keras, schedule, scorer))

    # What is stripped is at the target, whatever the phase.
    assert kept == [[6, 6]] * 8
    for mine, theirs in zip(state(watched), state(alone), strict=True):
        np.testing.assert_array_equal(mine, theirs)


def test_what_is_stripped_midway_is_what_an_early_end_leaves(keras):
    schedule = sapp.SequentialAttentionSchedule(0.9, 100)
    found = []

    class Strip(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            found.append(sapp.strip_pruning(self.model).get_weights())

    model = fit(make_model(keras, schedule), [Strip()])

    ended = sapp.strip_pruning(model).get_weights()
    for mine, theirs in zip(found[-1], ended, strict=True):
        np.testing.assert_array_equal(mine, theirs)


def make_layer(keras):
    layer = keras.layers.Dense(16)
    layer.build((None, 16))
    return sapp.prune_blocks(layer, sapp.ConstantSparsity(0.5, 0), (4, 4))


def test_a_layer_is_given_back_once(keras):
    wrapper = make_layer(keras)
    layer = sapp.strip_pruning(wrapper)
    before = layer.get_weights()

    for stripped in (wrapper, [wrapper], keras.Sequential([wrapper])):
        with pytest.raises(ValueError, match="given back before.*Received"):
            sapp.strip_pruning(stripped)

    for old, new in zip(before, layer.get_weights()):
        np.testing.assert_array_equal(old, new)


def test_a_layer_may_stand_in_a_list_twice(keras):
    wrapper = make_layer(keras)

    first, second = sapp.strip_pruning([wrapper, wrapper])

    assert first is second


def test_a_failed_call_changes_nothing(keras):
    layers = [keras.layers.Dense(16, name=name) for name in ("a", "b")]
    for layer in layers:
        layer.build((None, 16))
    before = [layer.get_weights() for layer in layers]
    quantize = [getattr(layer, "quantize", None) for layer in layers]

    def block_size(layer):
        return (4, 4) if layer.name == "a" else (4, 0)

    class Failing(sapp.PowerPropagation):
        def state_specs(self, grid, target_sparsity):
            if grid.block == (4, 4):
                raise ValueError("`state_specs` fails")
            return {}

    for options in (
        {"block_size": block_size, "scorer": sapp.PowerPropagation()},
        {"block_size": {"a": (2, 2), "b": (4, 4)}, "scorer": Failing()},
    ):
        with pytest.raises(ValueError, match="`block_size`|`state_specs`"):
            sapp.prune_blocks(layers, sapp.ConstantSparsity(0.5, 0), **options)

    for layer, weights, own in zip(layers, before, quantize):
        for old, new in zip(weights, layer.get_weights()):
            np.testing.assert_array_equal(old, new)
        assert getattr(layer, "quantize", None) == own


def test_reasons_survive_saving(keras, tmp_path):
    model = keras.Sequential(
        [
            keras.Input((16,)),
            keras.layers.Dense(16, name="pruned"),
            keras.layers.Dense(2, name="small"),
        ]
    )
    model = sapp.prune_blocks(
        model,
        sapp.ConstantSparsity(0.5, 0),
        (4, 4),
        pruning_policy=sapp.MinimumBlocks(5),
    )
    expected = sapp.report(model).skipped
    assert expected == {"small": "4 blocks, fewer than 5"}

    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")

    assert sapp.report(loaded).skipped == expected
    assert sapp.report(keras.models.clone_model(model)).skipped == expected
