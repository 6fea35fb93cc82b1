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
"""SavedModels serve the source's numbers at any batch, and appear whole."""

import importlib
import math
import os

import numpy as np
import pytest
import tensorflow as tf

from tfmot_sapp.export import saved_model, serving
from tfmot_sapp.export.saved_model import export_saved_model
from tfmot_sapp.export.tflite.file import export_tflite
from tfmot_sapp.targets.gpu_target import GpuTarget
from tfmot_sapp.verbs.pack import pack_blocks


def pruned_mlp(keras):
    generator = np.random.default_rng(0)
    inputs = keras.Input((128,), name="x")
    hidden = keras.layers.Dense(256, activation="relu", name="a")(inputs)
    hidden = keras.layers.BatchNormalization()(hidden)
    outputs = keras.layers.Dense(10, name="logits")(hidden)
    model = keras.Model(inputs, outputs)
    kernel, bias = model.get_layer("a").get_weights()
    mask = np.kron(generator.random((4, 8)) < 0.3, np.ones((32, 32)))
    model.get_layer("a").set_weights([kernel * mask, bias])
    return model


def served(path, x):
    loaded = tf.saved_model.load(os.fspath(path))
    return loaded.signatures["serving_default"](x=tf.constant(x))


@pytest.mark.parametrize("jit_compile", [False, True])
@pytest.mark.parametrize("pack", [False, True])
def test_it_serves_any_batch(keras, tmp_path, pack, jit_compile):
    model = pruned_mlp(keras)
    exported = pack_blocks(model) if pack else model

    result = export_saved_model(
        exported, tmp_path / "model", jit_compile=jit_compile
    )

    assert result.path == tmp_path / "model"
    assert result.max_error < 1e-5
    assert sum(result.ops.values()) > 0
    for batch in (1, 5):
        x = np.random.default_rng(batch).normal(size=(batch, 128))
        x = x.astype("float32")
        (found,) = served(result.path, x).values()
        wanted = model(x).numpy()
        assert found.shape == (batch, 10)
        assert np.abs(found - wanted).max() < 1e-5 * np.abs(wanted).max()


def test_xla_compiles_the_signature(keras, tmp_path):
    export_saved_model(pruned_mlp(keras), tmp_path / "model", jit_compile=True)

    loaded = tf.saved_model.load(os.fspath(tmp_path / "model"))
    graph = loaded.signatures["serving_default"].graph.as_graph_def()
    attributes = [
        function.attr["_XlaMustCompile"].b
        for function in graph.library.function
    ]
    assert any(attributes)


@pytest.mark.parametrize("largest", [0, 1 << 30])
def test_packed_weights_are_constants_if_they_fit(
    keras, tmp_path, monkeypatch, largest
):
    model = pruned_mlp(keras)
    monkeypatch.setattr(serving, "_MOST_CONSTANT_BYTES", largest)
    packed = pack_blocks(model)

    result = export_saved_model(packed, tmp_path / "model")
    loaded = tf.saved_model.load(os.fspath(result.path))
    variables = loaded.signatures["serving_default"].variables
    for quantize in (None, "dynamic_int8"):
        file = tmp_path / "model.tflite"
        assert export_tflite(packed, file, quantize).size < 130_000

    assert len(variables) == (0 if largest else len(packed.weights))
    assert result.max_error < 1e-5


def test_names_of_inputs_and_outputs(keras, tmp_path):
    export_saved_model(pruned_mlp(keras), tmp_path / "model")

    (name,) = served(tmp_path / "model", np.zeros((1, 128), "float32"))
    loaded = tf.saved_model.load(os.fspath(tmp_path / "model"))
    signature = loaded.signatures["serving_default"]

    assert name.startswith("logits")
    assert list(signature.structured_input_signature[1]) == ["x"]
    assert signature.structured_input_signature[1]["x"].shape[0] is None


def test_the_optimizer_stays_behind(keras, tmp_path):
    model = pruned_mlp(keras)
    export_saved_model(model, tmp_path / "before")
    model.compile("adam", "mse")
    model.fit(np.ones((4, 128)), np.ones((4, 10)), verbose=0)

    result = export_saved_model(model, tmp_path / "after")

    before = saved_model.directory_size(tmp_path / "before")
    assert result.size < 1.1 * before


def test_lookup_tables_are_saved(tmp_path):
    keras = importlib.import_module("keras")
    inputs = keras.Input((1,), dtype="int64", name="x")
    found = keras.layers.IntegerLookup(vocabulary=[7, 9, 11])(inputs)
    table = keras.layers.Embedding(4, 3)(found)

    result = export_saved_model(keras.Model(inputs, table), tmp_path / "model")

    outputs = served(result.path, np.array([[9]], "int64"))
    assert next(iter(outputs.values())).shape == (1, 1, 3)


def test_a_directory_is_replaced_whole(keras, tmp_path):
    path = tmp_path / "model"
    path.mkdir()
    (path / "saved_model.pb").write_text("old")
    (path / "assets").mkdir()
    (path / "assets" / "old").write_text("old")

    export_saved_model(pruned_mlp(keras), path)

    assert not (path / "assets" / "old").exists()
    assert (path / "saved_model.pb").exists()
    assert os.listdir(tmp_path) == ["model"]


