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

import numpy as np
import pytest
import tensorflow as tf

import tfmot_sapp as sapp
from tfmot_sapp.calibration import sweep as sweeps
from tfmot_sapp.calibration import targets
from tfmot_sapp.distillation import Distillation
from tfmot_sapp.kernels import find_kernels
from tfmot_sapp.post_training import prune_post_training

ANY = sapp.MinimumBlocks(1)


def pruned(model, data, sparsity=0.5, block_size=(2, 2), **more):
    return prune_post_training(
        model,
        data,
        sparsity,
        block_size,
        pruning_policy=ANY,
        verbose=False,
        **more,
    )


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def randomized(model, seed=0):
    rng = np.random.default_rng(seed)
    for variable in model.variables:
        values = rng.normal(size=variable.shape)
        if "variance" in variable.name:
            values = np.abs(values) + 0.5
        variable.assign(values / np.sqrt(max(np.shape(values)[:1] or (1,))))
    return model


def zero_blocks(kernel, block):
    grid = kernel.grid(block)
    values = np.abs(np.asarray(kernel.variable))
    return sapp.block_grid.block_reduce(values, grid) == 0


def naive(rows, wanted, weights, row_groups, column_groups, remove):
    """Block OBS with a bias, inverting anew at every removal."""
    count, inputs = rows.shape
    ones = np.concatenate([rows, np.ones((count, 1))], axis=1).astype(float)
    centred = rows - rows.mean(0, dtype=float)
    ridge = 3e-2 * np.sum(centred**2) / count / inputs
    penalty = np.diag([ridge] * inputs + [0.0])
    gram = ones.T @ ones / count + penalty
    old = np.concatenate([weights, np.zeros((1, weights.shape[1]))])
    target = ones.T @ wanted / count + penalty @ old
    best = np.linalg.inv(gram) @ target

    def solve(alive, columns):
        rows = np.append(np.isin(row_groups, alive), True)
        solved = np.zeros((inputs + 1, columns.sum()))
        inverse = np.linalg.inv(gram[np.ix_(rows, rows)])
        solved[rows] = inverse @ target[np.ix_(rows, columns)]
        gap = best[:, columns] - solved
        return np.trace(gap.T @ gram @ gap), solved

    series = []
    for column in range(column_groups.max() + 1):
        columns = column_groups == column
        alive, before, dearest = sorted(set(row_groups)), 0.0, 0.0
        while alive:
            losses = [
                solve([a for a in alive if a != group], columns)[0]
                for group in alive
            ]
            group = alive.pop(int(np.argmin(losses)))
            dearest = max(dearest, min(losses) - before)
            series.append((dearest, column, group))
            before = min(losses)
    series = sorted(series, key=lambda item: item[0])[:remove]
    result = np.zeros((inputs + 1, weights.shape[1]))
    for column in range(column_groups.max() + 1):
        columns = column_groups == column
        gone = [group for _, c, group in series if c == column]
        alive = [g for g in sorted(set(row_groups)) if g not in gone]
        result[:, columns] = solve(alive, columns)[1]
    return result


