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
"""ResNet-50 on ImageNet, as SequentialAttention++ trains it.

    python -m examples.block_pruning.imagenet_resnet50 --data_dir=... --block=32

The phases, the optimizer and the block sizes are those of arXiv 2402.17902,
Section 4.1: 90 epochs, SGD with momentum, a cosine from 0.8 at batch 2048, all
convolutions and the last Dense cut in every axis, layers of fewer than 100
blocks left alone. The five epochs of warm-up, weight decay and label smoothing
are the usual ones for this network; the paper doesn't name them. ImageNet must
have been prepared for TFDS (`imagenet2012`), which asks for a manual download.
"""

import keras
import tensorflow as tf
from absl import app, flags

import tfmot_sapp as sapp
from examples.block_pruning import comparison
from examples.shared import imagenet_inputs, recipe

FLAGS = flags.FLAGS
recipe.define_flags(
    epochs=90,
    batch_size=2048,
    learning_rate=0.8,
    sparsity=0.9,
    block=32,
    baseline=False,
    shuffle=2048,
)
flags.DEFINE_integer("image_size", 224, "Side of the images.")
flags.DEFINE_float("weight_decay", 5e-5, "Decay of all weights, logits too.")
flags.DEFINE_float("label_smoothing", 0.1, "Share of each label spread out.")
flags.DEFINE_float("logit_scale", 1.0, "Scale of the attention's logits.")
flags.DEFINE_integer(
    "min_blocks", 100, "Layers of fewer blocks are left alone."
)

CLASSES = 1000


def make_model() -> keras.Model:
    """Returns ResNet-50 without a softmax."""
    keras.utils.set_random_seed(FLAGS.seed)
    side = FLAGS.image_size
    return keras.applications.ResNet50(
        weights=None,
        input_shape=(side, side, 3),
        classes=CLASSES,
        classifier_activation=None,
    )


def make_optimizer(steps: int) -> keras.optimizers.Optimizer:
    """Returns SGD with a warm-up and a cosine, scaled to the batch."""
    peak = FLAGS.learning_rate * FLAGS.batch_size / 2048
    warmup = min(5, FLAGS.epochs // 2) * (steps // FLAGS.epochs)
    rate = keras.optimizers.schedules.CosineDecay(
        0.0, steps - warmup, warmup_target=peak, warmup_steps=warmup
    )
    if warmup == 0:
        rate = keras.optimizers.schedules.CosineDecay(peak, steps)
    return keras.optimizers.SGD(
        rate, momentum=0.9, weight_decay=FLAGS.weight_decay
    )


def smoothed_crossentropy(labels: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    """Returns the cross entropy with smoothed labels."""
    return keras.losses.categorical_crossentropy(
        keras.ops.one_hot(keras.ops.reshape(labels, (-1,)), CLASSES),
        logits,
        from_logits=True,
        label_smoothing=FLAGS.label_smoothing,
    )


def main(_: list[str]) -> None:
    """Trains, prunes, exports and compares."""
    strategy = recipe.start()
    inputs = imagenet_inputs.Inputs(FLAGS.image_size)
    training = recipe.load("imagenet2012", "train", inputs.training)
    validation = recipe.load("imagenet2012", "validation", inputs.validation)
    steps = recipe.count_steps(training)

    def train(name: str, model: keras.Model) -> keras.Model:
        return recipe.fit(
            name,
            model,
            make_optimizer(steps),
            smoothed_crossentropy,
            ["sparse_categorical_accuracy"],
            training,
            validation,
        )

    def accuracy(model: keras.Model) -> float:
        return recipe.accuracy(model, validation)

    with strategy.scope():
        dense = train("dense", make_model()) if FLAGS.baseline else None
        wrapped = sapp.prune_blocks(
            make_model(),
            sapp.SequentialAttentionSchedule.imagenet(FLAGS.sparsity, steps),
            # Every axis of a convolution is cut; the last layer has but two.
            lambda layer: (
                (1, 1, FLAGS.block, FLAGS.block)
                if isinstance(layer, keras.layers.Conv2D)
                else (FLAGS.block, FLAGS.block)
            ),
            sapp.SequentialAttention(FLAGS.logit_scale),
            pruning_policy=sapp.MinimumBlocks(FLAGS.min_blocks),
        )
        wrapped = train("pruned", wrapped)
    comparison.finish(
        "validation accuracy, %", accuracy, make_model, wrapped, dense
    )


if __name__ == "__main__":
    app.run(main)
