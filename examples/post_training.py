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
r"""Prunes a trained network from unlabelled inputs, and trains no more.

    python examples/post_training.py

Takes a trained network and some of its inputs, without labels, removes more and
more of its blocks and prints what is left of its accuracy, its size and its
LiteRT latency, with and without the weights that are left making up for those
that go. By default a small network is trained first on scikit-learn's
handwritten digits, for which nothing is downloaded. A network of your own, a
`.keras` file, and inputs of it with labels in an `.npz` file take its place:

    python examples/post_training.py --weights=model.keras --data=images.npz
"""

import os

import keras
import numpy as np
from absl import app, flags

import tfmot_sapp as sapp
from tfmot_sapp.base.tables import render

FLAGS = flags.FLAGS
flags.DEFINE_string("weights", None, "A `.keras` file; by default one is made.")
flags.DEFINE_string("data", None, "An `.npz` file with `images` and `labels`.")
flags.DEFINE_string("output_dir", "output", "Directory for the models.")
flags.DEFINE_list(
    "sparsity", ["0.3", "0.5", "0.7"], "Fractions of the blocks to remove."
)
flags.DEFINE_integer("block", 16, "Extent of a block, both ways.")
flags.DEFINE_integer("samples", 256, "Inputs to calibrate on.")
flags.DEFINE_bool("logits", False, "Whether outputs are logits of classes.")
flags.DEFINE_integer("distill_steps", 0, "Steps of distillation; 0 for none.")
flags.DEFINE_integer("epochs", 12, "Epochs of the network that is made.")
flags.DEFINE_integer("seed", 0, "Seed of weights and order.")

Split = tuple[np.ndarray, np.ndarray]


def main(_: list[str]) -> None:
    """Prunes a network to several sparsities and prints one table."""
    keras.utils.set_random_seed(FLAGS.seed)
    os.makedirs(FLAGS.output_dir, exist_ok=True)
    if FLAGS.weights is None:
        model, inputs, test = made()
    else:
        model = keras.saving.load_model(FLAGS.weights, compile=False)
        inputs, test = given(FLAGS.data)
    sparsities = [float(each) for each in FLAGS.sparsity]
    distill = None
    if FLAGS.distill_steps:
        distill = sapp.Distillation(FLAGS.distill_steps, logits=FLAGS.logits)
    options = {
        "block_size": (FLAGS.block, FLAGS.block),
        "pruning_policy": sapp.MinimumBlocks(8),
        "logits": FLAGS.logits,
    }
    fitted = sapp.prune_family(
        model, inputs, sparsities, distill=distill, **options
    )
    copied = sapp.prune_family(
        model, inputs, sparsities, compensate=False, **options
    )
    print(sapp.report(fitted[-1]))

    files = {"dense": os.path.join(FLAGS.output_dir, "dense.tflite")}
    sapp.export_tflite(model, files["dense"])
    for sparsity, pruned in zip(sparsities, fitted):
        path = os.path.join(FLAGS.output_dir, f"pruned_{sparsity:g}.tflite")
        sapp.export_tflite(sapp.pack_blocks(pruned), path)
        files[f"{sparsity:.0%}"] = path
    sapp.plot_masks(fitted[-1], os.path.join(FLAGS.output_dir, "masks.png"))
    timings = sapp.benchmark(files).timings

    shares = [
        [accuracy(model, test)] * 2,
        *([accuracy(m, test) for m in pair] for pair in zip(fitted, copied)),
    ]
    rows = [
        [
            timing.name,
            *(f"{100 * share:.1f} %" for share in pair),
            f"{timing.size / 1e3:,.0f}",
            f"{timing.median_ms:.3f}",
            f"{timing.speed_up:.2f}x",
        ]
        for timing, pair in zip(timings, shares)
    ]
    head = [
        "removed",
        "accuracy",
        "not made up for",
        "file, kB",
        "latency, ms",
        "speed-up",
    ]
    print(render(head, rows, numeric=range(1, 6)))
    print(f"Models and mask picture are in {FLAGS.output_dir}/")


def made() -> tuple[keras.Model, np.ndarray, Split]:
    """Returns a network trained on digits, inputs of it, and a test split."""
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    images, labels = load_digits(return_X_y=True)
    images = images.astype("float32").reshape(-1, 8, 8, 1) / 16
    train, test, train_labels, test_labels = train_test_split(
        images, labels, test_size=0.2, random_state=0, stratify=labels
    )
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            layers.Conv2D(32, 3, padding="same", activation="relu"),
            layers.Conv2D(64, 3, padding="same", activation="relu"),
            layers.MaxPooling2D(),
            layers.Conv2D(128, 3, padding="same", activation="relu"),
            layers.Flatten(),
            layers.Dense(128, activation="relu"),
            layers.Dense(10, activation="softmax"),
        ]
    )
    model.compile("adam", "sparse_categorical_crossentropy")
    model.fit(train, train_labels, 64, FLAGS.epochs, verbose=2)
    return model, train[: FLAGS.samples], (test, test_labels)


def given(path: str | None) -> tuple[np.ndarray, Split]:
    """Returns inputs to calibrate on, and others with labels."""
    if path is None:
        raise app.UsageError("--weights needs --data.")
    with np.load(path) as file:
        missing = {"images", "labels"} - set(file.files)
        if missing:
            raise app.UsageError(
                f"--data lacks {sorted(missing)}: it holds {file.files}."
            )
        images, labels = file["images"], file["labels"]
    order = np.random.default_rng(FLAGS.seed).permutation(len(images))
    used, rest = order[: FLAGS.samples], order[FLAGS.samples :]
    if not len(rest):
        raise app.UsageError(
            f"--data must hold more than --samples={FLAGS.samples} inputs."
        )
    return images[used], (images[rest], labels[rest])


def accuracy(model: keras.Model, data: Split) -> float:
    """Returns the share of inputs whose class is found."""
    outputs = model.predict(data[0], batch_size=64, verbose=0)
    return float(np.mean(outputs.argmax(axis=-1) == data[1]))


if __name__ == "__main__":
    app.run(main)
