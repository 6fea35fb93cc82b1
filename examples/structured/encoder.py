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
"""i-SpaSP on a transformer encoder: feed-forward neurons and attention heads.

    python -m examples.structured.encoder --data_dir=... --language=en

Sentence pairs of XNLI through TFDS (`xnli`), told apart as entailment, neutral
or contradiction. XNLI has no training split: a third of its test pairs is held
back to measure on, the rest is trained on.
"""

from typing import Any

import keras
import tensorflow as tf
from absl import app, flags

import tfmot_sapp as sapp
from examples.shared import recipe
from examples.structured import networks
from tfmot_sapp.base.tables import render

FLAGS = flags.FLAGS
recipe.define_flags(
    epochs=5, batch_size=32, learning_rate=3e-4, sparsity=0.0, block=1
)
flags.DEFINE_string("language", "en", "Language of XNLI.")
flags.DEFINE_float("keep", 0.4, "Share of neurons and heads to keep.")
flags.DEFINE_bool("refit", True, "Whether outgoing weights are solved again.")
flags.DEFINE_integer("width", 256, "Width of the encoder.")
flags.DEFINE_integer("heads", 8, "Heads of each attention.")
flags.DEFINE_integer("blocks", 2, "Transformer blocks.")
flags.DEFINE_integer("length", 64, "Words of a pair.")
flags.DEFINE_integer("vocabulary", 10_000, "Words that are known.")


def sentence_pair(example: Any) -> tf.Tensor:
    """Returns premise and hypothesis in one language as one text."""
    hypothesis = example["hypothesis"]
    languages = hypothesis["language"]
    at = tf.argmax(tf.cast(languages == FLAGS.language, tf.int32))
    second = tf.gather(hypothesis["translation"], at)
    return tf.strings.join(
        [example["premise"][FLAGS.language], second], separator=" | "
    )


def main(_: list[str]) -> None:
    """Trains, removes units, fine-tunes and prints the table."""
    import tensorflow_datasets as tfds

    recipe.start()
    FLAGS.resume = False
    splits = {"train": "test[:67%]", "test": "test[67%:]"}

    def load(split: str) -> tf.data.Dataset:
        return tfds.load(
            "xnli",
            split=splits[split],
            data_dir=FLAGS.data_dir,
            download=FLAGS.download,
        )

    tokenizer = keras.layers.TextVectorization(
        FLAGS.vocabulary, output_sequence_length=FLAGS.length
    )
    tokenizer.adapt(load("train").map(sentence_pair).batch(512))

    def prepare(example: Any) -> tuple[tf.Tensor, tf.Tensor]:
        tokens = tf.cast(tokenizer(sentence_pair(example)), tf.int32)
        return tokens, tf.maximum(example["label"], 0)

    training = recipe.batches(load("train"), True, prepare)
    test = recipe.batches(load("test"), False, prepare).cache()

    def train(model: Any) -> Any:
        return recipe.fit_classifier("", model, training, test, "AdamW")

    def accuracy(model: Any) -> str:
        return f"{recipe.accuracy(model, test):.2f}"

    dense = train(
        networks.transformer_encoder(
            FLAGS.vocabulary,
            FLAGS.length,
            FLAGS.width,
            FLAGS.heads,
            FLAGS.blocks,
            classes=3,
        )
    )
    print(sapp.find_groups(dense))
    smaller = sapp.prune_structured(
        dense, training.take(40), FLAGS.keep, refit=FLAGS.refit
    )
    at_once = accuracy(smaller)
    smaller = train(smaller)
    rows = [
        ["dense", accuracy(dense), "", f"{dense.count_params():,}"],
        ["smaller", at_once, accuracy(smaller), f"{smaller.count_params():,}"],
    ]
    head = ["", "test accuracy, %", "fine-tuned", "parameters"]
    print(render(head, rows, numeric=(1, 2, 3)))


if __name__ == "__main__":
    app.run(main)
