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
"""`pack_tflite`, and `export_tflite(pack=True)`: files in, files out."""

import keras
import numpy as np
import pytest
from litert_graphs import GraphBuilder

import tfmot_sapp as sapp
from tfmot_sapp.compiler.readers.tflite import read_tflite


def file_with_blocks(path, seed=0):
    b = GraphBuilder(seed, (32, 32), 0.1)
    x = b.input(2, 256)
    path.write_bytes(b.file([b.dense(b.dense(x, 512, "RELU"), 256)]))
    return path


def test_a_packed_file_is_smaller_and_right(tmp_path):
    source = file_with_blocks(tmp_path / "dense.tflite")

    result = sapp.pack_tflite(source, tmp_path / "new" / "packed.tflite")

    assert result.path == tmp_path / "new" / "packed.tflite"
    assert result.size == result.path.stat().st_size
    assert result.size < source.stat().st_size / 3
    assert result.max_error < result.tolerance == 1e-5
    assert len(result.packing) == 2
    assert sum(result.ops.values()) > 2


def test_a_file_may_be_packed_in_its_place(tmp_path):
    source = file_with_blocks(tmp_path / "model.tflite")
    before = source.stat().st_size

    sapp.pack_tflite(source, source)

    assert source.stat().st_size < before / 3
    read_tflite(source.read_bytes())


def test_a_damaged_file_is_refused_and_nothing_written(tmp_path):
    source = file_with_blocks(tmp_path / "dense.tflite")
    source.write_bytes(source.read_bytes()[:1000])
    destination = tmp_path / "packed.tflite"
    destination.write_bytes(b"old")

    with pytest.raises(ValueError, match="must be a whole `.tflite` file"):
        sapp.pack_tflite(source, destination)

    assert destination.read_bytes() == b"old"


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ValueError, match="`source` must be a `.tflite` file"):
        sapp.pack_tflite(tmp_path / "no.tflite", tmp_path / "packed.tflite")


class Block(keras.layers.Layer):
    """A layer of a user's own, which holds others."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.norm = keras.layers.LayerNormalization()
        self.attention = keras.layers.MultiHeadAttention(2, 32)
        self.hidden = keras.layers.Dense(256, activation="gelu")
        self.out = keras.layers.Dense(64)

    def build(self, shape):
        self.norm.build(shape)
        self.attention.build(shape, shape)
        self.hidden.build(shape)
        self.out.build((*shape[:-1], 256))

    def call(self, x):
        h = self.norm(x)
        x = x + self.attention(h, h, use_causal_mask=True)
        return x + self.out(self.hidden(self.norm(x)))


@pytest.fixture(scope="module")
def transformer():
    inputs = keras.Input((8,), dtype="int32", name="tokens")
    x = keras.layers.Embedding(50, 64)(inputs)
    block = Block()
    x = block(x)
    model = keras.Model(inputs, {"b": x, "a": keras.layers.Dense(10)(x)})
    rng = np.random.default_rng(0)
    for variable in model.weights:
        value = rng.normal(size=variable.shape) / 8
        if "kernel" in variable.path and min(variable.shape) >= 32:
            grid = (variable.shape[0] // 32, int(np.prod(variable.shape[1:])))
            mask = rng.random((grid[0], max(1, grid[1] // 32))) < 0.3
            full = np.kron(mask, np.ones((32, 32)))
            value = value * full.reshape(variable.shape)
        variable.assign(value)
    return model


@pytest.mark.parametrize("quantize", [None, "float16"])
def test_kernels_inside_of_users_layers_are_packed(
    tmp_path, transformer, quantize
):
    dense = sapp.export_tflite(
        transformer, tmp_path / "dense.tflite", quantize=quantize
    )

    packed = sapp.export_tflite(
        transformer, tmp_path / "packed.tflite", quantize=quantize, pack=True
    )

    assert packed.size < 0.7 * dense.size
    kept = [row["kept_blocks"] for row in packed.packing if row["blocks"]]
    assert len(kept) >= 4
    assert dense.packing == ()


def test_a_sparse_encoding_isnt_packed(tmp_path, transformer):
    with pytest.raises(ValueError, match="`pack`"):
        sapp.export_tflite(
            transformer, tmp_path / "m", pack=True, encoding="sparse"
        )