@pytest.mark.parametrize("samples", [60, 5])
@pytest.mark.parametrize("block", [(2, 2), (3, 4)])
def test_dense_equals_naive_block_obs(keras, samples, block):
    model = keras.Sequential([keras.Input((8,)), keras.layers.Dense(6)])
    randomized(model)
    data = normal(samples, 8)
    kernel, bias = (np.asarray(v) for v in model.weights)
    groups = np.arange(8) // block[0], np.arange(6) // block[1]
    blocks = np.prod([g.max() + 1 for g in groups])

    result = pruned(model, data, 0.5, block)

    wanted = naive(data, data @ kernel, kernel, *groups, blocks // 2)
    found, found_bias = (np.asarray(v) for v in result.weights)
    np.testing.assert_allclose(found, wanted[:-1], atol=1e-5)
    np.testing.assert_allclose(found_bias, bias + wanted[-1], atol=1e-5)
    (described,) = find_kernels(result.layers[-1])
    assert zero_blocks(described, block).sum() == blocks // 2


@pytest.mark.parametrize("block", [(2, 2), (1, 1, 2, 3)])
def test_convolution_equals_naive_block_obs(keras, block):
    layer = keras.layers.Conv2D(5, 2, name="conv")
    model = randomized(keras.Sequential([keras.Input((4, 4, 4)), layer]))
    data = normal(6, 4, 4, 4)
    kernel = np.asarray(layer.kernel)
    windows = np.stack(
        [data[:, i : i + 3, j : j + 3] for i in range(2) for j in range(2)],
        axis=3,
    ).reshape(-1, 16)
    taps, channels = np.divmod(np.arange(16), 4)
    rows = channels // 2 if len(block) == 2 else taps * 2 + channels // 2
    columns = np.arange(5) // block[-1]
    blocks = (rows.max() + 1) * (columns.max() + 1)
    matrix = kernel.reshape(16, 5)

    result = pruned(model, data, 0.5, block)

    wanted = naive(
        windows, windows @ matrix, matrix, rows, columns, blocks // 2
    )
    found = np.asarray(result.get_layer("conv").kernel).reshape(16, 5)
    np.testing.assert_allclose(found, wanted[:-1], atol=1e-5)


def network(keras):
    """A residual network with an attention behind it."""
    layers = keras.layers
    inputs = keras.Input((8, 8, 3), name="pictures")
    x = layers.Conv2D(8, 3, padding="same", use_bias=False, name="stem")(inputs)
    x = layers.ReLU()(layers.BatchNormalization(name="norm")(x))
    y = layers.Conv2D(8, 3, padding="same", use_bias=False, name="branch")(x)
    y = layers.BatchNormalization()(y)
    x = layers.Add()([layers.Dropout(0.5)(y), x])
    x = layers.Reshape((64, 8))(x)
    y = layers.MultiHeadAttention(2, 4, name="attention")(x, x)
    x = layers.LayerNormalization()(layers.Add()([x, y]))
    x = layers.GlobalAveragePooling1D()(x)
    outputs = layers.Dense(10, name="head")(x)
    return randomized(keras.Model(inputs, outputs))


def assert_alike(one, other):
    for mine, theirs in zip(one.weights, other.weights):
        np.testing.assert_allclose(
            np.asarray(mine), np.asarray(theirs), atol=1e-4
        )


def change(model, other, data):
    before = np.asarray(model(data, training=False))
    return np.mean(np.square(before - np.asarray(other(data, training=False))))


def test_nothing_removed_changes_nothing(keras):
    model, data = network(keras), normal(12, 8, 8, 3)

    result = pruned(model, data, 0.0)

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

    result = pruned(model, data, 0.5, compensate=False)

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

    result = prune_post_training(
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


def test_too_many_inputs_for_a_gram_matrix_stay(keras, monkeypatch):
    monkeypatch.setattr(targets, "MOST_INPUTS", 50)
    model, data = network(keras), normal(12, 8, 8, 3)

    result = pruned(model, data, {"stem": 0.5, "branch": 0.5})

    assert np.all(np.asarray(result.get_layer("branch").kernel))
    assert not np.all(np.asarray(result.get_layer("stem").kernel))
    assert "72 inputs" in str(sapp.report(result))


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


def test_distillation_keeps_zeros_and_comes_closer(keras):
    model, data = network(keras), normal(64, 8, 8, 3)
    before = pruned(model, data, 0.5)

    how = Distillation(steps=30, batch_size=16, learning_rate=3e-3)
    after = pruned(model, data, 0.5, distill=how)

    for old, new in zip(before.trainable_variables, after.trainable_variables):
        old, new = np.asarray(old), np.asarray(new)
        if old.ndim > 1:
            np.testing.assert_array_equal(new == 0, old == 0)
    assert change(model, after, data) < 0.9 * change(model, before, data)


def test_distillation_of_classes(keras):
    layers = keras.layers
    model = keras.Sequential([keras.Input((8,)), layers.Dense(6, "softmax")])
    randomized(model)
    data = normal(64, 8)
    result = pruned(model, data, 0.5, compensate=False)

    def divergence():
        wanted, given = np.asarray(model(data)), np.asarray(result(data))
        return np.sum(wanted * np.log(wanted / given), axis=-1).mean()

    before = divergence()
    how = Distillation(steps=60, learning_rate=1e-2)
    assert how(result, model, data, verbose=False) is result

    assert divergence() < 0.9 * before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"sparsity": 1.5}, "`sparsity`"),
        ({"sparsity": None}, "`sparsity`.*unless `allocation`"),
        ({"sparsity": {"a": -1}}, "sparsity"),
        ({"data": np.zeros((0, 6), np.float32)}, "at least one sample"),
        ({"data": np.zeros((3, 5), np.float32)}, "samples of shape"),
        ({"data": np.full((3, 6), np.nan, np.float32)}, "finite"),
        ({"block_size": (100, 100), "min_blocks": 2}, "MinimumBlocks"),
    ],
)
def test_what_is_refused(keras, arguments, message):
    model = keras.Sequential([keras.Input((6,)), keras.layers.Dense(6)])
    given = {"data": normal(4, 6), "sparsity": 0.5, "block_size": (2, 2)}
    given.update(arguments)
    policy = sapp.MinimumBlocks(given.pop("min_blocks", 1))

    with pytest.raises(ValueError, match=message):
        prune_post_training(
            model, pruning_policy=policy, verbose=False, **given
        )


def test_wrong_types_are_refused(keras):
    model = keras.Sequential([keras.Input((6,)), keras.layers.Dense(6)])

    with pytest.raises(TypeError, match="`model` must be"):
        prune_post_training("model", normal(4, 6), 0.5)
    with pytest.raises(TypeError, match="`data` must be"):
        pruned(model, 3)
    with pytest.raises(TypeError, match="`distill` must be"):
        pruned(model, normal(4, 6), distill=100)
    with pytest.raises(ValueError, match="`learning_rate`"):
        Distillation(steps=1, learning_rate=0.0)
