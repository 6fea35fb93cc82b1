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
"""Takes an architecture the way that users take: wrap, train, strip, save."""

import dataclasses
import importlib
import pathlib
import pickle
import time
from typing import Any

import keras
import numpy as np
import tensorflow as tf

import tfmot_sapp as sapp
from benchmarks.architectures.architecture import (
    Architecture,
    error_between,
    outputs_of,
)
from benchmarks.shared.resident_memory import (
    forget_peak,
    peak_bytes,
    resident_bytes,
)
from tfmot_sapp.frameworks.kernels import matrices_of
from tfmot_sapp.frameworks.which_keras import keras_of

STEPS = 2


@dataclasses.dataclass(frozen=True)
class Findings:
    """What was found of an architecture.

    Attributes:
        model: The original.
        kernels: Number of kernels that are pruned.
        share: Their share of the weights in matrices.
        wrapped_error: Largest error of the wrapped model at 0 %, of the scale.
        stripped_error: That of the stripped model against the wrapped one.
        class_kept: Whether the model's class came through.
        skipped: What was left alone, by name, and why.
        wrapping_seconds: Processor time of wrapping.
        wrapping_memory: The most memory held until the model was wrapped, in
            units of its weights, without what was held before it was made.
    """

    model: Any
    kernels: int
    share: float
    wrapped_error: float
    stripped_error: float
    class_kept: bool
    skipped: dict[str, str]
    wrapping_seconds: float
    wrapping_memory: float


def wrap(model: Any, block: int) -> Any:
    """Wraps a model for half of its blocks."""
    return sapp.prune_blocks(
        model,
        sapp.SequentialAttentionSchedule(0.5, end_step=STEPS),
        block_size=(block, block),
        pruning_policy=sapp.MinimumBlocks(1),
    )


def train(model: Any, inputs: Any) -> None:
    """Trains a wrapped model for a few eager steps."""
    optimizer = keras_of(model).optimizers.SGD(1e-5)
    pruning = sapp.UpdatePruningStep(optimizer)
    pruning.set_model(model)
    pruning.on_train_begin()
    for step in range(STEPS):
        with tf.GradientTape() as tape:
            outputs = tf.nest.flatten(model(inputs, training=True))
            loss = tf.add_n(
                [
                    tf.reduce_mean(tf.square(tf.cast(value, tf.float32)))
                    for value in outputs
                    if tf.as_dtype(value.dtype).is_floating
                ]
            )
        variables = model.trainable_variables
        watched = [
            v.value if isinstance(v, keras.Variable) else v for v in variables
        ]
        gradients = tape.gradient(loss, watched)
        optimizer.apply_gradients(
            [(g, v) for g, v in zip(gradients, variables) if g is not None]
        )
        pruning.on_train_batch_end(step)
    pruning.on_epoch_end(0)
    pruning.on_train_end()


def attempt(
    architecture: Architecture,
    size: str,
    block: int,
    folder: pathlib.Path | None = None,
) -> Findings:
    """Takes an architecture all the way.

    Args:
        architecture: The architecture.
        size: "small" or "full".
        block: Extent of a block along inputs and outputs.
        folder: Where the stripped and the wrapped model are saved with inputs
            and outputs, for another process. Defaults to `None`: nowhere.
    """
    if architecture.needs is not None:
        importlib.import_module(architecture.needs)
    forget_peak()
    held = resident_bytes()
    model = architecture.make(size)
    begin = time.process_time()
    wrapped = wrap(model, block)
    seconds = time.process_time() - begin
    memory = peak_bytes() - held
    inputs = architecture.inputs(model, 1 if size == "full" else 2)
    before = outputs_of(model, inputs)
    wrapped_error = error_between(before, outputs_of(wrapped, inputs))
    train(wrapped, inputs)
    stripped = sapp.strip_pruning(wrapped)
    after = outputs_of(wrapped, inputs)
    report = sapp.report(wrapped)
    if folder is not None:
        folder.mkdir(parents=True)
        stripped.save(folder / "stripped.keras")
        wrapped.save(folder / "wrapped.keras")
        arrays = tf.nest.map_structure(lambda x: x.numpy(), inputs)
        (folder / "data").write_bytes(pickle.dumps((arrays, after)))
    return Findings(
        model=model,
        kernels=len(report.pruned),
        share=sum(row.weights for row in report.pruned)
        / sum(int(np.prod(weight.shape)) for weight in matrices_of(model)),
        wrapped_error=wrapped_error,
        stripped_error=error_between(after, outputs_of(stripped, inputs)),
        class_kept=type(stripped) is type(model),
        skipped=report.skipped,
        wrapping_seconds=seconds,
        wrapping_memory=memory / _bytes_of(model),
    )


def _bytes_of(model: Any) -> int:
    return sum(
        int(np.prod(weight.shape)) * tf.as_dtype(weight.dtype).size
        for weight in model.weights
        if tf.as_dtype(weight.dtype) != tf.string
    )
