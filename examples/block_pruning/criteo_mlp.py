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
"""Click prediction with a pruned MLP, as SequentialAttention++ measures it.

    python -m examples.block_pruning.criteo_mlp --data_dir=... --manual_dir=...
    python -m examples.block_pruning.criteo_mlp --tsv=train.txt
    python -m examples.block_pruning.criteo_mlp --hashed=rows.npz
    python -m examples.block_pruning.criteo_mlp --tsv=train.txt --preset=paper

39 columns, an embedding of 10 each, Dense layers of 400, 400 and 400 units, of
which the first is pruned (arXiv 2402.17902, Section 4.2). The data comes from
TFDS (with a builder in `criteo_dataset.py`), from a file like Criteo's
`train.txt`, or from rows that are hashed already. The last fifth of the rows,
the latest, is for testing.

The defaults suit some ten thousand rows. `--preset=paper` is for all 45
million: 25 epochs of batches of 32,768, Adam from 2e-2 to 3e-4, and the phases
of `SequentialAttentionSchedule.criteo`. A flag that is given beside it is
obeyed.
"""

from typing import Any

import keras
import numpy as np
import tensorflow as tf
from absl import app, flags

import tfmot_sapp as sapp
from examples.block_pruning import comparison
from examples.shared import recipe
from examples.shared.training_data import TrainingData

FLAGS = flags.FLAGS
recipe.define_flags(
    epochs=2, batch_size=256, learning_rate=1e-3, sparsity=0.9, block=10
)
flags.DEFINE_string("manual_dir", None, "Folder of `train.txt`, for TFDS.")
flags.DEFINE_string("tsv", None, "A file like `train.txt`.")
flags.DEFINE_string(
    "hashed",
    None,
    "An npz file: `label` and `tokens` (rows, 39).",
)
flags.DEFINE_integer("buckets", 1 << 17, "Rows of the embedding.")
flags.DEFINE_float(
    "final_learning_rate", 1.5e-5, "Rate that the exponential decay ends at."
)
flags.DEFINE_enum(
    "schedule",
    "default",
    ["default", "criteo"],
    "Phases: the default ones of `SequentialAttentionSchedule`, or the paper's "
    "for this data.",
)
flags.DEFINE_enum(
    "preset", None, ["paper"], "Sets what is not given as the paper has it."
)

COLUMNS = 39
TEST_SHARE = 0.2

# arXiv 2402.17902, Section 4.2.
PAPER = {
    "epochs": 25,
    "batch_size": 32_768,
    "learning_rate": 2e-2,
    "final_learning_rate": 3e-4,
    "schedule": "criteo",
}
SCHEDULES = {
    "default": sapp.SequentialAttentionSchedule,
    "criteo": sapp.SequentialAttentionSchedule.criteo,
}


def apply_preset() -> None:
    """Sets the flags of the preset that the command line does not name."""
    for name, value in PAPER.items():
        if FLAGS.preset == "paper" and FLAGS[name].using_default_value:
            setattr(FLAGS, name, value)


def tokens_of(example: Any) -> tf.Tensor:
    """Returns one string per column: integers by the square of their log."""
    values = example["integers"]
    large = tf.floor(tf.square(tf.math.log(tf.maximum(values, 1.0))))
    whole = tf.where(values > 2, large + 2, values)
    strings = tf.where(
        tf.math.is_nan(values),
        "",
        tf.strings.as_string(tf.cast(whole, tf.int64)),
    )
    return tf.concat([strings, example["categories"]], axis=0)


def prepare(example: Any) -> tuple[tf.Tensor, tf.Tensor]:
    """Maps an example to the rows of the embedding and its label."""
    names = tf.strings.as_string(tf.range(COLUMNS))
    joined = tf.strings.join([names, tokens_of(example)], separator="=")
    rows = tf.strings.to_hash_bucket_fast(joined, FLAGS.buckets)
    return tf.cast(rows, tf.int32), tf.cast(example["label"], tf.float32)


