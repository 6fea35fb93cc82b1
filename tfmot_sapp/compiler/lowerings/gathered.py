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

from tfmot_sapp.compiler.lowerings.arrangement import arranged, arrangement_of
from tfmot_sapp.compiler.lowerings.lowering import Lowering, Weight
from tfmot_sapp.compiler.lowerings.operations import (
    Operations,
    Tensor,
    Tensors,
)

Reads = tuple[tuple[int, ...], ...]


@dataclasses.dataclass(frozen=True)
class Group(Lowering):
    """Gathers the blocks; one product for each kind of bundle.

    A bundle is output blocks that read the same input blocks; what they read is
    gathered once. The product is a grouped convolution, or for a Dense, where
    the runtime has no fast one, a batched product. Bundles that share no inputs
    with each other, and lie in their order, need no gathering at all.

    Attributes:
        taps: Spatial extents of the kernel; empty for a Dense.
        window: As `Operations.product` takes it; empty for a Dense.
        block: Channels of an input and of an output block.
        reads: For each bundle, in the order of the computation, the input
            blocks that it reads. Neighbours that read equally many and have
            equally many output blocks share a product.
        order: Where, among all output blocks as they are computed, each output
            block of the layer is.
        sizes: Output blocks of each bundle; none: one each.
        sliced: Whether blocks are sliced and put together, not gathered.
    """

    taps: tuple[int, ...]
    window: tuple[Any, ...]
    block: tuple[int, int]
    reads: Reads
    order: tuple[int, ...]
    sizes: tuple[int, ...] = ()
    sliced: bool = False
    kind = "group"

    def get_config(self) -> dict[str, Any]:
        """The fields and the kind, without those that say nothing."""
        config = super().get_config()
        for name in ("sizes", "sliced"):
            if not config[name]:
                del config[name]
        return config

    @property
    def parts(self) -> list[tuple[Reads, int]]:
        """For each product, what its bundles read and their output blocks."""
        return equal_bundles(self.reads, self.sizes)

    def weights(self) -> list[Weight]:
        """For each product, a kernel by bundle; one bias.

        A kernel is (bundles, *taps, inputs, outputs of a bundle).
        """
        rows, columns = self.block
        weights: list[Weight] = [
            (
                f"kernel_{i}",
                (len(part), *self.taps, rows * len(part[0]), columns * size),
            )
            for i, (part, size) in enumerate(self.parts)
        ]
        return [*weights, ("bias", (columns * len(self.order),))]

    def outputs(
        self, weights: Tensors, pieces: Tensors, write: Operations
    ) -> Iterator[Tensor]:
        """Yields the one output."""
        (x,), (*kernels, bias) = pieces, weights
        if self.window or write.operators.grouped_dense:
            yield self._by_convolutions(x, kernels, bias, write)
        else:
            yield self._by_batches(x, kernels, bias, write)

    def _by_convolutions(
        self, x: Tensor, kernels: Tensors, bias: Any, write: Operations
    ) -> Tensor:
        columns = self.block[1]
        biases = write.weight_transposed(bias, (0,), (len(self.order), columns))
        # The bias is in the order of the layer, the products are not.
        computed = np.argsort(self.order)
        made, first = [], 0
        for (reads, size), kernel in zip(self.parts, kernels):
            places = computed[first : first + size * len(reads)]
            first += size * len(reads)
            made.append(
                write.grouped(
                    self._taken(x, reads, write),
                    self._side_by_side(kernel, write),
                    write.weight_rows(biases, places),
                    self.window,
                )
            )
        how = arrangement_of(self.order, len(self.order), self.sliced)
        if how.kind != "gather":
            whole = write.joined(made)
            return arranged(whole, self.order, columns, self.sliced, write)
        # Beside a gather, outside of the delegate, one copy is enough.
        whole = write.concatenate(made) if len(made) > 1 else made[0]
        return arranged(whole, self.order, columns, self.sliced, write)

    def _taken(self, x: Tensor, reads: Reads, write: Operations) -> Tensor:
        index = [block for read in reads for block in read]
        return arranged(x, index, self.block[0], self.sliced, write)

    def _side_by_side(self, kernel: Any, write: Operations) -> Any:
        """A kernel as a convolution with one group for each block takes it."""
        rank = len(self.taps)
        last = (*range(1, rank + 2), 0, rank + 2)
        count, *_, depth, columns = kernel.shape
        return write.weight_transposed(
            kernel, last, (*self.taps, depth, columns * count)
        )

    def _by_batches(
        self, x: Tensor, kernels: Tensors, bias: Any, write: Operations
    ) -> Tensor:
        rows, columns = self.block
        given = write.rows(x, write.channels(x) // rows, rows)
        made = []
        for (reads, size), kernel in zip(self.parts, kernels):
            index = [block for read in reads for block in read]
            taken = write.gather(given, index, 1)
            taken = write.rows(taken, *kernel.shape[:2])
            y = write.matmul(write.transpose(taken, (1, 0, 2)), kernel)
            y = write.transpose(y, (1, 0, 2))
            made.append(write.rows(y, size * len(reads), columns))
        whole = write.concatenate(made, 1) if len(made) > 1 else made[0]
        if not self._in_order:
            whole = write.gather(whole, self.order, 1)
        width = columns * len(self.order)
        return write.like(write.add(write.rows(whole, width), bias), x)

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
        return len(equal_bundles(self.reads)) == 1

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
        self, weights: Tensors, pieces: Tensors, write: Operations
    ) -> Iterator[Tensor]:
        """Yields the one output."""
        (x,), (kernel, bias) = pieces, weights
        rows, columns = self.block
        given = write.rows(x, write.channels(x) // rows, rows)
        index = [block for read in self.reads for block in read]
        taken = write.gather(given, index, 1)
        taken = write.rows(taken, *kernel.shape[:2])
        y = write.matmul(write.transpose(taken, (1, 0, 2)), kernel)
        if not self.balanced:
            counts = [len(read) for read in self.reads]
            ids = np.repeat(np.arange(len(counts)), counts)
            y = write.segment_sum(y, ids, len(counts))
        width = columns * len(self.reads)
        y = write.rows(write.transpose(y, (1, 0, 2)), width)
        yield write.like(write.add(y, bias), x)


def equal_bundles(
    reads: Reads, sizes: tuple[int, ...] = ()
) -> list[tuple[Reads, int]]:
    """Cuts bundles where the number of reads or of output blocks changes.

    Args:
        reads: For each bundle, the input blocks that it reads.
        sizes: Output blocks of each bundle; none: one each.

    Returns:
        The same in parts of bundles that are alike, with their output blocks.

    Example:

    >>> equal_bundles(((0,), (2,), (0, 1)))
    [(((0,), (2,)), 1), (((0, 1),), 1)]
    """
    parts: list[tuple[Reads, int]] = []
    for read, size in zip(reads, sizes or (1,) * len(reads)):
        before, last = parts[-1] if parts else ((), 0)
        if before and len(before[-1]) == len(read) and size == last:
            parts[-1] = ((*before, read), size)
        else:
            parts.append(((read,), size))
    return parts
