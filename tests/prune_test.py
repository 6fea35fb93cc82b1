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
"""Wrap, fit, strip: every kind of model and layer, to the exact count."""

import numpy as np
import pytest

import tfmot_sapp as sapp
from tfmot_sapp.blocks.selection import kept_blocks
from tfmot_sapp.frameworks.which_keras import keras_of

SPARSITY = 0.75


def prune(model, block_size=(4, 4), **options):
    settings = {
        "pruning_schedule": sapp.SequentialAttentionSchedule(SPARSITY, 8),
        "block_size": block_size,
        "pruning_policy": sapp.MinimumBlocks(4),
    }
    return sapp.prune_blocks(model, **{**settings, **options})


# Tracing costs more than the steps, where nothing asks for a graph.
def fit(model, x, y, epochs=2, batch_size=4, eager=True):
    model.compile("sgd", "mse", run_eagerly=eager)
    model.fit(
        x,
        y,
        batch_size=batch_size,
        epochs=epochs,
        shuffle=False,
        verbose=0,
        callbacks=[sapp.UpdatePruningStep()],
    )
    return model


def data(shape, units=8, integers=None):
    rng = np.random.default_rng(0)
    y = rng.normal(size=(16, units)).astype(np.float32)
    if integers:
        return rng.integers(0, integers, (16, *shape)), y
    return rng.normal(size=(16, *shape)).astype(np.float32), y


def run(model, x):
    return np.asarray(model(x, training=False))


def check_whole_path(model, x, y, assert_close, tmp_path=None, eager=False):
    before = run(model, x)
    schedule = sapp.SequentialAttentionSchedule(SPARSITY, 4)
    wrapped = prune(model, pruning_schedule=schedule)
    assert_close(run(wrapped, x), before)

    fit(wrapped, x, y, batch_size=8, eager=eager)
    outputs = wrapped.predict(x, verbose=0)
    stripped = sapp.strip_pruning(wrapped)

    report = sapp.report(stripped)
    assert report.pruned
    for row in report.pruned:
        assert row.kept == kept_blocks(row.blocks, SPARSITY), row
    assert_close(run(stripped, x), outputs)
    # The original is as it was.
    np.testing.assert_array_equal(run(model, x), before)
    if tmp_path is not None:
        for name, saved in (("wrapped", wrapped), ("stripped", stripped)):
            path = tmp_path / f"{name}.keras"
            saved.save(path)
            loaded = keras_of(saved).models.load_model(path)
            assert_close(run(loaded, x), outputs)
    return stripped, report


LAYERS = {
    "dense": (lambda keras: keras.layers.Dense(18), (13,)),
    "conv_1d": (lambda keras: keras.layers.Conv1D(18, 3), (8, 9)),
    "conv_2d": (lambda keras: keras.layers.Conv2D(18, 3, strides=2), (6, 6, 9)),
    "dilated": (
        lambda keras: keras.layers.Conv2D(18, 3, dilation_rate=2),
        (7, 7, 9),
    ),
    "grouped": (lambda keras: keras.layers.Conv2D(18, 3, groups=3), (6, 6, 27)),
    "conv_3d": (lambda keras: keras.layers.Conv3D(18, 2), (3, 3, 3, 9)),
    "conv_1d_transpose": (
        lambda keras: keras.layers.Conv1DTranspose(18, 3),
        (5, 9),
    ),
    "conv_2d_transpose": (
        lambda keras: keras.layers.Conv2DTranspose(18, 3),
        (4, 4, 9),
    ),
    "conv_3d_transpose": (
        lambda keras: keras.layers.Conv3DTranspose(18, 2),
        (2, 2, 2, 9),
    ),
    "separable_1d": (lambda keras: keras.layers.SeparableConv1D(18, 3), (6, 9)),
    "separable_2d": (
        lambda keras: keras.layers.SeparableConv2D(18, 3),
        (6, 6, 9),
    ),
    "einsum": (
        lambda keras: keras.layers.EinsumDense("abc,cde->abde", (4, 3, 6)),
        (4, 9),
    ),
    "lstm": (lambda keras: keras.layers.LSTM(9, return_sequences=True), (4, 9)),
    "bidirectional": (
        lambda keras: keras.layers.Bidirectional(
            keras.layers.GRU(9, return_sequences=True)
        ),
        (4, 9),
    ),
    "time_distributed": (
        lambda keras: keras.layers.TimeDistributed(keras.layers.Dense(18)),
        (4, 9),
    ),
}


