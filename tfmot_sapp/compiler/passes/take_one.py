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
"""The pass `take_one`: what picks indices of an axis, as slices.

XNNPACK slices neighbouring indices only. Every second index of an axis of `n`
is one index of the second of two axes of `n / 2` and 2:

    x[:, 1::2]  =  reshape(x, [b, n / 2, 2])[:, :, 1]

and what is unpacked is sliced, index by index. Where the axis is part of the
channels, as that of queries, keys and values in one product is,

    unstack(transpose(reshape(x, [b, t, 3, h, d]), [2, 0, 3, 1, 4]))

it is cut from the channels at first: then only what is read of them need be
there.
"""

import math
from collections.abc import Sequence

from tfmot_sapp.compiler.ir.graph import Operation
from tfmot_sapp.compiler.ir.values import Shape, Value, integers_of
from tfmot_sapp.compiler.passes.rewriting import (
    HIGHEST_RANK,
    Rewriting,
    axes_of,
)


def take_one(rewriting: Rewriting, operation: Operation) -> bool:
    """Writes what picks indices of an axis.

    Args:
        rewriting: Where it is written.
        operation: The operation.

    Returns:
        Whether it was written; if not, it is none that can be.
    """
    if any(v.dtype != "float32" for v in operation.outputs):
        return False
    if operation.kind == "UNPACK":
        return _unpacked(rewriting, operation)
    if operation.kind == "STRIDED_SLICE":
        return _strided(rewriting, operation)
    return False


def _unpacked(rewriting: Rewriting, operation: Operation) -> bool:
    (x,) = operation.inputs
    if x is None or x.shape.count(None) > 1:
        return False
    if not 1 < len(x.shape) <= HIGHEST_RANK:
        return False
    axis = operation.attributes.get("axis", 0) % len(x.shape)
    if x.shape[axis] != len(operation.outputs):
        return False
    for index, output in enumerate(operation.outputs):
        if rewriting.readers.get(output) or output in rewriting.returned:
            alone = rewriting.only_read_by(x, "UNPACK")
            one = _taken(rewriting, x, axis, index, alone)
            rewriting.reshape(one, output.shape, output)
    return True


def _taken(
    rewriting: Rewriting, x: Value, axis: int, index: int, alone: bool
) -> Value:
    """One index of an axis, which the result doesn't have.

    Args:
        rewriting: Where it is written.
        x: What has the axis.
        axis: The axis.
        index: The index.
        alone: Whether nothing else is read of it.
    """
    maker = rewriting.maker(x) if alone else None
    given = maker.inputs[0] if maker is not None and maker.inputs else None
    shape = (*x.shape[:axis], *x.shape[axis + 1 :])
    axes = axes_of(maker)
    if axes is not None and given is not None:
        moved = axes[axis]
        rest = [n - (n > moved) for n in axes if n != moved]
        alone = len(rewriting.readers.get(given, [])) == 1
        one = _taken(rewriting, given, moved, index, alone)
        return rewriting.transpose(one, rest)
    if maker is not None and maker.kind == "RESHAPE" and given is not None:
        place = _factored(given.shape, x.shape, axis)
        if place is not None:
            width = (given.shape[place] or 0) // (x.shape[axis] or 1)
            begins = [0] * len(given.shape)
            begins[place] = index * width
            sizes = list(given.shape)
            sizes[place] = width
            cut = rewriting.cut(given, begins, sizes)
            return rewriting.reshape(cut, shape)
    begins = [0] * len(x.shape)
    begins[axis] = index
    cut = rewriting.cut(x, begins, (*x.shape[:axis], 1, *x.shape[axis + 1 :]))
    return rewriting.reshape(cut, shape)


def _factored(given: Shape, made: Shape, axis: int) -> int | None:
    """The axis that one of a reshaped value is the first factor of."""
    if None in made[axis:]:
        return None
    inner = math.prod(n or 1 for n in made[axis:])
    for place in range(len(given)):
        if None in given[place:]:
            continue
        whole = math.prod(n or 1 for n in given[place:]) == inner
        if whole and (given[place] or 0) % (made[axis] or 1) == 0:
            return place
    return None


def _strided(rewriting: Rewriting, operation: Operation) -> bool:
    x, *vectors = operation.inputs
    numbers = [integers_of(vector) for vector in vectors]
    options = operation.attributes
    if x is None or not x.shape:
        return False
    if any(n is None or len(n) != len(x.shape) for n in numbers):
        return False
    if 0 in x.shape:
        return False
    others = ("ellipsis_mask", "new_axis_mask", "offset")
    if any(options.get(other) for other in others):
        return False
    begins, ends, strides = (n or [] for n in numbers)
    shrunken = options.get("shrink_axis_mask", 0)
    if min(strides) < 1 or (max(strides) == 1 and not shrunken):
        return False
    spans: list[range | None] = []
    for axis, extent in enumerate(x.shape):
        first = options.get("begin_mask", 0) >> axis & 1
        last = options.get("end_mask", 0) >> axis & 1
        if extent is None:
            if not first or not last or strides[axis] > 1:
                return False
            spans.append(None)
            continue
        begin = None if first else begins[axis]
        end = None if last else ends[axis]
        if shrunken >> axis & 1:
            begin = begins[axis] % extent
            end = begin + 1
        span = slice(begin, end, strides[axis]).indices(extent)
        if len(range(*span)) > 1 and extent % span[2]:
            return False
        spans.append(range(*span))
    (output,) = operation.outputs
    cut = [n for n, span in enumerate(spans) if not _is_whole(span, x.shape[n])]
    if len(cut) == 1 and shrunken == 1 << cut[0]:
        alone = rewriting.only_read_by(x, operation.kind)
        index = begins[cut[0]] % (x.shape[cut[0]] or 1)
        one = _taken(rewriting, x, cut[0], index, alone)
        rewriting.reshape(one, output.shape, output)
        return True
    return _cut(rewriting, x, spans, output)


def _is_whole(span: range | None, extent: int | None) -> bool:
    return span is None or span == range(extent or 0)


def _cut(
    rewriting: Rewriting,
    x: Value,
    spans: Sequence[range | None],
    output: Value,
) -> bool:
    """Writes what some indices of each axis are, `None` for all of them."""
    shape: list[int | None] = []
    begins: list[int] = []
    sizes: list[int | None] = []
    for span, extent in zip(spans, x.shape):
        if span is None or extent is None:
            split, begin, size = [extent], [0], [extent]
        elif len(span) < 2 or span.step == 1:
            split, begin, size = [extent], [span.start], [len(span)]
        else:
            split = [extent // span.step, span.step]
            begin = [*divmod(span.start, span.step)]
            size = [len(span), 1]
        shape += split
        begins += begin
        sizes += size
    if len(shape) > HIGHEST_RANK or shape.count(None) > 1 or 0 in sizes:
        return False
    cut = rewriting.cut(rewriting.reshape(x, tuple(shape)), begins, sizes)
    rewriting.reshape(cut, output.shape, output)
    return True
