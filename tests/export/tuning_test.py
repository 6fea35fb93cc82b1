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
"""A model that is packed by timing candidates."""

import keras as keras3
import numpy as np
import pytest
from packable_models import BOTH, assert_same, mlp, prune

from tfmot_sapp.compiler.pack_keras import dense_model
from tfmot_sapp.export import tuning
from tfmot_sapp.export.tflite.file import export_tflite
from tfmot_sapp.targets.cpu_target import CpuTarget
from tfmot_sapp.verbs.pack import Tuning, pack_blocks, packing_of


def test_tuned_model_equals_source():
    model = mlp(keras3)
    prune(model, (16, 16), 0.8)
    packed = pack_blocks(model, batch_size=2, tune=Tuning(seconds=0.05))
    assert_same(model, packed)
    assert "measured" in packing_of(packed)[0]["why"]


@pytest.mark.parametrize("second", [1.05, 1.5])
def test_dense_wins_unless_it_loses_twice(second, monkeypatch):
    """A gain that isn't there when loaded anew is none."""
    inputs = keras3.Input((256,))
    model = keras3.Model(inputs, keras3.layers.Dense(256)(inputs))
    prune(model, (32, 32), 0.9, every_output=True)
    measured = iter([2.0, second])

    def gains(contents, _):
        gain = next(measured)
        rising = [gain + i / 1000 for i in range(1, len(contents))]
        return [tuning._Gain(each, each) for each in (1, *rising)]

    def contents(candidates, *_):
        return [bytes([i]) for i in range(len(candidates))]

    monkeypatch.setattr(tuning, "_gains", gains)
    monkeypatch.setattr(tuning, "_contents", contents)
    packed = pack_blocks(model, tune=Tuning())

    (row,) = packing_of(packed)
    assert (row["lowering"] == "dense") == (second < 1.1)
    assert f"measured {second:.2f}x dense" in row["why"]
    assert_same(model, packed)


def test_every_candidate_is_calibrated_with_what_a_generator_gives():
    model = keras3.Sequential([keras3.Input((8,)), keras3.layers.Dense(4)])
    data = (np.full((2, 8), value, np.float32) for value in (1.0, 2.0))
    given = Tuning(quantize="int8", representative_data=data)

    first, second = tuning._contents([model, model], 1, given)

    assert first == second


@BOTH
def test_dense_candidate_is_the_source_itself(keras, tmp_path):
    """No cuts, no joins, nothing taken apart: the same operators."""
    layers = keras.layers
    inputs = keras.Input((6, 6, 32))
    x = layers.Conv2D(64, 3, padding="same", groups=2)(inputs)
    x = layers.Conv2D(64, 3, padding="same", use_bias=False)(x)
    x = layers.ReLU()(layers.BatchNormalization()(x))
    x = layers.Add()([x, layers.Conv2D(64, 1)(x)])
    x = layers.Reshape((36, 64))(x)
    x = layers.MultiHeadAttention(2, 32)(x, x)
    model = keras.Model(inputs, layers.Dense(64, activation="relu")(x))
    prune(model, (16, 16), 0.8)
    dense = dense_model(model, keras, CpuTarget())

    assert_same(model, dense)
    before, after = (
        export_tflite(each, tmp_path / "model.tflite").ops
        for each in (model, dense)
    )
    assert before == after


def test_tuning_checks_its_arguments():
    with pytest.raises(ValueError, match="`threads` must be at least 1"):
        Tuning(threads=0)
    with pytest.raises(TypeError, match="`threads` must be an integer"):
        Tuning(threads=1.5)
    with pytest.raises(ValueError, match="`seconds` must be positive"):
        Tuning(seconds=0)
