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
"""What the recipes share: flags, devices, training that resumes, the table."""

import os
from collections.abc import Callable, Sequence
from typing import Any

import keras
import tensorflow as tf
from absl import flags

import tfmot_sapp as sapp
from tfmot_sapp.tables import render

FLAGS = flags.FLAGS


def define_flags(
    epochs: int,
    batch_size: int,
    learning_rate: float,
    sparsity: float,
    block: int,
    baseline: bool = True,
    shuffle: int = 60_000,
) -> None:
    """Defines the flags of every recipe, with a recipe's defaults."""
    flags.DEFINE_string("data_dir", None, "Where TFDS keeps its data.")
    flags.DEFINE_bool("download", False, "Whether TFDS may download.")
    flags.DEFINE_string("output_dir", "output", "Where the models go.")
    flags.DEFINE_integer("epochs", epochs, "Epochs of each training.")
    flags.DEFINE_integer("batch_size", batch_size, "Examples a step, in all.")
    flags.DEFINE_float("learning_rate", learning_rate, "Highest rate.")
    flags.DEFINE_float("sparsity", sparsity, "Fraction of blocks removed.")
    flags.DEFINE_integer("block", block, "Side of a block.")
    flags.DEFINE_integer("seed", 0, "Seed of weights and order.")
    flags.DEFINE_integer(
        "limit", None, "Examples to use of each split; all by default."
    )
    flags.DEFINE_integer(
        "shuffle", shuffle, "Examples in memory that the next is drawn from."
    )
    flags.DEFINE_bool("baseline", baseline, "Whether to train dense too.")
    flags.DEFINE_bool("mixed_precision", False, "Compute in bfloat16.")
    flags.DEFINE_bool("jit_compile", False, "Let XLA compile the steps.")
    flags.DEFINE_bool("resume", True, "Go on where a stopped run was.")
    flags.DEFINE_enum(
        "strategy",
        "none",
        ["none", "mirrored", "workers", "tpu"],
        "Devices: one; all of this machine; those that TF_CONFIG names; a TPU.",
    )
    flags.DEFINE_string("tpu", "", "Name of the TPU.")


def start() -> tf.distribute.Strategy:
    """Sets seed and precision, and returns the devices' strategy.

    Call it before anything else makes a tensor.
    """
    strategies: dict[str, Callable[[], tf.distribute.Strategy]] = {
        "none": tf.distribute.get_strategy,
        "mirrored": tf.distribute.MirroredStrategy,
        "workers": tf.distribute.MultiWorkerMirroredStrategy,
        "tpu": _tpu_strategy,
    }
    strategy = strategies[FLAGS.strategy]()
    keras.utils.set_random_seed(FLAGS.seed)
    if FLAGS.mixed_precision:
        keras.mixed_precision.set_global_policy("mixed_bfloat16")
    os.makedirs(FLAGS.output_dir, exist_ok=True)
    return strategy


def _tpu_strategy() -> tf.distribute.Strategy:
    resolver = tf.distribute.cluster_resolver.TPUClusterResolver(FLAGS.tpu)
    tf.config.experimental_connect_to_cluster(resolver)
    tf.tpu.experimental.initialize_tpu_system(resolver)
    return tf.distribute.TPUStrategy(resolver)


def load(
    name: str,
    split: str,
    prepare: Callable[[Any], tuple[Any, Any]],
    cache: bool = False,
) -> tf.data.Dataset:
    """Returns batches of a TFDS data set.

    Args:
        name: The data set's name.
        split: The split's name; what begins with "train" is shuffled and drops
            the last, smaller batch.
        prepare: Maps an example to input and label.
        cache: Whether the examples stay in memory, as they are read.
    """
    import tensorflow_datasets as tfds

    data = tfds.load(
        name,
        split=split,
        data_dir=FLAGS.data_dir,
        download=FLAGS.download,
        shuffle_files=split.startswith("train"),
    )
    if cache:
        data = data.cache()
    return batches(data, split.startswith("train"), prepare)


def batches(
    data: tf.data.Dataset,
    training: bool,
    prepare: Callable[[Any], tuple[Any, Any]],
) -> tf.data.Dataset:
    """Returns prepared batches of single examples."""
    if FLAGS.limit:
        data = data.take(FLAGS.limit)
    if training:
        data = data.shuffle(FLAGS.shuffle, seed=FLAGS.seed)
    data = data.map(prepare, num_parallel_calls=tf.data.AUTOTUNE)
    return data.batch(FLAGS.batch_size, drop_remainder=training).prefetch(2)


def count_steps(training: tf.data.Dataset) -> int:
    """Returns the number of steps of the whole training.

    Raises:
        ValueError: If there are fewer examples than a batch has.
    """
    size = int(training.cardinality())
    if size < 0:
        size = sum(1 for _ in training)
    if size == 0:
        raise ValueError(
            "There is no whole batch to train on. "
            f"Received: --batch_size={FLAGS.batch_size}."
        )
    return FLAGS.epochs * size


