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
"""Large kernels that the converter never sees."""

import collections
import functools

import keras
import numpy as np
import pytest
from keras import layers

from tfmot_sapp.export.representative_data import random_inputs
from tfmot_sapp.export.serving import serving_of
from tfmot_sapp.export.tflite import file
from tfmot_sapp.export.tflite.conversion import convert
from tfmot_sapp.export.tflite.flatbuffer import count_ops
from tfmot_sapp.export.tflite.weights_apart import convert_apart
from tfmot_sapp.export.verify import check_exact, run_file, source_outputs
from tfmot_sapp.targets.cpu_target import CpuTarget

# So that the kernels of small models count as large.
_SMALL = 1 << 9


def _images() -> keras.Model:
    inputs = keras.Input((8, 8, 8))
    x = layers.Conv2D(16, 3, activation="relu")(inputs)
    x = layers.Conv2D(16, 1, use_bias=False)(x)
    x = layers.BatchNormalization()(x)
    x = layers.ReLU()(x)
    x = layers.Flatten()(x)
    # A bias of zeros in front of a ReLU, as a layer begins with.
    x = layers.Dense(24, activation="relu", name="unbiased")(x)
    y = layers.Dense(24, activation="relu", use_bias=False)(x)
    return keras.Model(inputs, [layers.Dense(10)(x), layers.Dense(9)(y)])


def _texts() -> keras.Model:
    inputs = keras.Input((6,), dtype="int32")
    table = layers.Embedding(64, 32)
    x = layers.LayerNormalization()(table(inputs))
    x = x + layers.MultiHeadAttention(2, 16)(x, x)
    x = x + layers.Dense(32)(layers.Dense(48, activation="gelu")(x))
    x = keras.ops.matmul(x, keras.ops.transpose(table.embeddings))
    return keras.Model(inputs, x)


def _trained(model: keras.Model) -> keras.Model:
    generator = np.random.default_rng(0)
    for weight in model.weights:
        if len(weight.shape) == 1 and "unbiased" not in weight.path:
            weight.assign(generator.uniform(0.5, 1.5, weight.shape))
    return model


@pytest.mark.parametrize("batch_size", [1, None])
@pytest.mark.parametrize("made", [_images, _texts])
def test_the_file_is_what_the_converter_would_have_written(made, batch_size):
    model = _trained(made())
    serving = serving_of(model, batch_size)
    content = convert_apart(serving, CpuTarget(), _SMALL)
    assert content is not None
    calls = [random_inputs(serving, 1, seed) for seed in range(2)]
    check_exact(
        serving, source_outputs(serving, calls), run_file(content, calls)
    )
    usual = convert(serving, None, None, "float32", None, CpuTarget())
    more = collections.Counter(count_ops(content))
    more.subtract(count_ops(usual))
    assert max(more.values()) <= 0
    # A table that two operations read is stored once.
    assert len(content) < len(usual) + 8 * 1024


def test_small_models_are_left_to_the_converter():
    serving = serving_of(_images(), 1)
    assert convert_apart(serving, CpuTarget()) is None


def test_a_model_is_exported_without_the_converter_seeing_its_kernels(
    tmp_path, monkeypatch
):
    apart = functools.partial(convert_apart, worth_it=_SMALL)
    monkeypatch.setattr(file, "convert_apart", apart)
    monkeypatch.setattr(file, "convert", None)
    result = file.export_tflite(_images(), tmp_path / "model.tflite")
    assert result.ops["FULLY_CONNECTED"] == 4


def test_what_comes_out_wrong_is_converted_as_usual(tmp_path, monkeypatch):
    def wrong(*args):
        other = keras.models.clone_model(model)
        return convert_apart(serving_of(other, 1), *args[1:], _SMALL)

    model = _images()
    monkeypatch.setattr(file, "convert_apart", wrong)
    result = file.export_tflite(model, tmp_path / "model.tflite")
    assert result.max_error < 1e-5
