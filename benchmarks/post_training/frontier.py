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

python -m benchmarks.post_training.frontier --data_dir=DIR --output_dir=OUT

Prunes without labels, packs, exports, times all files in turn on LiteRT with
each number of threads, writes `frontier.csv` and draws `frontier.png`. With
`--distill_steps` every model is distilled on the training pictures.
"""

import pathlib
from typing import Any

import keras
import numpy as np
from absl import app, flags

import tfmot_sapp as sapp
from benchmarks.post_training import efficientnet_lite0
from benchmarks.shared import csv_rows

FLAGS = flags.FLAGS
flags.DEFINE_string("data_dir", None, "Folder that holds `imagenet`.")
flags.DEFINE_string("output_dir", ".", "Where files, CSV and picture go.")
flags.DEFINE_multi_float("sparsity", [0.1, 0.2, 0.3, 0.5], "Shares of blocks.")
flags.DEFINE_multi_float("keep", [0.95, 0.9, 0.8, 0.7], "Shares of units.")
flags.DEFINE_multi_integer("threads", [1, 2], "Numbers of threads.")
flags.DEFINE_integer("block", 16, "Side of a block.")
flags.DEFINE_integer("pictures", 256, "Pictures to calibrate on.")
flags.DEFINE_integer("distill_steps", 0, "Steps of distillation; 0 for none.")
flags.DEFINE_integer("rounds", 50, "Rounds in which all files are timed.")

_STYLES = {"dense": "ks", "blocks": "o-", "units": "^-", "both": "D-"}


def main(argv: list[str]) -> None:
    """Makes the models, measures and draws them."""
    del argv
    folder = pathlib.Path(FLAGS.output_dir)
    paths = efficientnet_lite0.files(FLAGS.data_dir)
    model = efficientnet_lite0.load(paths["weights"])
    images, labels = efficientnet_lite0.pictures(paths["validation"])
    data, _ = efficientnet_lite0.pictures(paths["train"], FLAGS.pictures)
    files, points = {}, {}
    for name, pruned in _models(model, data):
        if FLAGS.distill_steps and name != "dense":
            _distill(pruned, model, paths["train"])
        logits = pruned.predict(images, batch_size=50, verbose=0)
        points[name] = round(float(np.mean(logits.argmax(-1) == labels)), 4)
        files[name] = str(folder / f"{name.replace(' ', '_')}.tflite")
        packed = pruned if name == "dense" else sapp.pack_blocks(pruned)
        sapp.export_tflite(packed, files[name])
        print(f"{name}: {points[name]}", flush=True)
    rows = []
    for threads in FLAGS.threads:
        result = sapp.benchmark(files, threads=threads, rounds=FLAGS.rounds)
        for timing in result.timings:
            kind, _, level = timing.name.partition(" ")
            rows.append(
                {
                    "threads": threads,
                    "kind": kind,
                    "level": level,
                    "accuracy": points[timing.name],
                    "milliseconds": round(timing.median_ms, 3),
                    "speedup": round(timing.speed_up, 3),
                    "kilobytes": round(timing.size / 1e3, 1),
                }
            )
            csv_rows.append_row(
                folder / "frontier.csv", list(rows[-1]), rows[-1]
            )
    _draw(rows, folder / "frontier.png")


def _models(model: keras.Model, data: np.ndarray):
    """Yields names and models: dense, by blocks, by units, by both."""
    size = (FLAGS.block, FLAGS.block)
    blocks = {
        "block_size": {"*_conv": size, "_conv_head": size},
        "logits": True,
    }
    yield "dense", model
    family = sapp.prune_family(model, data, list(FLAGS.sparsity), **blocks)
    for sparsity, pruned in zip(FLAGS.sparsity, family):
        yield f"blocks {sparsity:g}", pruned
    for keep in FLAGS.keep:
        units = sapp.prune_structured(
            model, data, keep, sapp.OSSCAR(), refit=True
        )
        yield f"units {keep:g}", units
        # As much again as blocks.
        both = sapp.prune_post_training(units, data, 1 - keep, **blocks)
        yield f"both {keep:g}", both


def _distill(pruned: keras.Model, model: keras.Model, path: str) -> None:
    pictures, _ = efficientnet_lite0.pictures(path)
    how = sapp.Distillation(FLAGS.distill_steps, logits=True)
    how(pruned, model, pictures)


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
    flags.mark_flag_as_required("data_dir")
    app.run(main)
