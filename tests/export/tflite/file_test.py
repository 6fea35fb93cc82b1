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
"""Files are right, and free of what stock runtimes can't run."""

import gc
import importlib
import os
import weakref

import numpy as np
import pytest
import tensorflow as tf

from tfmot_sapp.export import runtime, serving, verify
from tfmot_sapp.export.benchmark.benchmark import benchmark
from tfmot_sapp.export.tflite import file as tflite
from tfmot_sapp.export.tflite import kept_files, noise
from tfmot_sapp.export.tflite.conversion import convert
from tfmot_sapp.export.tflite.file import export_tflite
from tfmot_sapp.export.tflite.flatbuffer import read_graph
from tfmot_sapp.export.tflite.options import CONVERTED
from tfmot_sapp.targets.cpu_target import CpuTarget
from tfmot_sapp.verbs.pack import pack_blocks


def small_cnn(keras):
    layers = keras.layers
    inputs = keras.Input((12, 12, 3), name="image")
    x = layers.Conv2D(40, 3, padding="same", use_bias=False)(inputs)
    x = layers.BatchNormalization()(x)
    x = skip = layers.ReLU()(x)
    x = layers.DepthwiseConv2D(3, padding="same")(x)
    x = layers.Conv2D(40, 1, activation="relu")(x)
    x = layers.Add()([x, skip])
    x = layers.GlobalAveragePooling2D()(x)
    outputs = layers.Dense(10, activation="softmax", name="classes")(x)
    return keras.Model(inputs, outputs)


def images(count=12):
    shape = (count, 12, 12, 3)
    return np.random.default_rng(1).normal(size=shape).astype("float32")


@pytest.mark.parametrize("quantize", CONVERTED)
def test_every_format_is_close_to_its_source(keras, tmp_path, quantize):
    model = small_cnn(keras)
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


def test_formats_shrink_the_file(sparse_mlp, tmp_path):
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


def test_layers_may_have_names_that_graphs_refuse(tmp_path):
    keras = importlib.import_module("keras")
    inputs = keras.Input((4,), name="x")
    layer = keras.layers.Dense(2, name="_hidden")
    model = keras.Model(inputs, layer(inputs))

    result = export_tflite(model, tmp_path / "model.tflite")

    assert result.ops == {"FULLY_CONNECTED": 1}
    assert layer.kernel.value.name.startswith("_hidden")


def test_packed_models_in_every_format(sparse_mlp, keras, tmp_path):
    model = sparse_mlp(keras, block=(32, 32))
    packed = pack_blocks(model)
    data = np.random.default_rng(0).normal(size=(8, 256)).astype("float32")
    wanted = model(data[:1]).numpy()
    scale = np.abs(wanted).max()

    for quantize in CONVERTED:
        options = {"quantize": quantize, "representative_data": data}
        result = export_tflite(packed, tmp_path / "packed.tflite", **options)
        dense = export_tflite(model, tmp_path / "dense.tflite", **options)

        assert result.size < 0.5 * dense.size, quantize
        found = runtime.run(result.path.read_bytes(), [{"x": data[:1]}])[0]
        (values,) = found.values()
        allowed = 1e-5 if quantize is None else 0.1
        assert np.abs(values - wanted).max() < allowed * scale, quantize


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


def test_inputs_and_outputs_keep_their_names(keras, tmp_path):
    left = keras.Input((4,), name="left")
    right = keras.Input((3,), name="right")
    both = keras.layers.Concatenate()([left, right])
    model = keras.Model(
        {"left": left, "right": right},
        {
            "sum": keras.layers.Dense(2, name="s")(both),
            "other": keras.layers.Dense(5, name="o")(both),
        },
    )

    export_tflite(model, tmp_path / "model.tflite")

    interpreter = runtime.load((tmp_path / "model.tflite").read_bytes())
    (signature,) = interpreter.get_signature_list().values()
    assert sorted(signature["inputs"]) == ["left", "right"]
    assert sorted(signature["outputs"]) == ["other", "sum"]


def test_lists_of_inputs_and_integer_inputs(keras, tmp_path):
    tokens = keras.Input((6,), dtype="int32", name="tokens")
    extra = keras.Input((3,), name="extra")
    embedded = keras.layers.Embedding(11, 4)(tokens)
    flat = keras.layers.Flatten()(embedded)
    both = keras.layers.Concatenate()([flat, extra])
    model = keras.Model([tokens, extra], keras.layers.Dense(2, name="y")(both))

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


def test_subclassed_models_need_a_signature(keras, tmp_path):
    class Subclassed(keras.Model):
        def __init__(self):
            super().__init__()
            self.dense = keras.layers.Dense(3)

        def call(self, inputs):
            return self.dense(inputs)

    model = Subclassed()
    path = tmp_path / "model.tflite"

    with pytest.raises(ValueError, match="input_signature"):
        export_tflite(model, path)

    signature = tf.TensorSpec((None, 5), tf.float32)
    assert export_tflite(model, path, input_signature=signature).size


def test_derived_noise_explains_the_measured_error(tmp_path):
    model = small_cnn(importlib.import_module("keras"))
    served = serving.serving_of(model, 1)
    data = [{"image": images(12)[i : i + 1]} for i in range(12)]
    expected = verify.source_outputs(served, data)
    for quantize in ("float16", "dynamic_int8", "int8"):
        content = convert(served, quantize, None, "float32", data, CpuTarget())
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


def test_recurrent_layers_start_from_zero_at_every_call(keras, tmp_path):
    inputs = keras.Input((10, 8), name="x")
    model = keras.Model(inputs, keras.layers.LSTM(40)(inputs))

    for quantize in (None, "dynamic_int8"):
        result = export_tflite(
            model, tmp_path / "model.tflite", quantize=quantize
        )

        assert result.rms_error < result.tolerance < 0.2, quantize


def test_axes_that_are_left_open(keras, tmp_path):
    inputs = keras.Input((None, None, 3), name="image")
    model = keras.Model(inputs, keras.layers.Conv2D(4, 3)(inputs))

    result = export_tflite(model, tmp_path / "model.tflite")

    found = runtime.run(result.path.read_bytes(), [{"image": images(1)}])[0]
    assert next(iter(found.values())).shape == (1, 10, 10, 4)
    assert benchmark({"model": result.path}, rounds=1).timings


def test_float32_files_have_no_rounding_noise(tmp_path):
    model = small_cnn(importlib.import_module("keras"))
    served = serving.serving_of(model, 1)
    content = convert(served, None, None, "float32", None, CpuTarget())

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


def test_one_conversion_serves_several_exports(keras, tmp_path, monkeypatch):
    inputs = keras.Input((64,))
    model = keras.Model(inputs, keras.layers.Dense(64, "relu")(inputs))
    converted = []
    real = tflite.convert

    def counted(serving, quantize, *arguments):
        converted.append(quantize)
        return real(serving, quantize, *arguments)

    monkeypatch.setattr(tflite, "convert", counted)
    path = tmp_path / "model.tflite"
    first = export_tflite(model, path)
    export_tflite(model, path, pack=True)
    export_tflite(model, path, quantize="float16")
    assert converted == [None, "float16"]

    model.layers[-1].set_weights(
        [2 * weight for weight in model.layers[-1].get_weights()]
    )
    again = export_tflite(model, path)
    assert converted == [None, "float16", None]
    assert again.max_error < 1e-5
    assert again.ops == first.ops

    held = weakref.ref(kept_files._KEPT[model])
    del model
    gc.collect()
    assert held() is None
