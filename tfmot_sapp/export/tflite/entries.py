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
"""Running a `.tflite` file of which nothing is known but the file.

A file's entries are its signatures, or, where it has none, its main subgraph.
Random inputs for them are drawn by type: integers within the tables that they
index.
"""

import contextlib
import dataclasses
from collections.abc import Iterator

import numpy as np

from tfmot_sapp.compiler.ir.graph import Graph, Subgraph
from tfmot_sapp.compiler.ir.values import Value
from tfmot_sapp.export import runtime
from tfmot_sapp.export.measure import RANGES

Arrays = dict[str, np.ndarray]

_DRAWS = 2  # Of one range.
# What unknown extents are tried as: the batch, and any other.
_EXTENTS = ((2, 8), (1, 1))
# Kinds that index a table, with the places of table and indices.
_TABLES = {"EMBEDDING_LOOKUP": (1, 0), "GATHER": (0, 1)}


@dataclasses.dataclass(frozen=True)
class Entry:
    """A way to call a file.

    Attributes:
        key: Name of the signature, `None` for the main subgraph.
        inputs: The values that it takes by their names.
        subgraph: What it runs.
    """

    key: str | None
    inputs: dict[str, Value]
    subgraph: Subgraph


def entries_of(graph: Graph) -> list[Entry]:
    """Returns the ways to call a file.

    Args:
        graph: What the file holds.
    """
    if graph.signatures:
        return [Entry(s.key, s.inputs, s.subgraph) for s in graph.signatures]
    # Names need not be unique, so that the place is part of them.
    inputs = {f"{i}:{v.name}": v for i, v in enumerate(graph.main.inputs)}
    return [Entry(None, inputs, graph.main)]


def draw_inputs(entry: Entry) -> Iterator[list[Arrays]]:
    """Draws inputs for an entry, one way after another to fill in extents.

    Args:
        entry: The entry.

    Yields:
        Calls: dictionaries of arrays by the names of the inputs. An input of
        strings is left out.
    """
    bounds = {
        name: _bound(entry.subgraph, value)
        for name, value in entry.inputs.items()
    }
    open_extents = any(None in v.shape for v in entry.inputs.values())
    for batch, other in _EXTENTS if open_extents else _EXTENTS[:1]:
        yield [
            {
                name: _draw(value, batch, other, bounds[name], seed, span)
                for name, value in entry.inputs.items()
            }
            for span in RANGES
            for seed in range(_DRAWS)
        ]


def run_entry(
    content: bytes, entry: Entry, calls: list[Arrays], delegate: bool = True
) -> list[Arrays]:
    """Runs a file.

    Args:
        content: The file's bytes.
        entry: The entry to call.
        calls: Inputs by name for every call.
        delegate: Whether under the runtime's default delegate.

    Returns:
        Outputs by name for every call, quantized ones as real numbers.

    Raises:
        RuntimeError: If the runtime refuses the file or the inputs.
        ValueError: Likewise.
    """
    if entry.key is not None:
        return runtime.run(
            content, calls, signature=entry.key, delegate=delegate
        )
    interpreter = runtime.load(content, delegate=delegate)
    details = interpreter.get_input_details()
    results = []
    for arrays in calls:
        for array, detail in zip(arrays.values(), details):
            if tuple(detail["shape"]) != array.shape:
                interpreter.resize_tensor_input(detail["index"], array.shape)
        runtime.allocate(interpreter)
        for array, detail in zip(arrays.values(), details):
            stored = runtime.to_stored(array, detail)
            interpreter.set_tensor(detail["index"], stored)
        interpreter.invoke()
        results.append(
            {
                str(place): np.array(
                    runtime.to_real(
                        interpreter.get_tensor(detail["index"]), detail
                    )
                )
                for place, detail in enumerate(interpreter.get_output_details())
            }
        )
    return results


def run_random(
    content: bytes, entry: Entry
) -> tuple[list[Arrays], list[Arrays]]:
    """Runs a file on random inputs.

    Args:
        content: The file's bytes.
        entry: The entry to call.

    Returns:
        Inputs that it takes, and what it gives for them.

    Raises:
        RuntimeError: If the runtime refuses the file, or all inputs.
        ValueError: Likewise.
    """
    *earlier, last = draw_inputs(entry)
    for calls in earlier:
        with contextlib.suppress(RuntimeError, ValueError):
            return calls, run_entry(content, entry, calls)
    return last, run_entry(content, entry, last)


def _draw(
    value: Value,
    batch: int,
    other: int,
    bound: int,
    seed: int,
    span: tuple[float | None, float],
) -> np.ndarray:
    shape = tuple(
        (other if axis else batch) if n is None else n
        for axis, n in enumerate(value.shape)
    )
    low, high = span
    generator = np.random.default_rng([seed, int(high * 100)])
    if value.dtype == "bool":
        return generator.random(shape) < 0.5
    if value.dtype.startswith(("int", "uint")) and not value.is_quantized:
        most = min(bound, int(np.iinfo(value.dtype).max) + 1)
        return generator.integers(0, most, shape).astype(value.dtype)
    drawn = (
        generator.normal(0, high, shape)
        if low is None
        else generator.uniform(low, high, shape)
    )
    return drawn.astype(
        value.dtype if value.dtype.startswith("float") else np.float32
    )


def _bound(subgraph: Subgraph, value: Value) -> int:
    """One more than the largest index that every table has."""
    reached, bound = {value}, None
    for operation in subgraph.operations:
        given = [v for v in operation.inputs if v is not None]
        if not reached.intersection(given):
            continue
        places = _TABLES.get(operation.kind)
        if places is not None:
            table = operation.inputs[places[0]]
            index = operation.inputs[places[1]]
            if index in reached and table is not None and table.shape:
                axis = operation.attributes.get("axis", 0)
                rows = table.shape[axis]
                bound = min(rows or 1, bound or rows or 1)
        reached.update(v for v in operation.outputs if "int" in v.dtype)
    return bound or 2
