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
"""Every method on Fashion-MNIST, in one table.

    python -m examples.block_pruning.fashion_mnist --data_dir=...

The network 784-400-400-10, both wide layers pruned. Each method has its usual
schedule and one learning rate, and one seed: `benchmarks/accuracy/accuracy.py`
is the fair comparison, this is the quick one.
"""

import re
from typing import Any

import keras
import tensorflow as tf
from absl import app, flags

import tfmot_sapp as sapp
from examples.shared import recipe
from tfmot_sapp.base.tables import render

FLAGS = flags.FLAGS
recipe.define_flags(
    epochs=4, batch_size=128, learning_rate=2e-3, sparsity=0.95, block=20
)


def ramp(sparsity: float, steps: int) -> Any:
    """Returns TF-MOT's usual schedule."""
    return sapp.PolynomialDecay(
        0.0, sparsity, steps // 10, 7 * steps // 10, frequency=10
    )


# Name, scorer, schedule.
METHODS: dict[str, tuple[sapp.Scorer, Any]] = {
    "SequentialAttention++": (
        sapp.SequentialAttention(),
        sapp.SequentialAttentionSchedule,
    ),
    "attention, early ramp": (sapp.SequentialAttention(), sapp.EarlyRamp),
    "attention times second moment": (
        sapp.SequentialAttention(times=sapp.SecondMoment()),
        sapp.EarlyRamp,
    ),
    "magnitude, early ramp": (sapp.Magnitude(), sapp.EarlyRamp),
    "magnitude, TF-MOT's ramp": (sapp.Magnitude(), ramp),
    "magnitude, one shot": (sapp.Magnitude(), sapp.OneShot),
    "AC/DC": (sapp.Magnitude(), sapp.ACDCSchedule),
    "PowerPropagation": (sapp.PowerPropagation(), ramp),
    "movement": (sapp.Movement(), ramp),
    "Taylor": (sapp.Taylor(), ramp),
    "second moment": (sapp.SecondMoment(), sapp.EarlyRamp),
    "DiffPrune": (sapp.DiffPrune(), ramp),
    "hard concrete": (sapp.HardConcrete(), ramp),
}


flags.DEFINE_multi_enum(
    "method", None, list(METHODS), "Methods; all by default."
)


def prepare(example: Any) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns a flat image in [-1, 1] and its label.

    With a background of 0 the pixels that are seldom lit would get the largest
    weights from Adam, and norms of blocks would be about them.
    """
    image = tf.cast(tf.reshape(example["image"], (784,)), tf.float32)
    return image / 127.5 - 1, example["label"]


def make_model() -> keras.Model:
    """Returns the network 784-400-400-10."""
    keras.utils.set_random_seed(FLAGS.seed)
    return keras.Sequential(
        [
            keras.layers.Input((784,)),
            keras.layers.Dense(400, activation="relu", name="hidden_1"),
            keras.layers.Dense(400, activation="relu", name="hidden_2"),
            keras.layers.Dense(10, name="logits"),
        ]
    )


def slug(name: str) -> str:
    """Returns a method's name as one of a folder."""
    return re.sub(r"\W+", "_", name)


def main(_: list[str]) -> None:
    """Trains with every method and prints the table."""
    strategy = recipe.start()
    training = recipe.load("fashion_mnist", "train", prepare, cache=True)
    test = recipe.load("fashion_mnist", "test", prepare, cache=True)
    steps = recipe.count_steps(training)

    def train(name: str, model: keras.Model) -> keras.Model:
        return recipe.fit_classifier(name, model, training, test)

    def accuracy(model: keras.Model) -> str:
        return f"{recipe.accuracy(model, test):.2f}"

    rows = []
    if FLAGS.baseline:
        with strategy.scope():
            dense = train("dense", make_model())
        rows.append(["dense", accuracy(dense), "0.0 %", ""])
    for name in FLAGS.method or METHODS:
        print(name)
        scorer, schedule = METHODS[name]
        with strategy.scope():
            wrapped = sapp.prune_blocks(
                make_model(),
                schedule(FLAGS.sparsity, steps),
                {"hidden_*": (FLAGS.block, FLAGS.block)},
                scorer,
            )
            wrapped = train(slug(name), wrapped)
        stripped = sapp.strip_pruning(wrapped)
        report = sapp.report(stripped)
        kept = sum(row.kept for row in report.pruned)
        blocks = sum(row.blocks for row in report.pruned)
        rows.append(
            [
                name,
                accuracy(stripped),
                f"{100 * (1 - kept / blocks):.1f} %",
                f"{report.parameters / report.kept_parameters:.1f}x",
            ]
        )
    head = ["method", "test accuracy, %", "blocks removed", "fewer parameters"]
    if recipe.is_chief():
        print(render(head, rows, numeric=(1, 2, 3)))


if __name__ == "__main__":
    app.run(main)
