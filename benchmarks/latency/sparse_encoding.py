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
"""TFLite's own sparse tensor encoding, to measure beside packing.

`export_tflite(model, path, encoding="sparse")` refuses a model whose kernels
the runtime would unpack again when it loads the file (DENSIFY), because nothing
is gained. To show just that, this writes the file in any case.
"""

import pathlib
import tempfile
import warnings
from typing import Any

import tensorflow as tf

from tfmot_sapp.base.silence import quiet
from tfmot_sapp.export.tflite.flatbuffer import count_ops


def write_sparse_encoding(
    model: Any, path: pathlib.Path, batch_size: int
) -> int:
    """Writes a stripped model with TFLite's sparse encoding, in float32.

    Args:
        model: A stripped model of Keras 3.
        path: The file to write.
        batch_size: The batch size to fix.

    Returns:
        How many kernels the runtime unpacks.
    """
    inputs = [
        tf.TensorSpec((batch_size, *tensor.shape[1:]), tensor.dtype)
        for tensor in model.inputs
    ]
    with (
        tempfile.TemporaryDirectory() as folder,
        quiet(),
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore")
        model.export(folder, input_signature=inputs, verbose=False)
        converter = tf.lite.TFLiteConverter.from_saved_model(
            folder, signature_keys=["serving_default"]
        )
        converter.optimizations = [tf.lite.Optimize.EXPERIMENTAL_SPARSITY]
        content = converter.convert()
    path.write_bytes(content)
    return count_ops(content).get("DENSIFY", 0)
