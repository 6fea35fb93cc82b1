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
"""Blocks of trained models removed without training."""

import functools

import numpy as np
import pytest
import tensorflow as tf
from trained_models import (
    ANY,
    UNIFORM,
    assert_alike,
    change,
    network,
    normal,
    pruned,
    randomized,
    zero_blocks,
)

import tfmot_sapp as sapp
from tfmot_sapp.calibration import sweep as sweeps
from tfmot_sapp.calibration.fitting import Settings
from tfmot_sapp.frameworks.kernels import find_kernels
from tfmot_sapp.verbs import post_training


def test_nothing_removed_changes_nothing(keras):
    model, data = network(keras), normal(12, 8, 8, 3)

    result = pruned(model, data, 0.0, allocation=UNIFORM)

    assert change(model, result, data) < 1e-8


def test_reaches_the_sparsity_in_every_kind_of_layer(keras):
    model, data = network(keras), normal(12, 8, 8, 3)
    before = [np.asarray(v) for v in model.weights]

    result = pruned(
        model, data, 0.5, allocation=sapp.UniformAllocation(), rows=200
    )

    for layer in result.layers:
        for kernel in find_kernels(layer):
            zeros = zero_blocks(kernel, (2, 2))
            assert abs(zeros.mean() - 0.5) < 0.07, kernel
    for value, variable in zip(before, model.weights):
        np.testing.assert_array_equal(value, np.asarray(variable))


def test_weighed_layers_reach_the_sparsity_over_all(keras):
    model, data = network(keras), normal(12, 8, 8, 3)

    result = pruned(model, data, 0.5)

    zeros = np.concatenate(
        [
            zero_blocks(kernel, (2, 2)).ravel()
            for layer in result.layers
            for kernel in find_kernels(layer)
        ]
    )
    assert zeros.sum() == round(zeros.size / 2)
    assert result.get_layer("stem").name == "stem"


def test_compensation_helps(keras):
    model = network(keras)
    data, others = normal(40, 8, 8, 3), normal(40, 8, 8, 3, seed=1)
    uniform = sapp.UniformAllocation()

    fitted = pruned(model, data, 0.4, allocation=uniform)
    copied = pruned(model, data, 0.4, compensate=False, allocation=uniform)

    assert change(model, fitted, others) < 0.5 * change(model, copied, others)


def test_without_compensation_surviving_weights_stay(keras):
    model, data = network(keras), normal(12, 8, 8, 3)

    result = pruned(model, data, 0.5, compensate=False, allocation=UNIFORM)

    for old, new in zip(model.weights, result.weights):
        new = np.asarray(new)
        np.testing.assert_array_equal(new[new != 0], np.asarray(old)[new != 0])


def test_a_branch_makes_up_for_what_its_shortcut_lost(keras):
    layers = keras.layers
    inputs = keras.Input((8,))
    x = layers.Dense(8, name="first")(inputs)
    y = layers.BatchNormalization(name="norm")(
        layers.Dense(8, use_bias=False, name="second")(x)
    )
    model = randomized(keras.Model(inputs, layers.Add()([x, y])))
    data = normal(64, 8)

    alone = pruned(model, data, {"first": 0.5})
    result = pruned(model, data, {"first": 0.5, "second": 0.1})

    assert change(model, result, data) < 0.3 * change(model, alone, data)
    before, after = (
        np.asarray(each.get_layer("norm").weights[2])
        for each in (model, result)
    )
    assert np.abs(before - after).max() > 1e-3


def test_layers_by_name_and_the_rest_left_alone(keras):
    model, data = network(keras), normal(12, 8, 8, 3)

    result = pruned(model, data, {"branch": 0.25, "attention/*": 0.5})

    share = {
        layer.name: [zero_blocks(k, (2, 2)).mean() for k in find_kernels(layer)]
        for layer in result.layers
        if find_kernels(layer)
    }
    assert share["branch"] == [0.25]
    assert share["attention"] == [0.5] * 4
    assert share["stem"] == share["head"] == [0.0]
    rows = str(sapp.report(result))
    assert "no sparsity given" in rows


def test_plan_of_allocation_and_sizes(keras):
    model, data = network(keras), normal(12, 8, 8, 3)
    plan = {
        "block_size": {"stem": (1, 4), "branch": (4, 2)},
        "allocation": sapp.BalancedAllocation({"branch": 0.5}),
    }

    result = sapp.prune_post_training(
        model, data, pruning_policy=ANY, verbose=False, **plan
    )

    (kernel,) = find_kernels(result.get_layer("branch"))
    zeros = zero_blocks(kernel, (4, 2)).reshape(2, 4)
    assert zeros.sum(axis=0).tolist() == [1, 1, 1, 1]
    assert np.all(np.asarray(result.get_layer("stem").kernel))


