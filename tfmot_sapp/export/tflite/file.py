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

import contextlib
import dataclasses
import os
from collections.abc import Iterator
from typing import Any

import numpy as np

from tfmot_sapp.base.checks import check_count
from tfmot_sapp.base.files import write_file
from tfmot_sapp.base.paths import check_path
from tfmot_sapp.export import representative_data as representative
from tfmot_sapp.export import verify
from tfmot_sapp.export.measure import Difference, worst
from tfmot_sapp.export.result import ExportResult
from tfmot_sapp.export.samples import checking_inputs
from tfmot_sapp.export.serving import Serving, check_model, serving_of
from tfmot_sapp.export.tflite.conversion import convert
from tfmot_sapp.export.tflite.flatbuffer import count_ops, read_graph
from tfmot_sapp.export.tflite.kept_files import keep, kept
from tfmot_sapp.export.tflite.options import (
    INTEGERS,
    check_options,
    check_packing,
    check_tolerance,
)
from tfmot_sapp.export.tflite.packing import (
    Rows,
    compare_files,
    packed_content,
)
from tfmot_sapp.export.tflite.quantizer import quantized_content
from tfmot_sapp.export.tflite.weights import (
    lost_weights,
    misrounded_weights,
)
from tfmot_sapp.export.tflite.weights_apart import convert_apart
from tfmot_sapp.frameworks.precision import computes_in_float32, float32_copy
from tfmot_sapp.frameworks.which_keras import host_value
from tfmot_sapp.targets.cpu_target import CpuTarget
from tfmot_sapp.targets.target import Target, check_target

Calls = list[dict[str, np.ndarray]]

