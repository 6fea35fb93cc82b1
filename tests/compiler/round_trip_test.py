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
"""What is read from a converter's file is written as it was."""

import functools
import os
import tempfile
import warnings

import keras
import numpy as np
import pytest
import tensorflow as tf
from tensorflow.python.framework import convert_to_constants

from tfmot_sapp.compiler.ir.evaluate import run_subgraph
from tfmot_sapp.compiler.readers.tflite import read_tflite
from tfmot_sapp.compiler.writers.tflite import write_tflite

LAYERS = keras.layers


def convolutions():
    inputs = keras.Input((20, 24, 3), name="image")
    x = LAYERS.Conv2D(16, 3, strides=2, padding="same")(inputs)
    x = LAYERS.BatchNormalization()(x)
    x = LAYERS.ReLU(6)(x)
    x = LAYERS.DepthwiseConv2D(3, padding="same", activation="relu")(x)
    y = LAYERS.SeparableConv2D(16, 3, padding="same")(x)
    x = LAYERS.Conv2D(16, 1, groups=4)(LAYERS.Add()([x, y]))
    x = LAYERS.Conv2DTranspose(8, 3, strides=2, padding="same")(x)
    x = LAYERS.AveragePooling2D(2)(LAYERS.MaxPooling2D(2)(x))
    x = LAYERS.GlobalAveragePooling2D()(x)
    return keras.Model(inputs, LAYERS.Dense(10, activation="softmax")(x))


def transformer():
    inputs = keras.Input((12, 32), name="tokens")
    x = LAYERS.MultiHeadAttention(4, 8)(inputs, inputs, use_causal_mask=True)
    x = LAYERS.LayerNormalization()(LAYERS.Add()([x, inputs]))
    y = LAYERS.Dense(64, activation="gelu")(x)
    return keras.Model(inputs, LAYERS.Add()([x, LAYERS.Dense(32)(y)]))


def unrolled_lstm():
    inputs = keras.Input((5, 8), name="series")
    x = LAYERS.LSTM(16, unroll=True)(inputs)
    return keras.Model(inputs, LAYERS.Dense(3)(x))


def looping_gru():
    inputs = keras.Input((7, 8), name="series")
    return keras.Model(inputs, LAYERS.GRU(16, return_sequences=True)(inputs))


def embeddings_to_a_dict():
    words = keras.Input((6,), dtype="int32", name="words")
    extra = keras.Input((4,), name="extra")
    x = LAYERS.Flatten()(LAYERS.Embedding(50, 8)(words))
    x = LAYERS.Concatenate()([x, LAYERS.Dense(8)(extra)])
    outputs = {"scores": LAYERS.Dense(3)(x), "boxes": LAYERS.Dense(4)(x)}
    return keras.Model({"words": words, "extra": extra}, outputs)


def samples(model, count=4):
    generator = np.random.default_rng(0)
    for _ in range(count):
        yield {
            tensor.name: generator.integers(0, 6, shape).astype(np.int32)
            if tensor.dtype == "int32"
            else generator.normal(size=shape).astype(np.float32)
            for tensor in model.inputs
            for shape in [[extent or 1 for extent in tensor.shape]]
        }


def save_with_batch(model, folder, batch):
    """Saves a model of one input, its weights constants, its batch known."""
    spec = tf.TensorSpec([batch, *model.inputs[0].shape[1:]], tf.float32)
    concrete = tf.function(model, autograph=False).get_concrete_function(spec)
    frozen = convert_to_constants.convert_variables_to_constants_v2(concrete)
    module = tf.Module()

    @tf.function(input_signature=[spec], autograph=False)
    def serve(series):
        return {"sequence": frozen(series)[0]}

    module.serve = serve
    tf.saved_model.save(module, folder, signatures=serve)


def convert(model, **settings):
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if "batch" in settings:
            save_with_batch(model, folder, settings["batch"])
        else:
            model.export(folder, verbose=False)
        converter = tf.lite.TFLiteConverter.from_saved_model(folder)
        converter.optimizations = settings.get("optimizations", [])
        if "types" in settings:
            converter.target_spec.supported_types = settings["types"]
        if "ops" in settings:
            converter.target_spec.supported_ops = settings["ops"]
            converter.representative_dataset = lambda: samples(model)
        return converter.convert()