# The loop of a recurrent layer is another one in a graph.
IN_A_GRAPH = "bidirectional"


@pytest.mark.parametrize("name", LAYERS)
def test_layers_reach_the_exact_count(keras, name, assert_close, tmp_path):
    make, shape = LAYERS[name]
    inputs = keras.Input(shape)
    hidden = keras.layers.Flatten()(make(keras)(inputs))
    model = keras.Model(inputs, keras.layers.Dense(8, name="head")(hidden))

    _, report = check_whole_path(
        model, *data(shape), assert_close, tmp_path, name != IN_A_GRAPH
    )

    assert len(report.pruned) >= 2
    assert report.skipped == {}


def test_attention_and_embedding_reach_the_exact_count(
    keras, assert_close, tmp_path
):
    inputs = keras.Input((6,), dtype="int32")
    hidden = keras.layers.Embedding(40, 12, name="table")(inputs)
    hidden = keras.layers.MultiHeadAttention(3, 4, name="attention")(
        hidden, hidden
    )
    outputs = keras.layers.Dense(8)(keras.layers.Flatten()(hidden))

    _, report = check_whole_path(
        keras.Model(inputs, outputs),
        *data((6,), integers=40),
        assert_close,
        tmp_path,
    )

    names = [row.name for row in report.pruned]
    assert names[:2] == ["table", "attention/query_dense"]
    assert len(names) == 6


def test_the_papers_layout_cuts_every_axis(keras):
    model = keras.Sequential(
        [keras.Input((6, 6, 8)), keras.layers.Conv2D(8, 3, name="conv")]
    )
    x, _ = data((6, 6, 8))

    wrapped = prune(model, block_size=(1, 1, 4, 4))
    fit(wrapped, x, np.zeros((16, 4, 4, 8), np.float32))

    (row,) = sapp.report(wrapped).rows
    assert (row.blocks, row.kept) == (36, 9)


def test_nested_models_and_shared_layers_are_pruned_once(
    keras, assert_close, tmp_path
):
    inner = keras.Sequential(
        [
            keras.Input((16,)),
            keras.layers.Dense(16, activation="relu", name="inner_1"),
            keras.layers.Dense(16, name="inner_2"),
        ],
        name="inner",
    )
    shared = keras.layers.Dense(16, name="shared")
    inputs = keras.Input((16,))
    hidden = shared(shared(inner(inputs)))
    hidden = keras.layers.Add()([hidden, inner(inputs)])
    model = keras.Model(inputs, keras.layers.Dense(8, name="out")(hidden))

    stripped, report = check_whole_path(
        model, *data((16,)), assert_close, tmp_path
    )

    names = [row.name for row in report.pruned]
    assert names == ["inner_1", "inner_2", "shared", "out"]
    assert stripped.get_config() == model.get_config()


def make_subclassed(keras):
    class Subclassed(keras.Model):
        def __init__(self, units=16, **kwargs):
            super().__init__(**kwargs)
            self.units = units
            self.first = keras.layers.Dense(units, activation="relu")
            self.middle = [keras.layers.Dense(units) for _ in range(2)]
            self.named = {"last": keras.layers.Dense(8)}
            self.nested = keras.Sequential([keras.layers.Dense(units)])
            self.gain = self.add_weight(
                shape=(1,), initializer="ones", name="gain"
            )

        def call(self, inputs):
            hidden = self.first(inputs)
            for layer in self.middle:
                hidden = layer(hidden)
            return self.named["last"](self.nested(hidden)) * self.gain

        def get_config(self):
            return {**super().get_config(), "units": self.units}

    return Subclassed


def test_subclassed_models_are_pruned_in_all_their_attributes(
    keras, assert_close
):
    model = make_subclassed(keras)()
    x, y = data((16,))
    model(x)
    model.gain.assign([2.0])

    _, report = check_whole_path(model, x, y, assert_close)

    assert len(report.pruned) == 5


def test_unbuilt_models_are_pruned_when_they_are_built(keras):
    model = keras.Sequential([keras.layers.Dense(16), keras.layers.Dense(8)])
    x, y = data((16,))

    wrapped = fit(prune(model), x, y)

    rows = sapp.report(wrapped).pruned
    assert [(row.kept, row.blocks) for row in rows] == [(4, 16), (2, 8)]


