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
"""`prune_structured`: data, shares, budgets, rounds and errors."""

import numpy as np
import pytest
import tensorflow as tf

import tfmot_sapp as sapp


@pytest.mark.parametrize(
    "topology", ["mlp", "residual", "flattened", "transformer"]
)
def test_refitting_lowers_the_residual(models, keras, topology):
    model, names, x = models.make(topology, keras)
    expected = models.outputs_of(model, x)
    keep = {names[-1]: 0.4}

    errors = [
        np.linalg.norm(
            models.outputs_of(
                sapp.prune_structured(
                    model,
                    x,
                    keep,
                    sapp.TopActivation(),
                    refit=refit,
                    verbose=False,
                ),
                x,
            )
            - expected
        )
        for refit in (False, True)
    ]

    assert errors[1] < errors[0]


def test_all_kinds_of_data_give_the_same_units(models, keras):
    model, x = models.random_pair(keras)
    dataset = tf.data.Dataset.from_tensor_slices(x).batch(10)
    labelled = tf.data.Dataset.from_tensor_slices((x, x)).batch(7)
    kinds = [
        x,
        tf.constant(x),
        dataset,
        labelled,
        (x[i : i + 5] for i in range(0, 64, 5)),
        [x[:40], x[40:]],
    ]

    found = [
        models.kept_of(
            model, sapp.prune_structured(model, data, 0.3, verbose=False)
        )
        for data in kinds
    ]

    assert all(kept == found[0] for kept in found)


def test_a_share_per_layer_by_name_and_pattern(models, keras):
    model, _, x = models.make("flattened", keras)

    smaller = sapp.prune_structured(
        model, x, {"conv_2": 1.0, "conv*": 0.5}, verbose=False
    )

    assert smaller.get_layer("conv_1").filters == 5
    assert smaller.get_layer("conv_2").filters == 9
    assert smaller.get_layer("dense").units == 7


@pytest.mark.parametrize(
    "budget, measure, share",
    [
        (sapp.FlopsBudget, sapp.count_flops, 0.3),
        (sapp.FlopsBudget, sapp.count_flops, 0.95),
        (sapp.ParameterBudget, lambda model: model.count_params(), 0.6),
    ],
)
def test_budgets_are_met_and_used(models, keras, budget, measure, share):
    model, _, x = models.make("flattened", keras)
    whole = measure(model)

    smaller = sapp.prune_structured(model, x, budget(share), verbose=False)
    same = sapp.prune_structured(
        model, x, budget(round(share * whole)), verbose=False
    )

    assert 0.55 * share * whole < measure(smaller) <= share * whole
    assert measure(same) == measure(smaller)


def test_rounds_go_down_and_fine_tune_in_between(models, keras):
    model, x = models.random_pair(keras)
    sizes = []

    def fine_tune(model):
        sizes.append(model.get_layer("hidden").units)
        model.compile("sgd", "mse", run_eagerly=True)
        model.fit(x, np.zeros((64, 9)), verbose=0)

    smaller = sapp.prune_structured(
        model, x, 0.2, rounds=3, fine_tune=fine_tune, verbose=False
    )

    assert sizes == [29, 17, 10]
    assert smaller.get_layer("hidden").units == 10


def test_the_smaller_model_exports_and_trains_on(
    models, keras, assert_close, tmp_path
):
    model, _, x = models.make("residual", keras)
    smaller = sapp.prune_structured(model, x, 0.5, verbose=False)
    smaller.compile("adam", "mse", run_eagerly=True)
    smaller.fit(x, np.zeros((24, 4)), verbose=0)

    sapp.export_tflite(smaller, tmp_path / "smaller.tflite")
    smaller.save(tmp_path / "smaller.keras")

    loaded = keras.models.load_model(tmp_path / "smaller.keras")
    assert_close(models.outputs_of(loaded, x), models.outputs_of(smaller, x))


@pytest.mark.parametrize(
    "arguments, error, words",
    [
        ({"keep": 0.0}, ValueError, "`keep` must be in"),
        ({"keep": 1.5}, ValueError, "`keep` must be in"),
        ({"keep": float("nan")}, ValueError, "`keep` must be in"),
        ({"keep": "half"}, TypeError, "`keep` must be a ratio"),
        ({"keep": {"nothing*": 0.5}}, ValueError, "fits none"),
        ({"keep": sapp.FlopsBudget(0.0001)}, ValueError, "can't be met"),
        ({"criterion": "ispasp"}, TypeError, "`criterion`"),
        ({"rounds": 0}, ValueError, "`rounds`"),
        ({"data": []}, ValueError, "at least one sample"),
        ({"data": 3}, TypeError, "`data` must be"),
    ],
)
def test_bad_arguments_are_named(models, arguments, error, words):
    import keras

    model, x = models.random_pair(keras)
    given = {"data": x, "keep": 0.5, "verbose": False, **arguments}

    with pytest.raises(error, match=words):
        sapp.prune_structured(model, **given)


def test_a_model_without_units_is_refused(keras):
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])

    with pytest.raises(ValueError, match="no units.*output of the model"):
        sapp.prune_structured(model, np.ones((2, 3)), 0.5, verbose=False)


@pytest.mark.parametrize("keep", [1.0, {"first": 1.0}, sapp.FlopsBudget(1.0)])
def test_keeping_all_units_gives_a_copy(keras, models, assert_close, keep):
    model, _, x = models.make("mlp", keras)

    same = sapp.prune_structured(model, x, keep, verbose=False)

    assert same is not model
    assert same.count_params() == model.count_params()
    assert_close(models.outputs_of(same, x), models.outputs_of(model, x))


def test_values_that_are_not_finite_are_refused(keras, models):
    model, _, x = models.make("mlp", keras)
    x[3, 2] = np.nan

    with pytest.raises(ValueError, match="`data` must hold finite values"):
        sapp.prune_structured(model, x, 0.5, verbose=False)
