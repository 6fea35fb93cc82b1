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
"""What the recipes share: flags, devices, data, training that resumes."""

import os
import sys
from collections.abc import Callable, Sequence
from typing import Any

import keras
import tensorflow as tf
from absl import flags

import tfmot_sapp as sapp
from examples.shared import worker_loop
from examples.shared.checkpoints import Checkpoints, SaveEachEpoch
from examples.shared.training_data import TrainingData

FLAGS = flags.FLAGS

# Flags that do not change what a training ends with, but for rounding.
_NO_MATTER = {
    "data_dir",
    "download",
    "output_dir",
    "baseline",
    "resume",
    "strategy",
    "tpu",
    # These choose what is trained, each under a name of its own.
    "gates",
    "method",
}


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
    flags.DEFINE_bool(
        "resume",
        True,
        "Go on where the same command was stopped; what it has trained to the "
        "end is not trained again.",
    )
    flags.DEFINE_enum(
        "strategy",
        "none",
        ["none", "mirrored", "workers", "tpu"],
        "Devices: one; all of this machine; those that TF_CONFIG names, with "
        "an --output_dir that all of them see; a TPU.",
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
    if is_chief():
        os.makedirs(FLAGS.output_dir, exist_ok=True)
    return strategy


def is_chief() -> bool:
    """Returns whether this process is the one that writes files.

    Of several workers it is the chief that `TF_CONFIG` names, or the first.
    """
    if FLAGS.strategy != "workers":
        return True
    resolver = tf.distribute.cluster_resolver.TFConfigClusterResolver()
    jobs = resolver.cluster_spec().jobs
    if not jobs:
        return True
    writer = "chief" if "chief" in jobs else "worker"
    return resolver.task_type == writer and resolver.task_id == 0


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
) -> Any:
    """Returns batches of a TFDS data set.

    Args:
        name: The data set's name.
        split: The split's name; what begins with "train" is shuffled and drops
            the last, smaller batch.
        prepare: Maps an example to input and label.
        cache: Whether the examples stay in memory, as they are read.

    Returns:
        What `batches` returns.
    """
    import tensorflow_datasets as tfds

    data = tfds.load(
        name,
        split=split,
        data_dir=FLAGS.data_dir,
        download=FLAGS.download,
        shuffle_files=split.startswith("train"),
        read_config=tfds.ReadConfig(shuffle_seed=FLAGS.seed),
    )
    if cache:
        data = data.cache()
    return batches(data, split.startswith("train"), prepare)


def batches(
    data: tf.data.Dataset,
    training: bool,
    prepare: Callable[[Any], tuple[Any, Any]],
) -> Any:
    """Returns prepared batches of single examples.

    Args:
        data: Single examples.
        training: Whether they are trained on.
        prepare: Maps an example to input and label.

    Returns:
        `TrainingData` to train on, otherwise a `tf.data.Dataset`.
    """
    if FLAGS.limit:
        data = data.take(FLAGS.limit)
    if training:
        return TrainingData(
            data, prepare, FLAGS.batch_size, FLAGS.shuffle, FLAGS.seed
        )
    data = data.map(prepare, num_parallel_calls=tf.data.AUTOTUNE)
    return data.batch(FLAGS.batch_size).prefetch(2)


def count_steps(training: TrainingData) -> int:
    """Returns the number of steps of the whole training.

    Raises:
        ValueError: If there are fewer examples than a batch has.
    """
    if training.steps == 0:
        raise ValueError(
            "There is no whole batch to train on. "
            f"Received: --batch_size={FLAGS.batch_size}."
        )
    return FLAGS.epochs * training.steps


def fit(
    name: str,
    model: Any,
    optimizer: Any,
    loss: Any,
    metrics: Sequence[Any],
    training: TrainingData,
    validation: tf.data.Dataset,
) -> Any:
    """Compiles and trains a model, from its last checkpoint if there is one.

    Args:
        name: Name of its folder for checkpoints.
        model: A model, wrapped or not.
        optimizer: Its optimizer.
        loss: Its loss.
        metrics: Its metrics.
        training: What to train on.
        validation: Batches to measure on.

    Returns:
        The model.
    """
    model.compile(
        optimizer, loss, metrics=metrics, jit_compile=FLAGS.jit_compile
    )
    callbacks: list[Any] = []
    if hasattr(model, "layers") and _is_wrapped(model):
        callbacks.append(sapp.UpdatePruningStep())
    first = 0
    if FLAGS.resume:
        checkpoints = Checkpoints(_folder(name), _settings(), is_chief())
        first = checkpoints.restore(model)
        callbacks.append(SaveEachEpoch(checkpoints))
    # There must be data to look at even if there is no epoch left.
    data = training.epochs(min(first, FLAGS.epochs - 1), FLAGS.epochs)
    if FLAGS.strategy == "workers":
        worker_loop.fit(
            model,
            data,
            range(first, FLAGS.epochs),
            training.steps,
            callbacks,
            FLAGS.jit_compile,
            verbose=is_chief(),
        )
        return model
    model.fit(
        data,
        validation_data=validation,
        initial_epoch=first,
        epochs=FLAGS.epochs,
        steps_per_epoch=training.steps,
        verbose=2,
        callbacks=callbacks,
    )
    return model


def _recipe() -> str:
    return os.path.splitext(os.path.basename(sys.argv[0]))[0]


def _folder(name: str) -> str:
    return os.path.join(FLAGS.output_dir, "checkpoints", _recipe(), name)


def _settings() -> dict[str, Any]:
    """Returns the flags that decide how a training goes."""
    by_module = FLAGS.flags_by_module_dict()
    own = [*by_module[__name__], *by_module.get(sys.argv[0], [])]
    return {
        flag.name: flag.value for flag in own if flag.name not in _NO_MATTER
    }


def fit_classifier(
    name: str,
    model: Any,
    training: TrainingData,
    validation: tf.data.Dataset,
    optimizer: str = "Adam",
) -> Any:
    """Trains a classifier with a cosine learning rate.

    Args:
        name: Name of its folder for checkpoints.
        model: A model that returns logits, wrapped or not.
        training: What to train on.
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
