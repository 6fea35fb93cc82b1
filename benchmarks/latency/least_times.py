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
"""What of a packed file takes how long: its products, copies and one pass.

```
python -m benchmarks.latency.least_times --output=least_times.csv --realtime
```

For layers that nothing was fitted to (`OTHERS` of `layer_grid.py`, and more
1x1 convolutions) on one thread, and the feed-forward block with random masks on
one and two, these are timed in turns: the dense file, the packed one, and of
the packed one all products without anything between them, and in the same way
all its slices, additions and concatenations; the packed file as far as its
products; and a ReLU of its output, which is one pass over what it makes. A
layer alone in its model is given one tensor and makes one, so that it cuts
pieces, multiplies them and puts what it made together: it takes at least the
time as far as its products, and a pass ("least_us").
"""

import argparse
import pathlib
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from benchmarks.latency.layer_grid import OTHERS, masked_layer
from benchmarks.latency.layer_shapes import Layer
from benchmarks.latency.layer_shapes import dense_model as dense_layer
from benchmarks.latency.masked_networks import (
    converted,
    dense_model,
    interpreter_of,
    masked,
    turns,
)
from benchmarks.shared.csv_rows import write_rows
from benchmarks.shared.realtime_scheduling import realtime_scheduling
from tfmot_sapp.compiler.ir.graph import Graph, Subgraph
from tfmot_sapp.compiler.ir.make import make_operation
from tfmot_sapp.compiler.ir.unread import without_unread
from tfmot_sapp.compiler.ir.values import Value
from tfmot_sapp.compiler.readers.tflite import read_tflite
from tfmot_sapp.compiler.writers.tflite import write_tflite
from tfmot_sapp.export.tflite.packing import packed_content
from tfmot_sapp.targets.cpu_target import CpuTarget

PRODUCTS = ("CONV_2D", "FULLY_CONNECTED")
# What is timed of a packed file: its operations of these kinds.
PARTS = {
    "slices": ("SLICE",),
    "products": PRODUCTS,
    "additions": ("ADD",),
    "copies": ("CONCATENATION",),
}
# 1x1 convolutions, drawn at random: what `OTHERS` has.
POINTS = (
    ("point/conv1x1-24-640-384", 640, 384, 1, 24, 1),
    ("point/conv1x1-18-352-416", 352, 416, 1, 18, 1),
    ("point/conv1x1-15-448-576", 448, 576, 1, 15, 1),
    ("point/conv1x1-28-320-288", 320, 288, 1, 28, 1),
)
LAYERS = {name: Layer(name, *rest) for name, *rest in (*OTHERS, *POINTS)}
BLOCKS = (32, 64)
SPARSITIES = (0.8, 0.9)
COLUMNS = (
    "network",
    "block",
    "sparsity",
    "threads",
    "ideal",
    "dense_us",
    "packed_us",
    "slices_us",
    "products_us",
    "additions_us",
    "copies_us",
    "until_products_us",
    "pass_us",
    "least_us",
    "speed_up",
    "share_of_ideal",
    "share_at_most",
    "rounds",
)


