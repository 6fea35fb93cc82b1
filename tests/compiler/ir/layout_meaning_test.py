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
"""Operations that move elements do in NumPy what they do in LiteRT."""

import numpy as np
import pytest

RANDOM = np.random.default_rng(2)


def normal(*shape):
    return RANDOM.normal(size=shape).astype(np.float32)


def ints(*numbers):
    return np.array(numbers, np.int32)


def test_reshape(check_meaning):
    check_meaning("RESHAPE", normal(2, 6, 5), ints(3, -1), new_shape=(3, -1))


def test_reshape_to_the_shape_in_its_options(check_meaning):
    check_meaning("RESHAPE", normal(2, 6), new_shape=(3, 4))


def test_reshape_to_a_scalar(check_meaning):
    check_meaning("RESHAPE", normal(1, 1), np.zeros(0, np.int32))


def test_transpose(check_meaning):
    check_meaning("TRANSPOSE", normal(2, 3, 5, 7), ints(3, 1, 0, 2))


@pytest.mark.parametrize("axis", [0, 2, -1])
def test_expand_dims(check_meaning, axis):
    check_meaning("EXPAND_DIMS", normal(2, 3), ints(axis))


@pytest.mark.parametrize("axes", [(), (1,), (-1, 1)])
def test_squeeze(check_meaning, axes):
    check_meaning("SQUEEZE", normal(2, 1, 3, 1), squeeze_dims=axes)


@pytest.mark.parametrize("axis", [0, 1, -1])
def test_concatenation(check_meaning, axis):
    shapes = [[2, 3, 4], [2, 3, 4], [2, 3, 4]]
    shapes[1][axis] = 7
    arrays = [normal(*shape) for shape in shapes]

    check_meaning(
        "CONCATENATION",
        *arrays,
        given=(0, 2),
        axis=axis,
    )


@pytest.mark.parametrize("axis", [1, -1])
def test_split(check_meaning, axis):
    x = normal(2, 6, 9)

    check_meaning("SPLIT", ints(axis), x, given=(1,), count=3, num_splits=3)


@pytest.mark.parametrize("sizes", [(1, 4, 2), (3, -1, 1)])
def test_split_v(check_meaning, sizes):
    check_meaning(
        "SPLIT_V",
        normal(3, 7),
        ints(*sizes),
        ints(1),
        count=3,
        num_splits=3,
    )


def test_slice(check_meaning):
    check_meaning("SLICE", normal(5, 6, 7), ints(1, 0, 3), ints(3, -1, 2))


@pytest.mark.parametrize(
    "begin,end,strides,masks",
    [
        ((1, 0, 2), (4, 3, 7), (1, 2, 3), {}),
        ((-1, 0, 0), (0, 5, 7), (-1, 1, 1), {"end_mask": 1}),
        ((0, 2), (9, 3), (1, 1), {"shrink_axis_mask": 2, "end_mask": 1}),
        ((0, 1), (0, 3), (1, 1), {"ellipsis_mask": 1}),
        ((0, 0, 1), (0, 5, 3), (1, 1, 1), {"new_axis_mask": 1}),
        ((-100, -2, 0), (100, 100, -1), (1, 1, 2), {"begin_mask": 2}),
    ],
)  # fmt: skip
def test_strided_slice(check_meaning, begin, end, strides, masks):
    check_meaning(
        "STRIDED_SLICE",
        normal(5, 6, 7),
        ints(*begin),
        ints(*end),
        ints(*strides),
        **masks,
    )


@pytest.mark.parametrize("axis", [0, 1, -1])
def test_pack(check_meaning, axis):
    arrays = [normal(3, 4) for _ in range(3)]

    check_meaning("PACK", *arrays, given=(0, 1, 2), axis=axis, values_count=3)


@pytest.mark.parametrize("axis", [0, -1])
def test_unpack(check_meaning, axis):
    check_meaning("UNPACK", normal(3, 4, 3), count=3, axis=axis, num=3)


def test_tile(check_meaning):
    check_meaning("TILE", normal(2, 3), ints(3, 2))


def test_broadcast_to(check_meaning):
    check_meaning("BROADCAST_TO", normal(3, 1), ints(2, 3, 4))


def test_reverse(check_meaning):
    check_meaning("REVERSE_V2", normal(3, 4, 5), ints(1))


PADS = np.array([[0, 1], [2, 1], [1, 2]], np.int32)


def test_pad(check_meaning):
    check_meaning("PAD", normal(2, 3, 4), PADS)


def test_pad_with_a_number(check_meaning):
    fill = np.array([-3], np.float32)

    check_meaning("PADV2", normal(2, 3, 4), PADS, fill)


@pytest.mark.parametrize("mode", ["REFLECT", "SYMMETRIC"])
def test_mirror_pad(check_meaning, mode):
    check_meaning("MIRROR_PAD", normal(2, 3, 4), PADS, mode=mode)


@pytest.mark.parametrize("dtype", ["int32", "int64"])
def test_shape(check_meaning, dtype):
    check_meaning("SHAPE", normal(2, 5, 3), out=dtype, out_type=dtype)


def test_rank(check_meaning):
    check_meaning("RANK", normal(2, 5, 3), out="int32")


def test_fill(check_meaning):
    element = np.array(2.5, np.float32)

    check_meaning("FILL", ints(3, 4), element, out="float32")


@pytest.mark.parametrize("bounds", [(2, 11, 4), (7, -4, -3), (3, 4, 1)])
def test_range(check_meaning, bounds):
    arrays = [np.array(bound, np.int32) for bound in bounds]

    check_meaning("RANGE", *arrays, given=(0, 1, 2))


def test_range_of_floats(check_meaning):
    arrays = [np.array(bound, np.float32) for bound in (0, 1, 0.3)]

    check_meaning("RANGE", *arrays, given=(0, 1, 2))
