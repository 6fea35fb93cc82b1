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
"""What work costs on a runtime: the figures that choices are made by.

An operation takes

    operation + sharing + max(work / threads, bytes of weights),

where `work` is its multiply-adds or the bytes that it copies, at the rate of
one thread, and `sharing` is what it costs to hand it to the threads and to wait
for the last of them. So with more threads an operation is worth sharing if it
is long, and hundreds of short ones are slower than one dense layer. What leaves
the delegate, such as a gather, runs on one thread while the others wait.
"""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Costs:
    """Figures of a runtime, in microseconds.

    Attributes:
        mac: Per multiply-add of a product with very many outputs.
        lanes: Outputs of a product that cost as much as none would: narrow
            outputs leave lanes of the vector units empty.
        depthwise: Multiply-adds of a product that one of a depthwise
            convolution amounts to.
        operation: Per operation inside the delegate.
        copied_row: Per row of a piece that is copied.
        copied_byte: Per byte copied.
        weight_byte: Per byte of weights; they are read once per product.
        stored_byte: Per byte of weights, however often they are read: what a
            smaller model is worth where times are close.
        outside: Per operation that leaves the delegate.
        gathered: Copies that gathering blocks amounts to: the gather itself,
            and the transpositions around a batched product.
        scattered: Copies that one of blocks amounts to where there are several
            rows, since the blocks of a row are not side by side.
        summed: Copies that a sum by output block amounts to.
        filled: Share of a concatenation's cost that cutting pieces or filling
            in constants amounts to.
        cut: Per piece that is cut from a tensor.
        margin: How much worse than the dense layer another way to compute it
            is taken to be than its figures say.
        tap_blocks: Blocks of one tap each are worth the shifted copies of the
            input if they hold at most this share of what blocks of all taps
            together would.
        narrowest_piece: A kernel whose blocks are narrower than this many
            channels is not cut in pieces.
        narrowest_gather: Blocks narrower than this many channels are not
            gathered.
        grouped: How much longer a grouped product takes than a dense one of
            as many multiply-adds.
        call: Per call of the model, whatever is in it.
        threads: Threads that share an operation.
        sharing: Per operation that several threads share.
        copy_threads: Threads' worth of copying that memory keeps up with.
    """

    mac: float
    lanes: float
    depthwise: float
    operation: float
    copied_row: float
    copied_byte: float
    weight_byte: float
    stored_byte: float
    outside: float
    gathered: float
    scattered: float
    summed: float
    filled: float
    cut: float
    margin: float
    tap_blocks: float
    narrowest_piece: int
    narrowest_gather: int
    grouped: float = 1.0
    call: float = 0.0
    threads: float = 1.0
    sharing: float = 0.0
    copy_threads: float = 1.0

    @property
    def each(self) -> float:
        """What an operation costs, however little it does."""
        return self.operation + self.sharing

    def product(
        self, rows: float, taps: int, depth: float, width: float
    ) -> float:
        """One Dense or convolution in float32.

        Args:
            rows: Positions that are multiplied.
            taps: Taps of the kernel.
            depth: Channels that are read.
            width: Channels that are made.
        """
        macs = rows * taps * depth * width
        slow = 1 + self.lanes / width
        size = 4 * taps * depth * width
        work = max(
            macs * self.mac * slow / self.threads, size * self.weight_byte
        )
        return self.each + size * self.stored_byte + work

    def depthwise_product(self, rows: float, taps: int, width: float) -> float:
        """The work of a depthwise convolution, without its operation."""
        macs = rows * taps * width
        return macs * self.depthwise * self.mac / self.threads

    def copy(self, rows: float, width: float, pieces: int) -> float:
        """Copying pieces of this total width, on one thread."""
        copied = rows * (pieces * self.copied_row)
        return copied + 4 * rows * width * self.copied_byte

    def shared_copy(self, rows: float, width: float, pieces: int) -> float:
        """Copying pieces of this total width inside the delegate."""
        threads = min(self.threads, self.copy_threads)
        return self.copy(rows, width, pieces) / threads

    def join(self, rows: float, width: float, pieces: int) -> float:
        """One concatenation of pieces of this total width."""
        if pieces < 2:
            return 0.0
        return self.each + self.shared_copy(rows, width, pieces)

    def add(self, rows: float, width: float) -> float:
        """An addition of two pieces."""
        # Two are read and one is written, of which a copy does one each.
        threads = min(self.threads, self.copy_threads)
        return self.each + 6 * rows * width * self.copied_byte / threads
