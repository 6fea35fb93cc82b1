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
"""How the time of pruning after training grows with pictures and layers.

python -m benchmarks.post_training.growth --output_dir=OUT

Networks of residual blocks of 128 channels at 14x14 pixels, random weights and
pictures; the blocks and the pictures are doubled in turn. Appends a row to
`growth.csv` for each: the processor time, the time by the clock and the memory.
Each is measured in a process of its own.
"""

import multiprocessing
import pathlib
import resource
import time

import keras
import numpy as np
from absl import app, flags

import tfmot_sapp as sapp
from benchmarks.shared import csv_rows

FLAGS = flags.FLAGS
flags.DEFINE_string("output_dir", ".", "Where the CSV goes.")
flags.DEFINE_multi_integer("layers", [8, 16, 32, 64], "Kernels to prune.")
flags.DEFINE_multi_integer("pictures", [128, 256, 512, 1024], "Pictures.")
flags.DEFINE_integer("usual_layers", 16, "Kernels while pictures are doubled.")
flags.DEFINE_integer("usual_pictures", 256, "Pictures while layers are.")
flags.DEFINE_float("sparsity", 0.5, "Share of blocks to remove.")

_CHANNELS = 128


def network(layers: int) -> keras.Model:
    """Returns residual blocks of two pointwise convolutions each."""
    keras.utils.set_random_seed(0)
    inputs = keras.Input((14, 14, _CHANNELS))
    x = inputs
    for _ in range(layers // 2):
        hidden = keras.layers.Conv2D(_CHANNELS, 1, activation="relu")(x)
        x = keras.layers.add([x, keras.layers.Conv2D(_CHANNELS, 1)(hidden)])
    x = keras.layers.GlobalAveragePooling2D()(x)
    outputs = keras.layers.Dense(10, name="classes")(x)
    return keras.Model(inputs, outputs)


def measure(layers: int, pictures: int, sparsity: float) -> dict[str, object]:
    """Prunes one network once."""
    model = network(layers)
    rng = np.random.default_rng(0)
    shape = (pictures, *model.input_shape[1:])
    images = rng.standard_normal(shape).astype(np.float32)
    start, clock = time.process_time(), time.time()
    sapp.prune_post_training(
        model,
        images,
        sparsity,
        {"conv2d*": (16, 16)},
        pruning_policy=sapp.MinimumBlocks(4),
        verbose=False,
    )
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {
        "layers": layers,
        "pictures": pictures,
        "cpu_seconds": round(time.process_time() - start, 2),
        "seconds": round(time.time() - clock, 2),
        "peak_gigabytes": round(peak / 2**20, 2),
    }


def main(argv: list[str]) -> None:
    """Measures every network."""
    del argv
    cells = [(n, FLAGS.usual_pictures) for n in FLAGS.layers]
    cells += [(FLAGS.usual_layers, n) for n in FLAGS.pictures]
    path = pathlib.Path(FLAGS.output_dir) / "growth.csv"
    context = multiprocessing.get_context("spawn")
    for layers, pictures in dict.fromkeys(cells):
        with context.Pool(1) as pool:
            row = pool.apply(measure, (layers, pictures, FLAGS.sparsity))
        print(row, flush=True)
        csv_rows.append_row(path, list(row), row)


if __name__ == "__main__":
    app.run(main)
