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
"""One layer with pruned blocks in every form that it can be multiplied in.

Every output block reads equally many input blocks, drawn at random. Values of
weights don't change how long anything takes, so they repeat: that makes files
small once they are compressed.
"""

import dataclasses
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import tensorflow as tf

# Inputs of a concatenation that XNNPACK takes, and outputs of a split.
_WIDEST, _MOST_CUTS = 5, 4
_PERIOD = 509

Form = tuple[Callable[..., Any], list[tuple[int, ...]]]


@dataclasses.dataclass(frozen=True)
class BlockedLayer:
    """A layer with its blocks.

    Attributes:
        name: What it is called in tables.
        inputs: Input channels.
        outputs: Output channels.
        taps: Side of a convolution's kernel; 0 for a Dense.
        rows: Side of the image; samples of a Dense.
        block: Channels of an input and of an output block.
        ideal: One over the share of blocks that is kept.
    """

    name: str
    inputs: int
    outputs: int
    taps: int
    rows: int
    block: tuple[int, int]
    ideal: int

    @property
    def reads(self) -> np.ndarray:
        """Input blocks of every output block, (output blocks, reads)."""
        generator = np.random.default_rng(0)
        blocks = self.inputs // self.block[0]
        each = blocks // self.ideal
        return np.array(
            [
                np.sort(generator.choice(blocks, each, replace=False))
                for _ in range(self.outputs // self.block[1])
            ]
        )

    def shape(self, channels: int) -> tuple[int, ...]:
        """Shape of a tensor of so many channels."""
        if self.taps:
            return (1, self.rows, self.rows, channels)
        return (self.rows, channels)

    def forms(self) -> Iterator[tuple[str, Form]]:
        """Yields the name of every form, its function and its inputs."""
        x = [self.shape(self.inputs)]
        blocks = self.inputs // self.block[0]
        yield "dense", (self._product(self.inputs, self.outputs), x)
        units = self._product(self.inputs // self.ideal, self.outputs)
        yield "units", (units, [self.shape(self.inputs // self.ideal)])
        yield "split", (self._split, x)
        yield "list", (self._list, [self.shape(self.block[0])] * blocks)
        yield "grouped", (self._grouped, x)
        yield "sliced", (self._sliced, x)
        if self.taps < 2:
            yield "bmm", (self._batched, x)
        yield "diagonal", (self._diagonal, x)
        yield "exchange", (self._exchange, x)

    def _product(
        self, depth: int, width: int, groups: int = 1
    ) -> Callable[..., Any]:
        """A product with bias and ReLU, its weights its own."""
        bias = tf.constant(weights((width,)))
        if not self.taps and groups == 1:
            dense = tf.constant(weights((depth, width)))
            return lambda x: tf.nn.relu(tf.matmul(x, dense) + bias)
        side = max(self.taps, 1)
        kernel = tf.constant(weights((side, side, depth // groups, width)))

        def call(x: Any) -> Any:
            flat = x if self.taps else tf.reshape(x, (1, 1, -1, depth))
            y = tf.nn.conv2d(flat, kernel, 1, "SAME")
            # A bias that follows at once would be fused with a grouped
            # convolution by TensorFlow, which then refuses it.
            return tf.nn.relu(tf.reshape(y, self.shape(width)) + bias)

        return call

    def _list(self, *pieces: Any) -> list[Any]:
        depth = self.reads.shape[1] * self.block[0]
        made = []
        for reads in self.reads:
            product = self._product(depth, self.block[1])
            made.append(product(join([pieces[i] for i in reads])))
        return made

    def _split(self, x: Any) -> Any:
        pieces = tf.split(x, self.inputs // self.block[0], -1)
        return join(self._list(*pieces))

    def _grouped(self, x: Any) -> Any:
        index = self.reads.ravel().astype(np.int32)
        rows = int(np.prod(self.shape(1)))
        blocked = tf.reshape(x, (rows, -1, self.block[0]))
        taken = tf.gather(blocked, index, axis=1)
        return self._by_groups(tf.reshape(taken, self.shape(self._taken)))

    def _sliced(self, x: Any) -> Any:
        width = self.block[0]
        pieces = [
            x[..., i * width : (i + 1) * width] for i in self.reads.ravel()
        ]
        return self._by_groups(join(pieces))

    def _by_groups(self, taken: Any) -> Any:
        groups = len(self.reads)
        return self._product(self._taken, self.outputs, groups)(taken)

    @property
    def _taken(self) -> int:
        return self.reads.size * self.block[0]

    def _batched(self, x: Any) -> Any:
        index = self.reads.ravel().astype(np.int32)
        rows = int(np.prod(self.shape(1)))
        groups, depth = len(self.reads), self._taken // len(self.reads)
        kernel = tf.constant(weights((groups, depth, self.block[1])))
        blocked = tf.reshape(x, (rows, -1, self.block[0]))
        taken = tf.reshape(
            tf.gather(blocked, index, axis=1), (rows, groups, depth)
        )
        y = tf.matmul(tf.transpose(taken, (1, 0, 2)), kernel)
        y = tf.reshape(tf.transpose(y, (1, 0, 2)), self.shape(self.outputs))
        return tf.nn.relu(y + tf.constant(weights((self.outputs,))))

    def _diagonal(self, x: Any) -> Any:
        return self._product(self.inputs, self.outputs, self.ideal)(x)

    def _exchange(self, x: Any) -> Any:
        """A block diagonal behind an exchange of channels, as in ShuffleNet."""
        rows = int(np.prod(self.shape(1)))
        cut = tf.reshape(x, (rows, self.ideal, -1))
        turned = tf.transpose(cut, (0, 2, 1))
        return self._diagonal(tf.reshape(turned, self.shape(self.inputs)))


def join(pieces: list[Any]) -> Any:
    """Concatenates in steps that the delegate takes."""
    while len(pieces) > 1:
        pieces = [
            tf.concat(pieces[i : i + _WIDEST], -1)
            if len(pieces[i : i + _WIDEST]) > 1
            else pieces[i]
            for i in range(0, len(pieces), _WIDEST)
        ]
    return pieces[0]


class _Counter:
    """How many arrays of weights have been made."""

    made = 0


def weights(shape: tuple[int, ...]) -> np.ndarray:
    """Weights of about unit gain, no two alike, that compress well."""
    _Counter.made += 1
    return repeating(shape, 11 * _Counter.made)


def repeating(shape: tuple[int, ...], offset: int) -> np.ndarray:
    """Normal weights that repeat along the axis which files store last.

    Args:
        shape: Of the kernel: taps, inputs, outputs.
        offset: Where in the pattern to start.

    Returns:
        float32 array.
    """
    pattern = np.random.default_rng(0).normal(size=_PERIOD)
    depth = int(np.prod(shape[:-1]))
    index = np.zeros(shape, np.int64) + offset
    for axis, stride in zip(range(len(shape) - 1, -1, -1), (37, 1, 101, 211)):
        extent = [1] * len(shape)
        extent[axis] = -1
        index += stride * np.arange(shape[axis]).reshape(extent)
    return (pattern[index % _PERIOD] / np.sqrt(depth)).astype(np.float32)


LAYERS = (
    BlockedLayer("conv3x3-14-256-32x32", 256, 256, 3, 14, (32, 32), 8),
    BlockedLayer("conv1x1-14-1024-32x32", 1024, 1024, 1, 14, (32, 32), 8),
    BlockedLayer("dense-128-768-3072-32x32", 768, 3072, 0, 128, (32, 32), 8),
    BlockedLayer("conv3x3-28-512-32x32", 512, 512, 3, 28, (32, 32), 8),
    BlockedLayer("conv1x1-56-256-32x32", 256, 256, 1, 56, (32, 32), 8),
    BlockedLayer("dense-128-3072-768-32x32", 3072, 768, 0, 128, (32, 32), 8),
    BlockedLayer("dense-48-1536-1536-32x32", 1536, 1536, 0, 48, (32, 32), 8),
    BlockedLayer("dense-1-768-3072-32x32", 768, 3072, 0, 1, (32, 32), 8),
    BlockedLayer("conv1x1-14-1024-32x128", 1024, 1024, 1, 14, (32, 128), 8),
    BlockedLayer("conv1x1-14-1024-128x128", 1024, 1024, 1, 14, (128, 128), 8),
    BlockedLayer("conv3x3-28-512-32x128", 512, 512, 3, 28, (32, 128), 8),
    BlockedLayer("dense-128-768-3072-64x64", 768, 3072, 0, 128, (64, 64), 6),
    BlockedLayer(
        "dense-128-3072-768-128x128", 3072, 768, 0, 128, (128, 128), 8
    ),
    BlockedLayer("dense-128-768-3072-32x128", 768, 3072, 0, 128, (32, 128), 8),
    BlockedLayer("conv3x3-7-512-32x32", 512, 512, 3, 7, (32, 32), 8),
    BlockedLayer("conv1x1-7-2048-32x32", 2048, 512, 1, 7, (32, 32), 8),
    BlockedLayer("dense-1-3072-768-32x32", 3072, 768, 0, 1, (32, 32), 8),
    BlockedLayer("dense-48-2048-2048-64x64", 2048, 2048, 0, 48, (64, 64), 8),
)
