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
"""Finds padding in sequences that have no mask of Keras.

Many models are told of padding by an input of its own, or find it by the
tokens, and pass it on to their attention and to their pooling themselves. What
is filled up then has no effect on the output: its gradient there is exactly
zero.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from tfmot_sapp.calibration.programs import observed
from tfmot_sapp.calibration.sweep import Held
from tfmot_sapp.frameworks.gradients import gradients_if_any
from tfmot_sapp.frameworks.private.layers import mask_of

# Samples whose gradients are taken at once: they need all values within.
_SAMPLES = 8

Effective = Mapping[int, np.ndarray]
"""For each length of a sequence which positions of a batch have an effect:
boolean arrays (samples, length)."""


def effective_positions(
    model: Any,
    owners: Sequence[Any],
    batches: Sequence[Sequence[Held]],
    structure: Any,
) -> list[Effective]:
    """Returns which positions of sequences have an effect on the outputs.

    A position counts as one if it has an effect at any of the layers that read
    sequences of its length.

    Args:
        model: The model.
        owners: The layers whose reads are looked at.
        batches: Batches of inputs, each with a value for each input.
        structure: The structure that the model takes them in.

    Returns:
        What is known of each batch: nothing where the layers read no sequences,
        or sequences with a mask, or gradients can't be taken.
    """
    # The windows of a convolution have positions of several inputs in them.
    owners = [each for each in owners if not hasattr(each, "kernel_size")]
    first = [value.get()[:1] for value in batches[0]]
    reads = _reads(model, owners, first, structure)[0]
    if not any(mask_of(read) is None for read in reads):
        return [{} for _ in batches]
    found: list[Effective] = []
    for batch in batches:
        values = [value.get() for value in batch]
        parts: dict[int, list[np.ndarray]] = {}
        for start in range(0, batch[0].samples, _SAMPLES):
            part = [value[start : start + _SAMPLES] for value in values]
            for length, mask in _of_part(
                model, owners, part, structure
            ).items():
                parts.setdefault(length, []).append(mask)
        found.append(
            {length: np.concatenate(masks) for length, masks in parts.items()}
        )
    return found


def _of_part(
    model: Any, owners: Sequence[Any], values: Sequence[Any], structure: Any
) -> dict[int, np.ndarray]:
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        reads, outputs = _reads(model, owners, values, structure, tape)
        rng = np.random.default_rng(0)
        # Weights at random, since some sums are constant: a softmax's is one.
        total = tf.add_n(
            [
                tf.reduce_sum(x * rng.standard_normal(x.shape).astype("f"))
                for x in outputs
            ]
        )
    gradients = (reads and gradients_if_any(tape, total, reads)) or []
    found: dict[int, np.ndarray] = {}
    for read, gradient in zip(reads, gradients):
        if gradient is None:
            continue
        slopes = np.asarray(tf.convert_to_tensor(gradient))
        own = np.any(slopes != 0, axis=tuple(range(2, slopes.ndim)))
        # A sample without any effect says nothing, such as one whose class is
        # so certain that its gradient is rounded to zero.
        own |= ~own.any(axis=1, keepdims=True)
        length = int(read.shape[1])
        found[length] = found[length] | own if length in found else own
    return found


def _reads(
    model: Any,
    owners: Sequence[Any],
    values: Sequence[Any],
    structure: Any,
    tape: Any = None,
) -> tuple[list[Any], list[Any]]:
    """Runs a model; returns sequences that layers read, and its outputs."""
    reads: list[Any] = []
    samples = values[0].shape[0]

    def seen(owner: Any, inputs: Any) -> None:
        del owner
        is_seen = hasattr(inputs, "numpy") and inputs.dtype.is_floating
        if is_seen and inputs.shape.rank > 2 and inputs.shape[0] == samples:
            if tape is not None:
                tape.watch(inputs)
            reads.append(inputs)

    with observed(list(owners), seen):
        outputs = model(
            tf.nest.pack_sequence_as(structure, list(values)), training=False
        )
    return reads, [tf.cast(x, tf.float32) for x in tf.nest.flatten(outputs)]
