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
"""i-SpaSP on ResNet-34 and MobileNetV2 with the paper's settings.

    python -m examples.structured.imagenet --data_dir=... --weights=...

Units are chosen on 1,280 training images in 20 iterations, and the smaller
network is fine-tuned (arXiv 2112.04905, Section 5). ImageNet must have been
prepared for TFDS (`imagenet2012`); `--weights` names a trained model, without
which the network is trained first.
"""

from typing import Any

import keras
from absl import app, flags

import tfmot_sapp as sapp
from examples.shared import imagenet_inputs, recipe
from examples.structured import networks
from tfmot_sapp.base.tables import render

FLAGS = flags.FLAGS
recipe.define_flags(
    epochs=30,
    batch_size=256,
    learning_rate=0.01,
    sparsity=0.0,
    block=1,
    shuffle=2048,
)
flags.DEFINE_enum(
    "network", "resnet34", ["resnet34", "mobilenet_v2"], "The network."
)
flags.DEFINE_string("weights", None, "A trained model, as a .keras file.")
flags.DEFINE_integer("image_size", 224, "Side of the images.")
flags.DEFINE_integer("calibration", 1280, "Images to choose units by.")
flags.DEFINE_integer("iterations", 20, "Iterations of i-SpaSP.")
flags.DEFINE_bool("refit", False, "Whether outgoing weights are solved again.")


def main(_: list[str]) -> None:
    """Trains or loads, removes units, fine-tunes and prints the table."""
    strategy = recipe.start()
    inputs = imagenet_inputs.Inputs(FLAGS.image_size)
    training = recipe.load("imagenet2012", "train", inputs.training)
    validation = recipe.load("imagenet2012", "validation", inputs.validation)
    steps = recipe.count_steps(training)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)

    def train(name: str, model: Any) -> Any:
        rate = keras.optimizers.schedules.CosineDecay(
            FLAGS.learning_rate, steps
        )
        optimizer = keras.optimizers.SGD(rate, momentum=0.9, nesterov=True)
        return recipe.fit(
            name, model, optimizer, loss, ["accuracy"], training, validation
        )

    def accuracy(model: Any) -> str:
        return f"{recipe.accuracy(model, validation):.2f}"

    with strategy.scope():
        if FLAGS.weights:
            dense = keras.models.load_model(FLAGS.weights)
        else:
            dense = train(
                "dense", networks.make(FLAGS.network, FLAGS.image_size)
            )
        smaller = sapp.prune_structured(
            dense,
            training.take(-(-FLAGS.calibration // FLAGS.batch_size)),
            networks.keep(FLAGS.network),
            sapp.ISpaSP(FLAGS.iterations),
            refit=FLAGS.refit,
        )
        at_once = accuracy(smaller)
        smaller = train("smaller", smaller)
    rows = [
        [
            "dense",
            accuracy(dense),
            "",
            f"{sapp.count_flops(dense) / 1e9:.3f}",
            f"{dense.count_params():,}",
        ],
        [
            "smaller",
            at_once,
            accuracy(smaller),
            f"{sapp.count_flops(smaller) / 1e9:.3f}",
            f"{smaller.count_params():,}",
        ],
    ]
    head = ["", "accuracy, %", "fine-tuned", "G multiply-adds", "parameters"]
    print(render(head, rows, numeric=(1, 2, 3, 4)))


if __name__ == "__main__":
    app.run(main)
