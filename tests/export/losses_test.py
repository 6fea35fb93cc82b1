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
"""A file that lost some weights is not put in place."""

import importlib
import os

import numpy as np
import pytest

from tfmot_sapp.export import samples
from tfmot_sapp.export.serving import serving_of
from tfmot_sapp.export.tflite import file as tflite
from tfmot_sapp.export.tflite.conversion import convert
from tfmot_sapp.export.tflite.file import export_tflite
from tfmot_sapp.export.tflite.flatbuffer import read_graph
from tfmot_sapp.export.tflite.options import CONVERTED
from tfmot_sapp.export.tflite.weights import (
    lost_weights,
    misrounded_weights,
)
from tfmot_sapp.targets.cpu_target import CpuTarget


def small_cnn(keras, scale=1.0):
    layers = keras.layers
    inputs = keras.Input((12, 12, 3), name="image")
    x = layers.Rescaling(scale)(inputs)
    x = layers.Conv2D(40, 3, padding="same", activation="relu")(x)
    x = layers.DepthwiseConv2D(3, padding="same")(x)
    x = layers.Conv2D(40, 1, activation="relu")(x)
    x = layers.GlobalAveragePooling2D()(x)
    outputs = layers.Dense(10, activation="softmax", name="classes")(x)
    model = keras.Model(inputs, outputs)
    generator = np.random.default_rng(0)
    for weight in model.weights:
        fan_in = max(1, np.prod(weight.shape[:-1]))
        values = generator.normal(size=weight.shape) / np.sqrt(fan_in)
        weight.assign(values)
    return model


def images(count=12):
    shape = (count, 12, 12, 3)
    return np.random.default_rng(1).normal(size=shape).astype("float32")


def with_losses(content, which, share=0.01):
    """Zeroes a share of the weights of one kernel, those with weight."""
    graph = read_graph(content)
    kernels = [
        tensor
        for tensor in graph.tensors
        if tensor.data is not None
        and len(tensor.shape) > 1
        and tensor.dtype in ("FLOAT32", "FLOAT16", "INT8")
        and tensor.data.size > 100
    ]
    stored = kernels[which].data.tobytes()
    assert content.count(stored) == 1
    lost = kernels[which].data.copy().reshape(-1)
    places = np.random.default_rng(0).permutation(np.flatnonzero(lost))
    lost[places[: max(1, int(share * lost.size))]] = 0
    return content.replace(stored, lost.tobytes())


@pytest.fixture(scope="module")
def converted():
    """What has been converted, by kind: models have the same weights."""
    return {}


@pytest.mark.parametrize("quantize", CONVERTED)
@pytest.mark.parametrize("which", [0, 1, 2, 3])
def test_one_percent_of_one_kernel_is_missed(
    tmp_path, monkeypatch, converted, quantize, which
):
    model = small_cnn(importlib.import_module("keras"))
    real = tflite.convert

    def lossy(serving, kind, *arguments):
        if kind not in converted:
            converted[kind] = real(serving, kind, *arguments)
        content = converted[kind]
        return with_losses(content, which) if kind == quantize else content

    monkeypatch.setattr(tflite, "convert", lossy)

    with pytest.raises(ValueError, match="nothing was written"):
        export_tflite(
            model,
            tmp_path / "model.tflite",
            quantize=quantize,
            representative_data=images() if quantize == "int8" else None,
        )

    assert os.listdir(tmp_path) == []


def test_losses_show_in_what_gives_zero(keras, tmp_path, monkeypatch):
    # None of its units answers to any input that is drawn.
    inputs = keras.Input((16,))
    never = keras.initializers.Constant(-1e6)
    x = keras.layers.Dense(32, "relu", bias_initializer=never)(inputs)
    model = keras.Model(inputs, keras.layers.Dense(8)(x))
    real = tflite.convert
    path = tmp_path / "model.tflite"

    for which in (0, 1):
        monkeypatch.setattr(
            tflite,
            "convert",
            lambda *given, which=which: with_losses(real(*given), which),
        )
        with pytest.raises(ValueError, match="weights of .* are lost"):
            export_tflite(model, path)
    monkeypatch.setattr(tflite, "convert", real)
    result = export_tflite(model, path)

    assert os.listdir(tmp_path) == ["model.tflite"]
    assert result.max_error < 1e-5


