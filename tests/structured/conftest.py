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
"""Models whose units can be removed, for all tests of structured pruning."""

import types

import numpy as np
import pytest

import tfmot_sapp as sapp
from tfmot_sapp.frameworks import host_value


def mlp(keras):
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((10,)),
            layers.Dense(14, activation="relu", name="first"),
            layers.Dropout(0.5),
            layers.BatchNormalization(name="norm"),
            layers.Dense(12, name="second"),
            layers.Activation("tanh"),
            layers.Dense(3, name="out"),
        ]
    )
    return model, ["first", "second"]


def two_readers(keras):
    layers = keras.layers
    inputs = keras.Input((10,))
    hidden = layers.Dense(16, activation="relu", name="hidden")(inputs)
    one = layers.Dense(3, name="one")(hidden)
    two = layers.Dense(5, name="two")(hidden)
    return keras.Model(inputs, [one, two]), ["hidden"]


def residual(keras):
    layers = keras.layers
    inputs = keras.Input((9, 9, 3))
    x = layers.Conv2D(8, 3, padding="same", name="stem")(inputs)
    y = layers.Conv2D(12, 3, strides=2, padding="same", name="inner")(x)
    y = layers.BatchNormalization(name="norm_1")(y)
    y = layers.ReLU()(y)
    y = layers.Conv2D(8, 3, padding="same", name="back")(y)
    y = layers.BatchNormalization(name="norm_2")(y)
    x = layers.Conv2D(8, 1, strides=2, name="short")(x)
    x = layers.Add(name="join")([x, y])
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(inputs, layers.Dense(4, name="out")(x)), [
        "stem",
        "inner",
    ]


def inverted_residual(keras):
    layers = keras.layers
    inputs = keras.Input((8, 8, 6))
    x = layers.Conv2D(24, 1, use_bias=False, name="expand")(inputs)
    x = layers.BatchNormalization(name="norm_1")(x)
    x = layers.ReLU(6.0)(x)
    x = layers.ZeroPadding2D(1)(x)
    x = layers.DepthwiseConv2D(3, strides=1, name="depthwise")(x)
    x = layers.BatchNormalization(name="norm_2")(x)
    x = layers.ReLU(6.0)(x)
    x = layers.Conv2D(6, 1, use_bias=False, name="project")(x)
    x = layers.BatchNormalization(name="norm_3")(x)
    return keras.Model(inputs, layers.Add(name="join")([inputs, x])), ["expand"]


def flattened(keras):
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((8, 8, 2)),
            layers.Conv2D(
                10, 3, dilation_rate=2, activation="relu", name="conv_1"
            ),
            layers.Conv2D(9, 2, name="conv_2"),
            layers.MaxPooling2D(),
            layers.Flatten(),
            layers.Dense(7, activation="relu", name="dense"),
            layers.Dense(3, name="out"),
        ]
    )
    return model, ["conv_1", "conv_2", "dense"]


def one_dimension(keras):
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((12, 4)),
            layers.Conv1D(10, 3, activation="relu", name="conv"),
            layers.AveragePooling1D(2),
            layers.Conv1D(6, 2, strides=2, padding="same", name="next"),
            layers.GlobalMaxPooling1D(),
            layers.Dense(2, name="out"),
        ]
    )
    return model, ["conv", "next"]


def three_dimensions(keras):
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((5, 5, 5, 2)),
            layers.Conv3D(8, 2, activation="relu", name="conv"),
            layers.Conv3D(6, 2, padding="same", name="next"),
            layers.GlobalAveragePooling3D(),
            layers.Dense(2, name="out"),
        ]
    )
    return model, ["conv", "next"]


def transformer(keras):
    layers = keras.layers
    inputs = keras.Input((6, 16))
    x = layers.LayerNormalization(name="norm")(inputs)
    x = layers.MultiHeadAttention(8, 4, name="attention")(x, x)
    x = layers.Add(name="join")([inputs, x])
    y = layers.Dense(32, activation="gelu", name="inner")(x)
    y = layers.Dense(16, name="outer")(y)
    return keras.Model(inputs, layers.Add(name="last")([x, y])), [
        "attention",
        "inner",
    ]


TOPOLOGIES = {
    topology.__name__: topology
    for topology in (
        mlp,
        two_readers,
        residual,
        inverted_residual,
        flattened,
        one_dimension,
        three_dimensions,
        transformer,
    )
}


def make(topology, keras):
    """Returns a model with random norms, its groups' names and inputs.

    Args:
        topology: Name of one of the functions above.
        keras: Which Keras.
    """
    keras.utils.set_random_seed(1)
    model, names = TOPOLOGIES[topology](keras)
    rng = np.random.default_rng(0)
    for layer in model.layers:
        if type(layer).__name__ == "BatchNormalization":
            size = layer.get_weights()[0].shape
            layer.set_weights(
                [
                    rng.uniform(0.5, 2, size),
                    rng.normal(size=size),
                    rng.normal(size=size),
                    rng.uniform(0.5, 2, size),
                ]
            )
    shape = (24, *model.input_shape[1:])
    return model, names, rng.normal(size=shape).astype(np.float32)


def outputs_of(model, x):
    outputs = model(x, training=False)
    if not isinstance(outputs, (list, tuple)):
        outputs = [outputs]
    return np.concatenate([np.reshape(o, (len(x), -1)) for o in outputs], 1)


def random_pair(keras, hidden=50, inputs=12, outputs=9, samples=64, seed=0):
    rng = np.random.default_rng(seed)
    model = keras.Sequential(
        [
            keras.Input((inputs,)),
            keras.layers.Dense(hidden, activation="relu", name="hidden"),
            keras.layers.Dense(outputs, name="out"),
        ]
    )
    for layer in model.layers:
        layer.set_weights(
            [rng.normal(size=w.shape) for w in layer.get_weights()]
        )
    return model, rng.normal(size=(samples, inputs)).astype(np.float32)


def hidden_and_weights(model, x):
    """Returns H (units, samples) and W1 (outputs, units)."""
    first, last = (
        [host_value(w).astype(np.float64) for w in layer.weights]
        for layer in model.layers[-2:]
    )
    hidden = np.maximum(x.astype(np.float64) @ first[0] + first[1], 0)
    return hidden.T, last[0].T


def kept_of(model, smaller):
    """Finds the kept units by their incoming weights."""
    whole = host_value(model.get_layer("hidden").kernel)
    part = host_value(smaller.get_layer("hidden").kernel)
    return [
        int(np.flatnonzero(np.all(whole == column[:, None], axis=0))[0])
        for column in part.T
    ]


@pytest.fixture(scope="session")
def models():
    """The functions of this file, which test files can't import."""
    return types.SimpleNamespace(
        make=make,
        outputs_of=outputs_of,
        random_pair=random_pair,
        hidden_and_weights=hidden_and_weights,
        kept_of=kept_of,
    )


CRITERIA = [
    sapp.ISpaSP(),
    sapp.TopActivation(),
    sapp.UnitMagnitude(),
    sapp.GreedyForward(),
    sapp.ThiNet(),
    sapp.OSSCAR(),
    sapp.CoSaMP(),
]


@pytest.fixture(params=CRITERIA, ids=lambda criterion: type(criterion).__name__)
def criterion(request):
    """Each criterion in turn."""
    return request.param


@pytest.fixture(params=TOPOLOGIES)
def topology(request):
    """The name of each network in turn."""
    return request.param
