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
"""Attention between projections that are packed like any other layer."""

import dataclasses
from collections.abc import Iterator

from tfmot_sapp.compiler.lowerings.lowering import Lowering
from tfmot_sapp.compiler.lowerings.operations import (
    Operations,
    Tensor,
    Tensors,
)


@dataclasses.dataclass(frozen=True)
class Attention(Lowering):
    """Attention between projected queries, keys and values.

    Attributes:
        heads: Number of heads.
        scale: What scores are multiplied with.
    """

    heads: int
    scale: float
    kind = "attention"

    def outputs(
        self, weights: Tensors, pieces: Tensors, write: Operations
    ) -> Iterator[Tensor]:
        """Yields the heads' results, side by side."""
        del weights
        query, key, value = (self._by_head(x, write) for x in pieces)
        query = write.multiply(query, self.scale)
        scores = write.matmul(query, key, transpose_y=True)
        mixed = write.matmul(write.softmax(scores), value)
        yield write.unblocked(write.transpose(mixed, (0, 2, 1, 3)))

    def _by_head(self, x: Tensor, write: Operations) -> Tensor:
        width = write.channels(x) // self.heads
        return write.transpose(write.blocked(x, width), (0, 2, 1, 3))