def test_a_failing_check_keeps_what_was_there(tmp_path, monkeypatch):
    keras = importlib.import_module("keras")
    path = tmp_path / "model"
    path.mkdir()
    (path / "saved_model.pb").write_text("old")
    wrong = pruned_mlp(keras)
    write = saved_model.write_saved_model

    def write_wrong(serving, folder, operators, **options):
        wrong.get_layer("a").kernel.assign(np.ones((128, 256)))
        source = saved_model.serving_of(wrong, None)
        write(source, folder, operators, **options)

    monkeypatch.setattr(saved_model, "write_saved_model", write_wrong)

    with pytest.raises(ValueError, match="nothing was written"):
        export_saved_model(pruned_mlp(keras), path)

    assert os.listdir(tmp_path) == ["model"]
    assert os.listdir(path) == ["saved_model.pb"]
    assert (path / "saved_model.pb").read_text() == "old"


def test_only_a_saved_model_is_replaced(tmp_path, monkeypatch):
    model = pruned_mlp(importlib.import_module("keras"))
    home = tmp_path / "home"
    photos, mixed, odd = (home / "work" / n for n in ("photos", "mixed", "odd"))
    photos.mkdir(parents=True)
    (photos / "one.png").write_text("a picture")
    # Somebody keeps notes, or a folder of that name, beside a model.
    mixed.mkdir()
    (mixed / "saved_model.pb").write_text("a model")
    (mixed / "notes.txt").write_text("my notes")
    (odd / "saved_model.pb").mkdir(parents=True)
    (odd / "saved_model.pb" / "thesis").write_text("a thesis")
    (home / "work" / "link").symlink_to("mixed")
    monkeypatch.chdir(home / "work")
    monkeypatch.setenv("HOME", str(home))
    before = sorted(home.rglob("*"))

    for where in (".", "..", "~", "photos", "mixed", "mixed/../link", "odd"):
        with pytest.raises(ValueError, match="`path` must name .*Received"):
            export_saved_model(model, where)

    assert sorted(home.rglob("*")) == before
    assert (mixed / "saved_model.pb").read_text() == "a model"
    assert (mixed / "notes.txt").read_text() == "my notes"


def test_a_file_in_the_way_is_named(tmp_path):
    keras = importlib.import_module("keras")
    (tmp_path / "model").write_text("in the way")

    with pytest.raises(ValueError, match="`path` must name a directory"):
        export_saved_model(pruned_mlp(keras), tmp_path / "model")


def test_representative_data_is_compared_with(tmp_path):
    keras = importlib.import_module("keras")
    data = tf.data.Dataset.from_tensor_slices(np.ones((8, 128), "float32"))

    result = export_saved_model(
        pruned_mlp(keras),
        tmp_path / "model",
        representative_data=data.batch(2),
    )

    assert result.max_error < 1e-5


def test_half_precision_is_allowed_its_own_rounding(keras, tmp_path):
    inputs = keras.Input((16,), name="x")
    outputs = keras.layers.Dense(4, dtype="mixed_bfloat16")(inputs)

    result = export_saved_model(
        keras.Model(inputs, outputs), tmp_path / "model"
    )

    assert 1e-5 < result.tolerance < 1


def custom_block(keras):
    """A layer that only TensorFlow's graph can be packed in."""
    layers = keras.layers

    class Block(layers.Layer):
        def build(self, shape):
            self.attention = layers.MultiHeadAttention(4, 64, name="heads")
            self.convolution = layers.Conv1D(256, 3, padding="same")
            self.dense = layers.Dense(256, activation="relu")
            if keras.__name__ == "keras":
                self.attention.build(shape, shape)
                self.convolution.build(shape)
                self.dense.build(shape)
            super().build(shape)

        def call(self, x):
            x = x + self.attention(x, x)
            return self.dense(self.convolution(x)) * 0.5

    inputs = keras.Input((None, 256), name="x")
    model = keras.Model(inputs, Block()(inputs))
    generator = np.random.default_rng(0)
    for weight in model.weights:
        if len(weight.shape) > 1 and "bias" not in weight.name:
            rows, columns = 256, 256
            taps = math.prod(weight.shape) // (rows * columns)
            kept = generator.random((8, 8)) < 0.1
            kept[:, kept.sum(0) == 0] = np.eye(8, dtype=bool)[:, :1]
            mask = np.kron(kept, np.ones((32, 32)))
            array = weight.numpy().reshape(taps, rows, columns) * mask
            weight.assign(array.reshape(weight.shape))
    return model


def test_kernels_inside_of_a_custom_layer_are_packed(keras, tmp_path):
    model = custom_block(keras)

    result = export_saved_model(model, tmp_path / "model", pack=True)

    # Four of the attention, a convolution and a Dense.
    lowerings = [row["lowering"] for row in result.packing]
    assert len(lowerings) == 6
    # One may gain nothing: its outputs have to be put together.
    assert lowerings.count("dense") <= 1
    weights = sum(4 * math.prod(weight.shape) for weight in model.weights)
    assert result.size < 0.5 * weights
    for batch, length in ((1, 7), (3, 12)):
        x = np.random.default_rng(length).normal(size=(batch, length, 256))
        x = x.astype("float32")
        (found,) = served(result.path, x).values()
        wanted = np.asarray(model(x))
        assert np.abs(found - wanted).max() < 1e-5 * np.abs(wanted).max()


def test_what_has_no_blocks_of_zeros_stays_as_it_is(keras, tmp_path):
    inputs = keras.Input((64,))
    model = keras.Model(inputs, keras.layers.Dense(64)(inputs))
    result = export_saved_model(model, tmp_path / "model", pack=True)
    assert result.packing == ()
    assert result.ops["MatMul"] == 1


def test_a_target_that_tensorflow_is_not_written_for_is_refused(
    keras, tmp_path
):
    model = pruned_mlp(keras)
    with pytest.raises(ValueError, match="must be a `CpuTarget`"):
        export_saved_model(
            model, tmp_path / "model", pack=True, target=GpuTarget()
        )
