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
"""Weights solved again: the best there are, for what is wanted."""

import itertools

import numpy as np
import pytest

import tfmot_sapp as sapp
from tfmot_sapp.structured.collect import collect
from tfmot_sapp.structured.criteria import top
from tfmot_sapp.structured.reconstruct import Reconstruct
from tfmot_sapp.units.groups import find_groups


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def residual_blocks(keras, with_bias, with_norm):
    """Returns a stem and two residual blocks of Dense layers."""
    keras.utils.set_random_seed(3)
    layers = keras.layers
    inputs = keras.Input((6,))
    x = layers.Dense(6, name="stem")(inputs)
    for index in (1, 2):
        y = layers.Dense(20, activation="relu", name=f"inner_{index}")(x)
        y = layers.Dense(6, use_bias=with_bias, name=f"outer_{index}")(y)
        if with_norm:
            y = layers.BatchNormalization(name=f"norm_{index}")(y)
            y = layers.Dropout(0.3)(y)
        x = layers.Add(name=f"sum_{index}")([x, y])
    model = keras.Model(inputs, x)
    for layer in model.layers:
        if "norm" in layer.name:
            values = np.random.default_rng(1).uniform(0.5, 2, (4, 6))
            layer.set_weights(list(values))
    return model


def values_of(model, name, x):
    tensor = model.get_layer(name).output
    return np.asarray(type(model)(model.inputs[0], tensor)(x, training=False))


@pytest.mark.parametrize(
    "with_bias, with_norm", [(True, False), (False, True), (True, True)]
)
def test_a_block_makes_up_for_what_its_shortcut_lost(
    rng, keras, with_bias, with_norm
):
    model = residual_blocks(keras, with_bias, with_norm)
    x = rng.normal(size=(300, 6)).astype(np.float32)

    smaller = sapp.prune_structured(
        model, x, 0.4, sapp.TopActivation(), refit=True, verbose=False
    )

    # Literally: the best combination of what is left of the last block for
    # the sum that there was, given the shortcut that there is.
    hidden = values_of(smaller, "inner_2", x)
    wanted = values_of(model, "sum_2", x) - values_of(smaller, "sum_1", x)
    columns = np.c_[hidden, np.ones(len(x))]
    best, *_ = np.linalg.lstsq(columns, wanted, rcond=None)
    found = values_of(smaller, "sum_2", x) - values_of(smaller, "sum_1", x)
    lost = np.sum(np.square(columns @ best - wanted))
    np.testing.assert_allclose(np.sum(np.square(found - wanted)), lost, 1e-2)
    np.testing.assert_allclose(found.mean(0), wanted.mean(0), atol=1e-4)


def test_units_are_chosen_for_what_is_wanted(rng, keras):
    model = residual_blocks(keras, False, False)
    x = rng.normal(size=(300, 6)).astype(np.float32)

    smaller = sapp.prune_structured(
        model,
        x,
        {"inner_1": 0.3, "inner_2": 0.9},
        sapp.OSSCAR(swaps=0),
        refit=True,
        verbose=False,
    )

    # Literally: which of the units makes up worst for what the shortcut lost.
    middle = type(model)(smaller.inputs[0], smaller.get_layer("sum_1").output)
    shortcut = np.asarray(middle(x))
    kernel, bias = model.get_layer("inner_2").get_weights()
    hidden = np.maximum(shortcut @ kernel + bias, 0)
    wanted = values_of(model, "sum_2", x) - shortcut
    losses = []
    for pair in itertools.combinations(range(20), 2):
        left = np.delete(hidden, pair, axis=1)
        best, *_ = np.linalg.lstsq(left, wanted, rcond=None)
        losses.append((np.square(left @ best - wanted).sum(), pair))
    pairs = [pair for _, pair in sorted(losses)[:5]]
    kept = smaller.get_layer("inner_2").get_weights()[0]
    gone = [
        unit
        for unit in range(20)
        if not np.any(np.all(kept == kernel[:, unit, None], axis=0))
    ]
    assert tuple(gone) in pairs


def test_reconstruction_is_closer_than_least_squares(rng, keras):
    model = residual_blocks(keras, True, True)
    x = rng.normal(size=(200, 6)).astype(np.float32)
    expected = values_of(model, "sum_2", x)

    errors = [
        np.linalg.norm(
            sapp.prune_structured(
                model, x, 0.3, sapp.OSSCAR(), refit=refit, verbose=False
            ).predict(x, verbose=0)
            - expected
        )
        for refit in (False, True, Reconstruct(steps=80, learning_rate=0.02))
    ]

    assert errors[1] < 0.8 * errors[0]
    assert errors[2] < 0.9 * errors[1]


