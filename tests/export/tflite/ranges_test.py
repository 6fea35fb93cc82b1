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
"""Ranges are mended where packing needs it, and nowhere else."""

import keras
import numpy as np
import pytest

from tfmot_sapp.export import runtime
from tfmot_sapp.export.tflite import conversion, ranges
from tfmot_sapp.export.tflite.file import export_tflite
from tfmot_sapp.export.tflite.flatbuffer import Graph, Op, read_graph
from tfmot_sapp.verbs.pack import pack_blocks


def graph(*ops):
    return Graph((), tuple(Op(name, a, b) for name, a, b in ops))


def test_pieces_put_together_share_a_range():
    ops = graph(
        ("CONCATENATION", (0, 1), (2,)),
        ("CONV_2D", (2, 9), (3,)),
        ("CONCATENATION", (1, 4), (5,)),
    )
    found = ranges.share_ranges(
        ops,
        {0: (0, 1), 1: (-2, 0), 2: (-2, 1), 3: (0, 9), 4: (0, 5), 5: (0, 5)},
    )

    assert found == dict.fromkeys((0, 1, 2, 4, 5), (-2, 5)) | {3: (0, 9)}


def test_empty_ranges_are_those_of_their_surroundings():
    ops = graph(
        ("CONV_2D", (0,), (1,)), ("ADD", (1, 2), (3,)), ("CONV_2D", (4,), (5,))
    )
    found = ranges.widen_empty_ranges(
        ops,
        {
            0: (0.0, 0.0),
            1: (-1e-6, 1e-6),
            2: (-4.0, 1.0),
            3: (0.0, 3.0),
            4: (0.0, 7.0),
            5: (0.0, 2.0),
        },
    )

    assert found[1] == (-4.0, 4.0)
    assert found[0] == (-4.0, 4.0)
    assert [found[i] for i in (2, 3, 4, 5)] == [
        (-4.0, 1.0),
        (0.0, 3.0),
        (0.0, 7.0),
        (0.0, 2.0),
    ]


def test_a_model_of_zeros_is_left_alone():
    empty = {0: (0.0, 0.0), 1: (0.0, 0.0)}

    assert ranges.widen_empty_ranges(graph(("ADD", (0,), (1,))), empty) == empty


@pytest.fixture(name="model")
def fixture_model():
    """Three convolutions in pieces, one of which is never above zero."""
    generator = np.random.default_rng(0)
    inputs = x = keras.Input((14, 14, 128), name="x")
    for name in "abc":
        x = keras.layers.Conv2D(256, 3, activation="relu", name=name)(x)
    model = keras.Model(inputs, x)
    for name in "abc":
        shape = model.get_layer(name).kernel.shape
        mask = generator.random((shape[-2] // 64, 4)) < 0.5
        mask[0] = True
        kernel = generator.normal(size=shape) / 20
        kernel *= np.kron(mask, np.ones((64, 64)))
        bias = generator.normal(size=256)
        if name == "a":
            bias[64:128] = -1000
        model.get_layer(name).set_weights([kernel, bias])
    return model


def count_rescalings(model, path):
    data = np.random.default_rng(1).normal(size=(4, *model.input_shape[1:]))
    result = export_tflite(
        model, path, quantize="int8", representative_data=data
    )
    assert result.rms_error < 0.1
    graph = read_graph(result.path.read_bytes())
    return sum(
        op.name == "QUANTIZE" and graph.tensors[op.inputs[0]].dtype == "INT8"
        for op in graph.ops
    )


def test_packed_int8_models_run_without_rescaling(model, tmp_path):
    packed = pack_blocks(model)

    assert count_rescalings(packed, tmp_path / "packed.tflite") == 0


def test_pieces_used_in_several_places_need_no_rescaling(tmp_path, monkeypatch):
    layers = keras.layers
    inputs = keras.Input((8, 8, 16))
    pieces = [layers.Conv2D(16, 1)(inputs * scale) for scale in (1, 2, 4)]
    left = layers.Concatenate()(pieces[:2])
    right = layers.Concatenate()(pieces[1:])
    both = [layers.Conv2D(8, 1)(left), layers.Conv2D(8, 1)(right)]
    model = keras.Model(inputs, both)
    path = tmp_path / "model.tflite"

    assert count_rescalings(model, path) > 0

    # As if the pieces came from packing.
    monkeypatch.setattr(conversion, "PackedComputation", layers.Layer)

    assert count_rescalings(model, path) == 0


def test_dense_models_keep_the_ranges_of_calibration(model, tmp_path):
    data = np.random.default_rng(1).normal(size=(4, 14, 14, 128))

    export_tflite(
        model,
        tmp_path / "model.tflite",
        quantize="int8",
        representative_data=data,
    )

    content = (tmp_path / "model.tflite").read_bytes()
    hidden = next(
        op for op in read_graph(content).ops if op.name == "CONV_2D"
    ).outputs[0]
    (scale,) = read_graph(content).tensors[hidden].scales
    found = model.get_layer("a")(data.astype("float32"))
    assert np.isclose(scale, float(np.max(found)) / 255, rtol=1e-3)
    assert runtime.run(content, [{"x": data[:1]}])
