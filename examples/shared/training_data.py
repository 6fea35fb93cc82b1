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
"""Batches to train on, in an order that seed and epoch alone decide.

A training that was stopped goes on with the epoch it was in, and that epoch has
the order that it would have had. So the order is not left to a shuffle that
counts how often it was read: every epoch has a shuffle with a seed of its own.
"""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

# Epochs of two seeds must not share an order.
_EPOCHS_OF_A_SEED = 100_000


@dataclasses.dataclass(frozen=True)
class TrainingData:
    """Whole batches of shuffled examples, epoch after epoch.

    Args:
        examples: Single examples.
        prepare: Maps an example to input and label.
        batch_size: Examples a batch.
        buffer: Examples in memory that the next one is drawn from.
        seed: Seed of the order.

    Attributes:
        steps: Batches an epoch; what is left over is drawn in other epochs.
    """

    examples: tf.data.Dataset
    prepare: Callable[[Any], tuple[Any, Any]]
    batch_size: int
    buffer: int
    seed: int
    steps: int = dataclasses.field(init=False)

    def __post_init__(self) -> None:
        size = int(self.examples.cardinality())
        if size < 0:
            size = sum(1 for _ in self.examples)
        object.__setattr__(self, "steps", size // self.batch_size)

    def epochs(self, first: int, end: int) -> tf.data.Dataset:
        """Returns the batches of the epochs from `first` to before `end`.

        Args:
            first: Index of the first epoch, from 0.
            end: Index behind the last one.
        """
        data = _chain([self._shuffled(epoch) for epoch in range(first, end)])
        data = data.map(self.prepare, num_parallel_calls=tf.data.AUTOTUNE)
        data = data.batch(self.batch_size, drop_remainder=True).prefetch(2)
        # Every worker reads everything and keeps its share of each batch, so
        # that the batches are those of one worker.
        options = tf.data.Options()
        options.experimental_distribute.auto_shard_policy = (
            tf.data.experimental.AutoShardPolicy.DATA
        )
        return data.with_options(options)

    def take(self, count: int) -> tf.data.Dataset:
        """Returns the first batches of the first epoch."""
        return self.epochs(0, 1).take(count)

    def _shuffled(self, epoch: int) -> tf.data.Dataset:
        return self.examples.shuffle(
            self.buffer,
            seed=self.seed * _EPOCHS_OF_A_SEED + epoch,
            reshuffle_each_iteration=False,
        ).take(self.steps * self.batch_size)


def _chain(parts: Sequence[tf.data.Dataset]) -> tf.data.Dataset:
    # As a tree: in a chain of a hundred parts every example would pass through
    # a hundred iterators.
    if len(parts) == 1:
        return parts[0]
    half = len(parts) // 2
    return _chain(parts[:half]).concatenate(_chain(parts[half:]))
