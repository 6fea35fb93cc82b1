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
"""Files are right, whole, and free of what stock runtimes can't run."""

import importlib
import os

import numpy as np
import pytest
import tensorflow as tf

from tfmot_sapp.export import noise, runtime, serving, tflite, verify
from tfmot_sapp.export.benchmark import benchmark
from tfmot_sapp.export.conversion import convert
from tfmot_sapp.export.flatbuffer import read_graph
from tfmot_sapp.export.formats import QUANTIZE
from tfmot_sapp.export.pack import pack_blocks
from tfmot_sapp.export.tflite import export_tflite


@pytest.fixture(params=["keras", "tf_keras"])
def framework(request):
    return importlib.import_module(request.param)


def small_cnn(framework):
    layers = framework.layers
    inputs = framework.Input((12, 12, 3), name="image")
    x = layers.Conv2D(40, 3, padding="same", use_bias=False)(inputs)
    x = layers.BatchNormalization()(x)
    x = skip = layers.ReLU()(x)
    x = layers.DepthwiseConv2D(3, padding="same")(x)
    x = layers.Conv2D(40, 1, activation="relu")(x)
    x = layers.Add()([x, skip])
    x = layers.GlobalAveragePooling2D()(x)
    outputs = layers.Dense(10, activation="softmax", name="classes")(x)
    return framework.Model(inputs, outputs)


