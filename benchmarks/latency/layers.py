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
"""Single layers, packed beside dense, layer by layer.

```sh
python -m benchmarks.latency.layers
python -m benchmarks.latency.layers --tune --below=1.2
python -m benchmarks.latency.layers --held_out=60
python -m benchmarks.latency.layers --layers='resnet50*' \
    --blocks=32 --sparsities=0.9
```

Every layer is alone in its model, so that pieces have to be cut and put
together; blocks are dropped at random. Dense, packed and TFLite's own sparse
encoding are timed in turns in one run; "ideal" is 1 / density. With `--tune`
the packed model is chosen by timing; `--below` does that only where the
untuned row is below a speed-up.

Rows are appended to `layers.csv` (or `held_out.csv`, for shapes drawn at
random) as they are measured, and a run goes on where the last one stopped.
`layers_report.py` makes the tables and the picture.
"""

import fnmatch
import pathlib
import tempfile
from collections.abc import Sequence
from typing import Any

import keras
import rich.console
from absl import app, flags
from rich import progress

import tfmot_sapp as sapp
from benchmarks.latency.layer_shapes import (
    LAYERS,
    Cell,
    Layer,
    dense_model,
    held_out,
    pruned_model,
)
from benchmarks.latency.layers_report import (
    COLUMNS,
    KEY,
    draw,
    losing,
    overview,
    summary,
    untuned,
)
from benchmarks.latency.sparse_encoding import write_sparse_encoding
from benchmarks.shared.csv_rows import append_row, read_rows
from benchmarks.shared.realtime_scheduling import realtime_scheduling
from tfmot_sapp.verbs.pack import Tuning, packing_of

FLAGS = flags.FLAGS
# Where a speed-up is this close to 1, it's timed for longer.
_UNCLEAR = (0.8, 1.25)


def define_flags() -> None:
    """Defines this program's flags."""
    flags.DEFINE_string(
        "output_dir", "benchmarks/latency/results", "Where to write."
    )
    flags.DEFINE_list("layers", ["*"], "Patterns of layers' names.")
    flags.DEFINE_list("blocks", ["8", "16", "32", "64"], "Block sides.")
    flags.DEFINE_list("sparsities", ["0.7", "0.8", "0.9", "0.95"], "Zeros.")
    flags.DEFINE_integer(
        "held_out", 0, "Layers to draw at random, in place of the grid."
    )
    flags.DEFINE_integer("threads", 1, "Threads of the runtime.")
    flags.DEFINE_integer("rounds", 15, "Rounds of timing.")
    flags.DEFINE_integer("seed", 0, "Seed of weights, masks and drawn shapes.")
    flags.DEFINE_bool(
        "realtime", False, "Time under the real-time scheduler (root)."
    )
    flags.DEFINE_bool("tune", False, "Choose how to pack by timing.")
    flags.DEFINE_float("seconds", 2.0, "Time to run candidates for a choice.")
    flags.DEFINE_float("below", None, "Only cells whose untuned row is below.")


def main(arguments: Sequence[str]) -> None:
    """Measures what is missing, then shows everything."""
    if len(arguments) > 1:
        raise app.UsageError(f"Unknown arguments: {arguments[1:]}.")
    name = "held_out" if FLAGS.held_out else "layers"
    path = pathlib.Path(FLAGS.output_dir) / f"{name}.csv"
    rows = read_rows(path, COLUMNS)
    done = {tuple(row[k] for k in KEY) for row in rows}
    cells = [c for c in chosen_cells() if cell_key(c) not in done]
    if FLAGS.below is not None:
        slow = {
            _place(row)
            for row in untuned(rows)
            if float(row["speed_up"]) < FLAGS.below
        }
        cells = [c for c in cells if cell_key(c)[:4] in slow]
    console = rich.console.Console()
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(pathlib.Path(folder))
        for cell in progress.track(cells, "Layers", console=console):
            append_row(path, COLUMNS, bench.measure(cell))
    rows = read_rows(path, COLUMNS)
    if rows:
        print(overview(rows))
        print(summary(rows))
        print(losing(rows))
        draw(rows, path.with_suffix(".png"))


