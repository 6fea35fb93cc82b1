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
"""Accuracy over latency of EfficientNet-Lite0: blocks, units, and both.

python -m benchmarks.post_training.frontier --output_dir=OUT

Times the files that `frontier_models.py` made, all in turn, on LiteRT with each
number of threads; writes `frontier.csv` and draws `frontier.png`. A few minutes
on a machine that does nothing else.
"""

import pathlib
from typing import Any

from absl import app, flags

import tfmot_sapp as sapp
from benchmarks.post_training.frontier_models import accuracies, path_of
from benchmarks.shared import csv_rows

# `output_dir` is a flag of `frontier_models.py`.
FLAGS = flags.FLAGS
flags.DEFINE_multi_integer("threads", [1, 2], "Numbers of threads.")
flags.DEFINE_integer("rounds", 50, "Rounds in which all files are timed.")

_STYLES = {
    "dense": "ks",
    "blocks": "o-",
    "distilled": "o--",
    "units": "^-",
    "both": "D-",
}


def main(argv: list[str]) -> None:
    """Times the files and draws the picture."""
    del argv
    folder = pathlib.Path(FLAGS.output_dir)
    known = accuracies(folder)
    files = {name: path_of(folder, name) for name in known}
    rows = []
    for threads in FLAGS.threads:
        result = sapp.benchmark(files, threads=threads, rounds=FLAGS.rounds)
        for timing in result.timings:
            kind, _, level = timing.name.partition(" ")
            row = {
                "threads": threads,
                "kind": kind,
                "level": level,
                "accuracy": known[timing.name],
                "milliseconds": round(timing.median_ms, 3),
                "speedup": round(timing.speed_up, 3),
                "kilobytes": round(timing.size / 1e3, 1),
            }
            print(row, flush=True)
            rows.append(row)
            csv_rows.append_row(folder / "frontier.csv", list(row), row)
    _draw(rows, folder / "frontier.png")


def _draw(rows: list[dict[str, Any]], path: pathlib.Path) -> None:
    from matplotlib.figure import Figure

    counts = sorted({row["threads"] for row in rows})
    figure = Figure((4.2 * len(counts), 3.8), layout="constrained")
    axes = figure.subplots(1, len(counts), squeeze=False, sharey=True)[0]
    for axis, threads in zip(axes, counts):
        for kind, style in _STYLES.items():
            own = [
                row
                for row in rows
                if (row["threads"], row["kind"]) == (threads, kind)
            ]
            own.sort(key=lambda row: row["milliseconds"])
            axis.plot(
                [row["milliseconds"] for row in own],
                [100 * row["accuracy"] for row in own],
                style,
                label=kind,
            )
        axis.set_title("1 thread" if threads == 1 else f"{threads} threads")
        axis.set_xlabel("latency, ms")
        axis.grid(alpha=0.3)
    axes[0].set_ylabel("accuracy, %")
    axes[0].legend(frameon=False)
    figure.savefig(path, dpi=150)


if __name__ == "__main__":
    app.run(main)