def fit(
    name: str,
    model: Any,
    optimizer: Any,
    loss: Any,
    metrics: Sequence[Any],
    training: tf.data.Dataset,
    validation: tf.data.Dataset,
) -> Any:
    """Compiles and trains a model, from its last checkpoint if there is one.

    Args:
        name: Name of its folder for checkpoints, in the output folder.
        model: A model, wrapped or not.
        optimizer: Its optimizer.
        loss: Its loss.
        metrics: Its metrics.
        training: Batches to train on.
        validation: Batches to measure on.

    Returns:
        The model.
    """
    model.compile(
        optimizer, loss, metrics=metrics, jit_compile=FLAGS.jit_compile
    )
    callbacks: list[Any] = []
    if FLAGS.resume:
        # Ahead of the pruning callback, which goes on from what is restored.
        callbacks.append(
            keras.callbacks.BackupAndRestore(
                os.path.join(FLAGS.output_dir, "checkpoints", name)
            )
        )
    if hasattr(model, "layers") and _is_wrapped(model):
        callbacks.append(sapp.UpdatePruningStep())
    model.fit(
        training,
        validation_data=validation,
        epochs=FLAGS.epochs,
        verbose=2,
        callbacks=callbacks,
    )
    return model


def fit_classifier(
    name: str,
    model: Any,
    training: tf.data.Dataset,
    validation: tf.data.Dataset,
    optimizer: str = "Adam",
) -> Any:
    """Trains a classifier with a cosine learning rate.

    Args:
        name: Name of its folder for checkpoints, in the output folder.
        model: A model that returns logits, wrapped or not.
        training: Batches to train on.
        validation: Batches to measure on.
        optimizer: Name of a Keras optimizer.

    Returns:
        The model.
    """
    rate = keras.optimizers.schedules.CosineDecay(
        FLAGS.learning_rate, count_steps(training)
    )
    return fit(
        name,
        model,
        getattr(keras.optimizers, optimizer)(rate),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        ["accuracy"],
        training,
        validation,
    )


def accuracy(model: Any, data: tf.data.Dataset) -> float:
    """Returns the share of examples that a model classifies rightly, in %."""
    metric = keras.metrics.SparseCategoricalAccuracy()
    for inputs, labels in data:
        metric.update_state(labels, model(inputs, training=False))
    return 100 * float(metric.result())


def _is_wrapped(model: Any) -> bool:
    return any(
        isinstance(layer, sapp.PruneBlocks) for layer in model._flatten_layers()
    )


def _in_float32(model: Any, make: Callable[[], Any]) -> Any:
    """Returns a model of mixed precision as runtimes want it."""
    if not FLAGS.mixed_precision:
        return model
    keras.mixed_precision.set_global_policy("float32")
    plain = make()
    plain.set_weights(model.get_weights())
    return plain


def finish(
    figure: str,
    evaluate: Callable[[Any], float],
    make: Callable[[], Any],
    pruned: Any,
    dense: Any = None,
    digits: int = 2,
) -> str:
    """Strips, packs and exports a pruned model, and compares it with the dense.

    Args:
        figure: What `evaluate` returns, for the table.
        evaluate: Returns the figure of a model.
        make: Makes the network, unpruned.
        pruned: The wrapped model after training.
        dense: The dense model after training. Defaults to `None`: the table
            has no figure for it, and a file of the pruned model, unpacked.
        digits: Digits of the figure.

    Returns:
        The table.
    """
    stripped = sapp.strip_pruning(pruned)
    rows = sapp.report(stripped)
    print(rows)
    sapp.plot_masks(stripped, os.path.join(FLAGS.output_dir, "masks.png"))
    stripped = _in_float32(stripped, make)
    dense = None if dense is None else _in_float32(dense, make)
    packed = sapp.pack_blocks(stripped)
    files = {
        name: os.path.join(FLAGS.output_dir, f"{name}.tflite")
        for name in ("dense", "pruned")
    }
    sapp.export_tflite(stripped if dense is None else dense, files["dense"])
    sapp.export_tflite(packed, files["pruned"])
    of_dense, of_pruned = sapp.benchmark(files, threads=1).timings
    before = "" if dense is None else f"{evaluate(dense):.{digits}f}"
    ratio = rows.parameters / rows.kept_parameters
    return render(
        ["", "dense", "pruned", ""],
        [
            [figure, before, f"{evaluate(stripped):.{digits}f}", ""],
            [
                "parameters",
                f"{rows.parameters:,}",
                f"{rows.kept_parameters:,}",
                f"{ratio:.1f}x",
            ],
            [
                "file, kB",
                f"{of_dense.size / 1e3:,.0f}",
                f"{of_pruned.size / 1e3:,.0f}",
                f"{of_dense.size / of_pruned.size:.1f}x smaller",
            ],
            [
                "latency, ms",
                f"{of_dense.median_ms:.3f}",
                f"{of_pruned.median_ms:.3f}",
                f"{of_pruned.speed_up:.1f}x faster",
            ],
        ],
        numeric=(1, 2),
    )