# Batches of the user's data that a file is compared with its source on.
_CHECKS = 8
# Largest error of the float32 file that quantized weights are compared with:
# the loss of some weights shows, the rounding of a deep network doesn't.
_REFERENCE_TOLERANCE = 1e-3


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
    pack: bool = False,
    target: Target | None = None,
) -> ExportResult:
    """Writes a model as a `.tflite` file, checked against the model itself.

    The file is compared with `model` under the runtime's default delegate
    before it is put in place, see `tfmot_sapp.export.verify`; if anything
    fails, what stood at `path` stays.

    Args:
        model: A model of `keras` (3) or `tf_keras`: dense, stripped, or packed
            by `pack_blocks`. One that computes in half precision or float64
            is written in float32, and compared within its own precision.
        path: The file to write. Missing folders are made.
        quantize: `None` for float32; `"float16"` stores weights in half
            precision and computes in float32; `"dynamic_int8"` stores 8-bit
            weights and rounds activations while it runs; `"int8"` computes
            in 8 bits throughout, per output channel, with ranges from
            `representative_data`; `"int4"` is as `"dynamic_int8"`, with
            weights of 4 bits in fully connected layers, and needs the extra
            `tfmot_sapp[quantize]`.
        representative_data: Inputs as the model will see them: an array, a
            list, tuple or dictionary of arrays, a `tf.data.Dataset` or a
            generator of batches, also of `(x, y)` as `fit` takes them. Finite
            numbers only. Required for `"int8"`; otherwise used, if given, for
            the comparison in place of random numbers.
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
        tolerance: Largest error to allow: of a quantized file the relative
            root mean square error, derived from the rounding of its tensors by
            default; of a float32 file the largest absolute error as a fraction
            of the output scale, 1e-5 by default.
        pack: Whether the file is to store and multiply only the kept blocks
            of a dense or stripped model. The whole file is packed as the
            runtime sees it, so that kernels inside of any layer count:
            attention, recurrent layers, layers of the user's own. What is
            rounded to integers is packed first and rounded by the package
            `litert-quantizer` then, which needs the extra
            `tfmot_sapp[quantize]`. Not with `encoding`.
        target: What the file is packed for; `None` for a CPU with one thread.

    Returns:
        An `ExportResult`.

    Raises:
        TypeError: If `model` is no Keras model, `path` no path, or
            `representative_data` no data.
        ImportError: If `litert-quantizer` is needed and isn't installed.
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
    check_options(quantize, encoding, io_dtype)
    check_count(1 if batch_size is None else batch_size, "batch_size")
    check_count(max_samples, "max_samples")
    check_tolerance(tolerance)
    check_packing(pack, quantize, encoding)
    packs_for = CpuTarget() if target is None else check_target(target)
    final = check_path(path, "file")
    if quantize == "int8" and representative_data is None:
        raise ValueError(
            '`representative_data` is required for quantize="int8": the ranges '
            "of the activations come from it. Received: None."
        )
    own = serving_of(model, batch_size, input_signature)
    serving = own
    if not computes_in_float32(model):
        copy = float32_copy(model)
        serving = serving_of(copy, batch_size, input_signature).named_as(own)
    data: Calls | None = None
    if representative_data is not None:
        data = list(
            representative.batches(
                representative_data, serving, batch_size or 1, max_samples
            )
        )
    groups = _groups(serving, data)
    comparison = _Comparison(model, serving, groups, tolerance)
    rounds_later = quantize in INTEGERS and (pack or quantize == "int4")
    if rounds_later:
        content, difference = comparison.reference()
    elif quantize is None and encoding is None:
        content, difference = comparison.float32_file(tolerance)
    else:
        content = convert(
            serving, quantize, encoding, io_dtype, data, CpuTarget()
        )
        if encoding == "sparse":
            _check_encoding(content)
        difference = comparison.file(content, quantize)
    packing: Rows = ()
    if pack:
        dense = content
        content, packing = packed_content(dense, packs_for, quantize)
        kept = compare_files(
            dense, content, None if rounds_later else tolerance
        )
        difference = _sum(difference, dataclasses.replace(kept, tolerance=0.0))
    if rounds_later:
        exact = content
        content = quantized_content(exact, str(quantize), io_dtype, data)
        difference = comparison.rounded(content, exact, quantize)
    if serving is not own:
        difference = _sum(
            difference, verify.check_precision(own, serving, groups)
        )
    write_file(final, content)
    return ExportResult(
        path=final,
        size=len(content),
        max_error=difference.max_error,
        rms_error=difference.rms_error,
        tolerance=difference.tolerance,
        ops=count_ops(content),
        packing=packing,
    )


def _sum(first: Difference, second: Difference) -> Difference:
    """What two differences in a row come to at most."""
    return Difference(
        first.max_error + second.max_error,
        first.rms_error + second.rms_error,
        first.tolerance + second.tolerance,
    )


def _groups(serving: Serving, data: Calls | None) -> list[Calls]:
    """Calls to compare a file with its source on, range by range."""
    if data is None:
        return checking_inputs(serving)
    return [data[:: max(1, len(data) // _CHECKS)][:_CHECKS]]


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


@dataclasses.dataclass(frozen=True)
class _Comparison:
    """A file's source, and what the file is compared with it on."""

    model: Any
    serving: Serving
    groups: list[Calls]
    tolerance: float | None

    def file(self, content: bytes, quantize: str | None) -> Difference:
        """Compares a file of any format."""
        if quantize is None:
            return self._exact(content, self.tolerance)
        reference, _ = self.reference()
        return self.rounded(content, reference, quantize)

    def reference(self) -> tuple[bytes, Difference]:
        """The float32 file that a quantized one is compared with."""
        return self.float32_file(
            max(_REFERENCE_TOLERANCE, self.tolerance or 0.0)
        )

    def rounded(
        self, content: bytes, reference: bytes, quantize: str | None
    ) -> Difference:
        """Compares a quantized file with the float32 file that it rounds."""
        difference = self._quantized(content)
        fault = misrounded_weights(content, reference)
        if fault:
            raise ValueError(
                "The quantized file doesn't hold the weights of `model`, so "
                f"nothing was written: {fault}. Use another `quantize`. "
                f"Received: quantize={quantize!r}."
            )
        return difference

    def float32_file(self, tolerance: float | None) -> tuple[bytes, Difference]:
        """The float32 file, compared; converted unless it has been kept."""
        content = kept(self.model, self.serving)
        if content is not None:
            # Of a model that has changed in a way that isn't told.
            with contextlib.suppress(ValueError):
                return content, self._exact(content, tolerance)
        content, difference = self._converted(tolerance)
        keep(self.model, self.serving, content)
        return content, difference

    def _converted(self, tolerance: float | None) -> tuple[bytes, Difference]:
        # Where it isn't what it should be, the converter does it by itself.
        with contextlib.suppress(ValueError):
            content = convert_apart(self.serving, CpuTarget())
            if content is not None:
                return content, self._exact(content, tolerance)
        content = convert(
            self.serving, None, None, "float32", None, CpuTarget()
        )
        return content, self._exact(content, tolerance)

    def _exact(self, content: bytes, tolerance: float | None) -> Difference:
        difference = worst(
            verify.check_exact(
                self.serving,
                verify.source_outputs(self.serving, inputs),
                verify.run_file(content, inputs),
                tolerance,
            )
            for inputs in self.groups
        )
        fault = None
        if self.tolerance is None:
            fault = lost_weights(content, self._kernels())
        if fault:
            raise ValueError(
                "The exported model doesn't hold the weights of `model`, so "
                f"nothing was written: {fault}. If that is acceptable, pass "
                f"`tolerance`. Received: `{self.model.name}`."
            )
        return difference

    def _kernels(self) -> Iterator[tuple[str, np.ndarray]]:
        for weight in self.serving.model.weights:
            if len(weight.shape) > 1:
                values = host_value(weight)
                if values.dtype == np.float32:
                    yield weight.name, values

    def _quantized(self, content: bytes) -> Difference:
        return worst(
            verify.check_quantized(
                content,
                inputs,
                verify.source_outputs(self.serving, inputs),
                self.tolerance,
            )
            for inputs in self.groups[:1]
        )
