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
"""A transformer encoder on SST-2, feed-forward and projections pruned.

    python -m examples.block_pruning.bert_encoder --data_dir=... --download

The encoder is built of Keras's own layers as KerasHub's is: embeddings of words
and places, then blocks of attention and feed-forward layers behind a layer norm
each. What fills a sentence up to its length is neither attended to nor pooled.
Blocks of weights go from the query, key, value and output projections of every
attention and from both feed-forward layers.
"""

from typing import Any

import keras
import tensorflow as tf
from absl import app, flags

import tfmot_sapp as sapp
from examples.block_pruning import comparison
from examples.shared import recipe

FLAGS = flags.FLAGS
recipe.define_flags(
    epochs=4, batch_size=32, learning_rate=5e-4, sparsity=0.8, block=16
)
flags.DEFINE_integer("width", 256, "Width of the encoder.")
flags.DEFINE_integer("heads", 4, "Heads of each attention.")
flags.DEFINE_integer("blocks", 2, "Transformer blocks.")
flags.DEFINE_integer("length", 48, "Words of a sentence.")
flags.DEFINE_integer("vocabulary", 10_000, "Words that are known.")

# What `TextVectorization` fills sentences up with.
PADDING = 0


@keras.saving.register_keras_serializable(package="bert_encoder")
class Places(keras.layers.Layer):
    """Adds a trained vector for each place in the sentence."""

    def build(self, input_shape: tuple[int, ...]) -> None:
        """Makes the vectors."""
        self.table = self.add_weight(
            shape=input_shape[1:], initializer="uniform", name="table"
        )

    def call(self, inputs: Any) -> Any:
        """Adds them."""
        return inputs + self.table


@keras.saving.register_keras_serializable(package="bert_encoder")
class MeanOfWords(keras.layers.Layer):
    """Averages over the words of a sentence, padding left out."""

    def call(self, inputs: tuple[Any, Any]) -> Any:
        """Takes vectors (batch, length, width) and words (batch, length)."""
        vectors, is_word = inputs
        weights = keras.ops.expand_dims(
            keras.ops.cast(is_word, vectors.dtype), -1
        )
        total = keras.ops.sum(vectors * weights, axis=1)
        # A sentence without a word has the mean 0.
        return total / keras.ops.maximum(keras.ops.sum(weights, axis=1), 1)


def transformer_block(hidden: Any, is_word: Any, name: str) -> Any:
    """Returns one block, its norms in front.

    Args:
        hidden: A vector for each place, (batch, length, width).
        is_word: Whether there is a word at a place, (batch, length).
        name: How its layers' names begin.
    """
    layers = keras.layers
    normed = layers.LayerNormalization(name=f"{name}_norm_1")(hidden)
    attended = layers.MultiHeadAttention(
        FLAGS.heads, FLAGS.width // FLAGS.heads, name=f"{name}_attention"
    )(normed, normed, attention_mask=keras.ops.expand_dims(is_word, 1))
    hidden = layers.Add()([hidden, layers.Dropout(0.1)(attended)])
    normed = layers.LayerNormalization(name=f"{name}_norm_2")(hidden)
    inner = layers.Dense(
        4 * FLAGS.width, activation="gelu", name=f"{name}_inner"
    )(normed)
    outer = layers.Dense(FLAGS.width, name=f"{name}_outer")(inner)
    return layers.Add()([hidden, layers.Dropout(0.1)(outer)])


def make_model() -> keras.Model:
    """Returns the classifier."""
    keras.utils.set_random_seed(FLAGS.seed)
    layers = keras.layers
    inputs = keras.Input((FLAGS.length,), dtype="int32")
    is_word = keras.ops.not_equal(inputs, PADDING)
    hidden = layers.Embedding(FLAGS.vocabulary, FLAGS.width, name="words")(
        inputs
    )
    hidden = Places(name="places")(hidden)
    for index in range(FLAGS.blocks):
        hidden = transformer_block(hidden, is_word, f"block_{index + 1}")
    hidden = layers.LayerNormalization()(hidden)
    hidden = MeanOfWords(name="mean")((hidden, is_word))
    return keras.Model(inputs, layers.Dense(2, dtype="float32")(hidden))


def make_tokenizer() -> keras.layers.TextVectorization:
    """Returns a tokenizer that knows the training sentences' words."""
    import tensorflow_datasets as tfds

    tokenizer = keras.layers.TextVectorization(
        FLAGS.vocabulary, output_sequence_length=FLAGS.length
    )
    sentences = tfds.load(
        "glue/sst2",
        split="train",
        data_dir=FLAGS.data_dir,
        download=FLAGS.download,
    ).map(lambda example: example["sentence"])
    if FLAGS.limit:
        sentences = sentences.take(FLAGS.limit)
    tokenizer.adapt(sentences.batch(1024))
    return tokenizer


def main(_: list[str]) -> None:
    """Trains, prunes, exports and compares."""
    strategy = recipe.start()
    tokenizer = make_tokenizer()

    def prepare(example: Any) -> tuple[tf.Tensor, tf.Tensor]:
        tokens = tf.cast(tokenizer(example["sentence"]), tf.int32)
        return tokens, tf.maximum(example["label"], 0)

    training = recipe.load("glue/sst2", "train", prepare)
    validation = recipe.load("glue/sst2", "validation", prepare).cache()
    steps = recipe.count_steps(training)

    def train(name: str, model: keras.Model) -> keras.Model:
        return recipe.fit_classifier(name, model, training, validation, "AdamW")

    def accuracy(model: keras.Model) -> float:
        return recipe.accuracy(model, validation)

    block = (FLAGS.block, FLAGS.block)
    with strategy.scope():
        dense = train("dense", make_model()) if FLAGS.baseline else None
        wrapped = sapp.prune_blocks(
            make_model(),
            sapp.SequentialAttentionSchedule(FLAGS.sparsity, steps),
            {"block_*": block},
        )
        wrapped = train("pruned", wrapped)
    comparison.finish(
        "validation accuracy, %", accuracy, make_model, wrapped, dense
    )


if __name__ == "__main__":
    app.run(main)
