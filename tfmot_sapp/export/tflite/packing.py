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
"""Packs the bytes of a `.tflite` file, and checks what comes out."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from tfmot_sapp.compiler.ir.graph import Graph
from tfmot_sapp.compiler.pack_litert import pack_litert
from tfmot_sapp.compiler.readers.tflite import read_tflite
from tfmot_sapp.compiler.writers.tflite import write_tflite
from tfmot_sapp.export import runtime
from tfmot_sapp.export.measure import (
    EXACT,
    Difference,
    as_float,
    measure,
    worst,
)
from tfmot_sapp.export.tflite.entries import (
    Entry,
    entries_of,
    run_entry,
    run_random,
)
from tfmot_sapp.targets.target import Target

# Beyond this, an error is no rounding whatever the source does.
_MOST_ROUNDING = 1e-3

Rows = tuple[Mapping[str, Any], ...]


def packed_content(
    content: bytes, target: Target, quantize: str | None = None
) -> tuple[bytes, Rows]:
    """Packs a file that nobody has compared with its source yet.

    Args:
        content: A `.tflite` file's bytes.
        target: What the result is for.
        quantize: What it will be rounded to afterwards, as in `export_tflite`.

    Returns:
        The packed file's bytes, the same object where there was nothing to
        pack; and a row for each product, as `packing_of` describes it.

    Raises:
        ValueError: If `content` is no whole `.tflite` file.
    """
    graph = read_tflite(content)
    rows = pack_litert(graph, target, quantize)
    return (write_tflite(graph) if rows else content), tuple(rows)


def compare_files(
    source: bytes, content: bytes, tolerance: float | None = None
) -> Difference:
    """Compares two files that should compute the same.

    Every signature is called, under the runtime's default delegate, on random
    inputs of several sizes.

    Args:
        source: The bytes of a file that is known to be right.
        content: Those of the other one.
        tolerance: Largest error to allow, as a fraction of the output scale,
            instead of 1e-5, or twice what the runtime's own way of adding
            changes in `source` if that is more.

    Returns:
        The `Difference`.

    Raises:
        ValueError: If it is too large, or `source` doesn't run.
    """
    allowed = EXACT if tolerance is None else tolerance
    found = []
    graph: Graph = read_tflite(source)
    for entry in entries_of(graph):
        calls, expected = _finite(*_runs(source, entry))
        given = _given(content, entry, calls)
        error, rms = measure(expected, given)
        if tolerance is None and not error < allowed:
            allowed = max(
                allowed, _own_rounding(source, entry, calls, expected)
            )
        found.append(Difference(error, rms, allowed))
        if not error < allowed:
            raise ValueError(
                "The packed file doesn't compute what `source` computes, so "
                f"nothing was written: its largest error is {error:.3g} of "
                f"the output scale under {runtime.runtime_name()}'s default "
                f"delegate, and {allowed:.3g} is allowed. If the error is "
                "acceptable, pass `tolerance`."
            )
    return worst(found)


def _own_rounding(
    source: bytes, entry: Entry, calls: list[Any], expected: list[Any]
) -> float:
    """The error that rounding explains in a file that enlarges it.

    A layer norm of channels that hardly differ, for one, makes much of little.
    How much is seen from the source: without the delegate the runtime adds in
    another order.
    """
    plain = run_entry(source, entry, calls, delegate=False)
    error, _ = measure(expected, plain)
    return min(2 * error, _MOST_ROUNDING)


def _runs(source: bytes, entry: Entry) -> tuple[list[Any], list[Any]]:
    """Inputs that a file takes, and what it gives for them."""
    try:
        return run_random(source, entry)
    except (RuntimeError, ValueError) as error:
        name = "its main subgraph" if entry.key is None else f"{entry.key!r}"
        raise ValueError(
            f"`source` must be a file that {runtime.runtime_name()} runs, so "
            f"that the packed one can be compared with it. Received: {name} "
            f"doesn't run on random inputs ({_end(error)})."
        ) from error


def _given(content: bytes, entry: Entry, calls: list[Any]) -> list[Any]:
    """What the packed file gives."""
    try:
        return run_entry(content, entry, calls)
    except (RuntimeError, ValueError) as error:
        raise ValueError(
            f"The packed file isn't run by {runtime.runtime_name()}, so "
            f"nothing was written: {_end(error)} Shapes that "
            "`source` records may be wrong."
        ) from error


def _end(error: Exception) -> str:
    """The end of a runtime's message, where the reason is, on one line."""
    return " ".join(str(error).split())[-300:]


def _finite(
    calls: list[Any], results: list[Any]
) -> tuple[list[Any], list[Any]]:
    """The calls that give finite numbers, or all where none does.

    Infinity times a weight that is zero is no number; without that weight it
    is left out.
    """
    pairs = [
        (call, result)
        for call, result in zip(calls, results)
        if all(np.isfinite(as_float(y)).all() for y in result.values())
    ]
    if not pairs:
        return calls, results
    return [call for call, _ in pairs], [result for _, result in pairs]
