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
"""Models as users write them, of plain layers, for both Kerases."""

from collections.abc import Callable
from typing import Any

from benchmarks.architectures.architecture import Architecture


def _u_net(keras: Any, width: int) -> Any:
    layers = keras.layers

    def block(x: Any, filters: int) -> Any:
        x = layers.Conv2D(filters, 3, padding="same")(x)
        return layers.ReLU()(layers.BatchNormalization()(x))

    inputs = keras.Input((16, 16, 3))
    first = block(inputs, width)
    second = block(layers.MaxPooling2D()(first), 2 * width)
    up = layers.Conv2DTranspose(width, 2, strides=2)(second)
    joined = layers.Concatenate()([first, up])
    return keras.Model(inputs, layers.Conv2D(8, 1)(block(joined, width)))


def _lstm(keras: Any, width: int) -> Any:
    layers = keras.layers
    inputs = keras.Input((6, width))
    hidden = layers.LSTM(width, return_sequences=True)(inputs)
    hidden = layers.Bidirectional(layers.GRU(width))(hidden)
    return keras.Model(inputs, layers.Dense(8)(hidden))


def _keyword_spotter(keras: Any, width: int) -> Any:
    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input((16, 8)),
            layers.SeparableConv1D(width, 3, padding="same"),
            layers.BatchNormalization(),
            layers.ReLU(),
            layers.Conv1D(width, 3, strides=2, padding="same"),
            layers.ReLU(),
            layers.GlobalAveragePooling1D(),
            layers.Dense(8),
        ]
    )


def _wave_net(keras: Any, width: int) -> Any:
    layers = keras.layers
    inputs = keras.Input((16, 8))
    x = layers.Conv1D(width, 1)(inputs)
    for rate in (1, 2):
        gate, value = (
            layers.Conv1D(
                width,
                2,
                padding="causal",
                dilation_rate=rate,
                activation=activation,
            )(x)
            for activation in ("sigmoid", "tanh")
        )
        x = layers.Add()([x, layers.Multiply()([gate, value])])
    return keras.Model(inputs, layers.Conv1D(8, 1)(x))


def _mlp_mixer(keras: Any, width: int) -> Any:
    layers = keras.layers
    inputs = keras.Input((8, width))
    x = layers.LayerNormalization()(inputs)
    x = layers.Permute((2, 1))(x)
    x = layers.Dense(8)(layers.Dense(2 * width, "gelu")(x))
    x = layers.Add()([inputs, layers.Permute((2, 1))(x)])
    y = layers.Dense(2 * width, "gelu")(layers.LayerNormalization()(x))
    return keras.Model(inputs, layers.Add()([x, layers.Dense(width)(y)]))


def _recommender(keras: Any, width: int) -> Any:
    layers = keras.layers
    dense = keras.Input((8,), name="numbers")
    features = [keras.Input((1,), name=n, dtype="int32") for n in ("a", "b")]
    embedded = [
        layers.Flatten()(layers.Embedding(2 * width, width)(feature))
        for feature in features
    ]
    bottom = layers.Dense(width, activation="relu")(dense)
    crossed = layers.Dot(axes=1)(embedded)
    joined = layers.Concatenate()([bottom, *embedded, crossed])
    top = layers.Dense(width, activation="relu")(joined)
    return keras.Model([dense, *features], layers.Dense(1)(top))


def _two_towers(keras: Any, width: int) -> Any:
    layers = keras.layers
    inputs = [keras.Input((1,), name=n, dtype="string") for n in ("q", "i")]
    towers = []
    for entry in inputs:
        lookup = layers.StringLookup(vocabulary=["a", "b", "c"])
        embedded = layers.Embedding(width, width)(lookup(entry))
        towers.append(layers.Dense(width)(layers.Flatten()(embedded)))
    return keras.Model(inputs, layers.Dot(axes=1)(towers))


