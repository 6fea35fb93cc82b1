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
"""i-SpaSP on an MLP: hidden units gone, fine-tuned, exported.

    python -m examples.structured.mlp --data_dir=... --dataset=mnist

Trains 784-512-256-10, removes hidden units by every criterion, fine-tunes, and
compares accuracy before and after.
"""

from typing import Any

import keras
import tensorflow as tf
from absl import app, flags

import tfmot_sapp as sapp
from examples.shared import recipe
from tfmot_sapp.base.tables import render

FLAGS = flags.FLAGS
recipe.define_flags(
    epochs=5, batch_size=128, learning_rate=1e-3, sparsity=0.0, block=1
)
flags.DEFINE_string("dataset", "mnist", "Image data set of TFDS.")
flags.DEFINE_float("keep", 0.3, "Share of the hidden units to keep.")
flags.DEFINE_bool("refit", True, "Whether outgoing weights are solved again.")
flags.DEFINE_integer("calibration", 1280, "Images to choose units by.")

CRITERIA: dict[str, sapp.Criterion] = {
    "i-SpaSP": sapp.ISpaSP(),
    "top activation": sapp.TopActivation(),
    "magnitude": sapp.UnitMagnitude(),
    "greedy forward": sapp.GreedyForward(),
    "ThiNet": sapp.ThiNet(),
    "OSSCAR": sapp.OSSCAR(),
    "CoSaMP": sapp.CoSaMP(),
}


def prepare(example: Any) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns a flat image in [0, 1] and its label."""
    image = tf.cast(tf.reshape(example["image"], (-1,)), tf.float32) / 255
    return image, example["label"]


def main(_: list[str]) -> None:
    """Trains, removes units, fine-tunes and prints the table."""
    recipe.start()
    FLAGS.resume = False
    training = recipe.load(FLAGS.dataset, "train", prepare, cache=True)
    test = recipe.load(FLAGS.dataset, "test", prepare, cache=True)

    def train(model: keras.Model) -> keras.Model:
        return recipe.fit_classifier("", model, training, test)

    def accuracy(model: keras.Model) -> str:
        return f"{recipe.accuracy(model, test):.2f}"

    inputs = test.element_spec[0].shape[1]
    dense = train(
        keras.Sequential(
            [
                keras.Input((inputs,)),
                keras.layers.Dense(512, activation="relu", name="hidden_1"),
                keras.layers.Dense(256, activation="relu", name="hidden_2"),
                keras.layers.Dense(10, name="logits"),
            ]
        )
    )
    data = training.take(-(-FLAGS.calibration // FLAGS.batch_size))
    rows = [["dense", accuracy(dense), "", f"{dense.count_params():,}"]]
    for name, criterion in CRITERIA.items():
        smaller = sapp.prune_structured(
            dense, data, FLAGS.keep, criterion, refit=FLAGS.refit
        )
        at_once = accuracy(smaller)
        tuned = accuracy(train(smaller))
        rows.append([name, at_once, tuned, f"{smaller.count_params():,}"])
    head = ["criterion", "test accuracy, %", "fine-tuned", "parameters"]
    print(render(head, rows, numeric=(1, 2, 3)))


if __name__ == "__main__":
    app.run(main)
