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
"""What the CPU's delegate doesn't take is written in what it takes."""

import numpy as np
import pytest
from litert_graphs import GraphBuilder

from tfmot_sapp.compiler.ir.evaluate import run_subgraph
from tfmot_sapp.compiler.ir.graph import Subgraph
from tfmot_sapp.compiler.ir.values import Value
from tfmot_sapp.compiler.passes.stay_inside import stay_inside
from tfmot_sapp.compiler.readers.tflite import read_tflite
from tfmot_sapp.export.tflite.packing import compare_files, packed_content
from tfmot_sapp.targets.cpu_target import CpuTarget

OUTSIDE = {"GATHER", "SELECT_V2", "STRIDED_SLICE", "UNPACK"}


class Builder(GraphBuilder):
    def strided(self, x, spans):
        """What `x[spans]` is; a number takes one index of an axis."""
        begins, ends, strides, shrunken = [], [], [], 0
        for axis, span in enumerate(spans):
            if isinstance(span, int):
                shrunken |= 1 << axis
                span = slice(span, span + 1)
            begin, end, step = span.indices(x.shape[axis])
            begins.append(begin)
            ends.append(end)
            strides.append(step)
        shape = np.empty(x.shape)[spans].shape
        return self.write(
            "STRIDED_SLICE",
            [x, self.ints(*begins), self.ints(*ends), self.ints(*strides)],
            shape,
            shrink_axis_mask=shrunken,
        )

    def unpacked(self, x, axis):
        count = x.shape[axis]
        rest = (*x.shape[:axis], *x.shape[axis + 1 :])
        first = self.write("UNPACK", [x], rest, axis=axis, num=count)
        (last,) = self.operations[-1:]
        others = [
            Value(f"{first.name}/{n}", rest, "float32") for n in range(1, count)
        ]
        last.outputs += others
        return [first, *others]

    def matmul_of(self, x, y):
        shape = (*x.shape[:-1], y.shape[-1])
        return self.write(
            "BATCH_MATMUL", [x, y], shape, adj_x=False, adj_y=False
        )

    def selected(self, mask, x, y, shape):
        return self.write("SELECT_V2", [mask, x, y], shape)

    def inside(self, *outputs):
        """The subgraph as it was, and rewritten."""
        given = Subgraph("main", self.inputs, list(outputs), self.operations)
        return given, stay_inside(given)

    def draw(self):
        drawn = []
        for value in self.inputs:
            array = self.rng.normal(size=value.shape)
            is_mask = value.dtype == "bool"
            drawn.append(array > 0 if is_mask else array.astype(np.float32))
        return drawn


def needed(subgraph):
    """The operations that outputs depend on."""
    read, kept = set(subgraph.outputs), []
    for operation in reversed(subgraph.operations):
        if read.intersection(operation.outputs):
            kept.append(operation)
            read.update(v for v in operation.inputs if v is not None)
    return kept[::-1]


def kinds(subgraph):
    return [operation.kind for operation in needed(subgraph)]


@pytest.mark.parametrize(
    "spans",
    [
        (slice(None), slice(1, None, 2), slice(0, None, 2), slice(None)),
        (slice(None), slice(2, None, 3), slice(None), slice(None)),
        (slice(None), slice(None), slice(1, 5, 4), slice(2, 7)),
        (slice(None), slice(2, 11, 4), slice(0, 5, 2), slice(None)),
        (slice(None), 2, slice(None), slice(None)),
        (1, slice(None, None, 4), slice(None), 3),
    ],
)
def test_strided_slices_are_slices_of_reshaped_values(spans):
    b = Builder()
    x = b.input(2, 12, 8, 7)
    y = b.strided(x, spans)
    before, after = b.inside(y)
    (array,) = inputs = b.draw()

    (found,) = run_subgraph(after, inputs)

    assert np.array_equal(found, array[spans])
    assert not OUTSIDE.intersection(kinds(after))
    assert before.operations[0].kind == "STRIDED_SLICE"


def test_strides_that_do_not_divide_stay():
    b = Builder()
    y = b.strided(
        b.input(1, 7, 4), (slice(None), slice(0, None, 2), slice(None))
    )

    _, after = b.inside(y)

    assert kinds(after) == ["STRIDED_SLICE"]


@pytest.mark.parametrize("as_slices", [False, True])
def test_queries_keys_and_values_are_cut_from_the_channels(as_slices):
    b = Builder()
    x = b.input(2, 5, 24)
    split = b.transpose(b.reshape(x, (2, 5, 3, 2, 4)), (2, 0, 3, 1, 4))
    if as_slices:
        rest = [slice(None)] * 4
        parts = [b.strided(split, (n, *rest)) for n in range(3)]
    else:
        parts = b.unpacked(split, 0)
    _, after = b.inside(*parts)
    (array,) = inputs = b.draw()

    found = run_subgraph(after, inputs)

    expected = array.reshape(2, 5, 3, 2, 4).transpose(2, 0, 3, 1, 4)
    assert np.array_equal(found, expected)
    assert set(kinds(after)) == {"RESHAPE", "SLICE", "TRANSPOSE"}
    assert [v.shape for op in needed(after) for v in op.outputs][0] == (2, 5, 8)


def test_what_is_read_elsewhere_too_is_unpacked_where_it_is():
    b = Builder()
    x = b.input(3, 4, 2)
    moved = b.transpose(x, (1, 0, 2))
    parts = b.unpacked(moved, 1)
    _, after = b.inside(*parts, moved)
    (array,) = inputs = b.draw()

    *found, other = run_subgraph(after, inputs)

    assert np.array_equal(other, array.transpose(1, 0, 2))
    assert np.array_equal(found, array)
    assert kinds(after).count("TRANSPOSE") == 1


