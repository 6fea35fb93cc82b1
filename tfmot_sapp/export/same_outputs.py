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
"""Whether a packed Keras model computes what its source computes.

Both run on random inputs of several ranges, so that neither a saturated output
nor one that hardly varies hides a difference. What is allowed is float32
rounding: 1e-5 of the output scale, or, in a network that amplifies rounding, a
multiple of what it makes of inputs that are off by their last bit.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from tfmot_sapp.export.measure import EXACT, RANGES, Arrays, measure
from tfmot_sapp.export.open_extents import at_open_extent
from tfmot_sapp.export.representative_data import random_inputs
from tfmot_sapp.export.samples import NOT_TAKEN, has_open_axes
from tfmot_sapp.export.serving import Serving, serving_of
from tfmot_sapp.export.verify import coarseness
from tfmot_sapp.frameworks.layer_state import vocabulary_of
from tfmot_sapp.frameworks.private.layers import layers_inside

_SAMPLES = 3  # Of one range, where the batch is open.
# Rounding happens in every layer, so that it comes to more than that of the
# inputs alone; beyond one part in a thousand it isn't rounding any more.
_AMPLIFIED = 32.0
_LARGEST = 1e-3


def check_same_outputs(model: Any, packed: Any, specs: Any = None) -> None:
    """Compares a packed model with its source.

    Args:
        model: The source.
        packed: A model with inputs and outputs in the same order.
        specs: Structure of what the source takes, where it doesn't say so.

    Raises:
        ValueError: If they compute something else, or the source doesn't run
            on random inputs.
    """
    source = serving_of(model, None, specs)
    calls, expected = _source_runs(source)
    found = _run(serving_of(packed, None), calls)
    error = _worst(calls, expected, found)
    tolerance = EXACT * coarseness(model)
    if error < tolerance:
        return
    moved = [
        {name: _off_by_a_bit(array) for name, array in call.items()}
        for call in calls
    ]
    rounding = _worst(calls, expected, _run(source, moved))
    tolerance = max(tolerance, min(_AMPLIFIED * rounding, _LARGEST))
    if not error < tolerance:
        raise ValueError(
            "`model` can't be packed: the result computes something else, with "
            f"an error of {error:.3g} of the output scale, and {tolerance:.3g} "
            "would be rounding. Export `model` by `export_tflite(model, path, "
            "pack=True)`, which packs the file in its place; a model that "
            "computes something else at every call can't be compared. "
            f"Received: {type(model).__name__} '{model.name}'."
        )


def _source_runs(serving: Serving) -> tuple[list[Arrays], list[Arrays]]:
    """Inputs that the source takes, and what it gives for them."""

    def attempt(extent: int) -> tuple[list[Arrays], list[Arrays]]:
        calls = _calls(serving, extent)
        return calls, _run(serving, calls)

    try:
        return at_open_extent(attempt, has_open_axes(serving), NOT_TAKEN)
    except NOT_TAKEN as error:
        raise ValueError(
            "`model` must run on random inputs, so that the packed one can be "
            "compared with it. Export it by `export_tflite(model, path, "
            "representative_data=..., pack=True)` in place of packing it. "
            f"Received: {str(error).strip()[-300:]}"
        ) from error


def _calls(serving: Serving, extent: int) -> list[Arrays]:
    """Random inputs: all ranges in one call where the batch is open."""
    strings = {
        name: spec
        for name, spec in serving.specs.items()
        if spec.dtype == tf.string
    }
    numbers = Serving(
        serving.model,
        {k: v for k, v in serving.specs.items() if k not in strings},
        serving.call,
    )
    calls = []
    for seed, (low, high) in enumerate(RANGES):
        arrays = random_inputs(numbers, _SAMPLES, seed, low, high, extent)
        for name, spec in strings.items():
            arrays[name] = _texts(serving.model, spec, seed, extent)
        calls.append({name: arrays[name] for name in serving.specs})
    if any(spec.shape[0] is not None for spec in serving.specs.values()):
        return calls
    return [{k: np.concatenate([c[k] for c in calls]) for k in calls[0]}]


def _texts(
    model: Any, spec: tf.TensorSpec, seed: int, extent: int
) -> np.ndarray:
    words = ["", "other"]
    for layer in layers_inside(model):
        words += map(str, vocabulary_of(layer))
    batch, *rest = spec.shape
    shape = [batch or _SAMPLES, *(n or extent for n in rest)]
    return np.random.default_rng(seed).choice(words, shape).astype(object)


def _run(serving: Serving, calls: list[Arrays]) -> list[Arrays]:
    """Outputs by their place, whatever they are called."""
    names = list(serving.specs)
    found = []
    for arrays in calls:
        tensors = dict(zip(names, map(tf.constant, arrays.values())))
        outputs = serving.call(tensors, None).values()
        found.append({str(i): _array(y) for i, y in enumerate(outputs)})
    return found


def _array(output: Any) -> np.ndarray:
    if isinstance(output, tf.SparseTensor):
        output = tf.sparse.to_dense(output)
    elif isinstance(output, tf.RaggedTensor):
        output = output.to_tensor()
    array = np.asarray(output)
    if array.dtype.kind in "OSU":
        # Equal texts have equal numbers.
        return np.vectorize(hash, otypes=[np.int64])(array)
    return array


def _worst(
    calls: list[Arrays], expected: list[Arrays], found: list[Arrays]
) -> float:
    """The largest error of one range, relative to the outputs for it."""
    if len(calls) > 1:
        pairs = [([e], [f]) for e, f in zip(expected, found)]
    else:
        pairs = list(zip(_by_range(expected[0]), _by_range(found[0])))
    return max(measure(e, f)[0] for e, f in pairs)


def _by_range(outputs: Arrays) -> list[list[Arrays]]:
    rows = _SAMPLES * len(RANGES)
    if any(y.ndim == 0 or len(y) != rows for y in outputs.values()):
        return [[outputs]] * len(RANGES)
    parts: Sequence[slice] = [
        slice(i, i + _SAMPLES) for i in range(0, rows, _SAMPLES)
    ]
    return [[{k: y[part] for k, y in outputs.items()}] for part in parts]


def _off_by_a_bit(array: np.ndarray) -> np.ndarray:
    if array.dtype.kind != "f":
        return array
    signs = np.random.default_rng(0).choice([-1, 1], array.shape)
    bit = np.finfo(array.dtype).eps
    return (array * (1 + bit * signs)).astype(array.dtype)
