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
"""The whole networks that `whole_networks.py` measures, and their masks.

Masks are drawn at random; every output block keeps at least one block, so that
no part of a network dies.
"""

import dataclasses
import math
from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np


@dataclasses.dataclass(frozen=True)
class Network:
    """A model, its masks and the batch it runs at.

    Attributes:
        title: What it is, for people.
        build: Makes the dense model.
        block: Channels of an input and of an output block.
        sparsity: Fraction of blocks that go.
        in_blocks_at_least: Input blocks are narrowed until there are this many.
        balanced: Whether every output block keeps equally many.
        batch_size: Batch to run.
        dense_last: Whether the last layer keeps all its weights.
        targets: Speed-ups in float32 that are aimed at, by threads.
    """

    title: str
    build: Callable[[], Any]
    block: tuple[int, int]
    sparsity: float
    in_blocks_at_least: int = 1
    balanced: bool = False
    batch_size: int = 1
    dense_last: bool = False
    targets: Mapping[int, float] = dataclasses.field(default_factory=dict)


def _resnet50() -> Any:
    return keras.applications.ResNet50(weights=None)


def _mobilenet_v2() -> Any:
    return keras.applications.MobileNetV2(weights=None)


def _criteo() -> Any:
    inputs = keras.Input((390,))
    x = inputs
    for _ in range(3):
        x = keras.layers.Dense(400, activation="relu")(x)
    return keras.Model(inputs, keras.layers.Dense(1)(x))


def _feed_forward(*positions: int) -> Callable[[], Any]:
    def build() -> Any:
        inputs = keras.Input((*positions, 768))
        x = keras.layers.Dense(3072, activation="gelu")(inputs)
        return keras.Model(inputs, keras.layers.Dense(768)(x))

    return build


NETWORKS = {
    "resnet50_32x32": Network(
        "ResNet-50", _resnet50, (32, 32), 0.9, targets={1: 3.2, 2: 2.7}
    ),
    "resnet50_32x32_balanced": Network(
        "ResNet-50, balanced", _resnet50, (32, 32), 0.9, balanced=True
    ),
    "resnet50_32x128_balanced": Network(
        "ResNet-50, balanced, in <= Cin/8",
        _resnet50,
        (32, 128),
        0.9,
        in_blocks_at_least=8,
        balanced=True,
        targets={1: 5.0},
    ),
    "resnet50_16x16": Network(
        "ResNet-50", _resnet50, (16, 16), 0.8, targets={1: 1.8}
    ),
    "resnet50_64x64": Network(
        "ResNet-50", _resnet50, (64, 64), 0.9, targets={1: 2.3}
    ),
    "mobilenet_v2_32x32": Network("MobileNetV2", _mobilenet_v2, (32, 32), 0.9),
    "feed_forward_128_tokens_32x32": Network(
        "Feed-forward, 128 tokens",
        _feed_forward(128),
        (32, 32),
        0.9,
        targets={1: 5.0},
    ),
    "feed_forward_128_tokens_64x64": Network(
        "Feed-forward, 128 tokens",
        _feed_forward(128),
        (64, 64),
        0.9,
        targets={1: 8.5},
    ),
    "feed_forward_1_token_32x32": Network(
        "Feed-forward, 1 token, balanced",
        _feed_forward(),
        (32, 32),
        0.9,
        balanced=True,
        targets={1: 8.0},
    ),
    "criteo_20x20": Network(
        "Criteo MLP", _criteo, (20, 20), 0.95, batch_size=256
    ),
    "criteo_20x20_dense_last": Network(
        "Criteo MLP, last layer dense",
        _criteo,
        (20, 20),
        0.95,
        batch_size=256,
        dense_last=True,
    ),
}


def prune_at_random(network: Network, seed: int = 0) -> tuple[Any, float]:
    """Builds a network with random masks.

    Args:
        network: What to build.
        seed: Seed of weights and masks.

    Returns:
        The model, and its density of multiply-adds.
    """
    keras.utils.set_random_seed(seed)
    model = network.build()
    rng = np.random.default_rng(seed)
    before = after = 0
    for layer in model.layers:
        for variable in layer.weights:
            if variable.name in ("beta", "bias", "moving_mean"):
                variable.assign(0.1 * rng.normal(size=variable.shape))
        kernel = getattr(layer, "kernel", None)
        if kernel is None:
            continue
        positions = math.prod(layer.output.shape[1:-1])
        array = kernel.numpy()
        before += array.size * positions
        spared = network.dense_last and layer is model.layers[-1]
        spared |= "Depthwise" in type(layer).__name__ or array.shape[-2] <= 3
        if not spared:
            array = array * _mask(array.shape[-2:], network, rng)
            kernel.assign(array)
        after += np.count_nonzero(array) * positions
    return model, after / before


def _mask(
    shape: tuple[int, int], network: Network, rng: np.random.Generator
) -> np.ndarray:
    rows = min(network.block[0], max(1, shape[0] // network.in_blocks_at_least))
    columns = network.block[1]
    grid = (math.ceil(shape[0] / rows), math.ceil(shape[1] / columns))
    order = rng.random(grid)
    # The best of each output block is kept in any case.
    order[order.argmin(axis=0), np.arange(grid[1])] -= 1
    if network.balanced:
        each = max(1, round((1 - network.sparsity) * grid[0]))
        mask = order.argsort(axis=0).argsort(axis=0) < each
    else:
        count = max(grid[1], round((1 - network.sparsity) * order.size))
        mask = order.ravel().argsort().argsort().reshape(grid) < count
    return np.kron(mask, np.ones((rows, columns)))[: shape[0], : shape[1]]
