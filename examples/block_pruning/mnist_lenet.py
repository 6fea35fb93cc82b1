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
"""LeNet-300-100 and LeNet-5 on MNIST, pruned to fewer units by gates.

    python -m examples.block_pruning.mnist_lenet --data_dir=... \
        --network=lenet_300_100

A gate stands before each input unit of a Dense layer and behind each filter of
a convolution, and the penalty decides how many stay (Louizos, Welling and
Kingma, arXiv 1712.01312, Section 4.1; Shulman, arXiv 2012.03653).
"""

from typing import Any

import keras
import numpy as np
import tensorflow as tf
from absl import app, flags

import tfmot_sapp as sapp
from examples.shared import recipe
from tfmot_sapp.base.tables import render

FLAGS = flags.FLAGS
recipe.define_flags(
    epochs=30, batch_size=100, learning_rate=1e-3, sparsity=0.0, block=1
)
flags.DEFINE_enum(
    "network", "lenet_300_100", ["lenet_300_100", "lenet_5"], "The network."
)
flags.DEFINE_multi_enum(
    "gates",
    ["diff_prune", "hard_concrete"],
    ["diff_prune", "diff_prune_sigmoid", "hard_concrete"],
    "Kinds of gates.",
)
flags.DEFINE_multi_float(
    "penalty",
    [0.1],
    "What each weight that stays costs, over the number of training images "
    "(lambda in the papers): one for all layers, or one for each.",
)

# An extent that covers any axis.
ALL = 1 << 20

# Published: units kept and error, on the same architectures (arXiv 1712.01312,
# Table 1; the error of DiffPrune is from its abstract).
PUBLISHED = {
    "lenet_300_100": [
        ["hard concrete, published", "1.6-1.8 %", "266-88-33"],
    ],
    "lenet_5": [
        ["hard concrete, published", "0.9 %", "20-25-45-462"],
        ["hard concrete, published", "1.0 %", "9-18-65-25"],
        ["DiffPrune, published", "0.6 %", ""],
    ],
}


def make_scorer(gates: str, penalty: float, drop_rate: float) -> sapp.Scorer:
    """Returns the gates of a layer."""
    return {
        "diff_prune": lambda: sapp.DiffPrune(penalty=penalty),
        "diff_prune_sigmoid": lambda: sapp.DiffPrune(
            "sigmoid", penalty=penalty
        ),
        "hard_concrete": lambda: sapp.HardConcrete(penalty, drop_rate),
    }[gates]()


def add_gates(
    model: keras.Model, gates: str, steps: int, images: int
) -> keras.Model:
    """Returns the network with gates of a kind in each layer with weights.

    Args:
        model: The network.
        gates: Their kind.
        steps: Number of steps of the training.
        images: Number of training images.
    """
    with_weights = [x for x in model.layers if hasattr(x, "kernel")]
    penalties = FLAGS.penalty
    if len(penalties) == 1:
        penalties = penalties * len(with_weights)
    if len(penalties) != len(with_weights):
        raise app.UsageError(
            f"--penalty wants one number or {len(with_weights)}, one for each "
            f"layer with weights. Received: {FLAGS.penalty}."
        )
    gated = [keras.layers.Input(model.input_shape[1:])]
    for layer in model.layers:
        if layer in with_weights:
            index = with_weights.index(layer)
            is_convolution = layer.name.startswith("conv")
            # Most of an image is background.
            is_images = index == 0 and not is_convolution
            # A scorer's penalty is on the density of its own layer.
            weights = int(np.prod(layer.kernel.shape))
            layer = sapp.prune_blocks(
                layer,
                sapp.LearnedSparsity(steps),
                (ALL, 1) if is_convolution else (1, ALL),
                make_scorer(
                    gates,
                    penalties[index] * weights / images,
                    drop_rate=0.2 if is_images else 0.5,
                ),
            )
        gated.append(layer)
    return keras.Sequential(gated)


def prepare(example: Any) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns an image in [0, 1] and its label."""
    return tf.cast(example["image"], tf.float32) / 255, example["label"]


def make_model() -> keras.Model:
    """Returns the network."""
    keras.utils.set_random_seed(FLAGS.seed)
    layers = keras.layers
    dense = {"lenet_300_100": (300, 100), "lenet_5": (500,)}[FLAGS.network]
    stack = [layers.Input((28, 28, 1))]
    if FLAGS.network == "lenet_5":
        for index, filters in enumerate((20, 50)):
            stack += [
                layers.Conv2D(
                    filters, 5, activation="relu", name=f"conv_{index + 1}"
                ),
                layers.MaxPooling2D(),
            ]
    stack.append(layers.Flatten())
    for index, units in enumerate(dense):
        stack.append(
            layers.Dense(units, activation="relu", name=f"dense_{index + 1}")
        )
    stack.append(layers.Dense(10, name="dense_out"))
    return keras.Sequential(stack)


def units_kept(stripped: keras.Model) -> str:
    """Returns the number of filters and of input units that are left."""
    kept = []
    for layer in stripped.layers:
        kernel = getattr(layer, "kernel", None)
        if kernel is None:
            continue
        used = np.asarray(kernel.numpy()) != 0
        axis = (0, 1, 2) if layer.name.startswith("conv") else 1
        kept.append(int(np.sum(np.any(used, axis=axis))))
    return "-".join(map(str, kept))


def main(_: list[str]) -> None:
    """Trains dense and with each kind of gates, and prints the table."""
    strategy = recipe.start()
    training = recipe.load("mnist", "train", prepare, cache=True)
    test = recipe.load("mnist", "test", prepare, cache=True)
    steps = recipe.count_steps(training)
    images = training.steps * FLAGS.batch_size

    def train(name: str, model: keras.Model) -> keras.Model:
        return recipe.fit_classifier(name, model, training, test)

    def error(model: keras.Model) -> str:
        return f"{100 - recipe.accuracy(model, test):.2f} %"

    rows = []
    if FLAGS.baseline:
        with strategy.scope():
            dense = train("dense", make_model())
        rows.append(["dense", error(dense), units_kept(dense)])
    for gates in FLAGS.gates:
        with strategy.scope():
            wrapped = add_gates(make_model(), gates, steps, images)
            wrapped = train(gates, wrapped)
        stripped = sapp.strip_pruning(wrapped)
        rows.append([gates, error(stripped), units_kept(stripped)])
    rows += PUBLISHED[FLAGS.network]
    if recipe.is_chief():
        print(render(["gates", "test error", "units"], rows, numeric=(1,)))


if __name__ == "__main__":
    app.run(main)
