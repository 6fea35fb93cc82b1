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
"""What is private in TensorFlow is still what we take it for."""

import warnings

import numpy as np
import tensorflow as tf

from tfmot_sapp.base import private_flatbuffers
from tfmot_sapp.frameworks.private import tensorflow as private_tensorflow


def test_the_converter_gives_its_steps_one_by_one():
    model = tf.function(lambda x: tf.nn.relu(x) * 2.0)
    spec = tf.TensorSpec((1, 4), tf.float32)
    converter = tf.lite.TFLiteConverter.from_concrete_functions(
        [model.get_concrete_function(spec)], model
    )
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: iter(
        [[np.ones((1, 4), np.float32)]]
    )
    broke = "The converter no longer calibrates and quantizes in two steps."
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        content = private_tensorflow.calibrated(converter)
    content = private_tensorflow.quantized(content, tf.int8, tf.int8)
    content = private_tensorflow.sparsified(content)
    runtime = private_tensorflow.interpreter_module()
    interpreter = runtime.Interpreter(model_content=content)
    interpreter.allocate_tensors()
    assert interpreter.get_input_details()[0]["dtype"] == np.int8, broke
    names = private_tensorflow.executed_operations(interpreter)
    assert names, "`_get_ops_details` no longer lists what a runtime executes."
    schema = private_tensorflow.schema_module()
    assert schema.ModelT.InitFromPackedBuf(content).subgraphs, (
        "TensorFlow's reader of LiteRT files has another interface."
    )


def test_lookup_tables_are_resources(keras):
    layer = keras.layers.StringLookup(vocabulary=["a", "b"])
    broke = "A lookup's table is no longer a resource of TensorFlow."
    is_resource = private_tensorflow.is_resource
    assert any(map(is_resource, vars(layer).values())), broke
    assert not is_resource(tf.zeros(1)), broke


def test_variables_are_named_for_graphs():
    named = tf.Variable(1.0, name="_b")
    with private_tensorflow.names_for_graphs([named]):
        assert named._handle_name == "v_b:0", "Variables keep names elsewhere."


def test_generated_classes_of_flatbuffers_read_a_table():
    schema = private_tensorflow.schema_module()
    model = schema.Model.GetRootAsModel(bytearray(b"\x08\0\0\0TFL3") * 8, 0)
    broke = "Generated classes of flatbuffers no longer keep a `_tab`."
    table = private_flatbuffers.table_of(model)
    assert table.Pos == 8, broke
    private_flatbuffers.set_table(model, None)
    assert private_flatbuffers.table_of(model) is None, broke
