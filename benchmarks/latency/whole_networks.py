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
"""Whole networks, packed beside dense, on the same runtime in one run.

```
python -m benchmarks.latency.whole_networks
python -m benchmarks.latency.whole_networks --network=resnet50_32x32 \
    --threads=1,2
python -m benchmarks.latency.whole_networks --quantize=int8 --seeds=0
python -m benchmarks.latency.whole_networks --nomeasure
```

Dense, packed and TFLite's own sparse encoding take turns. `MAC density` is the
share of multiply-adds that is left, over the whole network; its inverse is the
ideal, which no lowering can pass but by dropping channels that nothing reads
any more. A ratio below 1 is a loss and is shown like any other.

Every seed draws weights and masks anew; the tables and the picture give the
median over seeds, and the range. Rows are appended to `whole_networks.csv` as
they are measured, and a run goes on where the last one stopped.
"""

import pathlib
import tempfile
from typing import Any

from absl import app, flags

import tfmot_sapp as sapp
from benchmarks.latency.network_files import (
    Packed,
    Variant,
    in_fresh_process,
    write_packed,
    write_references,
)
from benchmarks.latency.networks import NETWORKS
from benchmarks.latency.whole_networks_report import (
    COLUMNS,
    KEY,
    draw,
    file_table,
    speed_table,
)
from benchmarks.shared.csv_rows import append_row, read_rows
from benchmarks.shared.realtime_scheduling import realtime_scheduling

FLAGS = flags.FLAGS


def define_flags() -> None:
    """Defines this program's flags."""
    flags.DEFINE_string(
        "output_dir", "benchmarks/latency/results", "Where to write."
    )
    flags.DEFINE_multi_enum(
        "network", list(NETWORKS), list(NETWORKS), "Networks to run."
    )
    flags.DEFINE_list("threads", ["1"], "Numbers of threads.")
    flags.DEFINE_list("seeds", ["0", "1", "2"], "Seeds of weights and masks.")
    flags.DEFINE_string("quantize", None, "As for `export_tflite`.")
    flags.DEFINE_bool(
        "realtime", False, "Time under the real-time scheduler (root)."
    )
    flags.DEFINE_bool("tune", False, "Choose how to pack by timing.")
    flags.DEFINE_integer("rounds", 30, "Rounds of turns.", 3)
    flags.DEFINE_bool("measure", True, "Measure; else show what is there.")


def main(argv: list[str]) -> None:
    """Measures what is missing, then shows everything."""
    if len(argv) > 1:
        raise app.UsageError(f"Unexpected arguments: {argv[1:]}.")
    path = pathlib.Path(FLAGS.output_dir) / "whole_networks.csv"
    if FLAGS.measure:
        for seed in map(int, FLAGS.seeds):
            for name in FLAGS.network:
                _measure_network(name, seed, path)
    rows = read_rows(path, COLUMNS)
    if rows:
        print(speed_table(rows))
        print(file_table(rows))
        draw(rows, path.with_suffix(".png"))


def _measure_network(name: str, seed: int, path: pathlib.Path) -> None:
    done = {tuple(row[k] for k in KEY) for row in read_rows(path, COLUMNS)}
    variants = [
        Variant(name, seed, FLAGS.quantize, threads, FLAGS.tune)
        for threads in map(int, FLAGS.threads)
    ]
    variants = [v for v in variants if variant_key(v) not in done]
    if not variants:
        return
    with tempfile.TemporaryDirectory() as scratch:
        folder = pathlib.Path(scratch)
        in_fresh_process(write_references, variants[0], folder)
        for variant in variants:
            packed = in_fresh_process(write_packed, variant, folder)
            row = _timed(variant, packed, folder)
            append_row(path, COLUMNS, row)
            print(*row.values(), flush=True)


def variant_key(variant: Variant) -> tuple[str, ...]:
    """Returns what tells a variant's row from the others, as text."""
    return (
        variant.network,
        str(variant.threads),
        variant.quantize or "float32",
        str(variant.tune),
        str(variant.seed),
    )


def _timed(
    variant: Variant, packed: Packed, folder: pathlib.Path
) -> dict[str, Any]:
    network = NETWORKS[variant.network]
    names = ["dense", "packed"]
    if (folder / "encoded.tflite").exists():
        names.append("encoded")
    with realtime_scheduling(FLAGS.realtime):
        result = sapp.benchmark(
            {name: folder / f"{name}.tflite" for name in names},
            threads=variant.threads,
            batch_size=network.batch_size,
            rounds=FLAGS.rounds,
        )
    times = {timing.name: timing for timing in result.timings}
    dense, sparse, encoded = (
        times.get(n) for n in ("dense", "packed", "encoded")
    )
    assert dense is not None and sparse is not None
    block = "x".join(map(str, network.block))
    values = (
        *variant_key(variant),
        block,
        network.sparsity,
        network.batch_size,
        f"{packed.density:.4f}",
        f"{1 / packed.density:.3f}",
        f"{dense.median_ms:.5g}",
        f"{sparse.median_ms:.5g}",
        f"{encoded.median_ms:.5g}" if encoded else "",
        f"{sparse.speed_up:.3f}",
        f"{encoded.speed_up:.3f}" if encoded else "",
        f"{sparse.speed_up * packed.density:.3f}",
        dense.size,
        sparse.size,
        encoded.size if encoded else "",
        sparse.num_partitions,
        f"{packed.seconds:.1f}",
        f"{packed.peak_gb:.2f}",
        f"{packed.error:.1e}",
        packed.lowerings,
    )
    return dict(zip(COLUMNS, values))


if __name__ == "__main__":
    define_flags()
    app.run(main)
