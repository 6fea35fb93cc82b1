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
"""Copies of a compiled model are compiled as it is."""

import importlib
import warnings

import numpy as np
import pytest
from compiled_models import (
    X,
    Y,
    absolute_error,
    assert_unused,
    mlp,
    prune,
    variables_of,
)

import tfmot_sapp as sapp
from tfmot_sapp.frameworks.copying import same_layer
from tfmot_sapp.frameworks.private.compiling import is_compiled


@pytest.fixture(scope="module", params=["keras", "tf_keras"])
def trained(request):
    keras = importlib.import_module(request.param)
    model = mlp(keras)
    model.compile(
        keras.optimizers.Adam(0.01),
        "mse",
        loss_weights=0.5,
        metrics=[keras.metrics.MeanAbsoluteError(name="error"), absolute_error],
        weighted_metrics=["mse"],
        run_eagerly=True,
        steps_per_execution=2,
    )
    model.fit(X, Y, verbose=0)
    model.optimizer.learning_rate = 0.003
    return keras, model


VERBS = {
    "prune_blocks": lambda model: prune(model, scorer=sapp.Magnitude()),
    "strip_pruning": lambda model: sapp.strip_pruning(
        prune(model, scorer=sapp.Magnitude())
    ),
    "pack_blocks": sapp.pack_blocks,
    "prune_structured": lambda model: sapp.prune_structured(
        model, X, keep=1.0, verbose=False
    ),
    "prune_post_training": lambda model: sapp.prune_post_training(
        model,
        X,
        sparsity=0.0,
        block_size=(8, 8),
        pruning_policy=sapp.MinimumBlocks(1),
        verbose=False,
    ),
    "same_layer": same_layer,
}


@pytest.mark.parametrize("verb", VERBS)
def test_every_copy_is_compiled(trained, verb, assert_close):
    keras, model = trained
    kept = [np.array(v) for v in variables_of(model.optimizer)]
    expected = model.evaluate(X, Y, verbose=0, return_dict=True)
    copy = VERBS[verb](model)
    assert copy.run_eagerly
    assert int(copy.steps_per_execution) == 2
    assert copy.loss == "mse"
    assert_unused(copy.optimizer, model.optimizer)
    assert float(copy.optimizer.learning_rate) == pytest.approx(0.003)
    found = copy.evaluate(X, Y, verbose=0, return_dict=True)
    assert list(found) == list(expected)
    assert_close(list(found.values()), list(expected.values()), 1e-4)
    # What the copy does, the original knows nothing of.
    callbacks = [sapp.UpdatePruningStep()] if verb == "prune_blocks" else []
    copy.fit(X, Y, verbose=0, callbacks=callbacks)
    after = [np.array(v) for v in variables_of(model.optimizer)]
    for mine, before in zip(after, kept, strict=True):
        np.testing.assert_array_equal(mine, before)
    assert model.evaluate(X, Y, verbose=0, return_dict=True) == expected


def test_copies_of_copies_are_compiled(trained):
    keras, model = trained
    wrapped = prune(model)
    wrapped.fit(X, Y, verbose=0, epochs=3, callbacks=[sapp.UpdatePruningStep()])
    stripped = sapp.strip_pruning(wrapped)
    packed = sapp.pack_blocks(stripped)
    expected = wrapped.evaluate(X, Y, verbose=0)
    for copy in (stripped, packed):
        found = copy.evaluate(X, Y, verbose=0)
        np.testing.assert_allclose(found, expected, rtol=1e-4)
    # Compiling anew is as it was.
    stripped.compile("sgd", "mae", metrics=["mae"], run_eagerly=True)
    loss, error = stripped.evaluate(X, Y, verbose=0)
    assert loss == pytest.approx(error)


def test_what_is_not_compiled_gives_copies_that_are_not(keras):
    model = mlp(keras)
    wrapped = prune(model)
    for copy in (wrapped, sapp.strip_pruning(wrapped), sapp.pack_blocks(model)):
        assert not is_compiled(copy)


@pytest.mark.parametrize("given", ["by name", "in lists", "for all"])
def test_several_outputs(keras, given):
    inputs = keras.Input((16,))
    hidden = keras.layers.Dense(32, activation="relu")(inputs)
    heads = [keras.layers.Dense(8, name=name)(hidden) for name in ("b", "a")]
    model = keras.Model(inputs, heads)
    mean_error = keras.metrics.MeanAbsoluteError(name="error")
    kinds = {
        "by name": (
            {"a": "mae", "b": "mse"},
            {"a": 0.3, "b": 2.0},
            {"a": [mean_error, "mse"]},
        ),
        "in lists": (["mse", "mae"], [2.0, 0.3], [[], [mean_error, "mse"]]),
        "for all": ("mse", None, None),
    }
    loss, loss_weights, metrics = kinds[given]
    model.compile(
        "sgd",
        loss,
        loss_weights=loss_weights,
        metrics=metrics,
        run_eagerly=True,
    )
    # tf_keras has renamed the metrics then.
    expected = model.evaluate(X, [Y, 2 * Y], verbose=0)
    wrapped = prune(model, scorer=sapp.Magnitude())
    stripped = sapp.strip_pruning(wrapped)
    assert stripped.output_names == model.output_names
    packed = sapp.pack_blocks(model)
    for copy in (wrapped, stripped, packed):
        found = copy.evaluate(X, [Y, 2 * Y], verbose=0)
        np.testing.assert_allclose(found, expected, rtol=1e-4)
    assert stripped.metrics_names == model.metrics_names
    targets = dict(zip(wrapped.output_names, [Y, 2 * Y]))
    found = wrapped.evaluate(X, targets, verbose=0)
    np.testing.assert_allclose(found, expected, rtol=1e-4)


