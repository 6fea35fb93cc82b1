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
"""The networks that i-SpaSP prunes, and which of their units stay."""

from collections.abc import Callable
from typing import Any

import keras

CLASSES = 1000


def make(name: str, side: int = 224, classes: int = CLASSES) -> keras.Model:
    """Returns "resnet34" or "mobilenet_v2" without a softmax."""
    return {"resnet34": _resnet34, "mobilenet_v2": _mobilenet_v2}[name](
        side, classes
    )


def keep(name: str) -> dict[str, float]:
    """Returns the shares of units that the paper keeps, by layer name.

    arXiv 2112.04905, Section 5: of ResNet-34 40 % of the hidden filters in
    stages 1 to 3 but for the first and last block of each; of MobileNetV2 30 %
    of the expanded channels in the blocks 6, 9, 10, 12 and 13, counted from 1.
    """
    if name == "resnet34":
        blocks = {1: 3, 2: 4, 3: 6}
        return {
            f"stage{stage}_block{block}_conv1": 0.4
            for stage, count in blocks.items()
            for block in range(2, count)
        }
    # Keras counts the blocks from 0.
    return {f"block_{block - 1}_expand": 0.3 for block in (6, 9, 10, 12, 13)}


def _mobilenet_v2(side: int, classes: int) -> keras.Model:
    return keras.applications.MobileNetV2(
        (side, side, 3),
        weights=None,
        classes=classes,
        classifier_activation=None,
    )


def _resnet34(side: int, classes: int) -> keras.Model:
    layers = keras.layers
    inputs = keras.Input((side, side, 3))
    x = _conv_norm(inputs, 64, 7, 2, "stem")
    x = layers.ReLU()(x)
    x = layers.ZeroPadding2D(1)(x)
    x = layers.MaxPooling2D(3, strides=2)(x)
    stages = zip((64, 128, 256, 512), (3, 4, 6, 3))
    for stage, (filters, blocks) in enumerate(stages, start=1):
        for block in range(1, blocks + 1):
            strides = 2 if stage > 1 and block == 1 else 1
            x = _block(x, filters, strides, f"stage{stage}_block{block}")
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(inputs, layers.Dense(classes, name="logits")(x))


def _block(x: Any, filters: int, strides: int, name: str) -> Any:
    layers = keras.layers
    y = layers.ReLU()(_conv_norm(x, filters, 3, strides, f"{name}_conv1"))
    y = _conv_norm(y, filters, 3, 1, f"{name}_conv2")
    if strides > 1:
        x = _conv_norm(x, filters, 1, strides, f"{name}_short")
    return layers.ReLU()(layers.Add()([x, y]))


def _conv_norm(x: Any, filters: int, size: int, strides: int, name: str) -> Any:
    # Padded alike on all sides, as the published weights want it.
    if size > 1:
        x = keras.layers.ZeroPadding2D(size // 2)(x)
    x = keras.layers.Conv2D(
        filters, size, strides=strides, use_bias=False, name=name
    )(x)
    return keras.layers.BatchNormalization(epsilon=1e-5, name=f"{name}_bn")(x)


def transformer_encoder(
    vocabulary: int,
    length: int,
    width: int,
    heads: int,
    blocks: int,
    classes: int,
) -> keras.Model:
    """Returns a classifier over word embeddings and transformer blocks."""
    layers = keras.layers
    inputs = keras.Input((length,), dtype="int32")
    x = layers.Embedding(vocabulary, width, name="words")(inputs)
    for index in range(1, blocks + 1):
        x = _transformer_block(x, width, heads, f"block_{index}", layers.Add)
    x = layers.GlobalAveragePooling1D()(layers.LayerNormalization()(x))
    return keras.Model(inputs, layers.Dense(classes, name="logits")(x))


def _transformer_block(
    x: Any, width: int, heads: int, name: str, add: Callable[[], Any]
) -> Any:
    layers = keras.layers
    y = layers.LayerNormalization()(x)
    y = layers.MultiHeadAttention(
        heads, width // heads, name=f"{name}_attention"
    )(y, y)
    x = add()([x, y])
    y = layers.LayerNormalization()(x)
    y = layers.Dense(4 * width, activation="gelu", name=f"{name}_inner")(y)
    y = layers.Dense(width, name=f"{name}_outer")(y)
    return add()([x, y])
