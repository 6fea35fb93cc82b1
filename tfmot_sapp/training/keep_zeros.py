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
"""`KeepZeros`: training a sparse model on without filling its zeros again."""

from typing import Any

import numpy as np
import tensorflow as tf

from tfmot_sapp.frameworks.which_keras import host_value
from tfmot_sapp.training.callback import TrainingCallback
from tfmot_sapp.training.pruning_group import pruned_layers


class KeepZeros(TrainingCallback):
    """Keeps what is zero in a model's kernels at zero while it is trained.

    For what comes behind `strip_pruning`: fine-tuning the plain model, or
    TF-MOT's quantization-aware training by its plain `quantize_model`, whose
    optimizer steps would fill removed blocks again. It notes the exact zeros of
    all trained weights of rank 2 and more when training begins, and puts them
    back after every batch. Weights that are zero altogether, which are not
    pruned but newly made, are left alone.

    It serves `fit` of Keras 3 and of tf_keras.

    Raises:
        ValueError: When training begins, if the model is wrapped still, or has
            no zeros.

    Example:

    >>> import keras, numpy as np, tfmot_sapp
    >>> from tfmot_sapp import KeepZeros
    >>> model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(4)])
    >>> model.layers[0].kernel.assign(np.eye(4))  # doctest: +ELLIPSIS
    <...>
    >>> model.compile("sgd", "mse")
    >>> x = np.random.default_rng(0).normal(size=(16, 4))
    >>> _ = model.fit(x, x[:, ::-1], verbose=0, callbacks=[KeepZeros()])
    >>> int(np.count_nonzero(model.layers[0].kernel.numpy()))
    4
    """

    def __init__(self) -> None:
        super().__init__()
        self._kept: list[tuple[Any, tf.Tensor]] = []

    def on_train_begin(self, logs: Any = None) -> None:
        """Notes where the zeros are."""
        name = getattr(self._trained, "name", "model")
        if pruned_layers(self._trained):
            raise ValueError(
                "`KeepZeros` is for plain models. Received: the model "
                f"`{name}` with pruned layers, whose masks are kept by "
                "`UpdatePruningStep`. Call `strip_pruning` first."
            )
        self._kept = []
        for variable in self._trained.trainable_variables:
            if len(variable.shape) < 2:
                continue
            nonzero = host_value(variable) != 0
            if np.any(nonzero) and not np.all(nonzero):
                self._kept.append((variable, tf.constant(nonzero)))
        if not self._kept:
            raise ValueError(
                "`KeepZeros` needs a model with zeros in its weights. Received:"
                f" the model `{name}` without any. Pass what `strip_pruning` "
                "returned, built."
            )

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Puts the zeros back."""
        for variable, nonzero in self._kept:
            value = tf.convert_to_tensor(variable)
            variable.assign(tf.where(nonzero, value, tf.zeros_like(value)))
