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
"""MiniLM fine-tuned on SST-2, then pruned from unlabelled sentences.

python -m benchmarks.post_training.measure_minilm --weights=FOLDER \
    --data_dir=DIR --output_dir=OUT

Fine-tunes once and keeps the result in `minilm.weights.h5`; appends a row to
`minilm.csv` for each sparsity: accuracy on the development sentences and on the
first 1,000 test sentences, the divergence from the dense network there, and
what the pruning took.
"""

import pathlib
import resource
import time

import keras
import numpy as np
from absl import app, flags

import tfmot_sapp as sapp
from benchmarks.post_training import minilm
from benchmarks.shared import csv_rows

FLAGS = flags.FLAGS
flags.DEFINE_string("weights", None, "The package's folder.")
flags.DEFINE_string("data_dir", None, "Folder that holds `sst2`.")
flags.DEFINE_string("output_dir", ".", "Where the files go.")
flags.DEFINE_multi_float("sparsity", [0.5], "Share of blocks to remove.")
flags.DEFINE_integer("block", 32, "Side of a block.")
flags.DEFINE_integer("sentences", 128, "Sentences to calibrate on.")
flags.DEFINE_bool("compensate", True, "Whether weights make up for lost ones.")
flags.DEFINE_integer("distill_steps", 0, "Steps of distillation; 0 for none.")
flags.DEFINE_integer("joined", 3072, "Sentences to distil on that are made up.")
flags.DEFINE_float("learning_rate", 2e-4, "Learning rate of distillation.")


def main(argv: list[str]) -> None:
    """Measures the dense network and each sparsity."""
    del argv
    data = pathlib.Path(FLAGS.data_dir) / "sst2"
    train, labels = minilm.sentences(data / "train.tsv", FLAGS.weights)
    dev, dev_labels = minilm.sentences(data / "dev.tsv", FLAGS.weights)
    test, test_labels = minilm.sentences(data / "test.tsv", FLAGS.weights)
    measured = [
        ("", dev, dev_labels),
        ("test_", test[:1000], test_labels[:1000]),
    ]
    model = _fine_tuned(train, labels)
    dense = [minilm.log_probabilities(model, each) for _, each, _ in measured]
    for (prefix, _, wanted), found in zip(measured, dense):
        right = np.mean(found.argmax(-1) == wanted)
        print(f"dense: {prefix}accuracy {right:.4f}", flush=True)
    chosen = np.random.default_rng(0).permutation(len(train))
    chosen = chosen[: FLAGS.sentences]
    calibration = [
        inputs
        for inputs, _ in minilm.batches(
            [train[i] for i in chosen], labels[chosen], 16, seed=0
        )
    ]
    size = (FLAGS.block, FLAGS.block)
    names = ("attention_?", "intermediate_?", "output_?")
    for sparsity in FLAGS.sparsity:
        start, clock = time.process_time(), time.time()
        pruned = sapp.prune_post_training(
            model,
            calibration,
            sparsity,
            dict.fromkeys(names, size),
            FLAGS.compensate,
            logits=True,
        )
        if FLAGS.distill_steps:
            distil(pruned, model, [train[i] for i in chosen])
        seconds, waited = time.process_time() - start, time.time() - clock
        print(sapp.report(pruned))
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        row = {
            "sparsity": sparsity,
            "block": FLAGS.block,
            "sentences": FLAGS.sentences,
            "compensate": FLAGS.compensate,
            "distill_steps": FLAGS.distill_steps,
            "cpu_seconds": round(seconds, 1),
            "seconds": round(waited, 1),
            "peak_gigabytes": round(peak / 2**20, 2),
        }
        for (prefix, tokens, wanted), before in zip(measured, dense):
            found = minilm.log_probabilities(pruned, tokens)
            right = np.mean(found.argmax(-1) == wanted)
            row[f"{prefix}accuracy"] = round(float(right), 4)
            divergence = minilm.divergence(before, found)
            row[f"{prefix}divergence"] = round(divergence, 4)
        print(row, flush=True)
        path = pathlib.Path(FLAGS.output_dir) / "minilm.csv"
        csv_rows.append_row(path, list(row), row)


def distil(
    pruned: keras.Model, model: keras.Model, tokens: list[list[int]]
) -> None:
    """Trains a pruned model towards the dense one, inside and outside.

    Args:
        pruned: The model that is trained, but for its embeddings.
        model: The dense one.
        tokens: The sentences that others are made up from.
    """
    tokens = tokens + minilm.joined(tokens, FLAGS.joined)
    unknown = np.zeros(len(tokens), int)
    data = [each for each, _ in minilm.batches(tokens, unknown, 32, seed=0)]
    for name in ("words", "positions"):
        pruned.get_layer(name).trainable = False
    how = sapp.Distillation(
        FLAGS.distill_steps,
        learning_rate=FLAGS.learning_rate,
        logits=True,
        features=["output_norm_?"],
    )
    how(pruned, model, data)


def _fine_tuned(tokens: list[list[int]], labels: np.ndarray) -> keras.Model:
    keras.utils.set_random_seed(0)
    model = minilm.load(FLAGS.weights)
    path = pathlib.Path(FLAGS.output_dir) / "minilm.weights.h5"
    if path.exists():
        model.load_weights(path)
        return model
    steps = -(-len(tokens) // 16)
    rate = keras.optimizers.schedules.CosineDecay(
        0.0, steps, warmup_target=1e-4, warmup_steps=40
    )
    model.compile(
        keras.optimizers.Adam(rate),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    for index, (inputs, wanted) in enumerate(
        minilm.batches(tokens, labels, 16, seed=1)
    ):
        loss, accuracy = model.train_on_batch(inputs, wanted)[:2]
        if index % 20 == 0:
            print(f"step {index} of {steps}: {loss:.3f}, {accuracy:.3f}")
    model.save_weights(path)
    return model


if __name__ == "__main__":
    flags.mark_flags_as_required(["weights", "data_dir"])
    app.run(main)