def chosen_cells() -> list[Cell]:
    """Returns the cells that the flags ask for."""
    if FLAGS.held_out:
        return list(held_out(FLAGS.held_out, FLAGS.seed))
    return [
        Cell(layer, block, sparsity)
        for layer in LAYERS
        if any(fnmatch.fnmatchcase(layer.name, p) for p in FLAGS.layers)
        for block in map(int, FLAGS.blocks)
        for sparsity in map(float, FLAGS.sparsities)
    ]


def cell_key(cell: Cell) -> tuple[str, ...]:
    """Returns what tells a cell's row from the others, as text."""
    layer = cell.layer
    values = (layer.name, layer.batch, cell.block, cell.sparsity)
    return tuple(map(str, (*values, FLAGS.threads, FLAGS.tune)))


def _place(row: dict[str, str]) -> tuple[str, ...]:
    return tuple(row[k] for k in KEY[:4])


class Bench:
    """Writes and times files.

    Attributes:
        folder: Folder for the files.
    """

    def __init__(self, folder: pathlib.Path) -> None:
        self.folder = folder
        self._layer: Layer | None = None
        self._dense_size = 0

    def measure(self, cell: Cell) -> dict[str, Any]:
        """Measures one cell.

        Args:
            cell: The layer, and how it is pruned.

        Returns:
            A row, a value for every one of `COLUMNS`.
        """
        keras.backend.clear_session()
        batch = cell.layer.batch
        files = {
            name: self.folder / f"{name}.tflite"
            for name in ("dense", "packed", "encoded")
        }
        self._write_dense(cell.layer, files["dense"])
        model, density = pruned_model(cell, FLAGS.seed)
        tune = None
        if FLAGS.tune:
            tune = Tuning(threads=FLAGS.threads, seconds=FLAGS.seconds)
        with realtime_scheduling(FLAGS.realtime and FLAGS.tune):
            packed = sapp.pack_blocks(model, batch_size=batch, tune=tune)
        result = sapp.export_tflite(packed, files["packed"], batch_size=batch)
        unpacked = write_sparse_encoding(model, files["encoded"], batch)
        dense_ms, packed_ms, speed_up, encoded = self._times(files, batch)
        lowerings = {row["lowering"] for row in packing_of(packed)}
        values = (
            *cell_key(cell),
            f"{density:.4f}",
            f"{1 / density:.3f}",
            f"{dense_ms:.5f}",
            f"{packed_ms:.5f}",
            f"{speed_up:.3f}",
            f"{speed_up * density:.3f}",
            f"{encoded:.3f}",
            "no" if unpacked else "yes",
            f"{self._dense_size / result.size:.3f}",
            f"{result.max_error:.2e}",
            "+".join(sorted(lowerings)) or "constant",
        )
        return dict(zip(COLUMNS, values))

    def _write_dense(self, layer: Layer, path: pathlib.Path) -> None:
        # Zeros don't change how long the dense layer takes.
        if layer != self._layer:
            model = dense_model(layer, FLAGS.seed)
            result = sapp.export_tflite(model, path, batch_size=layer.batch)
            self._dense_size = result.size
            self._layer = layer

    def _times(
        self, files: dict[str, pathlib.Path], batch: int
    ) -> tuple[float, float, float, float]:
        for rounds in (FLAGS.rounds, 4 * FLAGS.rounds):
            with realtime_scheduling(FLAGS.realtime):
                timings = sapp.benchmark(
                    files,
                    threads=FLAGS.threads,
                    batch_size=batch,
                    rounds=rounds,
                ).timings
            dense, packed, encoded = timings
            low, high = _UNCLEAR
            if not low < packed.speed_up < high:
                break
        return (
            dense.median_ms,
            packed.median_ms,
            packed.speed_up,
            encoded.speed_up,
        )


if __name__ == "__main__":
    define_flags()
    app.run(main)