def prepare_hashed(
    tokens: tf.Tensor, label: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """Likewise for tokens that are hashed already."""
    names = tf.strings.as_string(tf.range(COLUMNS))
    joined = tf.strings.join(
        [names, tf.strings.as_string(tokens)], separator="="
    )
    rows = tf.strings.to_hash_bucket_fast(joined, FLAGS.buckets)
    return tf.cast(rows, tf.int32), tf.cast(label, tf.float32)


def load() -> tuple[TrainingData, tf.data.Dataset]:
    """Returns what to train on, and batches to test on."""
    if FLAGS.hashed:
        with np.load(FLAGS.hashed) as rows:
            tokens, labels = rows["tokens"], rows["label"]
        data = tf.data.Dataset.from_tensor_slices((tokens, labels))
        return _split(data.map(prepare_hashed), len(labels))
    from examples.block_pruning.criteo_dataset import CriteoDisplay, read_rows

    if FLAGS.tsv:
        rows = list(read_rows(FLAGS.tsv))
        columns = {
            name: np.array([row[name] for row in rows]) for name in rows[0]
        }
        data = tf.data.Dataset.from_tensor_slices(columns)
        return _split(data.map(prepare), len(rows))
    import tensorflow_datasets as tfds

    builder = CriteoDisplay(data_dir=FLAGS.data_dir)
    builder.download_and_prepare(
        download_config=tfds.download.DownloadConfig(
            manual_dir=FLAGS.manual_dir
        )
    )
    data = builder.as_dataset(split="train", shuffle_files=False)
    return _split(data.map(prepare), builder.info.splits["train"].num_examples)


def _split(
    data: tf.data.Dataset, rows: int
) -> tuple[TrainingData, tf.data.Dataset]:
    cut = rows - round(TEST_SHARE * rows)

    def same(tokens: tf.Tensor, label: tf.Tensor) -> tuple[Any, Any]:
        return tokens, label

    parts = (data.take(cut).cache(), data.skip(cut).cache())
    return (
        recipe.batches(parts[0], True, same),
        recipe.batches(parts[1], False, same),
    )


def make_model() -> keras.Model:
    """Returns the network 390-400-400-400-1 over the embeddings."""
    keras.utils.set_random_seed(FLAGS.seed)
    inputs = keras.Input((COLUMNS,), dtype="int32")
    hidden = keras.layers.Embedding(FLAGS.buckets, 10)(inputs)
    hidden = keras.layers.Reshape((10 * COLUMNS,))(hidden)
    for index in range(3):
        hidden = keras.layers.Dense(
            400, activation="relu", name=f"hidden_{index + 1}"
        )(hidden)
    # In float32 under mixed precision too, for the sake of the log loss.
    return keras.Model(inputs, keras.layers.Dense(1, dtype="float32")(hidden))


def main(_: list[str]) -> None:
    """Trains, prunes, exports and compares."""
    apply_preset()
    strategy = recipe.start()
    training, test = load()
    steps = recipe.count_steps(training)
    loss = keras.losses.BinaryCrossentropy(from_logits=True)

    def train(name: str, model: keras.Model) -> keras.Model:
        rate = keras.optimizers.schedules.ExponentialDecay(
            FLAGS.learning_rate,
            steps,
            FLAGS.final_learning_rate / FLAGS.learning_rate,
        )
        optimizer = keras.optimizers.Adam(rate)
        return recipe.fit(
            name,
            model,
            optimizer,
            loss,
            [keras.metrics.AUC(from_logits=True, name="auc")],
            training,
            test,
        )

    def log_loss(model: keras.Model) -> float:
        total, rows = 0.0, 0
        for tokens, labels in test:
            logits = model(tokens, training=False)
            total += float(loss(labels[:, None], logits)) * len(labels)
            rows += len(labels)
        return total / rows

    with strategy.scope():
        dense = train("dense", make_model()) if FLAGS.baseline else None
        wrapped = sapp.prune_blocks(
            make_model(),
            SCHEDULES[FLAGS.schedule](FLAGS.sparsity, steps),
            {"hidden_1": (FLAGS.block, FLAGS.block)},
        )
        wrapped = train("pruned", wrapped)
    comparison.finish("test log loss", log_loss, make_model, wrapped, dense, 4)


if __name__ == "__main__":
    app.run(main)
