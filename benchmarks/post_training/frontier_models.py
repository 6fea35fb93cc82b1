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
"""EfficientNet-Lite0 pruned in many ways, as files, with their accuracies.

python -m benchmarks.post_training.frontier_models --data_dir=DIR \
    --output_dir=OUT

Prunes without labels by blocks, by units and by both, packs and exports each,
and appends a row to `frontier_accuracy.csv`. What is in there already isn't
made again. `frontier.py` times the files and draws the picture.
"""

import pathlib
import resource
from collections.abc import Callable, Iterator

import keras
import numpy as np
from absl import app, flags

import tfmot_sapp as sapp
from benchmarks.post_training import efficientnet_lite0
from benchmarks.shared import csv_rows

FLAGS = flags.FLAGS
flags.DEFINE_string("data_dir", None, "Folder that holds `imagenet`.")
flags.DEFINE_string("output_dir", ".", "Where the files and the CSV go.")
flags.DEFINE_multi_float("sparsity", [0.2, 0.3, 0.5], "Shares of blocks.")
flags.DEFINE_multi_float("keep", [0.95, 0.9, 0.8], "Shares of units.")
flags.DEFINE_integer("block", 16, "Side of a block.")
flags.DEFINE_integer("pictures", 256, "Pictures to calibrate on.")
flags.DEFINE_multi_float(
    "distilled", [], "Of `sparsity`, the shares to distil behind as well."
)
flags.DEFINE_integer("distill_steps", 150, "Steps of distillation.")

CSV = "frontier_accuracy.csv"
_COLUMNS = ("name", "accuracy", "cpu_seconds")
# A model's name, and what makes it.
Made = tuple[str, Callable[[], keras.Model]]


def main(argv: list[str]) -> None:
    """Makes the models that are missing and measures them."""
    del argv
    folder = pathlib.Path(FLAGS.output_dir)
    paths = efficientnet_lite0.files(FLAGS.data_dir)
    model = efficientnet_lite0.load(paths["weights"])
    images, labels = efficientnet_lite0.pictures(paths["validation"])
    data, _ = efficientnet_lite0.pictures(paths["train"], FLAGS.pictures)
    known = accuracies(folder)
    for name, make in _models(model, data, paths["train"]):
        if name in known:
            continue
        start = _processor_seconds()
        pruned = make()
        seconds = _processor_seconds() - start
        logits = pruned.predict(images, batch_size=50, verbose=0)
        packed = pruned if name == "dense" else sapp.pack_blocks(pruned)
        sapp.export_tflite(packed, path_of(folder, name))
        row = {
            "name": name,
            "accuracy": round(float(np.mean(logits.argmax(-1) == labels)), 4),
            "cpu_seconds": round(seconds, 1),
        }
        print(row, flush=True)
        csv_rows.append_row(folder / CSV, _COLUMNS, row)


def accuracies(folder: pathlib.Path) -> dict[str, float]:
    """Returns the accuracies of the models in a folder by their names."""
    rows = csv_rows.read_rows(folder / CSV, _COLUMNS)
    return {row["name"]: float(row["accuracy"]) for row in rows}


def path_of(folder: pathlib.Path, name: str) -> str:
    """Returns the path of a model's file."""
    return str(folder / f"{name.replace(' ', '_')}.tflite")


def _processor_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def _models(
    model: keras.Model, data: np.ndarray, pictures: str
) -> Iterator[Made]:
    """Yields the dense model, and those by blocks, by units and by both."""
    size = (FLAGS.block, FLAGS.block)
    sizes = {"*_conv": size, "_conv_head": size}
    yield "dense", lambda: model
    # One calibration serves all sparsities.
    family: dict[float, keras.Model] = {}

    def blocks(sparsity: float) -> keras.Model:
        if not family:
            found = sapp.prune_family(
                model, data, FLAGS.sparsity, sizes, logits=True
            )
            family.update(zip(FLAGS.sparsity, found))
        return family[sparsity]

    def distilled(sparsity: float) -> keras.Model:
        pruned = blocks(sparsity)
        _distill(pruned, model, pictures)
        return pruned

    for sparsity in FLAGS.sparsity:
        yield f"blocks {sparsity:g}", lambda s=sparsity: blocks(s)
        if sparsity in FLAGS.distilled:
            yield f"distilled {sparsity:g}", lambda s=sparsity: distilled(s)
    smaller: dict[float, keras.Model] = {}

    def units(keep: float) -> keras.Model:
        if keep not in smaller:
            smaller[keep] = sapp.prune_structured(
                model, data, keep, sapp.OSSCAR(), refit=True
            )
        return smaller[keep]

    def both(keep: float) -> keras.Model:
        # As much again as blocks.
        return sapp.prune_post_training(
            units(keep), data, 1 - keep, sizes, logits=True
        )

    for keep in FLAGS.keep:
        yield f"units {keep:g}", lambda k=keep: units(k)
        yield f"both {keep:g}", lambda k=keep: both(k)


def _distill(pruned: keras.Model, model: keras.Model, path: str) -> None:
    pictures, _ = efficientnet_lite0.pictures(path)
    how = sapp.Distillation(
        FLAGS.distill_steps, learning_rate=1e-4, logits=True
    )
    how(pruned, model, pictures)


if __name__ == "__main__":
    flags.mark_flag_as_required("data_dir")
    app.run(main)
