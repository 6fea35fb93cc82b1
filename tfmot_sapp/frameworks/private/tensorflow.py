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
"""What TensorFlow and LiteRT keep private: converter, runtime, tables."""

import contextlib
import re
from collections.abc import Iterable, Iterator
from types import ModuleType
from typing import Any

import tensorflow as tf

# TensorFlow's rule for a scope, and the index of a variable's handle.
_FOR_GRAPHS = re.compile(r"^[A-Za-z0-9.][A-Za-z0-9_.\\/>-]*(:\d+)?$")


def interpreter_module() -> ModuleType:
    """Returns TensorFlow's own LiteRT runtime."""
    from tensorflow.lite.python import interpreter

    return interpreter


def schema_module() -> ModuleType:
    """Returns TensorFlow's generated reader of the `.tflite` format."""
    from tensorflow.lite.python import schema_py_generated

    return schema_py_generated


def calibrated(converter: Any) -> bytes:
    """Converts to a float file that has the ranges seen in calibration.

    Args:
        converter: A `tf.lite.TFLiteConverter` with representative data.
    """
    converter._experimental_calibrate_only = True
    return converter.convert()


def quantized(content: bytes, input_type: Any, output_type: Any) -> bytes:
    """Quantizes a calibrated file as the converter does.

    Args:
        content: A file from `calibrated`.
        input_type: Data type of the file's inputs.
        output_type: Data type of the file's outputs.
    """
    from tensorflow.lite.python import convert

    return bytes(
        convert.mlir_quantize(
            content,
            input_data_type=input_type,
            output_data_type=output_type,
        )
    )


def sparsified(content: bytes) -> bytes:
    """Encodes a file's sparse weights sparsely, as the converter does."""
    from tensorflow.lite.python import convert

    return bytes(convert.mlir_sparsify(content))


def executed_operations(interpreter: Any) -> list[str]:
    """Returns the names of what a runtime executes, delegates included."""
    return [op["op_name"] for op in interpreter._get_ops_details()]


@contextlib.contextmanager
def names_for_graphs(variables: Iterable[Any]) -> Iterator[None]:
    """Lets variables of any name be saved, while the block runs.

    A graph refuses names such as those that Keras gives to the weights of a
    layer called `_block`.

    Args:
        variables: TensorFlow's variables.
    """
    changed = []
    try:
        for variable in variables:
            name = variable._handle_name
            if not _FOR_GRAPHS.match(name):
                changed.append((variable, name))
                clean = re.sub(r"[^A-Za-z0-9_.\\/>:-]", "_", name)
                variable._handle_name = f"v{clean}"
        yield
    finally:
        for variable, name in changed:
            variable._handle_name = name


def is_resource(obj: Any) -> bool:
    """Returns whether an object is a table or another resource of a graph."""
    return isinstance(
        obj, tf.saved_model.experimental.TrackableResource
    ) or hasattr(obj, "_create_resource")