def sparse_mlp(framework, block=(16, 16), width=256, sparsity=0.9):
    generator = np.random.default_rng(0)
    layers = framework.layers
    inputs = framework.Input((width,), name="x")
    hidden = layers.Dense(width, activation="relu", name="a")(inputs)
    model = framework.Model(inputs, layers.Dense(width, name="b")(hidden))
    for name in "ab":
        cells = (-(-width // block[0]), -(-width // block[1]))
        mask = np.kron(generator.random(cells) >= sparsity, np.ones(block))
        kernel = generator.normal(size=(width, width)) / 5
        bias = generator.normal(size=width)
        model.get_layer(name).set_weights([kernel * mask[:width, :width], bias])
    return model


def images(count=12):
    shape = (count, 12, 12, 3)
    return np.random.default_rng(1).normal(size=shape).astype("float32")


@pytest.mark.parametrize("quantize", QUANTIZE)
def test_every_format_is_close_to_its_source(framework, tmp_path, quantize):
    model = small_cnn(framework)
    path = tmp_path / "deep" / "model.tflite"

    result = export_tflite(
        model, path, quantize=quantize, representative_data=images()
    )

    assert result.path == path
    assert result.size == path.stat().st_size
    checked = result.max_error if quantize is None else result.rms_error
    assert 0 <= checked < result.tolerance
    assert result.tolerance < 0.5
    assert not {"DENSIFY", "CUSTOM"} & set(result.ops)
    assert not any(name.startswith("Flex") for name in result.ops)
    found = runtime.run(path.read_bytes(), [{"image": images(1)}])[0]
    wanted = model(images(1)).numpy()
    assert np.abs(found["classes"] - wanted).max() < 0.05
    assert os.listdir(path.parent) == ["model.tflite"]


def test_formats_shrink_the_file(tmp_path):
    model = sparse_mlp(importlib.import_module("keras"), sparsity=0.0)
    data = np.random.default_rng(0).normal(size=(8, 256)).astype("float32")

    sizes = [
        export_tflite(
            model,
            tmp_path / "model.tflite",
            quantize=quantize,
            representative_data=data,
        ).size
        for quantize in (None, "float16", "dynamic_int8", "int8")
    ]

    assert sizes[1] < 0.52 * sizes[0]
    assert sizes[2] < 0.29 * sizes[0]
    assert sizes[3] < 0.29 * sizes[0]


@pytest.mark.parametrize("quantize", QUANTIZE)
def test_packed_models_in_every_format(framework, tmp_path, quantize):
    model = sparse_mlp(framework, block=(32, 32))
    packed = pack_blocks(model)
    data = np.random.default_rng(0).normal(size=(8, 256)).astype("float32")

    result = export_tflite(
        packed,
        tmp_path / "packed.tflite",
        quantize=quantize,
        representative_data=data,
    )
    dense = export_tflite(
        model,
        tmp_path / "dense.tflite",
        quantize=quantize,
        representative_data=data,
    )

    assert result.size < 0.5 * dense.size
    found = runtime.run(result.path.read_bytes(), [{"x": data[:1]}])[0]
    wanted = model(data[:1]).numpy()
    scale = np.abs(wanted).max()
    (values,) = found.values()
    allowed = 1e-5 if quantize is None else 0.1
    assert np.abs(values - wanted).max() < allowed * scale


def test_int8_inputs_and_outputs(tmp_path):
    model = small_cnn(importlib.import_module("keras"))

    export_tflite(
        model,
        tmp_path / "model.tflite",
        quantize="int8",
        representative_data=images(),
        io_dtype="int8",
    )

    interpreter = runtime.load((tmp_path / "model.tflite").read_bytes())
    assert interpreter.get_input_details()[0]["dtype"] is np.int8
    assert interpreter.get_output_details()[0]["dtype"] is np.int8


def test_int8_weights_have_a_scale_per_output_channel(tmp_path):
    model = small_cnn(importlib.import_module("keras"))

    export_tflite(
        model,
        tmp_path / "model.tflite",
        quantize="int8",
        representative_data=images(),
    )

    graph = read_graph((tmp_path / "model.tflite").read_bytes())
    kernels = [
        graph.tensors[op.inputs[1]] for op in graph.ops if op.name == "CONV_2D"
    ]
    assert [len(kernel.scales) for kernel in kernels] == [40, 40]


def test_inputs_and_outputs_keep_their_names(framework, tmp_path):
    left = framework.Input((4,), name="left")
    right = framework.Input((3,), name="right")
    both = framework.layers.Concatenate()([left, right])
    model = framework.Model(
        {"left": left, "right": right},
        {
            "sum": framework.layers.Dense(2, name="s")(both),
            "other": framework.layers.Dense(5, name="o")(both),
        },
    )

    export_tflite(model, tmp_path / "model.tflite")

    interpreter = runtime.load((tmp_path / "model.tflite").read_bytes())
    (signature,) = interpreter.get_signature_list().values()
    assert sorted(signature["inputs"]) == ["left", "right"]
    assert sorted(signature["outputs"]) == ["other", "sum"]


def test_lists_of_inputs_and_integer_inputs(framework, tmp_path):
    tokens = framework.Input((6,), dtype="int32", name="tokens")
    extra = framework.Input((3,), name="extra")
    embedded = framework.layers.Embedding(11, 4)(tokens)
    flat = framework.layers.Flatten()(embedded)
    both = framework.layers.Concatenate()([flat, extra])
    model = framework.Model(
        [tokens, extra], framework.layers.Dense(2, name="y")(both)
    )

    result = export_tflite(model, tmp_path / "model.tflite")

    assert result.max_error < 1e-5


def test_batch_size_is_fixed_or_open(tmp_path):
    model = small_cnn(importlib.import_module("keras"))

    export_tflite(model, tmp_path / "fixed.tflite", batch_size=4)
    export_tflite(model, tmp_path / "open.tflite", batch_size=None)

    fixed = runtime.load((tmp_path / "fixed.tflite").read_bytes())
    assert fixed.get_input_details()[0]["shape"][0] == 4
    content = (tmp_path / "open.tflite").read_bytes()
    found = runtime.run(content, [{"image": images(7)}])[0]["classes"]
    assert np.allclose(found, model(images(7)), atol=1e-5)


def test_subclassed_models_need_a_signature(framework, tmp_path):
    class Subclassed(framework.Model):
        def __init__(self):
            super().__init__()
            self.dense = framework.layers.Dense(3)

        def call(self, inputs):
            return self.dense(inputs)

    model = Subclassed()
    path = tmp_path / "model.tflite"

    with pytest.raises(ValueError, match="input_signature"):
        export_tflite(model, path)

    signature = tf.TensorSpec((None, 5), tf.float32)
    assert export_tflite(model, path, input_signature=signature).size


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
        ("quantize", {"quantize": "int4"}),
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


def test_a_failing_check_keeps_the_file_that_was_there(tmp_path, monkeypatch):
    keras = importlib.import_module("keras")
    model = sparse_mlp(keras)
    path = tmp_path / "model.tflite"
    path.write_bytes(b"before")
    wrong = sparse_mlp(keras, sparsity=0.5)
    content = convert(serving.serving_of(wrong, 1), None, None, "float32", None)
    monkeypatch.setattr(tflite, "convert", lambda *_: content)

    with pytest.raises(ValueError, match="doesn't compute what `model`"):
        export_tflite(model, path)

    assert path.read_bytes() == b"before"
    assert os.listdir(tmp_path) == ["model.tflite"]


def test_the_check_catches_dynamic_int8_with_the_sparse_encoding(tmp_path):
    model = sparse_mlp(importlib.import_module("keras"))
    served = serving.serving_of(model, 1)
    content = convert(served, "dynamic_int8", "sparse", "float32", None)
    inputs = [
        {"x": np.random.default_rng(0).normal(size=(1, 256)).astype("float32")}
    ]
    expected = verify.source_outputs(served, inputs)

    with pytest.raises(ValueError, match="nothing was written"):
        verify.check_quantized(content, inputs, expected)

    # Without the sparse encoding the same format passes.
    content = convert(served, "dynamic_int8", None, "float32", None)
    verify.check_quantized(content, inputs, expected)


@pytest.mark.parametrize("quantize", ["dynamic_int8", "float16"])
def test_wrong_combinations_with_sparse_encoding_are_refused(
    tmp_path, quantize
):
    model = sparse_mlp(importlib.import_module("keras"))

    with pytest.raises(ValueError, match="`encoding.*wrong numbers"):
        export_tflite(
            model,
            tmp_path / "model.tflite",
            quantize=quantize,
            encoding="sparse",
        )


@pytest.mark.parametrize("quantize", [None, "int8"])
def test_sparse_encoding_of_what_the_runtime_has_a_kernel_for(
    framework, tmp_path, quantize
):
    model = sparse_mlp(framework)
    data = np.random.default_rng(0).normal(size=(8, 256)).astype("float32")

    result = export_tflite(
        model,
        tmp_path / "sparse.tflite",
        quantize=quantize,
        representative_data=data,
        encoding="sparse",
    )
    dense = export_tflite(
        model,
        tmp_path / "dense.tflite",
        quantize=quantize,
        representative_data=data,
    )

    assert result.size < 0.3 * dense.size
    assert "DENSIFY" not in result.ops


@pytest.mark.parametrize("block", [(1, 16), (1, 1)])
def test_sparse_encoding_that_would_be_undone_is_refused(tmp_path, block):
    model = sparse_mlp(importlib.import_module("keras"), block)

    with pytest.raises(ValueError, match="DENSIFY"):
        export_tflite(model, tmp_path / "model.tflite", encoding="sparse")


def test_sparse_encoding_of_a_dense_model_is_refused(tmp_path):
    model = sparse_mlp(importlib.import_module("keras"), sparsity=0.0)

    with pytest.raises(ValueError, match="encoded nothing"):
        export_tflite(model, tmp_path / "model.tflite", encoding="sparse")


def test_a_model_of_nan_is_refused(tmp_path):
    model = sparse_mlp(importlib.import_module("keras"))
    kernel, bias = model.get_layer("b").get_weights()
    model.get_layer("b").set_weights([kernel * np.nan, bias])

    with pytest.raises(ValueError, match="no finite number"):
        export_tflite(model, tmp_path / "model.tflite")


def test_layers_in_half_precision_are_refused_with_the_reason(tmp_path):
    keras = importlib.import_module("keras")
    layers = [
        keras.layers.Input((32,)),
        keras.layers.Dense(16, dtype="mixed_float16"),
        keras.layers.Dense(4, dtype="float32"),
    ]

    with pytest.raises(ValueError, match="in float32, if theirs is half"):
        export_tflite(keras.Sequential(layers), tmp_path / "model.tflite")


def test_derived_noise_explains_the_measured_error(tmp_path):
    model = small_cnn(importlib.import_module("keras"))
    served = serving.serving_of(model, 1)
    data = [{"image": images(12)[i : i + 1]} for i in range(12)]
    expected = verify.source_outputs(served, data)
    for quantize in ("float16", "dynamic_int8", "int8"):
        content = convert(served, quantize, None, "float32", data)
        found = runtime.run(content, data)
        measured = np.sqrt(
            np.mean(
                [
                    (e["classes"] - f["classes"]) ** 2
                    for e, f in zip(expected, found)
                ]
            )
        )

        derived = noise.output_noise(content, data[0])["classes"].carried

        # First-order and without correlations: the same order of size.
        assert derived / 30 < measured < derived * verify.MARGIN


@pytest.mark.parametrize("quantize", [None, "dynamic_int8"])
def test_recurrent_layers_start_from_zero_at_every_call(
    framework, tmp_path, quantize
):
    inputs = framework.Input((10, 8), name="x")
    model = framework.Model(inputs, framework.layers.LSTM(40)(inputs))

    result = export_tflite(model, tmp_path / "model.tflite", quantize=quantize)

    assert result.rms_error < result.tolerance < 0.2


def test_axes_that_are_left_open(framework, tmp_path):
    inputs = framework.Input((None, None, 3), name="image")
    model = framework.Model(inputs, framework.layers.Conv2D(4, 3)(inputs))

    result = export_tflite(model, tmp_path / "model.tflite")

    found = runtime.run(result.path.read_bytes(), [{"image": images(1)}])[0]
    assert next(iter(found.values())).shape == (1, 10, 10, 4)
    assert benchmark({"model": result.path}, rounds=1).timings


def test_float32_files_have_no_rounding_noise(tmp_path):
    model = small_cnn(importlib.import_module("keras"))
    served = serving.serving_of(model, 1)
    content = convert(served, None, None, "float32", None)

    (found,) = noise.output_noise(content, {"image": images(1)}).values()

    assert (found.carried, found.half_step) == (0.0, 0.0)


def test_the_terminal_stays_quiet(tmp_path, capfd):
    model = small_cnn(importlib.import_module("keras"))

    export_tflite(model, tmp_path / "model.tflite")

    written = capfd.readouterr()
    assert (written.out, written.err) == ("", "")


def test_the_runtime_is_chosen_in_one_place(monkeypatch):
    monkeypatch.setattr(runtime, "has_litert", lambda: False)
    assert runtime.runtime_name() == "TensorFlow Lite"
    assert runtime.interpreter_module().__name__.startswith("tensorflow.")
    assert runtime.schema_module().__name__.startswith("tensorflow.")


def sparse_cnn(framework):
    layers = framework.layers
    inputs = framework.Input((9, 9, 128), name="image")
    x = layers.Conv2D(128, 3, padding="same", activation="relu")(inputs)
    x = layers.Conv2DTranspose(64, 3, strides=2, padding="same")(x)
    model = framework.Model(inputs, x)
    generator = np.random.default_rng(0)
    for layer in model.layers[1:]:
        cells = [n // 32 for n in layer.kernel.shape[-2:]]
        mask = np.kron(generator.random(cells) < 0.3, np.ones((32, 32)))
        layer.kernel.assign(layer.kernel.numpy() * mask)
    return model


@pytest.mark.parametrize("make", [sparse_mlp, sparse_cnn])
def test_keras_exports_packed_models_to_onnx(tmp_path, make):
    pytest.importorskip("tf2onnx")
    onnxruntime = pytest.importorskip("onnxruntime")
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
