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
"""Models that compute in half precision or float64 are written in float32."""

import keras as keras3
import numpy as np
import pytest
import tf_keras as keras2

from tfmot_sapp.export import verify
from tfmot_sapp.export.serving import serving_of
from tfmot_sapp.export.tflite.file import export_tflite
from tfmot_sapp.export.tflite.flatbuffer import read_graph
from tfmot_sapp.frameworks.precision import computes_in_float32, float32_copy


@pytest.fixture(params=[keras3, keras2], ids=["k3", "k2"])
def framework(request):
    yield request.param
    keras3.config.set_dtype_policy("float32")
    keras2.mixed_precision.set_global_policy("float32")


def _model(keras, policy):
    """A block of its own around layers, a nested model, types that end."""
    layers = keras.layers
    if keras is keras3:
        keras.config.set_dtype_policy(policy)
    else:
        keras.mixed_precision.set_global_policy(policy)

    class Block(layers.Layer):
        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            self.dense = layers.Dense(16, "relu")

        def build(self, shape):
            self.dense.build(shape)
            super().build(shape)

        def call(self, x):
            return x + self.dense(x)

    inner = keras.Input((16,))
    nested = keras.Model(inner, layers.Dense(16)(inner))
    half = policy.removeprefix("mixed_")
    inputs = keras.Input((16,), name="x", dtype=half)
    x = layers.LayerNormalization()(Block()(nested(inputs)))
    outputs = layers.Dense(4, "softmax", dtype="float32", name="y")(x)
    return keras.Model(inputs, outputs)


@pytest.mark.filterwarnings("ignore:.*Mixed precision")
@pytest.mark.parametrize("policy", ["mixed_float16", "bfloat16", "float64"])
def test_other_precisions_are_written_in_float32(framework, policy, tmp_path):
    model = _model(framework, policy)
    before = [np.array(weight) for weight in model.get_weights()]

    quantize = None if policy == "bfloat16" else "float16"
    result = export_tflite(model, tmp_path / "m.tflite", quantize=quantize)

    graph = read_graph((tmp_path / "m.tflite").read_bytes())
    kinds = {t.dtype for t in graph.tensors if t.data is None}
    assert kinds == {"FLOAT32"}
    assert result.max_error < 0.05
    assert not computes_in_float32(model)
    for mine, held in zip(before, model.get_weights()):
        assert np.array_equal(mine, held)


@pytest.mark.filterwarnings("ignore:.*Mixed precision")
def test_a_copy_that_computes_something_else_is_refused(framework):
    model = _model(framework, "mixed_float16")
    copy = float32_copy(model)
    copy.layers[-1].set_weights(
        [-weight for weight in copy.layers[-1].get_weights()]
    )
    own, other = serving_of(model, 1), serving_of(copy, 1)
    x = np.random.default_rng(0).normal(size=(1, 16)).astype("float32")
    (name,) = other.specs

    with pytest.raises(ValueError, match="doesn't compute in float32"):
        verify.check_precision(own, other, [[{name: x}]])
