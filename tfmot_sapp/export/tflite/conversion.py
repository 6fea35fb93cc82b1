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
"""Converts a model to the bytes of a `.tflite` file.

TensorFlow's converter does the work, from a SavedModel. For 8 bits its steps
are taken one by one, since the ranges that calibration finds are mended before
anything is rounded (`ranges.py`).
"""

import os
from typing import Any

import numpy as np
import tensorflow as tf

from tfmot_sapp.base.silence import quiet
from tfmot_sapp.base.temporary_paths import temporary_folder
from tfmot_sapp.compiler.emit.packed_computation import PackedComputation
from tfmot_sapp.export.serving import SIGNATURE, Serving, write_saved_model
from tfmot_sapp.export.tflite import ranges
from tfmot_sapp.frameworks.private import tensorflow as private
from tfmot_sapp.frameworks.private.layers import all_layers
from tfmot_sapp.targets.target import Target


def convert(
    serving: Serving,
    quantize: str | None,
    encoding: str | None,
    io_dtype: str,
    data: list[dict[str, np.ndarray]] | None,
    target: Target,
) -> bytes:
    """Converts a model to the bytes of a file, which nobody has checked yet.

    Args:
        serving: The model.
        quantize: As in `export_tflite`.
        encoding: As in `export_tflite`.
        io_dtype: As in `export_tflite`.
        data: Batches to find ranges with; needed for `"int8"`.
        target: What packed layers are written for.

    Returns:
        The bytes.

    Raises:
        ValueError: If the model can't be converted.
    """
    operators = target.operators(quantize)
    with temporary_folder() as folder:
        write_saved_model(serving, folder, operators)
        with quiet():
            converter = tf.lite.TFLiteConverter.from_saved_model(
                os.fspath(folder), signature_keys=[SIGNATURE]
            )
        _set_quantization(converter, quantize, io_dtype, data)
        # In 8 bits the encoding comes after the rounding.
        if encoding == "sparse" and quantize != "int8":
            converter.optimizations = [
                *converter.optimizations,
                tf.lite.Optimize.EXPERIMENTAL_SPARSITY,
            ]
        try:
            with quiet():
                if quantize == "int8":
                    return _calibrated_and_quantized(
                        converter, serving.model, encoding
                    )
                return converter.convert()
        except Exception as error:
            raise ValueError(_why_not_converted(error)) from error


def _set_quantization(
    converter: Any,
    quantize: str | None,
    io_dtype: str,
    data: list[dict[str, np.ndarray]] | None,
) -> None:
    if quantize is None:
        return
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if quantize == "float16":
        converter.target_spec.supported_types = [tf.float16]
    if quantize == "int8":
        converter.target_spec.supported_ops = [
            tf.lite.OpsSet.TFLITE_BUILTINS_INT8
        ]
        converter.representative_dataset = lambda: iter(data or [])
        dtype = tf.int8 if io_dtype == "int8" else tf.float32
        converter.inference_input_type = dtype
        converter.inference_output_type = dtype


def _calibrated_and_quantized(
    converter: Any, model: Any, encoding: str | None
) -> bytes:
    """Does what the converter does for int8, with the ranges mended between."""
    calibrated = private.calibrated(converter)
    is_packed = any(
        isinstance(layer, PackedComputation) for layer in all_layers(model)
    )
    content = private.quantized(
        ranges.mend(calibrated, is_packed),
        converter.inference_input_type,
        converter.inference_output_type,
    )
    return private.sparsified(content) if encoding == "sparse" else content


def _why_not_converted(error: Exception) -> str:
    text = "\n".join([str(error), *getattr(error, "__notes__", [])])
    if "Flex" in text or "SELECT_TF_OPS" in text or "TF Select" in text:
        return (
            "`model` needs TensorFlow operators that the runtime doesn't have "
            "(they would be Flex operators, which stock LiteRT can't run). "
            "Replace the layers that make them (by others that cast to no half "
            "precision, if they do), or use `export_saved_model`. "
            f"Received: {_flex_ops(text)}."
        )
    return f"`model` can't be converted to TFLite. Received: {text[-2000:]}"


def _flex_ops(text: str) -> str:
    for line in text.splitlines():
        if line.startswith(("Flex ops:", "TF Select ops:")):
            return line.partition(":")[2].strip()
    return text[-500:]
