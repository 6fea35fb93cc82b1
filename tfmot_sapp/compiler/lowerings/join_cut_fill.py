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
"""Between the forms of an activation: pieces, one tensor, constants."""

import dataclasses
from collections.abc import Iterator

from tfmot_sapp.compiler.lowerings.lowering import Lowering, Weight
from tfmot_sapp.compiler.lowerings.operations import (
    Operations,
    Tensor,
    Tensors,
)


@dataclasses.dataclass(frozen=True)
class Join(Lowering):
    """Puts pieces together."""

    kind = "join"

    def outputs(
        self, weights: Tensors, pieces: Tensors, write: Operations
    ) -> Iterator[Tensor]:
        """Yields the one tensor."""
        del weights
        # In one step, though that leaves the delegate: one copy, not several.
        yield write.concatenate(list(pieces))


@dataclasses.dataclass(frozen=True)
class Cut(Lowering):
    """Cuts pieces out of a tensor.

    Attributes:
        spans: First and last-but-one channel of each piece.
    """

    spans: tuple[tuple[int, int], ...]
    kind = "cut"

    def outputs(
        self, weights: Tensors, pieces: Tensors, write: Operations
    ) -> Iterator[Tensor]:
        """Yields the pieces."""
        del weights
        (x,) = pieces
        widths = [end - begin for begin, end in self.spans]
        if sum(widths) == write.channels(x):
            yield from write.split(x, widths)
            return
        for begin, end in self.spans:
            yield write.cut(x, begin, end)


@dataclasses.dataclass(frozen=True)
class Fill(Lowering):
    """Constant channels, in the shape of a given piece.

    Attributes:
        width: Number of channels.
    """

    width: int
    kind = "fill"

    def weights(self) -> list[Weight]:
        """The constants."""
        return [("values", (self.width,))]

    def outputs(
        self, weights: Tensors, pieces: Tensors, write: Operations
    ) -> Iterator[Tensor]:
        """Yields the one piece."""
        yield write.filled(pieces[0], weights[0])
