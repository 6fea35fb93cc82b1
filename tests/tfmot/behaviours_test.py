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
"""What TF-MOT's own pruning tests ask, and what its users stumble over.

Exact counts for every kind of layer, nested, shared and subclassed models are
in `prune_test.py`, stopping and resuming in `resume_test.py` and
`conformance_test.py`, replicas in `distribution_test.py`, summaries in
`report_test.py`.
"""

import numpy as np
import pytest

import tfmot_sapp as sapp
from tfmot_sapp.blocks.selection import kept_blocks


def make_model(keras, units=16):
    return keras.Sequential(
        [
            keras.Input((16,)),
            keras.layers.Dense(units, activation="tanh", name="first"),
            keras.layers.Dense(8, name="second"),
        ]
    )


def prune(model, schedule=None, block_size=(4, 4), **options):
    return sapp.prune_blocks(
        model,
        schedule or sapp.ConstantSparsity(0.75, 0),
        block_size,
        sapp.Magnitude(),
        pruning_policy=sapp.MinimumBlocks(1),
        **options,
    )


# Tracing costs more than the steps, where nothing asks for a graph.
def compiled(model):
    model.compile("sgd", "mse", run_eagerly=True)
    return model


def fit(model, epochs=2, callbacks=None, **options):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(16, *model.input_shape[1:])).astype(np.float32)
    y = rng.normal(size=(16, *model.output_shape[1:])).astype(np.float32)
    if callbacks is None:
        callbacks = [sapp.UpdatePruningStep()]
    model.fit(
        x,
        y,
        batch_size=4,
        epochs=epochs,
        verbose=0,
        callbacks=callbacks,
        **options,
    )
    return model


