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
"""Files that are packed in float32 and rounded to integers afterwards."""

import importlib
import importlib.util

import numpy as np
import pytest
from litert_graphs import GraphBuilder

import tfmot_sapp as sapp
from tfmot_sapp.compiler.ir.values import Value
from tfmot_sapp.export import runtime
from tfmot_sapp.export.tflite import quantizer
from tfmot_sapp.export.tflite.flatbuffer import read_graph

if not quantizer.is_installed():
    pytest.skip("litert-quantizer isn't installed", allow_module_level=True)

DATA = np.random.default_rng(0).normal(size=(24, 9, 9, 32)).astype("float32")
# The last sample has the largest values: ranges must hold them.
DATA[-1] *= 3


@pytest.fixture(scope="module")
def model():
    """Convolutions and a Dense, a fifth of their blocks kept."""
    keras = importlib.import_module("keras")
    keras.utils.set_random_seed(0)
    inputs = keras.Input((9, 9, 32), name="x")
    x = keras.layers.Conv2D(64, 3, activation="relu")(inputs)
    y = keras.layers.Conv2D(64, 1)(keras.layers.DepthwiseConv2D(1)(x))
    x = keras.layers.ReLU()(keras.layers.Add()([x, y]))
    x = keras.layers.Dense(128, activation="relu")(keras.layers.Flatten()(x))
    model = keras.Model(inputs, keras.layers.Dense(10, name="y")(x))
    rng = np.random.default_rng(1)
    for layer in model.layers:
        if type(layer).__name__ in ("Conv2D", "Dense") and layer.name != "y":
            kernel = np.asarray(layer.kernel)
            *taps, rows, columns = kernel.shape
            mask = rng.random((*taps, rows // 16, columns // 16)) < 0.2
            mask = mask.repeat(16, -2).repeat(16, -1)
            layer.kernel.assign(2 * kernel * mask)
    return model


@pytest.mark.parametrize(
    ("quantize", "io_dtype", "batch_size", "error"),
    [
        ("dynamic_int8", "float32", 1, 0.02),
        ("int8", "float32", None, 0.06),
        ("int8", "int8", 1, 0.06),
        ("int4", "float32", 1, 0.12),
    ],
)
def test_packed_files_are_rounded(
    model, tmp_path, capfd, quantize, io_dtype, batch_size, error
):
    options = {
        "quantize": quantize,
        "io_dtype": io_dtype,
        "representative_data": DATA,
        "batch_size": batch_size,
    }
    dense = sapp.export_tflite(model, tmp_path / "dense.tflite", **options)

    packed = sapp.export_tflite(
        model, tmp_path / "packed.tflite", pack=True, **options
    )

    assert packed.size < 0.6 * dense.size
    assert packed.rms_error < min(error, packed.tolerance)
    assert packed.packing and not dense.packing
    kinds = {
        tensor.dtype
        for tensor in read_graph(packed.path.read_bytes()).tensors
        if tensor.data is not None and tensor.data.ndim > 1
    }
    assert ("INT4" if quantize == "int4" else "INT8") in kinds
    found = runtime.run(packed.path.read_bytes(), [{"x": DATA[-1:]}])[0]
    expected = np.asarray(model(DATA[-1:]))
    assert np.abs(found["y"] - expected).max() < 4 * error * expected.std()
    assert capfd.readouterr() == ("", "")


def test_constants_that_are_joined_to_values_are_rounded():
    rng = np.random.default_rng(0)
    b = GraphBuilder(0)
    x = b.input(1, 4, 5, 8)
    held = rng.normal(size=(1, 4, 5, 8)).astype("float32")
    y = b.concat([x, Value.constant("held", held)])
    content = b.file([b.unary("RELU", y)])
    data = [{"x0": rng.normal(size=x.shape).astype("float32")}]

    found = quantizer.quantized_content(content, "int8", "float32", data)

    expected = runtime.run(content, data)[0]["out0"]
    rounded = runtime.run(found, data)[0]["out0"]
    assert np.abs(rounded - expected).max() < 0.02 * expected.max()


def test_integers_know_their_halves():
    stored = np.array([0x1F, 0x80], np.uint8)
    halves = importlib.import_module("tfmot_sapp.export.tflite.flatbuffer")

    found = halves._nibbles(stored)

    np.testing.assert_array_equal(found, [-1, 1, 0, -8])


@pytest.mark.parametrize(
    "options", [{"quantize": "int4"}, {"quantize": "int8", "pack": True}]
)
def test_without_the_quantizer_it_says_what_to_install(
    model, tmp_path, monkeypatch, options
):
    real = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util,
        "find_spec",
        lambda name: None if name == quantizer.PACKAGE else real(name),
    )

    with pytest.raises(ImportError, match=r"tfmot_sapp\[quantize\]"):
        sapp.export_tflite(
            model, tmp_path / "m.tflite", representative_data=DATA, **options
        )

    assert not list(tmp_path.iterdir())
