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
"""What is computed piece by piece: nothing crosses from one to another."""

import dataclasses
from collections.abc import Iterator
from typing import Any

from tfmot_sapp.compiler.lowerings.lowering import Lowering, Weight
from tfmot_sapp.compiler.lowerings.operations import (
    Operations,
    Tensor,
    Tensors,
)


@dataclasses.dataclass(frozen=True)
class Channelwise(Lowering):
    """A depthwise convolution, or a factor and offset for each channel.

    Attributes:
        taps: Spatial extents of the kernel; empty for a factor.
        window: (strides, padding, dilation); empty for a factor.
        widths: Widths of the pieces.
    """

    taps: tuple[int, ...]
    window: tuple[Any, ...]
    widths: tuple[int, ...]
    kind = "channelwise"

    def weights(self) -> list[Weight]:
        """A kernel and a bias for each piece."""
        weights: list[Weight] = []
        for i, width in enumerate(self.widths):
            weights.append((f"kernel_{i}", (*self.taps, width)))
            weights.append((f"bias_{i}", (width,)))
        return weights

    def outputs(
        self, weights: Tensors, pieces: Tensors, write: Operations
    ) -> Iterator[Tensor]:
        """Yields a piece for each piece."""
        for i, x in enumerate(pieces):
            kernel, bias = weights[2 * i], weights[2 * i + 1]
            if not self.window:
                yield write.scale(x, kernel, bias)
            else:
                yield write.depthwise(x, kernel, bias, self.window)


@dataclasses.dataclass(frozen=True)
class Shifts(Lowering):
    """Pieces as the taps of a convolution see them.

    Attributes:
        frame: (before, after) zeros for each spatial axis.
        strides: Of the convolution.
        extent: Spatial extents of the output; `None` where unknown, where the
            stride is 1.
        reach: Shift of the farthest tap along each axis.
        pieces: For each output piece, the input piece and the shift along each
            spatial axis.
    """

    frame: tuple[tuple[int, int], ...]
    strides: tuple[int, ...]
    extent: tuple[int | None, ...]
    reach: tuple[int, ...]
    pieces: tuple[tuple[int, tuple[int, ...]], ...]
    kind = "shifts"

    def outputs(
        self, weights: Tensors, pieces: Tensors, write: Operations
    ) -> Iterator[Tensor]:
        """Yields the shifted pieces."""
        del weights
        frame = [(0, 0), *self.frame, (0, 0)]
        if any(sum(each) for each in frame):
            pieces = [write.pad(x, frame) for x in pieces]
        for i, shift in self.pieces:
            yield write.window(pieces[i], self._window(shift))

    def _window(self, shift: tuple[int, ...]) -> tuple[slice, ...]:
        spans = [slice(None)]
        for begin, stride, count, reach in zip(
            shift, self.strides, self.extent, self.reach
        ):
            if count is None:
                spans.append(slice(begin, begin - reach or None))
            else:
                spans.append(
                    slice(begin, begin + (count - 1) * stride + 1, stride)
                )
        return (*spans, slice(None))


@dataclasses.dataclass(frozen=True)
class Through(Lowering):
    """Gives each piece on, to the steps."""

    kind = "through"

    def outputs(
        self, weights: Tensors, pieces: Tensors, write: Operations
    ) -> Iterator[Tensor]:
        """Yields the pieces."""
        del weights, write
        yield from pieces