def zero_blocks(kernel, block=(4, 4)):
    kernel = np.asarray(kernel)
    rows, columns = (-(-n // b) for n, b in zip(kernel.shape, block))
    padded = np.zeros((rows * block[0], columns * block[1]))
    padded[: kernel.shape[0], : kernel.shape[1]] = kernel
    blocks = padded.reshape(rows, block[0], columns, block[1])
    return ~np.any(blocks != 0, axis=(1, 3))


# Its bugs.


@pytest.mark.parametrize("frequency", [1, 7, 100])
def test_the_target_is_reached_whatever_the_frequency(keras, frequency):
    """1: masks changed only at multiples, and ended below the target."""
    schedule = sapp.PolynomialDecay(0.0, 0.8, 0, 6, frequency=frequency)
    model = prune(make_model(keras), schedule)
    compiled(model)

    for row in sapp.report(fit(model)).pruned:
        assert row.kept == kept_blocks(row.blocks, 0.8)


def test_equal_weights_are_pruned_to_the_count(keras):
    """2: a threshold keeps everything that ties with it."""
    model = keras.Sequential(
        [
            keras.Input((16,)),
            keras.layers.Dense(16, kernel_initializer="ones", name="tied"),
        ]
    )
    model = prune(model)
    model.compile(keras.optimizers.SGD(0.0), "mse")

    fit(model)

    kept = ~zero_blocks(sapp.strip_pruning(model).layers[-1].kernel)
    # By index: the first ones stay.
    np.testing.assert_array_equal(kept.ravel(), np.arange(16) < 4)


@pytest.mark.parametrize(
    "inputs, units, block",
    [(10, 10, (4, 4)), (17, 1, (8, 8)), (16, 3, (8, 8)), (1, 17, (8, 8))],
)
def test_blocks_need_not_divide_the_kernel(keras, inputs, units, block):
    """3: 10 x 10 overshot, 17 x 1 and 16 x 3 crashed."""
    model = keras.Sequential(
        [keras.Input((inputs,)), keras.layers.Dense(units, name="odd")]
    )
    model = prune(model, sapp.ConstantSparsity(0.5, 0), block)
    compiled(model)

    (row,) = sapp.report(fit(model)).pruned

    assert row.kept == kept_blocks(row.blocks, 0.5)
    stripped = sapp.strip_pruning(model)
    assert np.sum(~zero_blocks(stripped.layers[-1].kernel, block)) == row.kept


class Steps(sapp.PruningSchedule):
    """A schedule of somebody's own."""

    def __init__(self, steps):
        self.steps = steps
        self.target_sparsity = 0.75

    def __call__(self, step):
        return int(step) in self.steps, 0.75

    def get_config(self):
        return {"class_name": "Steps", "config": {"steps": self.steps}}


def test_custom_schedules_and_all_options_reload(keras, tmp_path):
    """4: a config dropped options, and custom schedules failed."""
    model = prune(
        make_model(keras),
        Steps([1, 3]),
        allocation=sapp.BalancedAllocation(),
    )
    model.save(tmp_path / "model.keras")

    loaded = keras.models.load_model(tmp_path / "model.keras")

    layer = [x for x in loaded.layers if hasattr(x, "pruned_kernels")][0]
    assert layer.pruning_schedule.steps == [1, 3]
    assert isinstance(layer.allocation, sapp.BalancedAllocation)
    assert isinstance(layer.scorer, sapp.Magnitude)
    assert layer.block_size == (4, 4)


def test_the_original_and_inference_change_no_weight(keras):
    """5: variables were shared with the original, and written in inference."""
    model = make_model(keras)
    before = model.get_weights()
    wrapped = prune(model)
    inside = wrapped.get_weights()

    wrapped.predict(np.ones((4, 16)), verbose=0)
    for old, new in zip(inside, wrapped.get_weights()):
        np.testing.assert_array_equal(old, new)
    compiled(wrapped)
    fit(wrapped)

    for old, new in zip(before, model.get_weights()):
        np.testing.assert_array_equal(old, new)


def test_checkpoints_are_sparse(keras, tmp_path):
    """6: after the last step pruned weights were not zero."""
    model = prune(make_model(keras))
    compiled(model)
    path = tmp_path / "last.weights.h5"
    save = keras.callbacks.ModelCheckpoint(str(path), save_weights_only=True)

    fit(model, callbacks=[sapp.UpdatePruningStep(), save])

    again = prune(make_model(keras))
    again.load_weights(path)
    for one, other in ((model, again), (again, model)):
        for layer in one.layers:
            for pruned in getattr(layer, "pruned_kernels", ()):
                zero = zero_blocks(pruned.variable.numpy())
                np.testing.assert_array_equal(zero, ~pruned.mask_array())
        assert [row.kept for row in sapp.report(other).pruned] == [4, 2]


def test_unknown_layers_are_skipped(keras):
    """7: one unknown layer aborted the whole model."""

    class Unknown(keras.layers.Layer):
        def call(self, inputs):
            return inputs * 2

    class MyDense(keras.layers.Dense):
        pass

    inputs = keras.Input((16,))
    hidden = keras.layers.Rescaling(0.5)(inputs)
    hidden = Unknown(name="unknown")(hidden)
    hidden = MyDense(16, name="subclass")(hidden)
    hidden = keras.layers.EinsumDense("ab,bc->ac", 16, name="einsum")(hidden)
    model = keras.Model(inputs, hidden)

    report = sapp.report(prune(model))

    assert [row.name for row in report.pruned] == ["subclass", "einsum"]


def test_nothing_to_prune_is_an_error(keras):
    """7 and 8: silence when nothing was pruned."""
    model = keras.Sequential([keras.Input((4,)), keras.layers.ReLU()])

    with pytest.raises(ValueError, match="no layer|nothing"):
        prune(model)


def test_layers_inside_nested_models_are_found(keras):
    """8: they never were."""
    inner = keras.Sequential(
        [keras.Input((16,)), keras.layers.Dense(16, name="inner")]
    )
    outer = keras.Sequential(
        [keras.Input((16,)), inner, keras.layers.Dense(16, name="outer")]
    )

    names = [row.name for row in sapp.report(prune(outer)).pruned]

    assert names == ["inner", "outer"]


# Its tests.


def test_pretrained_weights_are_kept(keras, assert_close):
    model = make_model(keras)
    x = np.random.default_rng(0).normal(size=(4, 16)).astype(np.float32)

    wrapped = prune(model)

    for pruned, layer in zip(wrapped.layers[-2:], model.layers[-2:]):
        np.testing.assert_array_equal(
            pruned.layer.kernel.numpy(), layer.kernel.numpy()
        )
    assert_close(wrapped.predict(x, verbose=0), model.predict(x, verbose=0))


def test_training_without_the_callback_is_an_error(keras):
    model = prune(make_model(keras))
    model.compile("adam", "mse")

    with pytest.raises(ValueError, match="UpdatePruningStep"):
        fit(model, callbacks=[])


def test_the_callback_without_a_pruned_model_is_an_error(keras):
    model = make_model(keras)
    model.compile("adam", "mse")

    with pytest.raises(ValueError, match="prune_blocks"):
        fit(model)


def test_inference_needs_no_callback(keras):
    model = prune(make_model(keras))
    model.compile("adam", "mse")

    assert model.evaluate(np.ones((4, 16)), np.ones((4, 8)), verbose=0) >= 0


@pytest.mark.parametrize("sparsity, kept", [(0.5, 8), (0.99, 1), (0.9999, 1)])
def test_very_sparse_models_keep_a_block(keras, sparsity, kept):
    model = prune(make_model(keras), sapp.ConstantSparsity(sparsity, 0))
    compiled(model)

    assert sapp.report(fit(model)).pruned[0].kept == kept


def test_training_past_the_end_keeps_the_mask(keras):
    model = prune(make_model(keras), sapp.EarlyRamp(0.75, 8))
    compiled(model)
    fit(model, epochs=2)
    masks = [row.mask for row in sapp.report(model).pruned]

    fit(model, epochs=5)

    for old, row in zip(masks, sapp.report(model).pruned):
        np.testing.assert_array_equal(old, row.mask)


def test_recompiling_between_two_fits_goes_on(keras):
    model = prune(make_model(keras), sapp.EarlyRamp(0.75, 16))
    for _ in range(2):
        model.compile("adam", "mse")
        fit(model)

    assert [row.kept for row in sapp.report(model).pruned] == [4, 2]


def test_prune_scope_loads_what_was_saved(keras, assert_close, tmp_path):
    model = prune(make_model(keras))
    model.save(tmp_path / "model.keras")

    with sapp.prune_scope():
        loaded = keras.models.load_model(tmp_path / "model.keras")

    x = np.ones((2, 16), np.float32)
    assert_close(loaded.predict(x, verbose=0), model.predict(x, verbose=0))


@pytest.mark.parametrize("suffix", ["weights.h5", "keras"])
def test_weights_reload(keras, suffix, tmp_path):
    model = prune(make_model(keras))
    compiled(model)
    fit(model)
    path = tmp_path / f"model.{suffix}"
    again = prune(make_model(keras))
    if suffix == "keras":
        model.save(path)
        again = keras.models.load_model(path)
    else:
        model.save_weights(path)
        again.load_weights(path)

    for mine, theirs in zip(again.get_weights(), model.get_weights()):
        np.testing.assert_array_equal(mine, theirs)


def test_a_list_of_layers_makes_a_model(keras):
    layers = prune([keras.layers.Dense(16), keras.layers.Dense(8)])
    model = keras.Sequential([keras.Input((16,)), *layers])
    compiled(model)

    assert [row.kept for row in sapp.report(fit(model)).pruned] == [4, 2]


@pytest.mark.parametrize("schedule", ["ConstantSparsity", "PolynomialDecay"])
def test_its_schedules_refuse_bad_ranges(schedule):
    arguments = {
        "ConstantSparsity": {"target_sparsity": 1.5, "begin_step": 0},
        "PolynomialDecay": {
            "initial_sparsity": 0.0,
            "final_sparsity": 0.5,
            "begin_step": 10,
            "end_step": 5,
        },
    }[schedule]

    with pytest.raises(ValueError):
        getattr(sapp, schedule)(**arguments)
