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
"""The single layers that `layers.py` measures: known ones, and ones at random.

`LAYERS` are shapes of known networks, which the cost model was made with.
`held_out` draws shapes that nobody has looked at.
"""

import dataclasses
import math
from collections.abc import Iterator

import keras
import numpy as np

from tfmot_sapp.blocks.grid import BlockGrid, expand
from tfmot_sapp.blocks.selection import kept_blocks


@dataclasses.dataclass(frozen=True)
class Layer:
    """A layer, alone in its model.

    Attributes:
        name: `network/layer`.
        inputs: Input channels.
        outputs: Output channels.
        taps: Side of a convolution's kernel; 0 for a Dense.
        image: Side of the image; 0 for a Dense.
        batch: Samples, or tokens, in a call.
    """

    name: str
    inputs: int
    outputs: int
    taps: int = 0
    image: int = 0
    batch: int = 1


@dataclasses.dataclass(frozen=True)
class Cell:
    """One cell of the grid.

    Attributes:
        layer: The layer.
        block: Side of its blocks.
        sparsity: Fraction of its blocks that are dropped, at random.
    """

    layer: Layer
    block: int
    sparsity: float


LAYERS = (
    Layer("resnet50/2a-3x3", 64, 64, 3, 56),
    Layer("resnet50/2a-1x1-out", 64, 256, 1, 56),
    Layer("resnet50/2b-1x1-in", 256, 64, 1, 56),
    Layer("resnet50/3-3x3", 128, 128, 3, 28),
    Layer("resnet50/3-1x1-in", 512, 128, 1, 28),
    Layer("resnet50/3-1x1-out", 128, 512, 1, 28),
    Layer("resnet50/4-3x3", 256, 256, 3, 14),
    Layer("resnet50/4-1x1-in", 1024, 256, 1, 14),
    Layer("resnet50/4-1x1-out", 256, 1024, 1, 14),
    Layer("resnet50/5-3x3", 512, 512, 3, 7),
    Layer("resnet50/5-1x1-in", 2048, 512, 1, 7),
    Layer("resnet50/5-1x1-out", 512, 2048, 1, 7),
    Layer("resnet50/classes", 2048, 1000),
    Layer("mobilenetv2/expand-28", 32, 192, 1, 28),
    Layer("mobilenetv2/project-28", 192, 32, 1, 28),
    Layer("mobilenetv2/expand-14", 96, 576, 1, 14),
    Layer("mobilenetv2/project-14", 576, 96, 1, 14),
    Layer("mobilenetv2/expand-7", 160, 960, 1, 7),
    Layer("mobilenetv2/project-7", 960, 160, 1, 7),
    Layer("mobilenetv2/last", 320, 1280, 1, 7),
    Layer("bert/up-1-token", 768, 3072),
    Layer("bert/down-1-token", 3072, 768),
    Layer("bert/up-128-tokens", 768, 3072, batch=128),
    Layer("bert/down-128-tokens", 3072, 768, batch=128),
    Layer("criteo/first", 390, 400, batch=256),
    Layer("criteo/hidden", 400, 400, batch=256),
)

# A held-out layer has at most this many weights and multiply-adds in a call,
# so that the dense one ends soon.
_MOST_WEIGHTS = 1 << 24
_MOST_MACS = 1 << 31


def held_out(count: int, seed: int) -> Iterator[Cell]:
    """Draws layers at random, half Dense and half convolutions.

    Channels are multiples of 32 from 128 to 4,096, drawn evenly on a
    logarithmic scale; blocks are 32 or 64 wide; 85 to 90 % of them are
    dropped; batches are powers of two from 1 to 128.

    Args:
        count: How many.
        seed: Seed of the draws.

    Yields:
        `Cell`s.
    """
    generator = np.random.default_rng(seed)
    found = 0
    while found < count:
        channels = 2 ** generator.uniform(7, 12, 2)
        inputs, outputs = (int(32 * round(c / 32)) for c in channels)
        batch = int(2 ** generator.integers(0, 8))
        taps, image = 0, 0
        if found % 2:
            taps = int(generator.choice([1, 3]))
            image = int(generator.choice([7, 14, 28, 56]))
        weights = inputs * outputs * max(taps, 1) ** 2
        macs = weights * batch * max(image, 1) ** 2
        block = int(generator.choice([32, 64]))
        sparsity = round(float(generator.uniform(0.85, 0.9)), 3)
        if weights <= _MOST_WEIGHTS and macs <= _MOST_MACS:
            found += 1
            what = f"conv{taps}x{taps}-{image}" if taps else "dense"
            name = f"held-out/{what}-{inputs}-{outputs}"
            layer = Layer(name, inputs, outputs, taps, image, batch)
            yield Cell(layer, block, sparsity)


def dense_model(layer: Layer, seed: int) -> keras.Model:
    """Builds a model of one layer with random weights.

    Args:
        layer: The layer.
        seed: Seed of the weights.

    Returns:
        A model of an input and one layer with ReLU.
    """
    generator = np.random.default_rng(seed)
    if layer.taps:
        inputs = keras.Input((layer.image, layer.image, layer.inputs))
        core = keras.layers.Conv2D(
            layer.outputs, layer.taps, padding="same", activation="relu"
        )
    else:
        inputs = keras.Input((layer.inputs,))
        core = keras.layers.Dense(layer.outputs, activation="relu")
    model = keras.Model(inputs, core(inputs))
    shape = tuple(core.kernel.shape)
    kernel = generator.normal(size=shape) / math.sqrt(math.prod(shape[:-1]))
    core.set_weights([kernel, generator.normal(size=layer.outputs) / 10])
    return model


def pruned_model(cell: Cell, seed: int) -> tuple[keras.Model, float]:
    """Builds a model of one layer with random kept blocks.

    Args:
        cell: The layer, and how it is pruned.
        seed: Seed of weights and mask.

    Returns:
        The model, and its kernel's density.
    """
    model = dense_model(cell.layer, seed)
    kernel, bias = model.layers[-1].get_weights()
    sides = (cell.block, cell.block)
    grid = BlockGrid.over(kernel.shape, (*kernel.shape[:-2], *sides))
    kept = np.zeros(grid.num_blocks, np.float32)
    kept[: kept_blocks(grid.num_blocks, cell.sparsity)] = 1.0
    generator = np.random.default_rng([seed, 1])
    mask = expand(generator.permutation(kept).reshape(grid.cells), grid)
    model.layers[-1].set_weights([kernel * mask, bias])
    return model, float(mask.mean())
