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
"""Mends the ranges of a calibrated model, between calibration and rounding.

Two things that calibration sees, tensor by tensor, hurt a packed model:

- The pieces of one activation get ranges of their own, so that every
  concatenation has to rescale what it reads. A dense model has one range for
  the whole activation; `share_ranges` gives it back to the pieces.
- A piece that is always zero has no range. The converter gives it one of 1e-6,
  beside which no other tensor's scale can be expressed, and the runtime refuses
  the file. `widen_empty_ranges` gives it that of its surroundings.
"""

import statistics
from collections.abc import Iterator

import numpy as np

from tfmot_sapp.compiler.schema import schema_module
from tfmot_sapp.export.tflite.flatbuffer import Graph, read_graph

# Operators that hand values on, so that input and output have one scale.
_ONE_SCALE = frozenset(
    {"CONCATENATION", "GATHER", "MAX_POOL_2D", "PAD", "RESHAPE", "SPLIT"}
    | {"SPLIT_V", "STRIDED_SLICE", "SLICE", "TRANSPOSE"}
)

# Largest absolute value of a tensor that counts as always zero: the converter's
# own limit.
_EMPTY = 1e-6

Ranges = dict[int, tuple[float, float]]


def mend(content: bytes, is_packed: bool) -> bytes:
    """Mends the ranges in a calibrated model.

    Args:
        content: A float32 `.tflite` file with the ranges of calibration.
        is_packed: Whether the model is made of pieces, which share ranges.

    Returns:
        The same file with other ranges.
    """
    graph = read_graph(content)
    buffer = bytearray(content)
    stored = dict(_stored_ranges(buffer))
    ranges = {i: (float(a[0]), float(b[0])) for i, (a, b) in stored.items()}
    if is_packed:
        ranges = share_ranges(graph, ranges)
    ranges = widen_empty_ranges(graph, ranges)
    for i, (low, high) in stored.items():
        low[0], high[0] = ranges[i]
    return bytes(buffer)


def share_ranges(graph: Graph, ranges: Ranges) -> Ranges:
    """Gives tensors that are cut from or put in one another a common range.

    Args:
        graph: The model's graph.
        ranges: Lowest and highest value by tensor index.

    Returns:
        Ranges of the same tensors.
    """
    group = {i: i for i in ranges}

    def root(i: int) -> int:
        while group[i] != i:
            i = group[i]
        return i

    for op in graph.ops:
        if op.name in _ONE_SCALE:
            tensors = [i for i in (*op.inputs, *op.outputs) if i in group]
            for i in tensors[1:]:
                group[root(i)] = root(tensors[0])
    shared: Ranges = {}
    for i, (low, high) in ranges.items():
        before = shared.get(root(i), (low, high))
        shared[root(i)] = min(low, before[0]), max(high, before[1])
    return {i: shared[root(i)] for i in ranges}


def widen_empty_ranges(graph: Graph, ranges: Ranges) -> Ranges:
    """Gives tensors that are always zero the range of their surroundings.

    Zero is exact in any range, so this changes no value.

    Args:
        graph: The model's graph.
        ranges: Lowest and highest value by tensor index.

    Returns:
        Ranges of the same tensors.
    """
    sizes = {i: max(-low, high) for i, (low, high) in ranges.items()}
    full = {i: size for i, size in sizes.items() if size > _EMPTY}
    if not full:
        return ranges
    usual = statistics.median(full.values())
    # Backwards, so that a chain of empty tensors takes after what it ends in.
    for op in reversed(graph.ops):
        around = [full[i] for i in (*op.outputs, *op.inputs) if i in full]
        for i in (*op.inputs, *op.outputs):
            if i in sizes and i not in full:
                full[i] = max(around, default=usual)
    return {
        i: (-full[i], full[i]) if i in full and size <= _EMPTY else ranges[i]
        for i, size in sizes.items()
    }


def _stored_ranges(
    buffer: bytearray,
) -> Iterator[tuple[int, tuple[np.ndarray, np.ndarray]]]:
    """Yields the ranges in a file as views that can be written to."""
    subgraph = schema_module().Model.GetRootAsModel(buffer, 0).Subgraphs(0)
    for i in range(subgraph.TensorsLength()):
        quantization = subgraph.Tensors(i).Quantization()
        if quantization is None or quantization.MinLength() != 1:
            continue
        yield i, (quantization.MinAsNumpy(), quantization.MaxAsNumpy())
