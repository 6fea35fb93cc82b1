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
"""ResNet-20 for CIFAR-10 in Keras, with weights of PyTorch's names."""

from collections.abc import Mapping

import keras
import numpy as np

MEAN = np.array([0.485, 0.456, 0.406], np.float32)
DEVIATION = np.array([0.229, 0.224, 0.225], np.float32)


def load(path: str) -> keras.Model:
    """Returns the network with the weights in an npz file.

    Args:
        path: File with names such as `conv1.weight`, `layer1.0.bn1.bias`.
    """
    with np.load(path) as file:
        weights = {name: file[name] for name in file.files}
    model = make()
    for layer in model.layers:
        if isinstance(layer, keras.layers.Conv2D):
            layer.set_weights(
                [weights[f"{layer.name}.weight"].transpose(2, 3, 1, 0)]
            )
        elif isinstance(layer, keras.layers.BatchNormalization):
            layer.set_weights(_norm(weights, layer.name))
        elif isinstance(layer, keras.layers.Dense):
            layer.set_weights(
                [weights["linear.weight"].T, weights["linear.bias"]]
            )
    return model


def _norm(weights: Mapping[str, np.ndarray], name: str) -> list[np.ndarray]:
    return [
        weights[f"{name}.{part}"]
        for part in ("weight", "bias", "running_mean", "running_var")
    ]


def make() -> keras.Model:
    """Returns ResNet-20, its convolutions padded by one on every side."""
    layers = keras.layers
    inputs = keras.Input((32, 32, 3))
    x = _conv(inputs, 16, 1, "conv1")
    x = _norm_layer(x, "bn1")
    x = layers.ReLU()(x)
    for stage, filters in enumerate((16, 32, 64), start=1):
        for block in range(3):
            strides = 2 if stage > 1 and block == 0 else 1
            x = _block(x, filters, strides, f"layer{stage}.{block}")
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(inputs, layers.Dense(10, name="linear")(x))


def _block(x, filters: int, strides: int, name: str):
    layers = keras.layers
    y = _conv(x, filters, strides, f"{name}.conv1")
    y = layers.ReLU()(_norm_layer(y, f"{name}.bn1"))
    y = _conv(y, filters, 1, f"{name}.conv2")
    y = _norm_layer(y, f"{name}.bn2")
    if strides > 1:
        # Shortcut A: every second pixel, zeros for the new channels.
        x = x[:, ::2, ::2]
        more = filters // 4
        x = keras.ops.pad(x, ((0, 0), (0, 0), (0, 0), (more, more)))
    return layers.ReLU()(layers.Add()([x, y]))


def _conv(x, filters: int, strides: int, name: str):
    x = keras.layers.ZeroPadding2D(1)(x)
    return keras.layers.Conv2D(
        filters, 3, strides=strides, use_bias=False, name=name
    )(x)


def _norm_layer(x, name: str):
    return keras.layers.BatchNormalization(epsilon=1e-5, name=name)(x)


def normalised(images: np.ndarray) -> np.ndarray:
    """Returns images of bytes as the network wants them."""
    return (images.astype(np.float32) / 255 - MEAN) / DEVIATION
