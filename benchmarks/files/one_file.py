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
"""What happens to one file: copied, pruned, packed and timed."""

import pathlib
from typing import Any

import numpy as np

from benchmarks.files.variants import Zeroed, zero_blocks
from benchmarks.shared.realtime_scheduling import realtime_scheduling
from tfmot_sapp.compiler.ir.graph import Graph, Operation
from tfmot_sapp.compiler.ir.values import Value
from tfmot_sapp.compiler.readers.tflite import read_tflite
from tfmot_sapp.compiler.writers.tflite import write_tflite
from tfmot_sapp.export import runtime
from tfmot_sapp.export.benchmark.interleave import interleave_for
from tfmot_sapp.export.measure import EXACT, measure
from tfmot_sapp.export.tflite.entries import (
    entries_of,
    run_entry,
    run_random,
)
from tfmot_sapp.verbs.pack_tflite import pack_tflite

Row = dict[str, Any]

# Functions are the same where outputs differ by less.
_SAME = 1e-6


def copy_file(content: bytes) -> Row:
    """Reads and writes a file unchanged, and compares the two.

    Args:
        content: The file's bytes.

    Returns:
        Row with `operators`, `copy` (what came out) and `copy_error`.
    """
    graph = read_tflite(content)
    operators = sum(len(s.operations) for s in graph.subgraphs)
    copy = write_tflite(graph)
    same = _same_operators(graph, read_tflite(copy))
    row = {"operators": operators, "copy": "other operators"}
    errors = []
    for entry in entries_of(graph):
        try:
            calls, expected = run_random(content, entry)
        except (RuntimeError, ValueError) as error:
            reason = str(error).strip().splitlines()[-1][:80]
            kept = "same operators" if same else "other operators"
            return row | {"copy": f"{kept}; isn't run: {reason}"}
        errors.append(measure(expected, run_entry(copy, entry, calls))[0])
    row["copy_error"] = max(errors)
    if same and max(errors) < _SAME:
        row["copy"] = "same"
    elif same:
        row["copy"] = "other outputs"
    return row


def _same_operators(left: Graph, right: Graph) -> bool:
    pairs = list(zip(left.subgraphs, right.subgraphs, strict=True))
    return all(
        len(one.operations) == len(other.operations)
        and all(map(_same_operator, one.operations, other.operations))
        for one, other in pairs
    )


def _same_operator(one: Operation, other: Operation) -> bool:
    def described(operation: Operation) -> tuple[Any, ...]:
        custom = operation.custom_options
        return (
            operation.kind,
            operation.version,
            operation.options,
            operation.custom_code,
            None if custom is None else custom.tobytes(),
            repr(operation.attributes),
            [_described(value) for value in operation.inputs],
            [_described(value) for value in operation.outputs],
        )

    return described(one) == described(other)


def _described(value: Value | None) -> tuple[Any, ...] | None:
    if value is None:
        return None
    stored = None if value.stored is None else value.stored.tobytes()
    return value.name, value.shape, value.dtype, value.is_variable, stored


def prune_and_pack(
    content: bytes,
    folder: pathlib.Path,
    sparsity: float,
    seconds: float,
    realtime: bool = False,
) -> Row:
    """Zeroes blocks of a file's kernels, packs it, and times both.

    Args:
        content: The file's bytes.
        folder: Where both are written.
        sparsity: Fraction of the blocks to zero.
        seconds: Time to spend on timing.
        realtime: Whether to time under the real-time scheduler.

    Returns:
        Row with `pruned` (kernels of products), `density`, `rounding` (how much
        outputs change where inputs change by one rounding), `packed` (what
        came out), `error`, `dense_ms`, `packed_ms` and `speed_up`.
    """
    graph = read_tflite(content)
    zeroed = zero_blocks(graph, sparsity)
    row: Row = {
        "pruned": f"{zeroed.kernels} of {zeroed.products}",
        "density": f"{zeroed.density:.3f}",
    }
    if not zeroed.kernels:
        return row | {"packed": _why_not_pruned(zeroed)}
    dense, packed = folder / "dense.tflite", folder / "packed.tflite"
    dense.write_bytes(write_tflite(graph))
    try:
        rounding = _effect_of_rounding(dense.read_bytes())
    except (RuntimeError, ValueError):
        return row | {"packed": "left alone: isn't run"}
    row["rounding"] = f"{rounding:.1e}"
    try:
        result = pack_tflite(dense, packed, tolerance=max(EXACT, 4 * rounding))
    except ValueError as error:
        reason = " ".join(str(error).split())[:160]
        return row | {"packed": f"refused: {reason}"}
    row["error"] = f"{result.max_error:.1e}"
    row["packed"] = "packed" if result.packing else "left alone: no blocks"
    times = time_both(
        dense.read_bytes(), packed.read_bytes(), seconds, realtime
    )
    row["dense_ms"], row["packed_ms"] = (f"{1e3 * t:.3f}" for t in times)
    row["speed_up"] = f"{times[0] / times[1]:.2f}"
    return row


def _why_not_pruned(zeroed: Zeroed) -> str:
    if not zeroed.products:
        return "left alone: no products with a constant"
    return "left alone: no float kernels of 32 channels on each side"


def _effect_of_rounding(content: bytes) -> float:
    """Largest change of the outputs where float inputs change by a rounding."""
    generator = np.random.default_rng(0)
    errors = []
    for entry in entries_of(read_tflite(content)):
        calls, expected = run_random(content, entry)
        near = [
            {name: _rounded(x, generator) for name, x in call.items()}
            for call in calls
        ]
        errors.append(measure(expected, run_entry(content, entry, near))[0])
    return max(errors)


def _rounded(x: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    if x.dtype != np.float32:
        return x
    up = generator.random(x.shape) < 0.5
    return np.where(up, np.nextafter(x, np.float32(np.inf)), x)


def time_both(
    dense: bytes, packed: bytes, seconds: float, realtime: bool = False
) -> tuple[float, float]:
    """Times two files that compute the same, in turn, on one thread.

    Args:
        dense: The bytes of one; inputs are drawn for its main subgraph.
        packed: Those of the other.
        seconds: Time to spend.
        realtime: Whether to time under the real-time scheduler.

    Returns:
        Seconds of a call, the least of all rounds: what else the machine does
        only adds to them.
    """
    graph = read_tflite(dense)
    graph.signatures.clear()
    (entry,) = entries_of(graph)
    (inputs, *_), _ = run_random(dense, entry)
    calls = {}
    for name, content in (("dense", dense), ("packed", packed)):
        interpreter = runtime.load(content)
        details = interpreter.get_input_details()
        for array, detail in zip(inputs.values(), details):
            if tuple(detail["shape"]) != array.shape:
                interpreter.resize_tensor_input(detail["index"], array.shape)
        runtime.allocate(interpreter)
        for array, detail in zip(inputs.values(), details):
            stored = runtime.to_stored(array, detail)
            interpreter.set_tensor(detail["index"], stored)
        calls[name] = interpreter.invoke
    with realtime_scheduling(realtime):
        times = interleave_for(calls, seconds)
    dense_time, packed_time = (min(times[name]) for name in calls)
    return dense_time, packed_time
