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
"""From a Keras model to a `.tflite` file that is known to be right.

```python
result = export_tflite(packed, "model.tflite")
result = export_tflite(packed, "int8.tflite", quantize="int8",
                       representative_data=images)
print(result.size, result.max_error, result.ops)
```

The model is written as a SavedModel with fixed batch size, converted, checked
against the source model under the runtime's default delegate, and only then put
in place.
"""

import dataclasses
import numbers
import os
import pathlib
import tempfile
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorflow as tf
from rich import console, progress
from tensorflow.lite.python import convert

from tfmot_sapp.export import ranges, representative, verify
from tfmot_sapp.export.emission import Emission
from tfmot_sapp.export.flatbuffer import count_ops, read_graph
from tfmot_sapp.export.packed_layers import PackedComputation
from tfmot_sapp.export.placing import check_path, place_file
from tfmot_sapp.export.quiet import quiet
from tfmot_sapp.export.serving import (
    SIGNATURE,
    Serving,
    check_model,
    serving_of,
    write_saved_model,
)

QUANTIZE = (None, "float16", "dynamic_int8", "int8")
ENCODINGS = (None, "sparse")
IO_DTYPES = ("float32", "int8")

# Calls with which a file is compared with its source.
_CHECKS = 3


@dataclasses.dataclass(frozen=True)
class ExportResult:
    """What an exporter wrote.

    Attributes:
        path: Where it is.
        size: Size in bytes.
        max_error: Largest absolute difference from the source model, as a
            fraction of the output scale.
        rms_error: Root mean square of the difference, as a fraction of that
            of the outputs.
        tolerance: What the checked error had to stay under: `max_error`
            without quantization, `rms_error` with it.
        ops: Number of operators of each kind.
    """

    path: pathlib.Path
    size: int
    max_error: float
    rms_error: float
    tolerance: float
    ops: dict[str, int]


def export_tflite(
    model: Any,
    path: str | os.PathLike,
    quantize: str | None = None,
    representative_data: Any = None,
    encoding: str | None = None,
    batch_size: int | None = 1,
    input_signature: Any = None,
    io_dtype: str = "float32",
    max_samples: int = 512,
    tolerance: float | None = None,
) -> ExportResult:
    """Writes a model as a `.tflite` file, checked against the model itself.

    The file is compared with `model` under the runtime's default delegate
    before it is put in place, see `tfmot_sapp.export.verify`; if anything
    fails, what stood at `path` stays.

    Args:
        model: A model of `keras` (3) or `tf_keras`: dense, stripped, or packed
            by `pack_blocks`.
        path: The file to write. Missing folders are made.
        quantize: `None` for float32; `"float16"` stores weights in half
            precision and computes in float32; `"dynamic_int8"` stores 8-bit
            weights and rounds activations while it runs; `"int8"` computes
            in 8 bits throughout, per output channel, with ranges from
            `representative_data`.
        representative_data: Inputs as the model will see them: an array, a
            list or dictionary of arrays, a `tf.data.Dataset` or a generator of
            batches. Required for `"int8"`; otherwise used, if given, for the
            comparison in place of random numbers.
        encoding: `None`, or `"sparse"` for TFLite's own sparse tensor encoding
            of a stripped model. It makes files smaller, rarely faster, and
            is refused where the runtime would unpack the tensors again.
        batch_size: The batch size to fix, or `None` to leave it open, which
            can cost speed.
        input_signature: Specs (anything with `shape` and `dtype`) structured
            like the model's input. Needed for subclassed models only.
        io_dtype: `"float32"` or, with `quantize="int8"`, `"int8"`: type of the
            file's inputs and outputs.
        max_samples: Most samples of `representative_data` to calibrate with.
        tolerance: Largest relative root mean square error of a quantized file;
            derived from the rounding of its tensors by default.

    Returns:
        An `ExportResult`.

    Raises:
        TypeError: If `model` is no Keras model, `path` no path, or
            `representative_data` no data.
        ValueError: If the model is still wrapped for pruning, an argument is
            out of range, `path` can't be written, the model needs operators
            that the runtime lacks, or the file is too far from the model.

    Example:

    >>> import keras, tempfile
    >>> inputs = keras.Input((8,), name="x")
    >>> model = keras.Model(inputs, keras.layers.Dense(2, name="y")(inputs))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     result = export_tflite(model, folder + "/model.tflite")
    >>> result.ops
    {'FULLY_CONNECTED': 1}
    """
    check_model(model)
    _check_options(quantize, encoding, io_dtype)
    check_count("batch_size", 1 if batch_size is None else batch_size)
    check_count("max_samples", max_samples)
    _check_tolerance(tolerance)
    target = check_path(path, "file")
    if quantize == "int8" and representative_data is None:
        raise ValueError(
            '`representative_data` is required for quantize="int8": the ranges '
            "of the activations come from it. Received: None."
        )
    serving = serving_of(model, batch_size, input_signature)
    data: list[dict[str, np.ndarray]] | None = None
    if representative_data is not None:
        data = list(
            representative.batches(
                representative_data, serving, batch_size or 1, max_samples
            )
        )
    content = _convert(serving, quantize, encoding, io_dtype, data)
    if encoding == "sparse":
        _check_encoding(content)
    difference = _compare(serving, content, quantize, data, tolerance)
    place_file(target, content)
    return ExportResult(
        path=target,
        size=len(content),
        max_error=difference.max_error,
        rms_error=difference.rms_error,
        tolerance=difference.tolerance,
        ops=count_ops(content),
    )