def main() -> None:
    """Packs and times."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", default="least_times.csv")
    parser.add_argument("--seconds", type=float, default=240.0)
    parser.add_argument("--networks", default="", help="What names begin with.")
    parser.add_argument(
        "--realtime",
        action="store_true",
        help="Time under the real-time scheduler (root).",
    )
    options = parser.parse_args()
    cells = [cell for cell in _cells() if cell[0].startswith(options.networks)]

    def rows() -> Iterator[list[tuple[Any, ...]]]:
        for name, block, sparsity, threads in cells:
            files, density = _files(name, block, sparsity, threads)
            with realtime_scheduling(options.realtime):
                calls = {
                    k: interpreter_of(f, threads) for k, f in files.items()
                }
                times = turns(calls, options.seconds / len(cells))
            cell = name, block, sparsity, threads
            yield [_row(cell, density, times)]

    write_rows(pathlib.Path(options.output), COLUMNS, rows())


def _cells() -> list[tuple[str, int, float, int]]:
    layers = [
        (name, block, sparsity, 1)
        for name in LAYERS
        for block in BLOCKS
        for sparsity in SPARSITIES
    ]
    return [*layers, *(("feed_forward", 32, 0.9, n) for n in (1, 2))]


def _files(
    name: str, block: int, sparsity: float, threads: int
) -> tuple[dict[str, bytes], float]:
    """The files that are timed, and the density of the kernels."""
    if name in LAYERS:
        layer = LAYERS[name]
        source = converted(dense_layer(layer, 0), layer.batch)
        dense, density = masked_layer(source, (block, block), sparsity)
    else:
        dense = masked(converted(dense_model(name)), "random", sparsity)
        density = 1 - sparsity
    packed, _ = packed_content(dense, CpuTarget(threads))
    made = read_tflite(packed).main.outputs[0].shape
    files = {
        "dense": dense,
        "packed": packed,
        **{part: alone(packed, kinds) for part, kinds in PARTS.items()},
        "until_products": until_products(packed),
        "pass": one_pass(made),
    }
    return {kind: file for kind, file in files.items() if file}, density


def alone(content: bytes, kinds: Sequence[str]) -> bytes:
    """Operations of some kinds, with nothing between them.

    Args:
        content: The bytes of a `.tflite` file.
        kinds: Kinds of operations.

    Returns:
        The bytes of a file with these operations, which read what is given
        and whose outputs all are returned; none if there are none.
    """
    given: dict[Value, Value] = {}
    operations = [
        operation
        for operation in read_tflite(content).main.operations
        if operation.kind in kinds
    ]
    for operation in operations:
        operation.inputs = [
            value
            if value is None or value.contents is not None
            else given.setdefault(
                value, Value(value.name, value.shape, value.dtype)
            )
            for value in operation.inputs
        ]
    if not operations:
        return b""
    outputs = [value for each in operations for value in each.outputs]
    main = Subgraph("main", list(given.values()), outputs, operations)
    return write_tflite(Graph([main]))


def until_products(content: bytes) -> bytes:
    """A file without what is done to its products.

    Args:
        content: The bytes of a `.tflite` file.

    Returns:
        The bytes of a file that returns what each product makes; none if there
        are no products.
    """
    main = read_tflite(content).main
    outputs = [
        value
        for operation in main.operations
        if operation.kind in PRODUCTS
        for value in operation.outputs
    ]
    if not outputs:
        return b""
    kept = without_unread(main.operations, outputs)
    return write_tflite(Graph([Subgraph("main", main.inputs, outputs, kept)]))


def one_pass(shape: tuple[int | None, ...]) -> bytes:
    """The bytes of a file that reads and writes a tensor once."""
    x, y = Value("x", shape, "float32"), Value("y", shape, "float32")
    relu = make_operation("RELU", [x], [y])
    return write_tflite(Graph([Subgraph("main", [x], [y], [relu])]))


def _row(
    cell: tuple[str, int, float, int],
    density: float,
    times: dict[str, list[float]],
) -> tuple[Any, ...]:
    medians = {kind: float(np.median(each)) for kind, each in times.items()}
    kinds = ("dense", "packed", *PARTS, "until_products", "pass")
    least = medians.get("until_products", 0.0) + medians["pass"]
    dense, packed = medians["dense"], medians["packed"]
    return (
        *cell,
        f"{1 / density:.2f}",
        *(f"{medians.get(kind, 0.0):.1f}" for kind in kinds),
        f"{least:.1f}",
        f"{dense / packed:.3f}",
        f"{dense / packed * density:.3f}",
        f"{dense / least * density:.3f}",
        len(times["packed"]),
    )


if __name__ == "__main__":
    main()
