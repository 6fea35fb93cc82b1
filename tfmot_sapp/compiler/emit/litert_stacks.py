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
"""`LiteRtStacks`: products of pieces that lie one after the other.

To put pieces side by side, a runtime copies them position by position. One
after the other they are copied at once, and a convolution with a tap for each
piece, as far apart as pieces are long, multiplies them. It takes longer than a
product of one tap, but unlike copies several threads share it.
"""

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from tfmot_sapp.compiler.emit.litert_layout import size_of
from tfmot_sapp.compiler.emit.litert_operations import LiteRtOperations
from tfmot_sapp.compiler.ir.graph import Operation
from tfmot_sapp.compiler.ir.values import Value
from tfmot_sapp.targets.operators import Operators

# What is done to every element by itself.
_ELEMENTWISE = frozenset(
    {
        "ABS", "ADD", "ELU", "EXP", "GELU", "HARD_SWISH", "LEAKY_RELU",
        "LOGISTIC", "MAXIMUM", "MINIMUM", "MUL", "NEG", "RELU", "RELU6",
        "RELU_N1_TO_1", "SQUARE", "SUB", "TANH",
    }
)  # fmt: skip


class LiteRtStacks(LiteRtOperations):
    """Puts the pieces of a product one after the other, where that is faster.

    Args:
        operators: How the runtime wants packed layers written.
    """

    def __init__(self, operators: Operators):
        super().__init__(operators)
        # The first of the pieces that a stack holds.
        self._stacked: dict[Value, Value] = {}
        # Pieces as images, as convolutions take them and give them.
        self._images: dict[Value, Value] = {}

    def joined_to_multiply(
        self, pieces: Sequence[Value], window: tuple[Any, ...], taps: int
    ) -> Value:
        """See `Operations`."""
        if not self._can_stack(pieces, window, taps):
            return super().joined_to_multiply(pieces, window, taps)
        stack = self.joined([self._image(piece) for piece in pieces], 1)
        self._stacked[stack] = pieces[0]
        return stack

    def _image(self, piece: Value) -> Value:
        """A piece as one image, of one column where it is none."""
        if len(piece.shape) == 4 and piece.shape[0] == 1:
            return piece
        if piece not in self._images:
            depth = self.channels(piece)
            shape = (1, (size_of(piece.shape) or 0) // depth, 1, depth)
            self._images[piece] = self.reshape(piece, shape)
        return self._images[piece]

    def _can_stack(
        self, pieces: Sequence[Value], window: tuple[Any, ...], taps: int
    ) -> bool:
        first = pieces[0]
        size = size_of(first.shape)
        if size is None or 4 * size > self.operators.stacked_bytes:
            return False
        # Of one position, pieces that lie side by side are in a row, too.
        if len(pieces) < 2 or size == self.channels(first):
            return False
        if any(piece.shape != first.shape for piece in pieces):
            return False
        if not window:
            return True
        strides, _, _, is_transposed = window
        return taps == math.prod(strides) == 1 and not is_transposed

    def product(
        self,
        x: Value,
        kernel: np.ndarray,
        bias: np.ndarray | None,
        window: tuple[Any, ...],
    ) -> Value:
        """See `Operations`."""
        piece = self._stacked.get(x)
        if piece is None:
            return super().product(x, kernel, bias, window)
        depth, width = self.channels(piece), kernel.shape[-1]
        positions = self._image(piece).shape[1]
        made = super().product(
            x,
            kernel.reshape(-1, 1, depth, width),
            bias,
            ((1, 1), "valid", (positions, 1), False),
        )
        return self._piece(made, piece)

    def computed(self, operation: Operation) -> Value:
        """See `LiteRtWriter`: what is done to pieces is done to images."""
        given = [self._as_image(value) for value in operation.inputs]
        images = [v for v in given if v is not None and v.contents is None]
        if (
            operation.kind not in _ELEMENTWISE
            or None in given
            or len({image.shape for image in images}) != 1
        ):
            return super().computed(operation)
        (output,) = operation.outputs
        made = self.value(images[0].shape, output.dtype)
        image = super().computed(
            dataclasses.replace(operation, inputs=given, outputs=[made])
        )
        return self._piece(image, output)

    def _as_image(self, value: Value | None) -> Value | None:
        """A piece's image, or a constant that fits any."""
        if value is None or value.contents is None:
            return None if value is None else self._images.get(value)
        return value if len(value.shape) < 2 else None

    def _piece(self, image: Value, piece: Value) -> Value:
        """An image whose positions are arranged as those of a piece."""
        made = self.like(image, piece)
        if made is not image:
            self._images[made] = image
        return made
