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
"""CREPE pruned by blocks after training, from unlabelled tones.

python -m benchmarks.post_training.measure_crepe --weights=weights.h5 \
    --output_dir=OUT

Appends a row to `crepe.csv` for each sparsity: the share of other tones whose
pitch is heard within 50 cents, the median error, and what the pruning took;
with `--latency` how much faster the packed network is than the dense one, and
with `--files_dir` the files of both.
"""

import pathlib
import resource
import tempfile
import time

import keras
import numpy as np
from absl import app, flags

import tfmot_sapp as sapp
from benchmarks.post_training import crepe
from benchmarks.shared import csv_rows

FLAGS = flags.FLAGS
flags.DEFINE_string("weights", None, "The package's `weights.h5`.")
flags.DEFINE_string("output_dir", ".", "Where the CSV goes.")
flags.DEFINE_multi_float("sparsity", [0.5, 0.7], "Share of blocks to remove.")
flags.DEFINE_integer("block", 32, "Side of a block, all taps together.")
flags.DEFINE_integer("tones", 200, "Tones to calibrate on.")
flags.DEFINE_bool("compensate", True, "Whether weights make up for lost ones.")
flags.DEFINE_integer("threads", 1, "Threads to measure the latency with.")
flags.DEFINE_bool("latency", False, "Whether the latency is measured.")
flags.DEFINE_string(
    "files_dir", None, "Where the files of both networks stay, if anywhere."
)


def main(argv: list[str]) -> None:
    """Measures the dense network and each sparsity."""
    del argv
    model = crepe.load(FLAGS.weights)
    data, _ = crepe.tones(FLAGS.tones, seed=0)
    others, cents = crepe.tones(1000, seed=1)
    print("dense:", _heard(model, others, cents))
    for sparsity in FLAGS.sparsity:
        start, clock = time.process_time(), time.time()
        pruned = sapp.prune_post_training(
            model,
            data,
            sparsity,
            {f"conv{i}": (FLAGS.block, FLAGS.block) for i in range(2, 7)},
            FLAGS.compensate,
            pruning_policy=sapp.MinimumBlocks(1),
        )
        seconds, waited = time.process_time() - start, time.time() - clock
        print(sapp.report(pruned))
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        row = {
            "sparsity": sparsity,
            "block": FLAGS.block,
            "tones": FLAGS.tones,
            "compensate": FLAGS.compensate,
            **_heard(pruned, others, cents),
            "cpu_seconds": round(seconds, 1),
            "seconds": round(waited, 1),
            "peak_gigabytes": round(peak / 2**20, 2),
            "speedup": _speedup(model, pruned, sparsity),
        }
        print(row, flush=True)
        path = pathlib.Path(FLAGS.output_dir) / "crepe.csv"
        csv_rows.append_row(path, list(row), row)


def _heard(
    model: keras.Model, frames: np.ndarray, cents: np.ndarray
) -> dict[str, float]:
    outputs = model.predict(frames, batch_size=50, verbose=0)
    errors = crepe.errors(outputs, cents)
    return {
        "within_50_cents": round(float(np.mean(errors < 50)), 4),
        "median_cents": round(float(np.median(errors)), 2),
    }


def _speedup(
    dense: keras.Model, pruned: keras.Model, sparsity: float
) -> float | str:
    """Writes both as files, and times them where that is asked for."""
    if not (FLAGS.latency or FLAGS.files_dir):
        return ""
    with tempfile.TemporaryDirectory() as temporary:
        folder = pathlib.Path(FLAGS.files_dir or temporary)
        folder.mkdir(parents=True, exist_ok=True)
        paths = {
            "dense": folder / "dense.tflite",
            "packed": folder / f"packed_{sparsity:g}.tflite",
        }
        sapp.export_tflite(dense, paths["dense"])
        sapp.export_tflite(sapp.pack_blocks(pruned), paths["packed"])
        if not FLAGS.latency:
            return ""
        table = sapp.benchmark(paths, threads=FLAGS.threads)
        print(table)
    milliseconds = {row.name: row.median_ms for row in table.timings}
    return round(milliseconds["dense"] / milliseconds["packed"], 2)


if __name__ == "__main__":
    flags.mark_flag_as_required("weights")
    app.run(main)
