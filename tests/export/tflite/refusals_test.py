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
"""What gets no file gets a reason, and what was there stays."""

import importlib
import os

import numpy as np
import pytest
import tensorflow as tf

from tfmot_sapp.export import serving
from tfmot_sapp.export.tflite import file as tflite
from tfmot_sapp.export.tflite.conversion import convert
from tfmot_sapp.export.tflite.file import export_tflite
from tfmot_sapp.targets.cpu_target import CpuTarget


def test_what_is_no_model_is_refused(tmp_path):
    with pytest.raises(TypeError, match="`model`.*Received"):
        export_tflite(lambda x: x, tmp_path / "model.tflite")


def test_tfmot_wrappers_are_refused(tmp_path):
    tf_keras = importlib.import_module("tf_keras")

    class PruneLowMagnitude(tf_keras.layers.Wrapper):
        pass

    wrapped = PruneLowMagnitude(tf_keras.layers.Dense(3))
    model = tf_keras.Sequential([tf_keras.layers.Input((4,)), wrapped])

    with pytest.raises(ValueError, match="wrapped.*prune_low_magnitude"):
        export_tflite(model, tmp_path / "model.tflite")


@pytest.mark.parametrize(
    "name,arguments",
    [
        ("quantize", {"quantize": "int2"}),
        ("quantize", {"quantize": np.zeros(2)}),
        ("encoding", {"encoding": "dense"}),
        ("io_dtype", {"io_dtype": "int8"}),
        ("io_dtype", {"io_dtype": "uint8", "quantize": "int8"}),
        ("batch_size", {"batch_size": 0}),
        ("batch_size", {"batch_size": 1.5}),
        ("max_samples", {"max_samples": -1}),
        ("tolerance", {"tolerance": float("nan")}),
        ("tolerance", {"tolerance": "loose"}),
        ("representative_data", {"quantize": "int8"}),
        ("representative_data", {"representative_data": 3}),
        ("representative_data", {"representative_data": np.zeros((2, 5))}),
        ("representative_data", {"representative_data": np.zeros((0, 4))}),
    ],
)
def test_bad_arguments_are_named_and_nothing_is_written(
    tmp_path, name, arguments
):
    keras = importlib.import_module("keras")
    model = keras.Sequential([keras.layers.Input((4,)), keras.layers.Dense(2)])

    with pytest.raises((TypeError, ValueError)) as error:
        export_tflite(model, tmp_path / "model.tflite", **arguments)

    assert f"`{name}" in str(error.value)
    assert "Received" in str(error.value)
    assert os.listdir(tmp_path) == []


def test_flex_operators_are_refused(tmp_path):
    keras = importlib.import_module("keras")
    inputs = keras.Input((8, 8))
    outputs = keras.layers.Lambda(tf.linalg.inv)(inputs)
    model = keras.Model(inputs, outputs)

    with pytest.raises(ValueError, match="Flex.*MatrixInverse"):
        export_tflite(model, tmp_path / "model.tflite")

    assert os.listdir(tmp_path) == []


def test_a_failing_check_keeps_the_file_that_was_there(
    sparse_mlp, tmp_path, monkeypatch
):
    keras = importlib.import_module("keras")
    model = sparse_mlp(keras)
    path = tmp_path / "model.tflite"
    path.write_bytes(b"before")
    wrong = sparse_mlp(keras, sparsity=0.5)
    content = convert(
        serving.serving_of(wrong, 1), None, None, "float32", None, CpuTarget()
    )
    monkeypatch.setattr(tflite, "convert", lambda *_: content)

    with pytest.raises(ValueError, match="doesn't compute what `model`"):
        export_tflite(model, path)

    assert path.read_bytes() == b"before"
    assert os.listdir(tmp_path) == ["model.tflite"]


def test_a_model_of_nan_is_refused(sparse_mlp, tmp_path):
    model = sparse_mlp(importlib.import_module("keras"))
    kernel, bias = model.get_layer("b").get_weights()
    model.get_layer("b").set_weights([kernel * np.nan, bias])

    with pytest.raises(ValueError, match="no finite number"):
        export_tflite(model, tmp_path / "model.tflite")
