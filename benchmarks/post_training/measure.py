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
"""EfficientNet-Lite0 pruned by blocks after training, from unlabelled pictures.

python -m benchmarks.post_training.measure --data_dir=DIR --output_dir=OUT

Appends a row to `post_training.csv` for each sparsity: accuracy on the
validation pictures, agreement with the dense network, the processor time and
the memory that it took. The rows of one call share nothing, so that each shows
the cost of a first pruning.
"""

import pathlib
import resource
import time

import keras
import numpy as np
from absl import app, flags

import tfmot_sapp as sapp
from benchmarks.post_training import efficientnet_lite0
from benchmarks.shared import csv_rows
from tfmot_sapp.blocks.grid import block_reduce
from tfmot_sapp.frameworks.kernels import find_kernels

FLAGS = flags.FLAGS
flags.DEFINE_string("data_dir", None, "Folder that holds `imagenet`.")
flags.DEFINE_string("output_dir", ".", "Where the CSV goes.")
flags.DEFINE_multi_float("sparsity", [0.2, 0.3], "Share of blocks to remove.")
flags.DEFINE_integer("block", 16, "Side of a block.")
flags.DEFINE_integer("pictures", 256, "Pictures to calibrate on.")
flags.DEFINE_bool("compensate", True, "Whether weights make up for lost ones.")
flags.DEFINE_bool("correct_biases", True, "Whether means and biases do.")
flags.DEFINE_bool(
    "reestimate_statistics", False, "Whether batch norms are measured anew."
)
flags.DEFINE_bool("weighed", True, "Whether layers are weighed by need.")
flags.DEFINE_integer("distill_steps", 0, "Steps of distillation; 0 for none.")
flags.DEFINE_integer("distill_pictures", 1000, "Pictures to distil on.")
flags.DEFINE_float("learning_rate", 1e-4, "Learning rate of distillation.")


def main(argv: list[str]) -> None:
    """Measures the dense network and each sparsity."""
    del argv
    files = efficientnet_lite0.files(FLAGS.data_dir)
    model = efficientnet_lite0.load(files["weights"])
    images, labels = efficientnet_lite0.pictures(files["validation"])
    wanted = _classes(model, images)
    total = sum(grid.num_blocks for _, grid in _pointwise(model))
    print(f"dense: {np.mean(wanted == labels):.4f}, {total} pointwise blocks")
    for sparsity in FLAGS.sparsity:
        start, clock = time.process_time(), time.time()
        pruned = _pruned(model, files["train"], sparsity)
        seconds = time.process_time() - start
        waited = time.time() - clock
        classes = _classes(pruned, images)
        zeros = sum(
            int(np.sum(_is_zero(layer, grid)))
            for layer, grid in _pointwise(pruned)
        )
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        row = {
            "sparsity": sparsity,
            "block": FLAGS.block,
            "pictures": FLAGS.pictures,
            "compensate": FLAGS.compensate,
            "correct_biases": FLAGS.correct_biases,
            "reestimate_statistics": FLAGS.reestimate_statistics,
            "weighed": FLAGS.weighed,
            "distill_steps": FLAGS.distill_steps,
            "learning_rate": FLAGS.learning_rate if FLAGS.distill_steps else "",
            "removed": round(zeros / total, 4),
            "accuracy": round(float(np.mean(classes == labels)), 4),
            "agreement": round(float(np.mean(classes == wanted)), 4),
            "cpu_seconds": round(seconds, 1),
            "seconds": round(waited, 1),
            "peak_gigabytes": round(peak / 2**20, 2),
        }
        print(row, flush=True)
        path = pathlib.Path(FLAGS.output_dir) / "post_training.csv"
        csv_rows.append_row(path, list(row), row)


def _pruned(model: keras.Model, path: str, sparsity: float) -> keras.Model:
    images, _ = efficientnet_lite0.pictures(path, FLAGS.pictures)
    # The classifier stays whole: only the pointwise convolutions are cut.
    size = (FLAGS.block, FLAGS.block)
    pruned = sapp.prune_post_training(
        model,
        images,
        sparsity,
        {"*_conv": size, "_conv_head": size},
        FLAGS.compensate,
        logits=True,
        correct_biases=FLAGS.correct_biases,
        reestimate_statistics=FLAGS.reestimate_statistics,
        allocation=None if FLAGS.weighed else sapp.UniformAllocation(),
    )
    if FLAGS.distill_steps:
        del images
        images, _ = efficientnet_lite0.pictures(path, FLAGS.distill_pictures)
        how = sapp.Distillation(
            FLAGS.distill_steps,
            learning_rate=FLAGS.learning_rate,
            logits=True,
        )
        how(pruned, model, images)
    return pruned


def _classes(model: keras.Model, images: np.ndarray) -> np.ndarray:
    return model.predict(images, batch_size=50, verbose=0).argmax(-1)


def _pointwise(model: keras.Model):
    """Yields the pointwise convolutions with their grids of blocks."""
    for layer in model.layers:
        if isinstance(layer, keras.layers.DepthwiseConv2D):
            continue
        if isinstance(layer, keras.layers.Conv2D) and layer.kernel_size == (
            1,
            1,
        ):
            (kernel,) = find_kernels(layer)
            yield layer, kernel.grid((FLAGS.block, FLAGS.block))


def _is_zero(layer: keras.layers.Layer, grid) -> np.ndarray:
    magnitude = np.abs(np.asarray(layer.kernel))
    return block_reduce(magnitude, grid) == 0


if __name__ == "__main__":
    flags.mark_flag_as_required("data_dir")
    app.run(main)