def test_kernels_that_are_folded_or_in_pieces_are_not_missed(keras):
    kernel = np.arange(1, 401, dtype=np.float32).reshape(20, 20)
    half = kernel.copy()
    half[:10] *= 0.5
    serving = serving_of(small_cnn(keras), 1)
    content = convert(serving, None, None, "float32", None, CpuTarget())

    assert lost_weights(content, [("one", kernel), ("two", half)]) is None
    assert (
        lost_weights(
            content, [(w.name, w.numpy()) for w in serving.model.weights]
        )
        is None
    )


@pytest.mark.parametrize("scale", [1e-3, 300.0])
def test_losses_show_behind_a_saturated_or_nearly_constant_output(
    tmp_path, monkeypatch, scale
):
    model = small_cnn(importlib.import_module("keras"), scale)
    real = tflite.convert
    monkeypatch.setattr(
        tflite, "convert", lambda *given: with_losses(real(*given), 0)
    )

    with pytest.raises(ValueError, match="nothing was written"):
        export_tflite(model, tmp_path / "model.tflite")


def test_inputs_are_drawn_until_every_kernel_matters(keras):
    # As for images of 0 to 255: what normal inputs give hardly varies.
    serving = serving_of(small_cnn(keras, 1e-3), 1)

    first, *others = samples.checking_inputs(serving)

    kernels = samples._Kernels(serving)
    assert kernels.seen() == 0.0
    for arrays in first:
        kernels.look(arrays)
    before = kernels.seen()
    assert min(each.effect for each in kernels._seen) < 1e-4
    for arrays in (arrays for group in others for arrays in group):
        kernels.look(arrays)
    assert kernels.seen() > before
    assert min(each.effect for each in kernels._seen) > 1e-3
    assert np.abs(others[-1][0]["image"]).max() > 200


@pytest.mark.parametrize("limit", ["_LEAST_MORE", "_LEAST_SHARE_MORE"])
def test_long_calls_end_where_they_show_little_more(monkeypatch, keras, limit):
    serving = serving_of(small_cnn(keras, 1e-3), 1)
    monkeypatch.setattr(samples, "_MOST_NUMBERS", 0)
    looked, look = [], samples._Kernels.look
    monkeypatch.setattr(
        samples._Kernels,
        "look",
        lambda self, arrays: looked.append(arrays) or look(self, arrays),
    )

    _, *others = samples.checking_inputs(serving)
    assert np.abs(others[-1][0]["image"]).max() > 200
    looked.clear()
    monkeypatch.setattr(samples, limit, 99.0)
    groups = samples.checking_inputs(serving)

    assert [len(group) for group in groups] == [3]
    assert len(looked) == 3 * len(samples.RANGES)


@pytest.mark.parametrize("quantize", ["float16", "dynamic_int8"])
def test_rounded_weights_are_accepted(keras, quantize):
    serving = serving_of(small_cnn(keras), 1)
    exact, content = (
        convert(serving, kind, None, "float32", None, CpuTarget())
        for kind in (None, quantize)
    )

    assert misrounded_weights(content, exact) is None
    fault = misrounded_weights(with_losses(content, 0), exact)
    assert fault is not None
    assert "%" in fault


def test_the_tolerance_is_honoured(tmp_path, monkeypatch):
    model = small_cnn(importlib.import_module("keras"))
    real = tflite.convert
    monkeypatch.setattr(
        tflite, "convert", lambda *given: with_losses(real(*given), 0)
    )
    path = tmp_path / "model.tflite"

    with pytest.raises(ValueError, match="1e-05 is allowed.*`tolerance`"):
        export_tflite(model, path)
    result = export_tflite(model, path, tolerance=0.5)

    assert 1e-5 < result.max_error < result.tolerance == 0.5


def test_half_precision_of_constants_is_accepted(keras, tmp_path):
    inputs = keras.Input((8,))
    layer = keras.layers.Dense(
        64, kernel_initializer="zeros", bias_initializer="random_normal"
    )
    model = keras.Model(inputs, layer(inputs))

    result = export_tflite(model, tmp_path / "model.tflite", quantize="float16")

    assert 0 < result.rms_error < result.tolerance < 1e-2


def test_models_without_gradients_are_exported(keras, tmp_path, monkeypatch):
    monkeypatch.setattr(samples, "gradients_if_any", lambda *args: None)

    result = export_tflite(small_cnn(keras), tmp_path / "model.tflite")

    assert result.max_error < 1e-5
