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
"""What pruning costs per training step, beside the dense model.

    python -m benchmarks.training.overhead
    python -m benchmarks.training.overhead --all_scorers --notfmot

The dense model, this project's wrappers and TF-MOT's train in turn, a few steps
at a time, in one process, so that each sees the same machine; the ratio of the
medians is what counts. The callbacks' time is included.
"""

import json
import statistics
import time
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from absl import app, flags
from rich.progress import track

import tfmot_sapp as sapp
from tfmot_sapp.base.tables import render

FLAGS = flags.FLAGS
MLP, CNN = "784-1024-1024-10", "small CNN"

flags.DEFINE_multi_enum("model", [MLP, CNN], [MLP, CNN], "What is trained.")
flags.DEFINE_integer("rounds", 60, "Rounds; each trains every model in turn.")
flags.DEFINE_integer("steps", 5, "Training steps per model and round.")
flags.DEFINE_integer("batch_size", 128, "Images per step.")
flags.DEFINE_integer("threads", 2, "Threads within an operation.")
flags.DEFINE_bool("jit_compile", False, "Whether XLA compiles the steps.")
flags.DEFINE_string("json", None, "File for the figures.")
flags.DEFINE_bool(
    "all_scorers", False, "Whether to measure all scorers, and swaps."
)
flags.DEFINE_bool(
    "tfmot", True, "Whether TF-MOT's wrapper is measured too, on tf_keras."
)


SCORERS = {
    "SequentialAttention": sapp.SequentialAttention(),
    "Magnitude": sapp.Magnitude(),
}
OTHERS = {
    "attention x SecondMoment": sapp.SequentialAttention(
        times=sapp.SecondMoment()
    ),
    "SecondMoment": sapp.SecondMoment(),
    "PowerPropagation": sapp.PowerPropagation(),
    "PowerPropagation, elementwise": sapp.PowerPropagation(elementwise=True),
    "Movement": sapp.Movement(),
    "Taylor": sapp.Taylor(),
    "DiffPrune": sapp.DiffPrune(),
    "DiffPrune, sigmoid, stochastic": sapp.DiffPrune(
        "sigmoid", stochastic=True
    ),
    "HardConcrete": sapp.HardConcrete(),
}


def make_mlp(keras: Any) -> Any:
    """Returns the MLP 784-1024-1024-10 in either Keras."""
    return keras.Sequential(
        [
            keras.layers.Input((784,)),
            keras.layers.Dense(1024, activation="relu"),
            keras.layers.Dense(1024, activation="relu"),
            keras.layers.Dense(10),
        ]
    )


def make_cnn(keras: Any) -> Any:
    """Returns a CNN with 32, 64, 128 and 128 channels in either Keras."""
    layers = [keras.layers.Input((28, 28, 1))]
    for filters, strides in ((32, 1), (64, 2), (128, 2), (128, 1)):
        layers.append(
            keras.layers.Conv2D(
                filters, 3, strides=strides, padding="same", activation="relu"
            )
        )
    layers += [
        keras.layers.GlobalAveragePooling2D(),
        keras.layers.Dense(10),
    ]
    return keras.Sequential(layers)


def stepper(model: Any, shape: tuple[int, ...], pruning: Any) -> Callable:
    """Compiles a model and returns a function that trains some steps.

    Args:
        model: A model of either Keras.
        shape: Shape of one input.
        pruning: A callback driven after every step, or `None`.
    """
    owner = tf_keras() if "tf_keras" in type(model).__module__ else keras
    loss = owner.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("adam", loss, jit_compile=FLAGS.jit_compile)
    rng = np.random.default_rng(0)
    x = tf.constant(rng.normal(size=(FLAGS.batch_size, *shape)), tf.float32)
    y = tf.constant(rng.integers(0, 10, FLAGS.batch_size))
    if pruning is not None:
        pruning.set_model(model)
        pruning.on_train_begin()
    if hasattr(model, "make_train_function"):
        model.make_train_function()
    batches = iter(tf.data.Dataset.from_tensors((x, y)).repeat())

    def train(steps: int) -> None:
        for step in range(steps):
            if pruning is not None:
                pruning.on_train_batch_begin(step)
            logs = model.train_function(batches)
            tf.nest.map_structure(np.asarray, logs)
            if pruning is not None:
                pruning.on_train_batch_end(step)

    return train


