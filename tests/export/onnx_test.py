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
"""Packed models are plain Keras: its own ONNX export takes them."""

import importlib
import os

import numpy as np
import pytest

from tfmot_sapp.verbs.pack import pack_blocks


def sparse_cnn(keras):
    layers = keras.layers
    inputs = keras.Input((9, 9, 128), name="image")
    x = layers.Conv2D(128, 3, padding="same", activation="relu")(inputs)
    x = layers.Conv2DTranspose(64, 3, strides=2, padding="same")(x)
    model = keras.Model(inputs, x)
    generator = np.random.default_rng(0)
    for layer in model.layers[1:]:
        cells = [n // 32 for n in layer.kernel.shape[-2:]]
        mask = np.kron(generator.random(cells) < 0.3, np.ones((32, 32)))
        layer.kernel.assign(layer.kernel.numpy() * mask)
    return model


@pytest.mark.parametrize("convolutions", [False, True])
def test_keras_exports_packed_models_to_onnx(
    sparse_mlp, tmp_path, convolutions
):
    pytest.importorskip("tf2onnx")
    onnxruntime = pytest.importorskip("onnxruntime")
    make = sparse_cnn if convolutions else sparse_mlp
    model = make(importlib.import_module("keras"))
    path = os.fspath(tmp_path / "model.onnx")
    x = np.random.default_rng(0).normal(size=(3, *model.input_shape[1:]))
    x = x.astype("float32")
    packed = pack_blocks(model)
    packed(x)  # Keras exports only what was called once.

    packed.export(path, format="onnx", verbose=False)

    session = onnxruntime.InferenceSession(path)
    (name,) = [tensor.name for tensor in session.get_inputs()]
    (found,) = session.run(None, {name: x})
    wanted = model(x).numpy()
    assert np.abs(found - wanted).max() < 1e-5 * np.abs(wanted).max()