def test_data_in_every_form_give_the_same(keras):
    model, data = network(keras), normal(12, 8, 8, 3)
    labels = np.zeros(12)
    batches = [data[:5], data[5:10], data[10:]]
    forms = [
        (data, labels),
        tf.data.Dataset.from_tensor_slices((data, labels)).batch(5),
        (batch for batch in batches),
        batches,
        {"pictures": data},
    ]
    share = {"branch": 0.5}
    wanted = pruned(model, data, share, batch_size=5)

    for form in forms:
        result = pruned(model, form, share, batch_size=5)
        assert_alike(wanted, result)


def test_several_inputs(keras):
    one, two = keras.Input((4,), name="one"), keras.Input((6,), name="two")
    layers = keras.layers
    both = layers.Concatenate()([one, two])
    model = randomized(keras.Model([one, two], layers.Dense(8)(both)))
    arrays = normal(20, 4), normal(20, 6, seed=1)

    by_order = pruned(model, arrays)
    by_name = pruned(model, {"two": arrays[1], "one": arrays[0]})

    assert_alike(by_order, by_name)
    with pytest.raises(ValueError, match="model's inputs"):
        pruned(model, {"one": arrays[0]})


def test_nested_models(keras):
    layers = keras.layers
    inner = keras.Sequential(
        [keras.Input((6,)), layers.Dense(8, "relu", name="inner")], name="body"
    )
    inputs = keras.Input((6,))
    model = keras.Model(inputs, layers.Dense(4, name="outer")(inner(inputs)))
    randomized(model)

    result = pruned(model, normal(30, 6), {"inner": 0.5, "outer": 0.5})

    (kernel,) = find_kernels(result.get_layer("body").get_layer("inner"))
    assert zero_blocks(kernel, (2, 2)).mean() == 0.5


def test_subclassed_models(keras):
    class Model(keras.Model):
        def __init__(self, **options):
            super().__init__(**options)
            self.last = keras.layers.Dense(4, name="last")
            self.first = keras.layers.Dense(8, "relu", name="first")

        def call(self, inputs):
            return self.last(self.first(inputs))

        def get_config(self):
            return {}

    model, data = Model(), normal(30, 6)
    model(data)
    randomized(model)

    result = pruned(model, data, 0.25, allocation=sapp.UniformAllocation())

    for layer in (result.first, result.last):
        (kernel,) = find_kernels(layer)
        assert zero_blocks(kernel, (2, 2)).mean() == 0.25
    # The last layer is fitted to what the first one, pruned, gives it.
    hidden = np.asarray(result.first(data))
    wanted = np.asarray(model(data)) - np.asarray(result.last.bias)
    gap = wanted - hidden @ np.asarray(result.last.kernel)
    assert np.abs(gap.mean(axis=0)).max() < 1e-4


@pytest.mark.parametrize("compensate", [True, False])
def test_too_many_inputs_for_a_gram_matrix(keras, monkeypatch, compensate):
    model, data = network(keras), normal(12, 8, 8, 3)
    share = {"stem": 0.5, "branch": 0.5}
    known = pruned(model, data, share, compensate=compensate)
    settings = functools.partial(Settings, most_inputs=50)
    monkeypatch.setattr(post_training, "Settings", settings)

    result = pruned(model, data, share, compensate=compensate)

    (branch,) = find_kernels(result.get_layer("branch"))
    assert zero_blocks(branch, (2, 2)).mean() == 0.5
    by_gram, by_rows = (change(model, m, data) for m in (known, result))
    assert by_rows < 1.3 * by_gram


def test_a_layer_called_twice_stays(keras):
    layers = keras.layers
    shared = layers.Dense(6, name="shared")
    inputs = keras.Input((6,))
    outputs = layers.Dense(6, name="last")(shared(shared(inputs)))
    model = randomized(keras.Model(inputs, outputs))

    result = pruned(model, normal(20, 6))

    assert np.all(np.asarray(result.get_layer("shared").kernel))
    assert "more than once" in str(sapp.report(result))


def test_values_beyond_the_limit_lie_in_files(keras, monkeypatch):
    model, data = network(keras), normal(12, 8, 8, 3)
    share = {"branch": 0.5, "attention/*": 0.5}
    wanted = pruned(model, data, share)
    moved = []
    move = sweeps.Held.move_to
    monkeypatch.setattr(sweeps.Store.__init__, "__defaults__", (1000.0,))
    monkeypatch.setattr(
        sweeps.Held, "move_to", lambda *a: (moved.append(a[1]), move(*a))
    )

    result = pruned(model, data, share)

    assert moved
    assert_alike(wanted, result)