def test_a_layer_and_a_list_are_wrapped_themselves(keras):
    layer = keras.layers.Dense(16)
    wrapped = prune(layer)
    assert wrapped.layer is layer

    layers = [keras.layers.Dense(16), keras.layers.ReLU()]
    first, second = prune(layers)
    assert first.layer is layers[0]
    assert second is layers[1]


@pytest.mark.parametrize(
    "schedule",
    [
        sapp.PolynomialDecay(0.0, SPARSITY, 0, 5, frequency=3),
        sapp.PolynomialDecay(0.0, SPARSITY, 2, 1000),
        sapp.ConstantSparsity(SPARSITY, 0),
        sapp.ConstantSparsity(SPARSITY, 500, frequency=100),
        sapp.SequentialAttentionSchedule(SPARSITY, 3),
        sapp.SequentialAttentionSchedule(SPARSITY, 1000),
    ],
    ids=lambda schedule: type(schedule).__name__,
)
def test_the_target_is_reached_however_training_ends(keras, schedule):
    x, y = data((16,))
    model = keras.Sequential([keras.Input((16,)), keras.layers.Dense(8)])

    wrapped = fit(prune(model, pruning_schedule=schedule), x, y)

    (row,) = sapp.report(wrapped).rows
    assert (row.kept, row.blocks) == (2, 8)
    kernel = sapp.strip_pruning(wrapped).layers[0].kernel.numpy()
    blocks = kernel.reshape(4, 4, 2, 4).swapaxes(1, 2)
    assert np.any(blocks != 0, axis=(2, 3)).sum() == 2


def test_every_update_of_the_schedule_is_followed(keras):
    schedule = sapp.SequentialAttentionSchedule(0.9, 30, frequency=1)
    model = keras.Sequential([keras.Input((40,)), keras.layers.Dense(40)])
    wrapped = prune(model, pruning_schedule=schedule)
    wrapped.compile("sgd", "mse")
    seen = {}

    class Record(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            step = int(self.model.optimizer.iterations.numpy())
            kernel = wrapped.layers[0].pruned_kernels[0]
            seen[step] = kernel.mask_array().copy()

    x, y = data((40,), 40)
    callbacks = [sapp.UpdatePruningStep(), Record()]
    wrapped.fit(x, y, batch_size=4, epochs=8, verbose=0, callbacks=callbacks)

    assert set(seen) == set(range(1, 33))
    for step, mask in seen.items():
        update = schedule.last_update(step)
        assert mask.sum() == kept_blocks(100, update.sparsity)
        if update.phase == "sparsification" and update.step > 1:
            # The mask only shrinks within the phase.
            earlier = seen.get(step - 1)
            if schedule.phase(step - 1) == "sparsification":
                assert not np.any(mask & ~earlier)


def make_bilinear(keras):
    @keras.saving.register_keras_serializable("prune_test")
    class Bilinear(keras.layers.Layer):
        """A layer of TF-MOT's `PrunableLayer` protocol."""

        def build(self, input_shape):
            self.matrix = self.add_weight(
                shape=(input_shape[-1], 16), name="matrix"
            )

        def call(self, inputs):
            return inputs @ self.matrix

        def get_prunable_weights(self):
            return [self.matrix]

    return Bilinear


def test_prunable_layers_say_themselves_what_to_prune(
    keras, assert_close, tmp_path
):
    model = keras.Sequential(
        [keras.Input((16,)), make_bilinear(keras)(name="bilinear")]
    )

    _, report = check_whole_path(
        model, *data((16,), 16), assert_close, tmp_path
    )

    assert [(row.name, row.kept) for row in report.pruned] == [("bilinear", 4)]


def test_balance_is_over_the_outputs_of_transposed_convolutions(keras):
    model = keras.Sequential(
        [
            keras.Input((4, 4, 16)),
            keras.layers.Conv2DTranspose(24, 3, name="up"),
            keras.layers.Flatten(),
            keras.layers.Dense(8, name="out"),
        ]
    )
    x, y = data((4, 4, 16))

    wrapped = fit(prune(model, allocation=sapp.BalancedAllocation()), x, y)

    up, out = sapp.report(wrapped).pruned
    # Kernels of transposed convolutions are (taps, taps, out, in).
    assert up.mask.shape == (1, 1, 6, 4)
    np.testing.assert_array_equal(up.mask.sum(axis=(0, 1, 3)), np.ones(6))
    counts = out.mask.sum(axis=0)
    assert counts.max() - counts.min() <= 1
