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
"""In 8 bits a packed model is about as accurate as the dense one."""

import importlib

import keras
import numpy as np
import pytest

from tfmot_sapp.export import runtime
from tfmot_sapp.export.tflite.file import export_tflite
from tfmot_sapp.export.tflite.flatbuffer import read_graph
from tfmot_sapp.verbs.pack import pack_blocks, packing_of


class Masked:
    """Keeps the removed blocks at zero while a kernel trains."""

    def __init__(self, generator, inputs, outputs):
        grid = (inputs // 32, outputs // 32)
        mask = generator.random(grid) < 0.3
        mask[generator.integers(grid[0], size=grid[1]), range(grid[1])] = True
        self.mask = np.kron(mask, np.ones((32, 32), "float32"))

    def __call__(self, kernel):
        return kernel * self.mask


@pytest.fixture(scope="module", name="trained")
def fixture_trained():
    digits = importlib.import_module("sklearn.datasets").load_digits()
    x, y = (digits.data / 16).astype("float32"), digits.target
    keras.utils.set_random_seed(0)
    generator = np.random.default_rng(0)
    inputs = hidden = keras.Input((64,), name="x")
    for width in (256, 256):
        constraint = Masked(generator, hidden.shape[-1], width)
        hidden = keras.layers.Dense(
            width, activation="relu", kernel_constraint=constraint
        )(hidden)
    model = keras.Model(inputs, keras.layers.Dense(10)(hidden))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(2e-3), loss)
    model.fit(x[:1200], y[:1200], batch_size=64, epochs=12, verbose=0)
    return model, x, y


@pytest.mark.parametrize("quantize", ["int8", "dynamic_int8"])
def test_packed_is_as_accurate_as_dense(trained, tmp_path, quantize):
    model, x, y = trained
    test, labels = x[1200:], y[1200:]
    accuracy = {}
    packed = pack_blocks(model, len(test))
    assert "list" in {row["lowering"] for row in packing_of(packed)}
    for name, each in (("dense", model), ("packed", packed)):
        path = tmp_path / f"{name}.tflite"
        export_tflite(
            each,
            path,
            quantize=quantize,
            representative_data=x[:1194],
            batch_size=len(test),
        )
        (found,) = runtime.run(path.read_bytes(), [{"x": test}])
        (logits,) = found.values()
        accuracy[name] = 100 * np.mean(np.argmax(logits, -1) == labels)

    assert accuracy["dense"] > 85
    # Images whose two best classes are close go either way.
    assert abs(accuracy["packed"] - accuracy["dense"]) <= 1


def test_partial_sums_are_not_rounded(tmp_path):
    """In 8 bits one product reads all blocks; in float32 sums are cheaper."""
    generator = np.random.default_rng(0)
    inputs = keras.Input((512,), name="x")
    model = keras.Model(inputs, keras.layers.Dense(256)(inputs))
    mask = generator.permutation(np.arange(128) < 28).reshape(16, 8)
    kernel = generator.normal(size=(512, 256))
    kernel *= np.kron(mask, np.ones((32, 32)))
    model.layers[1].set_weights([kernel, np.zeros(256)])
    packed = pack_blocks(model, batch_size=64)
    data = generator.normal(size=(64, 512)).astype("float32")
    counts = {}
    for quantize in (None, "int8", "dynamic_int8"):
        result = export_tflite(
            packed,
            tmp_path / "model.tflite",
            quantize=quantize,
            representative_data=data,
            batch_size=64,
        )
        graph = read_graph(result.path.read_bytes())
        counts[quantize] = sum(op.name == "ADD" for op in graph.ops)

    assert counts[None] > 0
    assert counts["int8"] == counts["dynamic_int8"] == 0
