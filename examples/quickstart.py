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
r"""Wrap, fit, strip, pack, export: from a dense model to a faster one.

    python examples/quickstart.py

Trains a dense network, prunes it to 90 % with 32x32 blocks by
SequentialAttention++, strips, packs and exports it, and prints accuracy, size
and LiteRT latency of both. The data are scikit-learn's handwritten digits, for
which nothing is downloaded; any image data set of TFDS can take their place:

    python examples/quickstart.py --dataset=fashion_mnist --data_dir=~/tfds
"""

import os
from typing import Any

import keras
import numpy as np
from absl import app, flags

import tfmot_sapp as sapp
from tfmot_sapp.base.tables import render

FLAGS = flags.FLAGS
flags.DEFINE_string(
    "dataset", "digits", '"digits", or the name of a TFDS image data set.'
)
flags.DEFINE_string("data_dir", None, "Directory of TFDS data sets.")
flags.DEFINE_bool("download", False, "Whether TFDS may download the data set.")
flags.DEFINE_string("output_dir", "output", "Directory for models and picture.")
flags.DEFINE_float("sparsity", 0.9, "Fraction of the blocks to remove.")
flags.DEFINE_integer("block", 32, "Extent of a block, both ways.")
flags.DEFINE_integer("units", 1024, "Width of the hidden layers.")
flags.DEFINE_integer("epochs", 40, "Epochs of the dense and of the pruned run.")
flags.DEFINE_integer("batch_size", 64, "Images per training step.")
flags.DEFINE_integer("seed", 0, "Seed of initial weights and shuffling.")

Split = tuple[np.ndarray, np.ndarray]


def load_digits() -> tuple[Split, Split]:
    """Returns the digits: 1,437 images to train on and 360 to test on."""
    from sklearn.datasets import load_digits as load
    from sklearn.model_selection import train_test_split

    x, y = load(return_X_y=True)
    x_train, x_test, y_train, y_test = train_test_split(
        x.astype("float32") / 16, y, test_size=0.2, random_state=0, stratify=y
    )
    return (x_train, y_train), (x_test, y_test)


def load_tfds(name: str) -> tuple[Split, Split]:
    """Returns the train and test split of a TFDS image data set."""
    import tensorflow_datasets as tfds

    def load(split: str) -> Split:
        data = tfds.load(
            name,
            split=split,
            data_dir=FLAGS.data_dir,
            download=FLAGS.download,
            as_supervised=True,
        )
        images, labels = zip(*tfds.as_numpy(data))
        flat = np.stack([image.ravel() for image in images])
        return flat.astype("float32") / 255, np.array(labels)

    return load("train"), load("test")


def make_model(inputs: int, classes: int) -> keras.Model:
    """Returns a network of three hidden layers."""
    layers: list[Any] = [keras.layers.Input((inputs,))]
    for index in range(3):
        layers.append(
            keras.layers.Dense(
                FLAGS.units, activation="relu", name=f"hidden_{index + 1}"
            )
        )
        layers.append(keras.layers.Dropout(0.2))
    layers.append(keras.layers.Dense(classes, name="logits"))
    return keras.Sequential(layers)


def train(
    model: keras.Model, data: Split, callbacks: list[Any] | None = None
) -> None:
    """Compiles and fits a model with a cosine learning rate."""
    steps = FLAGS.epochs * steps_per_epoch(data)
    rate = keras.optimizers.schedules.CosineDecay(1e-3, steps)
    model.compile(
        keras.optimizers.Adam(rate),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    model.fit(
        *data,
        batch_size=FLAGS.batch_size,
        epochs=FLAGS.epochs,
        verbose=2,
        callbacks=callbacks,
    )


def steps_per_epoch(data: Split) -> int:
    """Returns the number of training steps in an epoch."""
    return -(-len(data[0]) // FLAGS.batch_size)


def accuracy(model: keras.Model, data: Split) -> float:
    """Returns the fraction of images that a model classifies rightly."""
    logits = model.predict(data[0], batch_size=256, verbose=0)
    return float(np.mean(np.argmax(logits, axis=-1) == data[1]))


def main(_: list[str]) -> None:
    """Runs the whole path and prints one table."""
    keras.utils.set_random_seed(FLAGS.seed)
    os.makedirs(FLAGS.output_dir, exist_ok=True)
    if FLAGS.dataset == "digits":
        training, test = load_digits()
    else:
        training, test = load_tfds(FLAGS.dataset)
    classes = int(training[1].max()) + 1

    print("1. Training the dense model")
    dense = make_model(training[0].shape[1], classes)
    train(dense, training)

    print("2. Pruning it while it trains on")
    schedule = sapp.SequentialAttentionSchedule(
        FLAGS.sparsity, end_step=FLAGS.epochs * steps_per_epoch(training)
    )
    # Layers of fewer than 100 blocks, the first and the last, stay dense.
    wrapped = sapp.prune_blocks(
        dense, schedule, block_size=(FLAGS.block, FLAGS.block)
    )
    train(wrapped, training, [sapp.UpdatePruningStep()])
    stripped = sapp.strip_pruning(wrapped)
    print(sapp.report(stripped))

    print("3. Packing and exporting both")
    packed = sapp.pack_blocks(stripped)
    files = {
        "dense": os.path.join(FLAGS.output_dir, "dense.tflite"),
        "pruned": os.path.join(FLAGS.output_dir, "pruned.tflite"),
    }
    sapp.export_tflite(dense, files["dense"])
    sapp.export_tflite(packed, files["pruned"])
    sapp.export_saved_model(
        packed, os.path.join(FLAGS.output_dir, "saved_model")
    )
    picture = os.path.join(FLAGS.output_dir, "masks.png")
    sapp.plot_masks(stripped, picture)

    print("4. Measuring them in turn on LiteRT, batch 1, one thread")
    timing = sapp.benchmark(files, threads=1)
    print(compare(dense, packed, stripped, test, timing))
    print(f"Models and mask picture are in {FLAGS.output_dir}/")


def compare(
    dense: keras.Model,
    packed: keras.Model,
    stripped: keras.Model,
    test: Split,
    timing: Any,
) -> str:
    """Returns the table, dense beside pruned."""
    of_dense, of_pruned = timing.timings
    parameters = sapp.report(stripped)
    rows = [
        [
            "test accuracy",
            f"{100 * accuracy(dense, test):.2f} %",
            f"{100 * accuracy(packed, test):.2f} %",
            "",
        ],
        [
            "parameters",
            f"{parameters.parameters:,}",
            f"{parameters.kept_parameters:,}",
            f"{parameters.parameters / parameters.kept_parameters:.1f}x",
        ],
        [
            "file, kB",
            f"{of_dense.size / 1e3:,.0f}",
            f"{of_pruned.size / 1e3:,.0f}",
            f"{of_dense.size / of_pruned.size:.1f}x smaller",
        ],
        [
            "latency, ms",
            f"{of_dense.median_ms:.3f}",
            f"{of_pruned.median_ms:.3f}",
            f"{of_pruned.speed_up:.1f}x faster",
        ],
    ]
    return render(["", "dense", "pruned", ""], rows, numeric=(1, 2))


if __name__ == "__main__":
    app.run(main)
