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
"""Rows of tables of which only some blocks are stored."""

import dataclasses
from collections.abc import Iterator

import numpy as np

from tfmot_sapp.compiler.lowerings.lowering import Lowering, Weight
from tfmot_sapp.compiler.lowerings.operations import (
    Operations,
    Tensor,
    Tensors,
)


@dataclasses.dataclass(frozen=True)
class Lookup(Lowering):
    """Looks rows up in one small table for each output piece.

    The table of a piece holds its kept blocks of rows. A block of zeros stands
    for all others.

    Attributes:
        block_rows: Rows of a block.
        kept: For each output piece and block of rows, its place in the table
            of the piece; the place of the block of zeros where it was pruned.
        widths: Channels of each output piece.
    """

    block_rows: int
    kept: tuple[tuple[int, ...], ...]
    widths: tuple[int, ...]
    kind = "lookup"

    def weights(self) -> list[Weight]:
        """A table for each piece."""
        return [
            (f"kernel_{j}", ((max(places) + 1) * self.block_rows, width))
            for j, (places, width) in enumerate(zip(self.kept, self.widths))
        ]

    def outputs(
        self, weights: Tensors, pieces: Tensors, write: Operations
    ) -> Iterator[Tensor]:
        """Yields the rows, piece by piece."""
        (numbers,) = pieces
        blocks, within = write.divided(numbers, self.block_rows)
        for places, table in zip(self.kept, weights):
            if places == tuple(range(len(places))):
                yield write.look_up(table, numbers)
                continue
            first = np.array(places, np.int32) * self.block_rows
            begin = write.look_up(first, blocks)
            yield write.look_up(table, write.add(begin, within))
