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
"""Gathered blocks, multiplied by few large operations."""

import dataclasses
from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorflow as tf

from tfmot_sapp.compiler.lowerings.lowering import (
    Lowering,
    Tensors,
    Weight,
    blocked,
    flat_rows,
    join,
    like,
    transposed,
    unblocked,
)
from tfmot_sapp.compiler.lowerings.products import product
from tfmot_sapp.targets.operators import Operators

Reads = tuple[tuple[int, ...], ...]


@dataclasses.dataclass(frozen=True)
class Group(Lowering):
    """Gathers the blocks; one product for each count of blocks.

    The product is a grouped convolution, or for a Dense, where the runtime
    has no fast one, a batched product.

    Attributes:
        taps: Spatial extents of the kernel; empty for a Dense.
        window: As `product` takes it; empty for a Dense.
        block: Channels of an input and of an output block.
        reads: For each output block, in the order of the computation, the
            input blocks that it reads. Neighbours of equal count share a
            product.
        order: Where in `reads` each output block of the layer is.
    """

    taps: tuple[int, ...]
    window: tuple[Any, ...]
    block: tuple[int, int]
    reads: Reads
    order: tuple[int, ...]
    kind = "group"

    def weights(self) -> list[Weight]:
        """For each count of blocks, a kernel by output block; one bias.

        A kernel is (outputs' blocks, *taps, inputs, outputs of a block).
        """
        rows, columns = self.block
        weights: list[Weight] = [
            (
                f"kernel_{i}",
                (len(part), *self.taps, rows * len(part[0]), columns),
            )
            for i, part in enumerate(equal_counts(self.reads))
        ]
        return [*weights, ("bias", (columns * len(self.reads),))]

    def outputs(
        self, weights: Tensors, pieces: Tensors, operators: Operators
    ) -> Iterator[Any]:
        """Yields the one output."""
        (x,), (*kernels, bias) = pieces, weights
        parts = list(zip(equal_counts(self.reads), kernels))
        if self.window or operators.grouped_dense:
            yield self._by_convolutions(
                x, parts, bias, operators.widest_concatenation
            )
        else:
            yield self._by_batches(x, parts, bias)

    def _by_convolutions(
        self, x: Any, parts: list[tuple[Reads, Any]], bias: Any, widest: int
    ) -> Any:
        given, columns = blocked(x, self.block[0]), self.block[1]
        biases = transposed(bias, (0,), (len(self.reads), columns))
        # The bias is in the order of the layer, the products are not.
        computed = np.argsort(self.order)
        made, first = [], 0
        for reads, kernel in parts:
            index = [block for read in reads for block in read]
            taken = unblocked(tf.gather(given, index, axis=-2))
            grouped = self._grouped(kernel)
            if self.window:
                y = product(taken, grouped, self.window)
            else:
                flat = tf.reshape(taken, (-1, 1, 1, taken.shape[-1]))
                y = like(tf.nn.conv2d(flat, grouped, 1, "VALID"), x)
            places = computed[first : first + len(reads)]
            first += len(reads)
            offset = flat_rows(biases, places)
            # TensorFlow on a CPU would fuse a bias that follows immediately
            # with the convolution, and then refuse it for being grouped.
            flat = tf.reshape(y, (-1, y.shape[-1]))
            made.append(like(tf.nn.bias_add(flat, offset), y))
        if self._in_order:
            return join(made, widest)
        # Beside a gather, outside of the delegate, one copy is enough.
        whole = tf.concat(made, -1) if len(made) > 1 else made[0]
        return unblocked(
            tf.gather(blocked(whole, columns), self.order, axis=-2)
        )

    def _grouped(self, kernel: Any) -> Any:
        """A kernel as a convolution with one group for each block takes it."""
        rank = len(self.taps)
        last = (*range(1, rank + 2), 0, rank + 2)
        taps = self.taps or (1, 1)
        depth, columns = kernel.shape[-2:]
        return transposed(
            kernel, last, (*taps, depth, columns * kernel.shape[0])
        )

    def _by_batches(
        self, x: Any, parts: list[tuple[Reads, Any]], bias: Any
    ) -> Any:
        rows, columns = self.block
        given = tf.reshape(x, (-1, x.shape[-1] // rows, rows))
        made = []
        for reads, kernel in parts:
            index = [block for read in reads for block in read]
            taken = tf.gather(given, index, axis=1)
            taken = tf.reshape(taken, (-1, *kernel.shape[:2]))
            made.append(tf.matmul(tf.transpose(taken, (1, 0, 2)), kernel))
        whole = tf.concat(made, 0) if len(made) > 1 else made[0]
        whole = tf.transpose(whole, (1, 0, 2))
        if not self._in_order:
            whole = tf.gather(whole, self.order, axis=1)
        width = columns * len(self.reads)
        y = tf.nn.bias_add(tf.reshape(whole, (-1, width)), bias)
        return like(y, x)

    @property
    def _in_order(self) -> bool:
        return self.order == tuple(range(len(self.order)))


@dataclasses.dataclass(frozen=True)
class GatherMatmul(Lowering):
    """Gathers the blocks; one batched product; sums by output block.

    Where every output block reads the same number of blocks, the product does
    the sum.

    Attributes:
        block: Channels of an input and of an output block.
        reads: For each output block, the input blocks that it reads.
    """

    block: tuple[int, int]
    reads: Reads
    kind = "gather_matmul"

    @property
    def balanced(self) -> bool:
        """Whether all output blocks read equally many blocks."""
        return len(equal_counts(self.reads)) == 1

    def weights(self) -> list[Weight]:
        """One kernel and one bias."""
        rows, columns = self.block
        count = sum(len(read) for read in self.reads)
        kernel = (count, rows, columns)
        if self.balanced:
            each = len(self.reads[0])
            kernel = (len(self.reads), rows * each, columns)
        return [
            ("kernel", kernel),
            ("bias", (columns * len(self.reads),)),
        ]

    def outputs(
        self, weights: Tensors, pieces: Tensors, operators: Operators
    ) -> Iterator[Any]:
        """Yields the one output."""
        del operators
        (x,), (kernel, bias) = pieces, weights
        rows, columns = self.block
        given = tf.reshape(x, (-1, x.shape[-1] // rows, rows))
        index = [block for read in self.reads for block in read]
        taken = tf.gather(given, index, axis=1)
        taken = tf.reshape(taken, (-1, kernel.shape[0], kernel.shape[1]))
        y = tf.matmul(tf.transpose(taken, (1, 0, 2)), kernel)
        if not self.balanced:
            counts = [len(read) for read in self.reads]
            ids = np.repeat(np.arange(len(counts)), counts)
            # The sorted variant can't be compiled by XLA.
            y = tf.math.unsorted_segment_sum(y, ids, len(counts))
        width = columns * len(self.reads)
        y = tf.reshape(tf.transpose(y, (1, 0, 2)), (-1, width))
        yield like(tf.nn.bias_add(y, bias), x)


def equal_counts(reads: Reads) -> list[Reads]:
    """Cuts the reads where their count changes.

    Args:
        reads: For each output block, the input blocks that it reads.

    Returns:
        The same in parts of equal count.

    Example:

    >>> equal_counts(((0,), (2,), (0, 1)))
    [((0,), (2,)), ((0, 1),)]
    """
    parts: list[Reads] = []
    for read in reads:
        if parts and len(parts[-1][0]) == len(read):
            parts[-1] = (*parts[-1], read)
        else:
            parts.append((read,))
    return parts