def test_a_reconstruction_that_diverges_leaves_the_least_squares(rng):
    import keras

    model = residual_blocks(keras, True, False)
    x = rng.normal(size=(100, 6)).astype(np.float32)

    found = [
        sapp.prune_structured(model, x, 0.3, refit=refit, verbose=False)
        for refit in (True, Reconstruct(steps=3, learning_rate=1e4))
    ]

    for one, other in zip(*(model.get_weights() for model in found)):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(
    "arguments, error, words",
    [
        ({"steps": 0}, ValueError, "`steps`"),
        ({"batch_size": 1.5}, (TypeError, ValueError), "`batch_size`"),
        ({"learning_rate": 0.0}, ValueError, "`learning_rate`"),
        ({"learning_rate": float("nan")}, ValueError, "`learning_rate`"),
    ],
)
def test_bad_arguments_of_reconstruct_are_named(arguments, error, words):
    with pytest.raises(error, match=words):
        Reconstruct(**arguments)


def masked_attention(keras, kind):
    """Returns a model whose attention sees only some places."""
    keras.utils.set_random_seed(5)
    layers = keras.layers
    inputs = keras.Input((5,), dtype="int32")
    x = layers.Embedding(9, 8, mask_zero=kind == "implicit", name="words")(
        inputs
    )
    attention = layers.MultiHeadAttention(4, 3, name="attention")
    more = {
        "implicit": {},
        "causal": {"use_causal_mask": True},
        "constant": {"attention_mask": np.tri(5, dtype=bool)[None, ::-1]},
    }[kind]
    y = attention(x, x, **more)
    return keras.Model(inputs, layers.Add(name="sum")([x, y]))


@pytest.mark.parametrize("kind", ["implicit", "causal", "constant"])
def test_statistics_of_heads_respect_masks(rng, keras, kind):
    model = masked_attention(keras, kind)
    x = rng.integers(1, 9, size=(7, 5)).astype(np.int32)
    x[:, 3:] = 0
    (group,) = find_groups(model).groups

    found = collect(model, [group], [x[:4], x[4:]], True)["attention"]

    (part,) = found.parts
    bias = np.asarray(group.producer._output_dense.bias)
    given = values_of(model, "attention", x) - bias
    # The heads' outputs through the projection are the attention's output.
    summed = (part.summed @ part.weights).reshape(given.shape[1:])
    np.testing.assert_allclose(summed, given.sum(0), atol=1e-4)
    whole = np.sum(part.weights * (part.gram @ part.weights))
    assert whole == pytest.approx(np.sum(np.square(given)), rel=1e-4)


@pytest.mark.parametrize("kind", ["implicit", "causal"])
def test_masked_heads_are_removed_and_refitted(rng, keras, kind):
    model = masked_attention(keras, kind)
    x = rng.integers(1, 9, size=(40, 5)).astype(np.int32)
    x[::2, 3:] = 0
    expected = model.predict(x, verbose=0)

    errors = []
    for refit in (False, True):
        smaller = sapp.prune_structured(
            model, x, 0.5, sapp.ThiNet(), refit=refit, verbose=False
        )
        error = smaller.predict(x, verbose=0) - expected
        errors.append(np.linalg.norm(error))

    layer = smaller.get_layer("attention")
    assert (getattr(layer, "num_heads", None) or layer._num_heads) == 2
    assert errors[1] < errors[0]


def test_both_keras_keep_and_solve_alike(rng, criterion):
    import keras
    import tf_keras

    one = residual_blocks(keras, True, False)
    two = residual_blocks(tf_keras, True, False)
    two.set_weights(one.get_weights())
    x = rng.normal(size=(90, 6)).astype(np.float32)

    smaller = [
        sapp.prune_structured(
            model, x, 0.3, criterion, refit=True, verbose=False
        )
        for model in (one, two)
    ]

    assert smaller[0].get_layer("inner_1").units == 6
    for a, b in zip(*(model.get_weights() for model in smaller)):
        np.testing.assert_allclose(a, b, atol=1e-3)


def test_top_breaks_ties_by_index():
    np.testing.assert_array_equal(top(np.array([1.0, 2, 2, 1]), 3), [1, 2, 0])
