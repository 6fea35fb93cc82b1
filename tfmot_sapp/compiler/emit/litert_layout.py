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
"""`LiteRtLayout`: shapes and copies as operations of a LiteRT graph."""

import math
from collections.abc import Iterable, Sequence

import numpy as np

from tfmot_sapp.compiler.emit.litert_writer import LiteRtWriter
from tfmot_sapp.compiler.ir.values import Shape, Value
from tfmot_sapp.compiler.lowerings.operations import Operations
from tfmot_sapp.targets.operators import Operators


class LiteRtLayout(LiteRtWriter, Operations):
    """The operations of `Operations` that move elements."""

    def __init__(self, operators: Operators):
        Operations.__init__(self, operators)
        LiteRtWriter.__init__(self)
        self._before_reshape: dict[Value, Value] = {}

    # --- shapes ---------------------------------------------------------------

    def channels(self, x: Value) -> int:
        """See `Operations`."""
        return x.shape[-1] or 0

    def blocked(self, x: Value, width: int) -> Value:
        """See `Operations`."""
        return self.reshape(
            x, (*x.shape[:-1], self.channels(x) // width, width)
        )

    def unblocked(self, x: Value) -> Value:
        """See `Operations`."""
        *leading, count, width = x.shape
        return self.reshape(x, (*leading, (count or 0) * (width or 0)))

    def rows(self, x: Value, *extents: int) -> Value:
        """See `Operations`."""
        size = size_of(x.shape)
        count = None if size is None else size // math.prod(extents)
        return self.reshape(x, (count, *extents))

    def like(self, y: Value, x: Value) -> Value:
        """See `Operations`."""
        return self.reshape(y, (*x.shape[:-1], y.shape[-1]))

    def reshape(self, x: Value, shape: Shape) -> Value:
        """A tensor in another shape, of which one extent may be unknown."""
        if tuple(shape) == tuple(x.shape) and None not in shape[1:]:
            return x
        wanted = [-1 if n is None else n for n in shape]
        if wanted.count(-1) > 1:
            raise ValueError(
                f"`shape` must have at most one unknown extent. Received: "
                f"{shape}."
            )
        # Not the shape of a shape; what nothing reads is dropped at the end.
        x = self._before_reshape.get(x, x)
        if tuple(shape) == tuple(x.shape) and None not in shape[1:]:
            return x
        made = self.value(shape, x.dtype)
        self._before_reshape[made] = x
        return self.write(
            "RESHAPE",
            [x, self.constant(np.array(wanted, np.int32), "shape")],
            made,
            new_shape=wanted,
        )

    def transpose(self, x: Value, axes: Sequence[int]) -> Value:
        """See `Operations`."""
        shape = [x.shape[axis] for axis in axes]
        order = self.constant(np.array(axes, np.int32), "axes")
        return self.write("TRANSPOSE", [x, order], self.value(shape))

    # --- copies ---------------------------------------------------------------

    def concatenate(self, pieces: Sequence[Value], axis: int = -1) -> Value:
        """See `Operations`."""
        pieces = list(pieces)
        if len(pieces) == 1:
            return pieces[0]
        axis = axis % len(pieces[0].shape)
        extents = [piece.shape[axis] for piece in pieces]
        total = None if None in extents else sum(n or 0 for n in extents)
        shape = [
            total if i == axis else _known(p.shape[i] for p in pieces)
            for i in range(len(pieces[0].shape))
        ]
        return self.write(
            "CONCATENATION",
            pieces,
            self.value(shape),
            axis=axis,
            fused_activation_function="NONE",
        )

    def split(self, x: Value, widths: Sequence[int]) -> list[Value]:
        """See `Operations`."""
        # Slices lie in the delegate, however many they are; SPLIT_V doesn't.
        ends = np.cumsum(widths).tolist()
        return [
            self.cut(x, end - width, end) for end, width in zip(ends, widths)
        ]

    def cut(self, x: Value, begin: int, end: int) -> Value:
        """See `Operations`."""
        if (begin, end) == (0, x.shape[-1]):
            return x
        rank = len(x.shape)
        begins = [0] * (rank - 1) + [begin]
        sizes = [-1 if n is None else n for n in x.shape[:-1]] + [end - begin]
        return self.write(
            "SLICE",
            [
                x,
                self.constant(np.array(begins, np.int32), "begin"),
                self.constant(np.array(sizes, np.int32), "size"),
            ],
            self.value((*x.shape[:-1], end - begin)),
        )

    def gather(self, x: Value, index: Sequence[int], axis: int) -> Value:
        """See `Operations`."""
        axis = axis % len(x.shape)
        shape = list(x.shape)
        shape[axis] = len(index)
        return self.write(
            "GATHER",
            [x, self.constant(np.array(index, np.int32), "index")],
            self.value(shape),
            axis=axis,
            batch_dims=0,
        )

    def pad(self, x: Value, frame: Sequence[tuple[int, int]]) -> Value:
        """See `Operations`."""
        shape = [
            None if n is None else n + before + after
            for n, (before, after) in zip(x.shape, frame)
        ]
        pads = self.constant(np.array(frame, np.int32), "pads")
        return self.write("PAD", [x, pads], self.value(shape))

    def window(self, x: Value, spans: Sequence[slice]) -> Value:
        """See `Operations`."""
        begins, ends, strides = [], [], []
        shape: list[int | None] = []
        begin_mask = end_mask = 0
        for axis, (span, extent) in enumerate(zip(spans, x.shape)):
            step = span.step or 1
            begins.append(span.start or 0)
            ends.append(span.stop or 0)
            strides.append(step)
            begin_mask |= (span.start is None) << axis
            end_mask |= (span.stop is None) << axis
            if extent is None:
                shape.append(None)
            else:
                shape.append(len(range(*span.indices(extent))))
        vectors = [
            self.constant(np.array(vector, np.int32), name)
            for vector, name in (
                (begins, "begin"),
                (ends, "end"),
                (strides, "stride"),
            )
        ]
        return self.write(
            "STRIDED_SLICE",
            [x, *vectors],
            self.value(shape),
            begin_mask=begin_mask,
            end_mask=end_mask,
            ellipsis_mask=0,
            new_axis_mask=0,
            shrink_axis_mask=0,
        )


def size_of(shape: Sequence[int | None]) -> int | None:
    """The number of elements, `None` where it isn't known.

    Args:
        shape: The shape.
    """
    known = [n for n in shape if n is not None]
    return math.prod(known) if len(known) == len(shape) else None


def _known(extents: Iterable[int | None]) -> int | None:
    return next((n for n in extents if n is not None), None)
