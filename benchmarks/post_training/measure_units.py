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
"""EfficientNet-Lite0 pruned by units after training, then by blocks.

python -m benchmarks.post_training.measure_units --data_dir=DIR --output_dir=OUT

Appends a row to `units.csv` for each share of units that is kept: accuracy on
the validation pictures and what the pruning took; with `--sparsity` blocks of
what is left are removed as well.
"""

import pathlib
import resource
import time

import numpy as np
from absl import app, flags

import tfmot_sapp as sapp
from benchmarks.post_training import efficientnet_lite0
from benchmarks.shared import csv_rows

CRITERIA = {
    "ispasp": sapp.ISpaSP,
    "oscar": sapp.OSSCAR,
    "thinet": sapp.ThiNet,
    "top": sapp.TopActivation,
}

FLAGS = flags.FLAGS
flags.DEFINE_string("data_dir", None, "Folder that holds `imagenet`.")
flags.DEFINE_string("output_dir", ".", "Where the CSV goes.")
flags.DEFINE_multi_float("keep", [0.9], "Share of units to keep.")
flags.DEFINE_multi_enum("criterion", ["oscar"], list(CRITERIA), "What chooses.")
flags.DEFINE_integer("pictures", 256, "Pictures to calibrate on.")
flags.DEFINE_float("sparsity", 0.0, "Share of blocks to remove then.")
flags.DEFINE_integer("block", 16, "Side of a block.")


def main(argv: list[str]) -> None:
    """Measures each share of units with each criterion."""
    del argv
    files = efficientnet_lite0.files(FLAGS.data_dir)
    model = efficientnet_lite0.load(files["weights"])
    data, _ = efficientnet_lite0.pictures(files["train"], FLAGS.pictures)
    for name in FLAGS.criterion:
        for keep in FLAGS.keep:
            start, clock = time.process_time(), time.time()
            pruned = sapp.prune_structured(
                model, data, keep, CRITERIA[name](), refit=True
            )
            if FLAGS.sparsity:
                size = (FLAGS.block, FLAGS.block)
                pruned = sapp.prune_post_training(
                    pruned,
                    data,
                    FLAGS.sparsity,
                    {"*_conv": size, "_conv_head": size},
                    logits=True,
                )
            seconds = time.process_time() - start
            waited = time.time() - clock
            # Before the validation pictures are there, which are no part of it.
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            images, labels = efficientnet_lite0.pictures(files["validation"])
            logits = pruned.predict(images, batch_size=50, verbose=0)
            del images
            row = {
                "criterion": name,
                "keep": keep,
                "sparsity": FLAGS.sparsity,
                "pictures": FLAGS.pictures,
                "accuracy": round(
                    float(np.mean(logits.argmax(-1) == labels)), 4
                ),
                "multiply_adds": sapp.count_flops(pruned),
                "cpu_seconds": round(seconds, 1),
                "seconds": round(waited, 1),
                "peak_gigabytes": round(peak / 2**20, 2),
            }
            print(row, flush=True)
            path = pathlib.Path(FLAGS.output_dir) / "units.csv"
            csv_rows.append_row(path, list(row), row)


if __name__ == "__main__":
    flags.mark_flag_as_required("data_dir")
    app.run(main)
