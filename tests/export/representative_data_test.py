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
"""Data in every form come out as batches by input name."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfmot_sapp.export import representative_data as representative
from tfmot_sapp.export.serving import serving_of


def one_input():
    inputs = keras.Input((3,), name="x")
    model = keras.Model(inputs, keras.layers.Dense(2)(inputs))
    return serving_of(model, None)


def two_inputs():
    a, b = keras.Input((3,), name="a"), keras.Input((1,), name="b")
    both = keras.layers.Concatenate()([a, b])
    return serving_of(keras.Model([a, b], both), None)


ROWS = np.arange(30, dtype="float32").reshape(10, 3)
LABELS = np.zeros(10)


@pytest.mark.parametrize(
    "data",
    [
        ROWS,
        (ROWS, LABELS),
        [ROWS],
        {"x": ROWS},
        tf.constant(ROWS),
        tf.data.Dataset.from_tensor_slices(ROWS).batch(3),
        tf.data.Dataset.from_tensor_slices((ROWS, LABELS)).batch(4),
        tf.data.Dataset.from_tensor_slices({"x": ROWS}).batch(7),
        [ROWS.astype("float64")],
    ],
)
def test_every_form_gives_the_same_batches(data):
    found = list(representative.batches(data, one_input(), 4, 100))

    assert [list(batch) for batch in found] == [["x"], ["x"]]
    assert np.array_equal(np.concatenate([b["x"] for b in found]), ROWS[:8])
    assert found[0]["x"].dtype == np.float32


def test_generators_are_read_no_further_than_needed():
    def endless():
        while True:
            yield ROWS

    found = list(representative.batches(endless(), one_input(), 2, 6))

    assert len(found) == 3


def test_several_inputs():
    data = [ROWS, np.ones((10, 1))]

    (first, *_) = representative.batches(data, two_inputs(), 5, 10)

    assert first["a"].shape == (5, 3)
    assert first["b"].shape == (5, 1)


@pytest.mark.parametrize(
    "data,error",
    [
        (3, TypeError),
        ("rows", TypeError),
        (None, TypeError),
        (ROWS[:, :2], ValueError),
        (ROWS[:2], ValueError),
        ({"y": ROWS}, ValueError),
        ([ROWS, ROWS], ValueError),
        (iter([]), ValueError),
    ],
)
def test_other_data_are_refused(data, error):
    with pytest.raises(error, match="`representative_data`.*Received"):
        list(representative.batches(data, one_input(), 4, 100))


def test_random_inputs_fit_the_model():
    tokens = keras.Input((None,), dtype="int32", name="tokens")
    mask = keras.Input((5,), dtype="bool", name="mask")
    embedded = keras.layers.Embedding(7, 2)(tokens)
    serving = serving_of(keras.Model([tokens, mask], [embedded, mask]), None)

    made = representative.random_inputs(serving, samples=50)

    assert set(np.unique(made["tokens"])) == set(range(7))
    assert made["mask"].shape == (50, 5)
    assert made["mask"].dtype == bool


def test_strings_are_refused():
    text = keras.Input((1,), dtype="string", name="text")
    serving = serving_of(keras.Model(text, text), None)

    with pytest.raises(ValueError, match="`model`.*'text'"):
        representative.random_inputs(serving, samples=1)


A, B = ROWS, np.arange(10, dtype="float32").reshape(10, 1)


@pytest.mark.parametrize(
    "data",
    [
        (A, B),
        ((A, B), LABELS),
        ([A, B], LABELS),
        ((A, B), LABELS, LABELS),
        ({"a": A, "b": B}, LABELS),
        tf.data.Dataset.from_tensor_slices(((A, B), LABELS)).batch(3),
        tf.data.Dataset.from_tensor_slices((A, B)).batch(4),
        tf.data.Dataset.from_tensor_slices(({"a": A, "b": B}, LABELS)).batch(4),
    ],
)
def test_several_inputs_as_fit_takes_them(data):
    found = list(representative.batches(data, two_inputs(), 4, 100))

    assert np.array_equal(np.concatenate([b["a"] for b in found]), A[:8])
    assert np.array_equal(np.concatenate([b["b"] for b in found]), B[:8])


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e300])
def test_values_that_are_not_finite_are_refused(value):
    rows = ROWS.astype("float64")
    rows[3, 1] = value

    with pytest.raises(ValueError, match="finite.*Received: 1 values"):
        list(representative.batches(rows, one_input(), 4, 100))
