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
"""SavedModels of one Dense layer on TensorFlow's CPU, packed beside dense.

```
python -m benchmarks.latency.saved_models
python -m benchmarks.latency.saved_models --jit_compile
```

Rows are appended to `saved_models.csv`, one for each batch, seed and setting,
and a run goes on where the last one stopped. Every batch has a packed model
made for it.
"""

import pathlib
import statistics
import tempfile
from typing import Any

import tensorflow as tf
from absl import app, flags

import tfmot_sapp as sapp
from benchmarks.latency.layer_shapes import Cell, Layer, pruned_model
from benchmarks.shared.csv_rows import append_row, read_rows
from benchmarks.shared.realtime_scheduling import realtime_scheduling
from tfmot_sapp.base.tables import render
from tfmot_sapp.verbs.pack import packing_of

FLAGS = flags.FLAGS
COLUMNS = (
    "layer",
    "block",
    "sparsity",
    "threads",
    "batch",
    "jit_compile",
    "seed",
    "ideal",
    "dense_ms",
    "packed_ms",
    "speed_up",
    "dense_bytes",
    "packed_bytes",
    "max_error",
    "lowering",
)
KEY = COLUMNS[:7]


def define_flags() -> None:
    """Defines this program's flags."""
    flags.DEFINE_string(
        "output_dir", "benchmarks/latency/results", "Where to write."
    )
    flags.DEFINE_integer("width", 2048, "Inputs and outputs of the layer.")
    flags.DEFINE_integer("block", 32, "Side of a block.")
    flags.DEFINE_float("sparsity", 0.9, "Fraction of the blocks that go.")
    flags.DEFINE_list("batches", ["1", "64"], "Batches.")
    flags.DEFINE_list("seeds", ["0", "1", "2"], "Seeds of weights and masks.")
    flags.DEFINE_integer("threads", 1, "Threads of TensorFlow.")
    flags.DEFINE_bool(
        "realtime", False, "Time under the real-time scheduler (root)."
    )
    flags.DEFINE_bool("jit_compile", False, "Whether XLA compiles both.")
    flags.DEFINE_integer("rounds", 60, "Rounds of turns.", 3)


def main(argv: list[str]) -> None:
    """Measures what is missing, then prints everything."""
    if len(argv) > 1:
        raise app.UsageError(f"Unexpected arguments: {argv[1:]}.")
    tf.config.threading.set_intra_op_parallelism_threads(FLAGS.threads)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    path = pathlib.Path(FLAGS.output_dir) / "saved_models.csv"
    # All of it, because TensorFlow's own threads start with its first op.
    with realtime_scheduling(FLAGS.realtime):
        measure_missing(path)
    print(table(read_rows(path, COLUMNS)))


def measure_missing(path: pathlib.Path) -> None:
    """Appends the rows that the flags ask for and the file lacks."""
    done = {tuple(row[k] for k in KEY) for row in read_rows(path, COLUMNS)}
    for seed in map(int, FLAGS.seeds):
        for batch in map(int, FLAGS.batches):
            layer = Layer(
                f"dense-{FLAGS.width}", FLAGS.width, FLAGS.width, batch=batch
            )
            cell = Cell(layer, FLAGS.block, FLAGS.sparsity)
            key = (layer.name, cell.block, cell.sparsity, FLAGS.threads)
            key = (*key, batch, FLAGS.jit_compile, seed)
            if tuple(map(str, key)) not in done:
                values = (*key, *measure(cell, seed))
                append_row(path, COLUMNS, dict(zip(COLUMNS, values)))


def measure(cell: Cell, seed: int) -> tuple[Any, ...]:
    """Measures one layer.

    Args:
        cell: The layer and how it is pruned.
        seed: Seed of weights and mask.

    Returns:
        The columns behind the key.
    """
    batch = cell.layer.batch
    model, density = pruned_model(cell, seed)
    packed = sapp.pack_blocks(model, batch_size=batch)
    with tempfile.TemporaryDirectory() as scratch:
        folders = {
            name: pathlib.Path(scratch) / name for name in ("dense", "packed")
        }
        for name, source in (("dense", model), ("packed", packed)):
            result = sapp.export_saved_model(
                source, folders[name], jit_compile=FLAGS.jit_compile
            )
        dense, sparse = sapp.benchmark(
            folders,
            threads=FLAGS.threads,
            batch_size=batch,
            rounds=FLAGS.rounds,
        ).timings
    lowerings = {row["lowering"] for row in packing_of(packed)}
    return (
        f"{1 / density:.3f}",
        f"{dense.median_ms:.5g}",
        f"{sparse.median_ms:.5g}",
        f"{sparse.speed_up:.3f}",
        dense.size,
        sparse.size,
        f"{result.max_error:.1e}",
        "+".join(sorted(lowerings)),
    )


def table(rows: list[dict[str, str]]) -> str:
    """Tabulates the rows: medians over seeds, and the range."""
    groups: dict[tuple[str, ...], list[dict[str, str]]] = {}
    for row in rows:
        groups.setdefault(tuple(row[k] for k in KEY[:-1]), []).append(row)
    lines = []
    for key, group in groups.items():
        values = [float(row["speed_up"]) for row in group]
        lines.append(
            [
                *key,
                f"{statistics.median(float(r['ideal']) for r in group):.2f}x",
                f"{statistics.median(values):.2f}x",
                f"{min(values):.2f}-{max(values):.2f}x",
                "+".join(sorted({row["lowering"] for row in group})),
            ]
        )
    head = [*KEY[:-1], "ideal", "speed-up", "range", "lowering"]
    return render(head, lines, numeric=range(1, len(head) - 1))


if __name__ == "__main__":
    define_flags()
    app.run(main)