OPTIMIZE, OPS = tf.lite.Optimize, tf.lite.OpsSet
FILES = {
    "convolutions": (convolutions, {}),
    "convolutions_float16": (
        convolutions,
        {"optimizations": [OPTIMIZE.DEFAULT], "types": [tf.float16]},
    ),
    "convolutions_dynamic_range": (
        convolutions,
        {"optimizations": [OPTIMIZE.DEFAULT]},
    ),
    "convolutions_int8": (
        convolutions,
        {
            "optimizations": [OPTIMIZE.DEFAULT],
            "ops": [OPS.TFLITE_BUILTINS_INT8],
        },
    ),
    "convolutions_int16": (
        convolutions,
        {
            "optimizations": [OPTIMIZE.DEFAULT],
            "ops": [
                OPS.EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8
            ],
        },
    ),
    "transformer": (transformer, {}),
    "transformer_dynamic_range": (
        transformer,
        {"optimizations": [OPTIMIZE.DEFAULT]},
    ),
    "unrolled_lstm": (unrolled_lstm, {}),
    # Loops need a batch of known size, and weights that are constants.
    "looping_gru": (looping_gru, {"batch": 2}),
    "embeddings_to_a_dict": (embeddings_to_a_dict, {}),
}


@functools.cache
def source(name):
    make, settings = FILES[name]
    keras.utils.set_random_seed(0)
    return bytes(convert(make(), **settings))


def details(interpreter):
    """What a file tells of its inputs, outputs and signatures."""
    found = [interpreter.get_signature_list()]
    for given in (
        interpreter.get_input_details(),
        interpreter.get_output_details(),
    ):
        for detail in given:
            found += [
                detail["name"],
                detail["shape"].tolist(),
                detail["shape_signature"].tolist(),
                detail["dtype"],
                detail["quantization"],
            ]
    return found


def outputs(interpreter, batch):
    """Calls every signature of a file."""
    found = {}
    for key in interpreter.get_signature_list():
        runner = interpreter.get_signature_runner(key)
        generator = np.random.default_rng(0)
        arrays = {}
        for name, detail in runner.get_input_details().items():
            shape = detail["shape_signature"].copy()
            shape[shape < 0] = batch
            arrays[name] = (3 * generator.random(shape)).astype(detail["dtype"])
        results = runner(**arrays)
        found.update({(key, name): results[name].copy() for name in results})
    return found


@pytest.mark.parametrize("name", FILES)
def test_copy_computes_the_same(name, interpreter):
    copy = write_tflite(read_tflite(source(name)))

    before, after = interpreter(source(name)), interpreter(copy)

    assert details(before) == details(after)
    for batch in (1, 3):
        ours, theirs = outputs(after, batch), outputs(before, batch)
        assert list(ours) == list(theirs)
        for key, array in ours.items():
            np.testing.assert_array_equal(array, theirs[key])


@pytest.mark.parametrize("name", FILES)
def test_copy_holds_the_same(name, assert_same_graph):
    graph = read_tflite(source(name))

    copy = write_tflite(graph)

    assert_same_graph(graph, read_tflite(copy))
    assert write_tflite(read_tflite(copy)) == copy
    assert abs(len(copy) - len(source(name))) < 0.1 * len(copy) + 2000


@pytest.mark.parametrize(
    "name",
    ["convolutions", "convolutions_float16", "transformer", "looping_gru",
     "unrolled_lstm", "embeddings_to_a_dict"],
)  # fmt: skip
def test_numpy_computes_what_litert_computes(name, run_litert):
    graph = read_tflite(source(name))
    generator = np.random.default_rng(0)
    inputs = [
        (3 * generator.random(value.initial_shape)).astype(value.dtype)
        for value in graph.main.inputs
    ]

    found = run_subgraph(graph.main, inputs)

    for ours, theirs in zip(found, run_litert(source(name), inputs)):
        scale = np.abs(theirs).max()
        np.testing.assert_allclose(ours, theirs, atol=1e-5 * scale)


def test_files_hold_what_the_test_is_about():
    kinds = {
        name: {
            operation.kind
            for subgraph in read_tflite(source(name)).subgraphs
            for operation in subgraph.operations
        }
        for name in FILES
    }

    assert "DEPTHWISE_CONV_2D" in kinds["convolutions"]
    assert "TRANSPOSE_CONV" in kinds["convolutions"]
    assert "DEQUANTIZE" in kinds["convolutions_float16"]
    assert "BATCH_MATMUL" in kinds["transformer"]
    assert "WHILE" in kinds["looping_gru"]
    assert "WHILE" not in kinds["unrolled_lstm"]
    assert "GATHER" in kinds["embeddings_to_a_dict"]