def test_outputs_in_a_dictionary(keras):
    inputs = keras.Input((16,))
    hidden = keras.layers.Dense(32)(inputs)
    model = keras.Model(
        inputs,
        {
            "one": keras.layers.Dense(8, name="x")(hidden),
            "two": keras.layers.Dense(8, name="y")(hidden),
        },
    )
    model.compile("sgd", {"one": "mse", "two": "mae"}, run_eagerly=True)
    targets = {"one": Y, "two": Y}
    expected = model.evaluate(X, targets, verbose=0)
    wrapped = prune(model, scorer=sapp.Magnitude())
    found = wrapped.evaluate(X, targets, verbose=0)
    np.testing.assert_allclose(found, expected, rtol=1e-4)


def test_models_inside_of_models_are_compiled(keras):
    judge = mlp(keras)
    judge.compile(keras.optimizers.SGD(0.25), "mae", run_eagerly=True)
    inputs = keras.Input((16,))
    model = keras.Model(inputs, judge(inputs))
    wrapped = prune(model, scorer=sapp.Magnitude())
    assert not is_compiled(wrapped)
    inner = wrapped.layers[-1]
    assert_unused(inner.optimizer, judge.optimizer)
    np.testing.assert_allclose(
        inner.evaluate(X, Y, verbose=0),
        judge.evaluate(X, Y, verbose=0),
        rtol=1e-5,
    )


def test_flags_are_as_they_are(keras):
    model = mlp(keras)
    model.compile("sgd", "mse", jit_compile=True, steps_per_execution=3)
    model.run_eagerly = False
    wrapped = prune(model)
    assert wrapped.jit_compile is True
    assert not wrapped.run_eagerly
    assert int(wrapped.steps_per_execution) == 3
    if keras.__name__ == "tf_keras":
        model.compile("sgd", "mse", steps_per_execution="auto")
        assert prune(model).autotune_steps_per_execution


LOAD = """
import sys, warnings
import numpy as np
import tfmot_sapp, {keras} as keras
warnings.simplefilter("error")
warnings.filterwarnings("ignore", category=DeprecationWarning)
folder = sys.argv[1]
x, y = np.load(folder + "/x.npy"), np.load(folder + "/y.npy")
for name in {names!r}:
    model = keras.models.load_model(folder + "/" + name)
    if getattr(model, "optimizer", None) is None:
        assert name.startswith(("stripped", "packed")), name
        model.compile("sgd", "mse", metrics=["mae"], run_eagerly=True)
    np.save(folder + "/" + name, model.evaluate(x, y, verbose=0))
"""


def test_files_load_in_a_new_process(keras, forks, tmp_path):
    """Without a warning. What has been trained loads compiled."""
    model = mlp(keras)
    model.compile("adam", "mse", metrics=["mae"], run_eagerly=True)
    wrapped = prune(model)
    wrapped.fit(X, Y, epochs=3, verbose=0, callbacks=[sapp.UpdatePruningStep()])
    stripped = sapp.strip_pruning(wrapped)
    tuned = same_layer(stripped)
    tuned.fit(X, Y, verbose=0, callbacks=[sapp.KeepZeros()])
    models = {
        "wrapped.keras": wrapped,
        "wrapped.h5": wrapped,
        "stripped.keras": stripped,
        "stripped.h5": stripped,
        "tuned.keras": tuned,
        "packed.keras": sapp.pack_blocks(stripped),
    }
    np.save(tmp_path / "x", X)
    np.save(tmp_path / "y", Y)
    with warnings.catch_warnings():
        # Both Kerases call HDF5 files legacy.
        warnings.simplefilter("ignore")
        for name, each in models.items():
            each.save(tmp_path / name)
    program = LOAD.format(keras=keras.__name__, names=list(models))
    done = forks.run(program, tmp_path)
    assert done.returncode == 0, done.stderr[-2000:]
    for name, each in models.items():
        np.testing.assert_allclose(
            np.load(tmp_path / f"{name}.npy"),
            each.evaluate(X, Y, verbose=0),
            rtol=1e-4,
            err_msg=name,
        )
