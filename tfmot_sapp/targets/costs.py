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

On one thread an operation takes `operation + work`, where `work` is its
multiply-adds, the weights that it reads or the bytes that it copies. Several
threads share it if it is long enough, and then it takes

    operation + sharing + uneven + (work - uneven) / threads:

`sharing` is what it costs to hand it to the threads and to wait for the last of
them, `uneven` what the last has more to do than the others. A concatenation
copies its inputs one after the other, each of them shared. So hundreds of short
operations are slower on several threads than one dense layer. What leaves the
delegate, such as a gather, runs on one thread while the others wait.
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
        switched: Copies that cutting pieces from a tensor, or putting it
            together from them, amounts to: it is too large to stay near.
        cut: Per piece that is put together.
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
        grouped_points: How many times that again, where it has one tap and
            several rows: those of a group are not side by side.
        least_saved: What a packed model must be estimated to save, or it
            stays dense.
        surely_faster: How many times faster what is packed must be estimated
            to be than what it stands for, or the model stays dense; 0 where
            a smaller model is worth as much as a faster one.
        short: How long something dense may take for a smaller file to be worth
            as much as a faster one all the same.
        call: Per call of the model, whatever is in it.
        threads: Threads that share an operation.
        sharing: Per operation that several threads share.
        least_shared: Work that is shared at least.
        uneven: Share of the work that the last thread has more to do.
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
    switched: float = 1.0
    grouped: float = 1.0
    grouped_points: float = 1.0
    least_saved: float = 0.0
    surely_faster: float = 0.0
    short: float = 0.0
    call: float = 0.0
    threads: int = 1
    sharing: float = 0.0
    least_shared: float = 0.0
    uneven: float = 0.0

    @property
    def of_time(self) -> "Costs":
        """The same figures, with nothing in them but how long work takes."""
        return dataclasses.replace(self, margin=1.0, stored_byte=0.0)

    def shared(self, work: float) -> float:
        """How long work takes that threads may share."""
        if self.threads == 1 or work < self.least_shared:
            return work
        uneven = self.uneven * work
        return self.sharing + uneven + (work - uneven) / self.threads

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
        work = self.shared(max(macs * self.mac * slow, size * self.weight_byte))
        return self.operation + size * self.stored_byte + work

    def depthwise_product(self, rows: float, taps: int, width: float) -> float:
        """One depthwise convolution."""
        macs = rows * taps * width
        return self.operation + self.shared(macs * self.depthwise * self.mac)

    def copy(self, rows: float, width: float, pieces: int) -> float:
        """Copying pieces of this total width, on one thread."""
        copied = rows * (pieces * self.copied_row)
        return copied + 4 * rows * width * self.copied_byte

    def shared_copy(self, rows: float, width: float, pieces: int) -> float:
        """Copying pieces of this total width, one after the other."""
        if pieces < 1:
            return 0.0
        return pieces * self.shared(self.copy(rows, width / pieces, 1))

    def slices(self, rows: float, width: float, pieces: int) -> float:
        """Cutting pieces of this total width from a tensor."""
        copies = self.switched * self.copy(rows, width, pieces)
        return pieces * self.operation + copies

    def join(self, rows: float, width: float, pieces: int) -> float:
        """One concatenation of pieces of this total width."""
        if pieces < 2:
            return 0.0
        return self.operation + self.shared_copy(rows, width, pieces)

    def add(self, rows: float, width: float) -> float:
        """An addition of two pieces."""
        # Two are read and one is written, of which a copy does one each.
        work = 6 * rows * width * self.copied_byte
        return self.operation + self.shared(work)