@pytest.mark.parametrize("kept_first", [True, False])
def test_masks_of_two_layers_are_bounds_and_factors(kept_first):
    b = Builder()
    mask, x = b.input(1, 1, 1, 6, dtype="bool"), b.input(1, 2, 6, 6)
    low, zero = (b.constant(np.float32(n)) for n in (-1e9, 0))

    def either(value, other):
        sides = [value, other] if kept_first else [other, value]
        return b.selected(mask, *sides, x.shape)

    y = x
    for _ in range(2):
        weights = b.softmax(either(y, low))
        y = either(weights, zero)
    before, after = b.inside(y)
    inputs = b.draw()
    inputs[0][..., :2] = [True, False]

    (expected,), (found,) = (run_subgraph(s, inputs) for s in (before, after))

    assert np.array_equal(found, expected)
    made = kinds(after)
    assert made.count("SELECT_V2") == 2
    assert (made.count("MINIMUM"), made.count("MUL")) == (2, 2)
    assert "MINIMUM" not in kinds(stay_inside(before, rounded=True))


def test_selections_of_other_values_stay():
    b = Builder()
    mask, x = b.input(1, 6, dtype="bool"), b.input(4, 6)
    low, zero = (b.constant(np.float32(n)) for n in (-1e9, 0))
    scores = b.selected(mask, x, low, x.shape)
    weights = b.softmax(scores)

    # Others read the scores, and what isn't a weight may be infinite.
    _, after = b.inside(weights, scores, b.selected(mask, x, zero, x.shape))

    assert kinds(after) == ["SELECT_V2", "SOFTMAX", "SELECT_V2"]


@pytest.mark.parametrize(
    "shape,batch,shared,picked",
    [
        ((1, 4, 5, 6), 3, (1,), (7,)),
        ((2, 3, 4, 5), 3, (0, 1), (3,)),
        ((3, 4, 5, 2), 1, (0,), (2, 3)),
        ((2, 4, 5), 2, (), (6,)),
    ],
)
def test_gathers_that_heads_share_gather_rows(shape, batch, shared, picked):
    b = Builder()
    x = b.input(*shape)
    index = b.rng.integers(0, shape[batch], (*shape[:batch], *picked))
    for axis in shared:
        index = np.repeat(index.take([0], axis), shape[axis], axis)
    y = b.write(
        "GATHER",
        [x, b.constant(index.astype(np.int32))],
        (*index.shape, *shape[batch + 1 :]),
        axis=batch,
        batch_dims=batch,
    )
    _, after = b.inside(y)
    (array,) = inputs = b.draw()

    (found,) = run_subgraph(after, inputs)

    flat = array.reshape(-1, *shape[batch:])
    rows = index.reshape(len(flat), *picked)
    expected = np.stack([each[row] for each, row in zip(flat, rows)])
    assert np.array_equal(found, expected.reshape(y.shape))
    (gather,) = (op for op in needed(after) if op.kind == "GATHER")
    heads = int(np.prod([shape[n] for n in shared]))
    rest = int(np.prod(shape[batch + 1 :]))
    row = gather.outputs[0].shape[-1] if shared else rest
    assert row == heads * rest


def test_transpositions_are_joined_around_products_with_constants():
    b = Builder()
    x = b.input(2, 5, 4)
    left = b.constant(b.rng.normal(size=(2, 3, 4)).astype(np.float32))
    product = b.matmul_of(left, b.transpose(x, (0, 2, 1)))
    y = b.transpose(b.transpose(product, (0, 2, 1)), (1, 0, 2))
    _, after = b.inside(y)
    (array,) = inputs = b.draw()

    (found,) = run_subgraph(after, inputs)

    expected = (left.contents @ array.swapaxes(1, 2)).swapaxes(1, 2)
    assert np.allclose(found, expected.swapaxes(0, 1), atol=1e-6)
    assert kinds(after) == ["BATCH_MATMUL", "TRANSPOSE"]
    assert not needed(after)[0].inputs[0].is_constant


def test_a_packed_file_has_none_of_them():
    b = Builder(block=(32, 32), density=0.2)
    x = b.input(1, 16, 16, 64)
    spans = [slice(i, None, 2) for i in range(2)]
    whole = slice(None)
    corners = [b.strided(x, (whole, r, c, whole)) for r in spans for c in spans]
    rows = b.reshape(b.concat(corners), (1, 64, 256))
    split = b.reshape(b.dense(rows, 768), (1, 64, 3, 4, 64))
    query, key, value = b.unpacked(b.transpose(split, (2, 0, 3, 1, 4)), 0)
    scores = b.matmul_of(query, b.transpose(key, (0, 1, 3, 2)))
    heads = b.matmul_of(b.softmax(scores), value)
    joined = b.reshape(b.transpose(heads, (0, 2, 1, 3)), (1, 64, 256))
    content = b.file([b.dense(joined, 256)])

    packed, rows = packed_content(content, CpuTarget())

    found = {op.kind for op in read_tflite(packed).main.operations}
    assert rows
    assert not OUTSIDE.intersection(found)
    compare_files(content, packed)


def test_the_subgraph_stays_as_it_is():
    b = Builder()
    y = b.strided(b.input(1, 4, 2), (0, slice(None, None, 2), slice(None)))
    before, _ = b.inside(y)
    (operation,) = before.operations
    inputs = list(operation.inputs)

    stay_inside(before)

    assert before.operations == [operation]
    assert operation.inputs == inputs