def _check_options(quantize: Any, encoding: Any, io_dtype: Any) -> None:
    for name, value, allowed in (
        ("quantize", quantize, QUANTIZE),
        ("encoding", encoding, ENCODINGS),
        ("io_dtype", io_dtype, IO_DTYPES),
    ):
        if value is not None and not isinstance(value, str):
            raise TypeError(
                f"`{name}` must be one of {allowed}. Received: "
                f"{name}={value!r} of type {type(value).__name__}."
            )
        if value not in allowed:
            raise ValueError(
                f"`{name}` must be one of {allowed}. "
                f"Received: {name}={value!r}."
            )
    if io_dtype == "int8" and quantize != "int8":
        raise ValueError(
            '`io_dtype="int8"` needs `quantize="int8"`. '
            f"Received: quantize={quantize!r}."
        )
    if encoding == "sparse" and quantize in ("float16", "dynamic_int8"):
        raise ValueError(
            '`encoding="sparse"` can\'t be had with '
            f'quantize="{quantize}": the runtime computes wrong numbers for '
            "that combination under its default delegate. Use "
            "`pack_blocks(model)` without `encoding`, or "
            f'another `quantize`. Received: quantize="{quantize}".'
        )


def _check_tolerance(tolerance: Any) -> None:
    if tolerance is None:
        return
    if isinstance(tolerance, bool) or not isinstance(tolerance, numbers.Real):
        raise TypeError(
            "`tolerance` must be a number. "
            f"Received: tolerance={tolerance!r} of type "
            f"{type(tolerance).__name__}."
        )
    if not tolerance > 0:
        raise ValueError(
            f"`tolerance` must be positive. Received: tolerance={tolerance}."
        )


def check_count(name: str, value: Any) -> None:
    """Checks that an argument is a positive integer.

    Args:
        name: The argument's name, for the error.
        value: What was received.

    Raises:
        TypeError: If it is no integer.
        ValueError: If it is below 1.
    """
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
        raise TypeError(
            f"`{name}` must be a positive integer. Received: {name}={value!r} "
            f"of type {type(value).__name__}."
        )
    if value < 1:
        raise ValueError(
            f"`{name}` must be a positive integer. Received: {name}={value}."
        )


