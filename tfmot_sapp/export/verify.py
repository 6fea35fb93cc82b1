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
"""Is an exported model still the model? Checked before it is put in place.

The exported model runs as its users will run it, a `.tflite` file under the
runtime's default delegate, and its outputs are compared with those of the
source Keras model.

- Without quantization: the largest absolute error must be under 1e-5 of the
  output scale, the largest absolute value of the source's output, or under the
  tolerance that is passed. A model that computes in less than float32 is
  allowed more in proportion to its machine epsilon.
- With quantization: the root mean square of the error must be under `MARGIN`
  times the noise that rounding the file's tensors is expected to cause
  (`noise.py`), and under half that of the outputs, for what is beyond holds
  more noise than signal. Half a step of an 8-bit output is allowed on top: a
  softmax over 1,000 equal classes rounds to zeros, and rightly so. Such noise
  hides the loss of some weights, so that the weights are compared too
  (`weights.py`).

The inputs are the user's, or random ones on which every kernel matters
(`export/samples.py`).
"""

from typing import Any

import numpy as np
import tensorflow as tf

from tfmot_sapp.export import runtime
from tfmot_sapp.export.measure import (
    EXACT,
    Difference,
    as_float,
    measure,
    root_mean_square,
    worst,
)
from tfmot_sapp.export.serving import Serving
from tfmot_sapp.export.tflite.noise import output_noise
from tfmot_sapp.frameworks.private.layers import all_layers

# Machine epsilons beside float32's.
_COARSENESS = {"float16": 2.0**13, "bfloat16": 2.0**16}
MARGIN = 4.0
_AT_MOST = 0.5

Arrays = dict[str, np.ndarray]


def source_outputs(serving: Serving, inputs: list[Arrays]) -> list[Arrays]:
    """Runs the source model.

    Args:
        serving: The source model.
        inputs: One dictionary of arrays by input name for every call.

    Returns:
        One dictionary of arrays by output name for every call.

    Raises:
        ValueError: If the outputs hold no finite number, which nothing could
            be compared with.
    """
    results = []
    for arrays in inputs:
        tensors = {k: tf.convert_to_tensor(v) for k, v in arrays.items()}
        results.append(
            {k: np.asarray(v) for k, v in serving.call(tensors, None).items()}
        )
    values = [array for result in results for array in result.values()]
    if not any(np.isfinite(as_float(array)).any() for array in values):
        raise ValueError(
            "`model` gives no finite number for the inputs that the export is "
            "checked with. Check its weights, or pass `representative_data` "
            "that it is made for. Received: only NaN or infinite outputs."
        )
    return results


def run_file(content: bytes, inputs: list[Arrays]) -> list[Arrays]:
    """Runs a file under the runtime's default delegate.

    Args:
        content: The file's bytes.
        inputs: One dictionary of arrays by input name for every call.

    Returns:
        One dictionary of arrays by output name for every call.

    Raises:
        ValueError: If the runtime refuses the file.
    """
    try:
        return runtime.run(content, inputs)
    except RuntimeError as error:
        raise ValueError(
            "The exported model doesn't run, so nothing was written. "
            f"Received from {runtime.runtime_name()}: {error}."
        ) from error


def check_exact(
    serving: Serving,
    expected: list[Arrays],
    found: list[Arrays],
    tolerance: float | None = None,
) -> Difference:
    """Compares an export that rounds nothing with its source.

    Args:
        serving: The source model.
        expected: The source's outputs.
        found: The exported model's.
        tolerance: Largest error to allow, as a fraction of the output scale,
            instead of 1e-5.

    Returns:
        The `Difference`.

    Raises:
        ValueError: If it is too large.
    """
    if tolerance is None:
        tolerance = EXACT * coarseness(serving.model)
    max_error, rms_error = measure(expected, found)
    difference = Difference(max_error, rms_error, tolerance)
    if not max_error < tolerance:
        raise ValueError(
            "The exported model doesn't compute what `model` computes, so "
            f"nothing was written: its largest error is {max_error:.3g} of the "
            f"output scale under {runtime.runtime_name()}'s default delegate, "
            f"and {tolerance:.3g} is allowed. If the error is acceptable, pass "
            "`tolerance`."
        )
    return difference


