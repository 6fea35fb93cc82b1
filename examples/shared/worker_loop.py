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
"""Training of one model by several workers, without `fit`.

`fit` of Keras 3 does not run under `MultiWorkerMirroredStrategy`
(https://github.com/keras-team/keras/issues/20585): it takes the value that a
worker has for the value of all. The steps below are what `fit` does otherwise,
and drive callbacks, `tfmot_sapp.UpdatePruningStep` among them, as it does.
"""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf


def fit(
    model: Any,
    data: tf.data.Dataset,
    epochs: range,
    steps: int,
    callbacks: Sequence[Any],
    jit_compile: bool,
    verbose: bool,
) -> None:
    """Trains a compiled, built model; called in the scope of the strategy.

    Args:
        model: The model.
        data: Batches of all workers together, of all epochs.
        epochs: Indices of the epochs.
        steps: Batches an epoch.
        callbacks: Callbacks of Keras.
        jit_compile: Whether XLA compiles the gradients.
        verbose: Whether each epoch's loss is printed.
    """
    strategy = tf.distribute.get_strategy()
    variables = model.trainable_variables
    if not model.optimizer.built:
        model.optimizer.build(variables)

    @tf.function(jit_compile=jit_compile)
    def gradients(inputs: Any, labels: Any) -> tuple[tf.Tensor, list[Any]]:
        with tf.GradientTape() as tape:
            outputs = model(inputs, training=True)
            # Divided by the number of replicas, and with all penalties.
            loss = model.compute_loss(inputs, labels, outputs, training=True)
        return loss, tape.gradient(loss, variables)

    def step(batch: tuple[Any, Any]) -> tf.Tensor:
        loss, slopes = gradients(*batch)
        model.optimizer.apply_gradients(zip(slopes, variables))
        return loss

    @tf.function
    def train_step(batch: tuple[Any, Any]) -> tf.Tensor:
        losses = strategy.run(step, args=(batch,))
        return strategy.reduce("SUM", losses, axis=None)

    listeners = keras.callbacks.CallbackList(callbacks, model=model)
    batches = iter(strategy.experimental_distribute_dataset(data))
    listeners.on_train_begin()
    for epoch in epochs:
        listeners.on_epoch_begin(epoch)
        total = 0.0
        for index in range(steps):
            total += float(train_step(next(batches)))
            listeners.on_train_batch_end(index)
        if verbose:
            print(
                f"Epoch {epoch + 1}/{epochs.stop} - loss: {total / steps:.4f}"
            )
        listeners.on_epoch_end(epoch)
    listeners.on_train_end()