def test_shape_of_the_batch_is_unknown():
    graph = read_tflite(source("convolutions"))

    assert graph.main.inputs[0].shape == (None, 20, 24, 3)
    assert graph.main.inputs[0].initial_shape == (1, 20, 24, 3)


def test_regions_are_subgraphs():
    graph = read_tflite(source("looping_gru"))

    (loop,) = [o for o in graph.main.operations if o.kind == "WHILE"]

    assert loop.region("body") in graph.subgraphs
    assert len(loop.region("cond").outputs) == 1
    assert "cond_subgraph_index" not in loop.attributes


def test_sparse_encoding(interpreter, assert_same_graph):
    generator = np.random.default_rng(0)
    model = keras.Sequential([keras.Input((64,)), LAYERS.Dense(64, name="d")])
    mask = np.kron(generator.random((16, 64)) > 0.8, np.ones((4, 1)))
    kernel = generator.normal(size=(64, 64)) * mask
    model.get_layer("d").set_weights([kernel, np.ones(64)])
    content = convert(model, optimizations=[OPTIMIZE.EXPERIMENTAL_SPARSITY])
    graph = read_tflite(content)

    copy = write_tflite(graph)

    sparse = [v for v in graph.main.values if v.sparsity is not None]
    assert len(sparse) == 1
    assert sparse[0].stored.size < 64 * 64 * 4 / 2
    np.testing.assert_array_equal(
        sparse[0].contents, kernel.T.astype(np.float32)
    )
    assert_same_graph(graph, read_tflite(copy))
    ours, theirs = (outputs(interpreter(c), 2) for c in (copy, content))
    for key, array in ours.items():
        np.testing.assert_array_equal(array, theirs[key])


class Counter(tf.Module):
    """Two signatures that share a variable."""

    def __init__(self):
        self.total = tf.Variable(np.ones((1, 3), np.float32))

    @tf.function(input_signature=[tf.TensorSpec((1, 3), tf.float32)])
    def add(self, x):
        self.total.assign_add(x)
        return {"total": self.total.read_value()}

    @tf.function(input_signature=[tf.TensorSpec((1, 3), tf.float32)])
    def scale(self, x):
        return {"scaled": x * self.total}


def test_variables_and_several_signatures(interpreter, assert_same_graph):
    module = Counter()
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        signatures = {"add": module.add, "scale": module.scale}
        tf.saved_model.save(module, folder, signatures=signatures)
        converter = tf.lite.TFLiteConverter.from_saved_model(
            folder, signature_keys=list(signatures)
        )
        converter.experimental_enable_resource_variables = True
        content = converter.convert()
    graph = read_tflite(content)

    copy = write_tflite(graph)

    assert_same_graph(graph, read_tflite(copy))
    assert [s.key for s in graph.signatures] == ["add", "scale"]
    before, after = interpreter(content), interpreter(copy)
    assert before.get_signature_list() == after.get_signature_list()
    found = []
    for made in (before, after):
        add, scale = map(made.get_signature_runner, ("add", "scale"))
        x = np.array([[1, 2, 3]], np.float32)
        found.append([add(x=x)["total"], scale(x=x)["scaled"]])
    np.testing.assert_array_equal(found[0], [[[2, 3, 4]], [[2, 6, 12]]])
    np.testing.assert_array_equal(found[1], found[0])


def test_custom_operator_passes_whole(assert_same_graph):
    def function(x):
        return tf.raw_ops.Cholesky(input=x)

    spec = tf.TensorSpec((3, 3), tf.float32)
    concrete = tf.function(function).get_concrete_function(spec)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        converter = tf.lite.TFLiteConverter.from_concrete_functions([concrete])
        converter.target_spec.supported_ops = [
            OPS.TFLITE_BUILTINS,
            OPS.SELECT_TF_OPS,
        ]
        content = converter.convert()
    graph = read_tflite(content)

    copy = read_tflite(write_tflite(graph))

    (operation,) = graph.main.operations
    assert operation.custom_code == "FlexCholesky"
    assert operation.custom_options.size
    assert_same_graph(graph, copy)


def test_half_of_a_file_is_refused():
    content = source("transformer")

    with pytest.raises(ValueError, match="must be a whole `.tflite` file"):
        read_tflite(content[: len(content) // 2])


def test_memory_map_is_read(tmp_path):
    import mmap

    path = tmp_path / "model.tflite"
    path.write_bytes(source("transformer"))
    with open(path, "rb") as file:
        mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    os.unlink(path)

    copy = write_tflite(read_tflite(mapped))

    assert copy == write_tflite(read_tflite(source("transformer")))