def _siamese(keras: Any, width: int) -> Any:
    layers = keras.layers
    inner = keras.Sequential(
        [
            keras.Input((width,)),
            layers.Dense(width, activation="relu"),
            layers.Dense(width),
        ]
    )
    inputs = [keras.Input((width,), name=name) for name in ("left", "right")]
    return keras.Model(
        inputs, layers.Subtract()([inner(entry) for entry in inputs])
    )


def _transformer(keras: Any, width: int) -> Any:
    layers = keras.layers
    inputs = keras.Input((6,), dtype="int32", name="tokens")
    x = layers.Embedding(2 * width, width)(inputs)
    attended = layers.MultiHeadAttention(2, width // 2)(x, x)
    x = layers.LayerNormalization()(layers.Add()([x, attended]))
    y = layers.Dense(width)(layers.Dense(2 * width, activation="relu")(x))
    return keras.Model(inputs, layers.LayerNormalization()(x + y))


def _frames(keras: Any, width: int) -> Any:
    layers = keras.layers
    inner = keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            layers.Conv2D(width, 3, activation="relu"),
            layers.GlobalAveragePooling2D(),
            layers.Dense(width),
        ]
    )
    inputs = keras.Input((3, 8, 8, 3))
    return keras.Model(
        inputs, layers.LSTM(8)(layers.TimeDistributed(inner)(inputs))
    )


def _next_frame(keras: Any, width: int) -> Any:
    layers = keras.layers
    inputs = keras.Input((3, 8, 8, 3))
    x = layers.ConvLSTM2D(width, 3, padding="same", return_sequences=True)(
        inputs
    )
    x = layers.ConvLSTM2D(width, 3, padding="same")(
        layers.BatchNormalization()(x)
    )
    return keras.Model(
        inputs, layers.Conv2D(3, 3, padding="same", activation="sigmoid")(x)
    )


def _variational(keras: Any, width: int) -> Any:
    layers = keras.layers
    inputs = keras.Input((8, 8, 3))
    x = layers.Conv2D(width, 3, strides=2, padding="same", activation="relu")(
        inputs
    )
    x = layers.Dense(width, activation="relu")(layers.Flatten()(x))
    mean = layers.Dense(width, name="mean")(x)
    deviation = layers.Dense(width, activation="softplus")(x)
    noise = layers.GaussianNoise(1.0)(layers.Subtract()([mean, mean]))
    drawn = layers.Add()([mean, layers.Multiply()([deviation, noise])])
    decoder = keras.Sequential(
        [
            keras.Input((width,)),
            layers.Dense(16 * width, activation="relu"),
            layers.Reshape((4, 4, width)),
            layers.Conv2DTranspose(width, 3, strides=2, padding="same"),
            layers.ReLU(),
            layers.Conv2D(3, 3, padding="same", activation="sigmoid"),
        ],
        name="decoder",
    )
    return keras.Model(inputs, [decoder(drawn), mean, deviation])


_MODELS: tuple[tuple[str, Callable[[Any, int], Any], dict[str, int]], ...] = (
    ("U-Net", _u_net, {}),
    ("LSTM", _lstm, {}),
    ("KeywordSpotter", _keyword_spotter, {}),
    ("WaveNet", _wave_net, {}),
    ("MLP-Mixer", _mlp_mixer, {}),
    ("DLRM", _recommender, {"a": 16, "b": 16}),
    ("TwoTowers", _two_towers, {}),
    ("Siamese", _siamese, {}),
    ("Transformer", _transformer, {"tokens": 16}),
    ("Video", _frames, {}),
    ("ConvLSTM", _next_frame, {}),
    ("VAE", _variational, {}),
)


def user_models(keras: Any) -> tuple[Architecture, ...]:
    """Returns the models of users, made with a Keras.

    Args:
        keras: The module `keras` or `tf_keras`.
    """

    def maker(function: Callable[[Any, int], Any]) -> Callable[[str], Any]:
        return lambda size: function(keras, 16 if size == "small" else 256)

    return tuple(
        Architecture(f"{name} ({keras.__name__})", maker(function), integers)
        for name, function, integers in _MODELS
    )