def check_precision(
    model: Serving, copy: Serving, groups: list[list[Arrays]]
) -> Difference:
    """Compares a copy in float32 with a model of another precision.

    Args:
        model: The model.
        copy: Its copy.
        groups: Inputs of calls, range by range.

    Returns:
        The `Difference`.

    Raises:
        ValueError: If it is larger than the model's precision explains.
    """
    tolerance = min(EXACT * coarseness(model.model), _AT_MOST)
    found = []
    for inputs in groups:
        own = [
            {
                name: array.astype(spec.dtype.as_numpy_dtype)
                for (name, spec), array in zip(
                    model.specs.items(), arrays.values()
                )
            }
            for arrays in inputs
        ]
        expected = _by_place(source_outputs(model, own))
        given = _by_place(source_outputs(copy, inputs))
        found.append(Difference(*measure(expected, given), tolerance))
    difference = worst(found)
    if not difference.rms_error < tolerance:
        raise ValueError(
            "`model` doesn't compute in float32 what it computes in its own "
            "precision, so nothing was written: the root mean square of the "
            f"difference is {difference.rms_error:.3g} of that of the outputs, "
            f"and {tolerance:.3g} would be rounding. Received: "
            f"{type(model.model).__name__} '{model.model.name}'."
        )
    return difference


def _by_place(outputs: list[Arrays]) -> list[Arrays]:
    return [
        {str(i): array for i, array in enumerate(arrays.values())}
        for arrays in outputs
    ]


def check_quantized(
    content: bytes,
    inputs: list[Arrays],
    expected: list[Arrays],
    tolerance: float | None = None,
) -> Difference:
    """Compares a quantized file with its source.

    Args:
        content: The file's bytes.
        inputs: Inputs for every call.
        expected: The source's outputs for every call.
        tolerance: Largest relative root mean square error to allow instead of
            the derived one.

    Returns:
        The `Difference`.

    Raises:
        ValueError: If the file is too far from its source.
    """
    found = run_file(content, inputs)
    allowed = tolerance
    if allowed is None:
        allowed = derived_tolerance(content, inputs[0], expected)
    max_error, rms_error = measure(expected, found)
    difference = Difference(max_error, rms_error, allowed)
    if not rms_error < allowed:
        raise ValueError(
            "The quantized file doesn't compute what `model` computes, so "
            f"nothing was written: the root mean square of its error is "
            f"{rms_error:.3g} of that of the outputs under "
            f"{runtime.runtime_name()}'s default delegate, and {allowed:.3g} "
            "is allowed. Use a finer `quantize`, better "
            "`representative_data`, or, if the error is acceptable, pass "
            "`tolerance`."
        )
    return difference


def derived_tolerance(
    content: bytes, inputs: Arrays, expected: list[Arrays]
) -> float:
    """Returns the relative error that rounding explains.

    Args:
        content: A quantized file's bytes.
        inputs: Inputs of one call.
        expected: The source's outputs for every call.

    Returns:
        The largest over outputs of `MARGIN` times the relative error that
        roundings inside the file are expected to cause, which counts up to
        one half, plus half a step of the output's own rounding, plus the
        error of float32.
    """
    largest = 0.0
    for name, noise in output_noise(content, inputs).items():
        values = as_float(np.concatenate([e[name].ravel() for e in expected]))
        scale = root_mean_square(values[np.isfinite(values)]) or 1.0
        carried = min(MARGIN * noise.carried / scale, _AT_MOST)
        largest = max(largest, carried + noise.half_step / scale)
    return largest + EXACT


def coarseness(model: Any) -> float:
    """Returns how much coarser than float32 a model computes, at least 1.

    Args:
        model: A model of either Keras.
    """
    layers = all_layers(model)
    dtypes = {getattr(layer, "compute_dtype", None) for layer in layers}
    return max([1.0, *(c for name, c in _COARSENESS.items() if name in dtypes)])
