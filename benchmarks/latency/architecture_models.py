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
"""Usual architectures in sizes that a benchmark can go through."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np

layers = keras.layers

# Names of what is pruned.
_KERNELS = ("embeddings", "kernel", "pointwise_kernel", "recurrent_kernel")

# What the backbones of language models share.
_ENCODER = {
    "vocabulary_size": 500,
    "num_layers": 2,
    "num_heads": 4,
    "hidden_dim": 256,
    "intermediate_dim": 1024,
}
_DECODER = {
    "vocabulary_size": 500,
    "num_layers": 2,
    "num_query_heads": 4,
    "num_key_value_heads": 2,
    "hidden_dim": 256,
    "intermediate_dim": 1024,
}


def _hub(name: str, **arguments: Any) -> Callable[[], Any]:
    def make() -> Any:
        import keras_hub

        return getattr(keras_hub.models, name)(**arguments)

    return make


def _application(name: str, side: int) -> Callable[[], Any]:
    def make() -> Any:
        return getattr(keras.applications, name)(
            weights=None, input_shape=(side, side, 3)
        )

    return make


def _recurrent(kind: str) -> Callable[[], Any]:
    def make() -> Any:
        inputs = keras.Input((32, 512))
        x = getattr(layers, kind)(512)(inputs)
        return keras.Model(inputs, layers.Dense(10)(x))

    return make


def _separable() -> Any:
    inputs = x = keras.Input((128, 256))
    for _ in range(4):
        x = layers.SeparableConv1D(256, 9, padding="same", activation="relu")(x)
    x = layers.GlobalAveragePooling1D()(x)
    return keras.Model(inputs, layers.Dense(10)(x))


def _causal() -> Any:
    inputs = x = keras.Input((128, 256))
    for _ in range(2):
        h = layers.LayerNormalization()(x)
        x = x + layers.MultiHeadAttention(4, 64)(h, h, use_causal_mask=True)
        h = layers.Dense(1024, "gelu")(layers.LayerNormalization()(x))
        x = x + layers.Dense(256)(h)
    return keras.Model(inputs, layers.Dense(256)(x))


def _mixer() -> Any:
    inputs = x = keras.Input((64, 256))
    for _ in range(2):
        h = layers.Permute((2, 1))(layers.LayerNormalization()(x))
        h = layers.Dense(64)(layers.Dense(256, "gelu")(h))
        x = x + layers.Permute((2, 1))(h)
        h = layers.Dense(1024, "gelu")(layers.LayerNormalization()(x))
        x = x + layers.Dense(256)(h)
    return keras.Model(inputs, layers.Dense(10)(x))


class _Block(keras.layers.Layer):
    """A layer of a user's own that holds others."""

    def __init__(self, width: int, **kwargs: Any):
        super().__init__(**kwargs)
        self.norm = layers.LayerNormalization()
        self.hidden = layers.Dense(4 * width, "relu")
        self.out = layers.Dense(width)

    def build(self, input_shape: Any) -> None:
        self.norm.build(input_shape)
        self.hidden.build(input_shape)
        self.out.build((*input_shape[:-1], self.hidden.units))

    def call(self, x: Any) -> Any:
        return x + self.out(self.hidden(self.norm(x)))


def _custom() -> Any:
    inputs = x = keras.Input((64, 256))
    for _ in range(3):
        x = _Block(256)(x)
    return keras.Model(inputs, x)


MODELS: dict[str, Callable[[], Any]] = {
    "BERT": _hub("BertBackbone", **_ENCODER),
    "DistilBERT": _hub("DistilBertBackbone", **_ENCODER),
    "RoBERTa": _hub("RobertaBackbone", **_ENCODER),
    "DeBERTaV3": _hub("DebertaV3Backbone", bucket_size=32, **_ENCODER),
    "GPT2": _hub("GPT2Backbone", **_ENCODER),
    "Llama": _hub("LlamaBackbone", **_DECODER),
    "Mistral": _hub("MistralBackbone", **_DECODER),
    "Gemma": _hub("GemmaBackbone", head_dim=64, **_DECODER),
    "T5": _hub("T5Backbone", **_ENCODER),
    "Whisper": _hub(
        "WhisperBackbone",
        max_encoder_sequence_length=100,
        max_decoder_sequence_length=32,
        **_ENCODER,
    ),
    "ViT": _hub(
        "ViTBackbone",
        image_shape=(64, 64, 3),
        patch_size=8,
        num_layers=2,
        num_heads=4,
        hidden_dim=256,
        mlp_dim=1024,
    ),
    "CLIP": _hub(
        "CLIPVisionEncoder",
        image_shape=(64, 64, 3),
        patch_size=8,
        num_layers=2,
        num_heads=4,
        hidden_dim=256,
        intermediate_dim=1024,
    ),
    "Swin": _hub(
        "SwinTransformerBackbone",
        image_shape=(64, 64, 3),
        patch_size=2,
        embed_dim=64,
        depths=(1, 1),
        num_heads=(2, 4),
        window_size=4,
    ),
    "custom blocks": _custom,
    "causal attention": _causal,
    "MLP-Mixer": _mixer,
    "LSTM": _recurrent("LSTM"),
    "GRU": _recurrent("GRU"),
    "SimpleRNN": _recurrent("SimpleRNN"),
    "separable Conv1D": _separable,
    "MobileNetV2": _application("MobileNetV2", 224),
    "MobileNetV3Small": _application("MobileNetV3Small", 224),
    "EfficientNetB0": _application("EfficientNetB0", 224),
    "ConvNeXtTiny": _application("ConvNeXtTiny", 96),
    "DenseNet121": _application("DenseNet121", 128),
}


def prune_at_random(
    model: Any, block: tuple[int, int], density: float, seed: int = 0
) -> None:
    """Gives a model random weights, with blocks of zeros in its kernels.

    Args:
        model: A model of Keras 3.
        block: Inputs and outputs of a block.
        density: Share of the blocks that stay.
        seed: Seed of weights and masks.
    """
    rng = np.random.default_rng(seed)
    for weight in model.weights:
        value = np.asarray(weight)
        if value.dtype.kind != "f":
            continue
        if value.ndim == 1:
            positive = {"gamma", "moving_variance", "scale"}
            if weight.name in positive:
                weight.assign(rng.uniform(0.5, 1.5, value.shape))
            else:
                weight.assign(0.1 * rng.normal(size=value.shape))
        elif weight.name in _KERNELS:
            draw = _mask(weight.path, value.shape, block, rng)
            weight.assign(value * draw(density))


def _mask(
    path: str,
    shape: tuple[int, ...],
    block: tuple[int, int],
    rng: np.random.Generator,
) -> Callable[[float], np.ndarray]:
    """The mask of a kernel, by the density; ones where it is too small."""
    matrix = shape[-2:]
    if len(shape) == 3 and "attention" in path:
        # (inputs, heads, width of a head), and the other way round.
        merged = shape[0] * shape[1], shape[1] * shape[2]
        is_output = "output" in path
        matrix = (merged[0], shape[2]) if is_output else (shape[0], merged[1])
    grid = [-(-n // b) for n, b in zip(matrix, block)]

    def draw(density: float) -> np.ndarray:
        if min(grid) < 2:
            return np.ones(shape)
        mask = rng.random(grid) < density
        full = np.kron(mask, np.ones(block))[: matrix[0], : matrix[1]]
        return full if matrix == shape[-2:] else full.reshape(shape)

    return draw