def test_report_knows_the_blocks(keras):
    model, data = network(keras), normal(12, 8, 8, 3)

    report = sapp.report(pruned(model, data, {"branch": 0.25, "head": 0.5}))

    (branch, head) = report.pruned
    assert (branch.name, branch.block) == ("branch", (3, 3, 2, 2))
    assert (branch.kept, branch.blocks) == (12, 16)
    assert (head.name, head.kept, head.blocks) == ("head", 10, 20)
    assert set(report.skipped) == {
        "stem",
        *(f"attention/{part}_dense" for part in ("query", "key", "value")),
        "attention/output_dense",
    }


def test_nested_models_with_layers_of_one_name(keras):
    layers = keras.layers

    def body(name):
        dense = layers.Dense(6, name="dense")
        return keras.Sequential([keras.Input((6,)), dense], name=name)

    parts = [keras.Input((6,)), body("first"), body("second")]
    model = randomized(keras.Sequential(parts))

    result = pruned(
        model, normal(30, 6), 1 / 3, allocation=sapp.UniformAllocation()
    )

    for part in result.layers[-2:]:
        (kernel,) = find_kernels(part.layers[-1])
        assert zero_blocks(kernel, (2, 2)).sum() == 3


def test_a_layer_that_computes_something_else_stays(keras):
    class Doubled(keras.layers.Dense):
        def call(self, inputs):
            return 2 * super().call(inputs)

    class Renamed(keras.layers.Dense):
        pass

    layers = [Doubled(6, name="doubled"), Renamed(6, name="renamed")]
    model = randomized(keras.Sequential([keras.Input((6,)), *layers]))

    report = sapp.report(pruned(model, normal(20, 6)))

    assert "`call` of its own" in report.skipped["doubled"]
    assert [row.name for row in report.pruned] == ["renamed"]


def test_layers_inside_a_layer_go_by_its_name(keras):
    class Pair(keras.layers.Layer):
        def __init__(self, **options):
            super().__init__(**options)
            self.one = keras.layers.Dense(8, "relu", name="one")
            self.two = keras.layers.Dense(6, name="two")

        def build(self, shape):
            self.one.build(shape)
            self.two.build((None, 8))
            super().build(shape)

        def call(self, inputs):
            return self.two(self.one(inputs))

    model = keras.Sequential([keras.Input((6,)), Pair(name="pair")])
    randomized(model)

    result = pruned(model, normal(30, 6), {"pair/one": 0.5})

    one, two = find_kernels(result.layers[-1])
    assert zero_blocks(one, (2, 2)).mean() == 0.5
    assert not zero_blocks(two, (2, 2)).any()


def test_a_family_equals_models_pruned_one_by_one(keras):
    inputs = keras.Input((6, 6, 3))
    x = keras.layers.Conv2D(8, 3, activation="relu", name="conv")(inputs)
    x = keras.layers.GlobalAveragePooling2D()(x)
    x = keras.layers.Dense(12, activation="relu", name="hidden")(x)
    model = keras.Model(inputs, keras.layers.Dense(10, name="head")(x))
    randomized(model)
    data = normal(12, 6, 6, 3)

    family = sapp.prune_family(
        model, data, [0.25, 0.5], (2, 2), pruning_policy=ANY, verbose=False
    )

    assert_alike(family[0], pruned(model, data, 0.25))
    assert_alike(family[1], pruned(model, data, 0.5))


@pytest.mark.parametrize("kind", ["ParameterBudget", "FlopsBudget"])
def test_budgets_are_met_by_what_is_kept(keras, kind):
    layers = keras.layers
    inputs = keras.Input((8, 8, 4))
    x = layers.Conv2D(8, 3, padding="same", use_bias=False, name="conv")(inputs)
    x = layers.GlobalAveragePooling2D()(x)
    outputs = layers.Dense(64, use_bias=False, name="dense")(x)
    model = randomized(keras.Model(inputs, outputs))
    budget = getattr(sapp, kind)(0.6)

    result = pruned(model, normal(12, 8, 8, 4), budget)

    kept = {
        name: np.count_nonzero(result.get_layer(name).get_weights()[0])
        for name in ("conv", "dense")
    }
    places = {"conv": 64 if kind == "FlopsBudget" else 1, "dense": 1}
    total = sum(places[name] * kept[name] for name in kept)
    whole = budget.measure(model)
    # As close as the largest block, of 2 by 2 channels and all taps, allows.
    largest = 4 * 9 * places["conv"]
    assert 0.6 * whole - largest < total <= 0.6 * whole
    with pytest.raises(ValueError, match="budget"):
        pruned(model, normal(12, 8, 8, 4), getattr(sapp, kind)(1e-6))
