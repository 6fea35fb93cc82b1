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
"""What `accuracy.py` trains: data sets, networks and their figures."""

import dataclasses
import functools
import os
from collections.abc import Callable
from typing import Any

import keras
import numpy as np

Split = tuple[np.ndarray, np.ndarray]

# Rows of a task's training data that choices are made on.
_VALIDATION = 10_000
# Criteo: a token seen less often shares its column's row of the embedding.
_RARE = 4


@dataclasses.dataclass(frozen=True)
class Task:
    """A data set with a network.

    Attributes:
        training: Inputs and labels to train on.
        validation: Inputs and labels to choose by.
        test: Inputs and labels to report.
        make: Makes the network, unpruned.
        loss: Name of the Keras loss class.
        figure: Name of the reported figure.
        higher_is_better: Whether more of it is better.
        prunable: Pattern of the names of layers to prune.
    """

    training: Split
    validation: Split
    test: Split
    make: Callable[[], Any]
    loss: str
    figure: str
    higher_is_better: bool
    prunable: str

    def with_validation(self) -> "Task":
        """Returns the task that trains on the rows to choose by too."""
        pairs = zip(self.training, self.validation)
        inputs, labels = map(np.concatenate, pairs)
        return dataclasses.replace(self, training=(inputs, labels))

    def evaluate(self, model: Any, split: Split) -> float:
        """Returns the figure: accuracy in percent, or log loss."""
        outputs = model.predict(split[0], batch_size=1000, verbose=0)
        if self.higher_is_better:
            return 100 * float(np.mean(outputs.argmax(-1) == split[1]))
        logits = outputs[:, 0].astype(np.float64)
        signed = np.where(split[1] > 0, -logits, logits)
        return float(np.mean(np.logaddexp(0, signed)))


@functools.cache
def load(dataset: str, model: str, data_dir: str) -> Task:
    """Returns a task.

    Args:
        dataset: "criteo"; "digits", scikit-learn's; or the name of an image
            data set of TFDS.
        model: "mlp" or "cnn"; Criteo has one of its own.
        data_dir: Where TFDS keeps the data, or the folder of Criteo's rows.
    """
    if dataset == "criteo":
        return _criteo(data_dir)
    training, test = (
        _digits() if dataset == "digits" else _images(dataset, data_dir)
    )
    cut = len(training[0]) - min(_VALIDATION, len(training[0]) // 6)
    # Pixels that are seldom lit get the largest weights from Adam if they are
    # zero elsewhere, and norms of blocks would be about them.
    mean = np.mean(training[0])
    test = test[0] - mean, test[1]
    order = np.random.default_rng(0).permutation(len(training[0]))
    x, y = training[0][order] - mean, training[1][order]
    flat = model == "mlp"
    if flat:
        x, test = (
            x.reshape(len(x), -1),
            (test[0].reshape(len(test[0]), -1), test[1]),
        )
    make = functools.partial(
        _mlp if flat else _cnn, x.shape[1:], int(y.max()) + 1
    )
    return Task(
        (x[:cut], y[:cut]),
        (x[cut:], y[cut:]),
        test,
        make,
        "SparseCategoricalCrossentropy",
        "test accuracy, %",
        True,
        "hidden_*",
    )


def _digits() -> tuple[Split, Split]:
    """Returns 8x8 digits, for which nothing is downloaded."""
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    x, y = load_digits(return_X_y=True)
    x_train, x_test, y_train, y_test = train_test_split(
        (x.astype(np.float32) / 16).reshape(-1, 8, 8, 1),
        y,
        test_size=0.2,
        random_state=0,
        stratify=y,
    )
    return (x_train, y_train), (x_test, y_test)


def _images(dataset: str, data_dir: str) -> tuple[Split, Split]:
    import tensorflow_datasets as tfds

    def split(name: str) -> Split:
        data = tfds.load(
            dataset, split=name, data_dir=data_dir or None, as_supervised=True
        )
        images, labels = zip(*tfds.as_numpy(data))
        return np.stack(images).astype(np.float32) / 255, np.array(labels)

    return split("train"), split("test")


def _mlp(shape: tuple[int, ...], classes: int) -> Any:
    """Returns the network 784-400-400-10."""
    layers = keras.layers
    return keras.Sequential(
        [
            layers.Input(shape),
            layers.Dense(400, activation="relu", name="hidden_1"),
            layers.Dense(400, activation="relu", name="hidden_2"),
            layers.Dense(classes, name="logits"),
        ]
    )


def _cnn(shape: tuple[int, ...], classes: int) -> Any:
    """Returns a network of 32, 64, 128 and 128 channels."""
    layers = keras.layers
    stack = [
        layers.Input(shape),
        layers.Conv2D(32, 3, padding="same", activation="relu", strides=2),
    ]
    for index, (filters, strides) in enumerate(((64, 2), (128, 1), (128, 2))):
        stack.append(
            layers.Conv2D(
                filters,
                3,
                strides=strides,
                padding="same",
                activation="relu",
                name=f"hidden_{index + 1}",
            )
        )
    stack += [layers.GlobalAveragePooling2D(), layers.Dense(classes)]
    return keras.Sequential(stack)


def _criteo(data_dir: str) -> Task:
    path = os.path.join(data_dir, "criteo_dac_first80k_hashed20.npz")
    with np.load(path) as rows:
        tokens, labels = rows["tokens"], rows["label"]
    train = 64_000
    indices, size = _vocabulary(tokens, train)
    cut = train - train // 6
    labels = labels.astype(np.float32)
    return Task(
        (indices[:cut], labels[:cut]),
        (indices[cut:train], labels[cut:train]),
        (indices[train:], labels[train:]),
        functools.partial(_criteo_mlp, tokens.shape[1], size),
        "BinaryCrossentropy",
        "test log loss",
        False,
        "hidden_1",
    )


def _vocabulary(tokens: np.ndarray, train: int) -> tuple[np.ndarray, int]:
    """Returns rows of one embedding table for each column's tokens."""
    indices = np.empty_like(tokens)
    size = 0
    for column in range(tokens.shape[1]):
        known, counts = np.unique(tokens[:train, column], return_counts=True)
        known = known[counts >= _RARE]
        at = np.searchsorted(known, tokens[:, column])
        found = known[np.minimum(at, len(known) - 1)] == tokens[:, column]
        indices[:, column] = size + np.where(found, at, len(known))
        size += len(known) + 1
    return indices, size


def _criteo_mlp(columns: int, size: int) -> Any:
    """Returns the network 390-400-400-400-1 over embeddings of 10."""
    layers = keras.layers
    inputs = layers.Input((columns,), dtype="int32")
    hidden = layers.Flatten()(layers.Embedding(size, 10)(inputs))
    for index in range(3):
        hidden = layers.Dense(
            400, activation="relu", name=f"hidden_{index + 1}"
        )(hidden)
    return keras.Model(inputs, layers.Dense(1)(hidden))