def _convert(
    serving: Serving,
    quantize: str | None,
    encoding: str | None,
    io_dtype: str,
    data: list[dict[str, np.ndarray]] | None,
) -> bytes:
    """Converts a model to the bytes of a file."""
    with tempfile.TemporaryDirectory() as folder:
        write_saved_model(serving, folder, Emission("litert", quantize))
        with quiet(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            converter = tf.lite.TFLiteConverter.from_saved_model(
                folder, signature_keys=[SIGNATURE]
            )
        _set_quantization(converter, quantize, io_dtype, data)
        # In 8 bits the encoding comes after the rounding.
        if encoding == "sparse" and quantize != "int8":
            converter.optimizations = [
                *converter.optimizations,
                tf.lite.Optimize.EXPERIMENTAL_SPARSITY,
            ]
        try:
            with quiet(), warnings.catch_warnings():
                warnings.simplefilter("ignore")
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
        converter.representative_dataset = lambda: _with_progress(data or [])
        dtype = tf.int8 if io_dtype == "int8" else tf.float32
        converter.inference_input_type = dtype
        converter.inference_output_type = dtype


def _calibrated_and_quantized(
    converter: Any, model: Any, encoding: str | None
) -> bytes:
    """Does what the converter does for int8, with the ranges mended between."""
    converter._experimental_calibrate_only = True
    calibrated = converter.convert()
    is_packed = any(
        isinstance(layer, PackedComputation)
        for layer in model._flatten_layers()
    )
    content = convert.mlir_quantize(
        ranges.mend(calibrated, is_packed),
        input_data_type=converter.inference_input_type,
        output_data_type=converter.inference_output_type,
    )
    if encoding == "sparse":
        content = convert.mlir_sparsify(content)
    return bytes(content)


def _with_progress(
    data: list[dict[str, np.ndarray]],
) -> Iterator[dict[str, np.ndarray]]:
    # A console of its own, so that it may run inside another progress bar.
    yield from progress.track(data, "Calibrating", console=console.Console())


def _why_not_converted(error: Exception) -> str:
    text = "\n".join([str(error), *getattr(error, "__notes__", [])])
    if "Flex" in text or "SELECT_TF_OPS" in text or "TF Select" in text:
        return (
            "`model` needs TensorFlow operators that the runtime doesn't have "
            "(they would be Flex operators, which stock LiteRT can't run). "
            "Replace the layers that make them (in float32, if theirs is half "
            "precision), or use `export_saved_model`. "
            f"Received: {_flex_ops(text)}."
        )
    return f"`model` can't be converted to TFLite. Received: {text[-2000:]}"


def _flex_ops(text: str) -> str:
    for line in text.splitlines():
        if line.startswith(("Flex ops:", "TF Select ops:")):
            return line.partition(":")[2].strip()
    return text[-500:]


def _check_encoding(content: bytes) -> None:
    """Refuses a sparse encoding that the runtime would only undo."""
    graph = read_graph(content)
    undone = {
        graph.tensors[op.inputs[0]].name
        for op in graph.ops
        if op.name == "DENSIFY"
    }
    if undone:
        names = ", ".join(repr(name) for name in sorted(undone)[:3])
        raise ValueError(
            '`encoding="sparse"` gives nothing for this model: the runtime '
            f"would unpack {len(undone)} of its kernels (DENSIFY) and multiply "
            "them densely, because only Dense kernels with blocks of 4 or 16 "
            "along the input axis have a sparse kernel. Use "
            "`pack_blocks(model)` without `encoding`. "
            f"Received: kernels {names}."
        )
    if not any(tensor.is_sparse for tensor in graph.tensors):
        raise ValueError(
            '`encoding="sparse"` encoded nothing: no kernel of `model` has '
            "enough zeros in blocks. Prune it, or leave `encoding` out. "
            "Received: a model without a sparse kernel."
        )


def _compare(
    serving: Serving,
    content: bytes,
    quantize: str | None,
    data: list[dict[str, np.ndarray]] | None,
    tolerance: float | None,
) -> verify.Difference:
    if data is not None:
        inputs = data[:_CHECKS]
    else:
        inputs = [
            representative.random_inputs(serving, samples=2, seed=seed)
            for seed in range(_CHECKS)
        ]
    expected = verify.source_outputs(serving, inputs)
    if quantize is None:
        return verify.check_exact(
            serving, expected, verify.run_file(content, inputs)
        )
    return verify.check_quantized(content, inputs, expected, tolerance)