def tf_keras() -> Any:
    """Returns tf_keras, imported when it is needed."""
    import tf_keras

    return tf_keras


def contenders(name: str) -> dict[str, Callable]:
    """Returns the training functions of all models of one architecture."""
    make, shape = {
        MLP: (make_mlp, (784,)),
        CNN: (make_cnn, (28, 28, 1)),
    }[name]
    block_size = (32, 32) if name == MLP else (16, 16)
    steps = 10 * FLAGS.rounds * FLAGS.steps
    policy = sapp.MinimumBlocks(100 if name == MLP else 16)
    found = {"dense": stepper(make(keras), shape, None)}
    schedule = sapp.SequentialAttentionSchedule(0.9, end_step=steps)
    measured = {label: (s, schedule) for label, s in SCORERS.items()}
    if FLAGS.all_scorers:
        measured |= {label: (s, schedule) for label, s in OTHERS.items()}
        swaps = sapp.BlockSwaps(sapp.OneShot(0.9, steps, dense_fraction=0.0))
        measured["Magnitude with swaps"] = sapp.Magnitude(), swaps
    for label, (scorer, schedule) in measured.items():
        pruned = sapp.prune_blocks(
            make(keras),
            schedule,
            block_size,
            scorer,
            pruning_policy=policy,
        )
        found[label] = stepper(pruned, shape, sapp.UpdatePruningStep())
    if FLAGS.tfmot:
        found["tf_keras dense"] = stepper(make(tf_keras()), shape, None)
        import tensorflow_model_optimization as tfmot

        theirs = tfmot.sparsity.keras.prune_low_magnitude(
            make(tf_keras()), sapp.PolynomialDecay(0.0, 0.9, 0, steps)
        )
        found["TF-MOT"] = stepper(
            theirs, shape, tfmot.sparsity.keras.UpdatePruningStep()
        )
    return found


def measure(name: str) -> dict[str, float]:
    """Returns the median time of a step for each model, in seconds."""
    models = contenders(name)
    for train in models.values():
        train(3)
    times: dict[str, list[float]] = {label: [] for label in models}
    order = list(models)
    rng = np.random.default_rng(0)
    for _ in track(range(FLAGS.rounds), description=name):
        rng.shuffle(order)
        for label in order:
            start = time.perf_counter()
            models[label](FLAGS.steps)
            elapsed = time.perf_counter() - start
            times[label].append(elapsed / FLAGS.steps)
    return {label: statistics.median(all_) for label, all_ in times.items()}


def main(_: list[str]) -> None:
    """Prints the table."""
    tf.config.threading.set_intra_op_parallelism_threads(FLAGS.threads)
    figures: dict[str, dict[str, float]] = {}
    rows = []
    for name in FLAGS.model:
        medians = measure(name)
        figures[name] = {}
        for label, seconds in medians.items():
            base = "tf_keras dense" if label == "TF-MOT" else "dense"
            ratio = seconds / medians[base]
            figures[name][label] = ratio
            rows.append(
                [
                    name,
                    label,
                    f"{1e3 * seconds:.2f}",
                    base,
                    f"{ratio:.3f}",
                    f"{seconds / medians['Magnitude']:.3f}",
                ]
            )
    head = ["model", "training", "ms a step", "against", "ratio", "/ Magnitude"]
    print(render(head, rows, numeric=(2, 4, 5)))
    if FLAGS.json:
        with open(FLAGS.json, "w") as file:
            json.dump(figures, file, indent=2)


if __name__ == "__main__":
    app.run(main)
