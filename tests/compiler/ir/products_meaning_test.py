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
"""Products, lookups and reductions compute in NumPy what they do in LiteRT."""

import numpy as np
import pytest

RANDOM = np.random.default_rng(3)


def normal(*shape):
    return RANDOM.normal(size=shape).astype(np.float32)


def ints(*numbers):
    return np.array(numbers, np.int32)


@pytest.mark.parametrize("keep", [False, True])
@pytest.mark.parametrize("bias", [False, True])
def test_fully_connected(check_meaning, keep, bias):
    check_meaning(
        "FULLY_CONNECTED",
        normal(2, 3, 7),
        normal(5, 7),
        normal(5) if bias else None,
        version=5 if keep else 1,
        keep_num_dims=keep,
        fused_activation_function="RELU",
    )


@pytest.mark.parametrize("constant", [False, True])
@pytest.mark.parametrize("adj_x,adj_y", [(0, 0), (1, 0), (0, 1)])
def test_batch_matmul(check_meaning, constant, adj_x, adj_y):
    x, y = normal(2, 3, 4, 5), normal(3, 5, 7)
    x = np.swapaxes(x, -1, -2).copy() if adj_x else x
    y = np.swapaxes(y, -1, -2).copy() if adj_y else y

    check_meaning(
        "BATCH_MATMUL",
        x,
        y,
        given=(0,) if constant else (0, 1),
        version=1,
        adj_x=bool(adj_x),
        adj_y=bool(adj_y),
    )


@pytest.mark.parametrize(
    "table,indices,axis,batch_dims",
    [
        ((9, 4), (3, 2), 0, 0),
        ((2, 9, 4), (5,), 1, 0),
        ((2, 9), (), -1, 0),
        ((2, 9, 4), (2, 3), 1, 1),
        ((2, 3, 9), (2, 3, 5), 2, 2),
        ((2, 5, 9), (2, 3), 2, 1),
    ],
)
def test_gather(check_meaning, table, indices, axis, batch_dims):
    places = RANDOM.integers(0, 9, indices).astype(np.int32)

    check_meaning(
        "GATHER",
        normal(*table),
        np.asarray(places, np.int32),
        given=(0, 1),
        axis=axis,
        batch_dims=batch_dims,
    )


def test_gather_nd(check_meaning):
    places = RANDOM.integers(0, 4, (3, 2)).astype(np.int32)

    check_meaning("GATHER_ND", normal(4, 5, 6), places, given=(0, 1))


@pytest.mark.parametrize("axis", [-1, 0, 1])
def test_one_hot(check_meaning, axis):
    check_meaning(
        "ONE_HOT",
        RANDOM.integers(-1, 5, (3, 4)).astype(np.int32),
        np.array(5, np.int32),
        np.array(2, np.float32),
        np.array(-1, np.float32),
        out="float32",
        axis=axis,
    )


@pytest.mark.parametrize(
    "kind", ["MEAN", "SUM", "REDUCE_MAX", "REDUCE_MIN", "REDUCE_PROD"]
)
@pytest.mark.parametrize("axes", [(1, 2), (-1,), (0, -4)])
@pytest.mark.parametrize("keep", [False, True])
def test_reduction(check_meaning, kind, axes, keep):
    check_meaning(kind, normal(2, 3, 5, 7), ints(*axes), keep_dims=keep)


@pytest.mark.parametrize("kind", ["REDUCE_ALL", "REDUCE_ANY"])
def test_reduction_of_conditions(check_meaning, kind):
    check_meaning(kind, RANDOM.random((9, 3)) > 0.4, ints(1))


@pytest.mark.parametrize("kind", ["ARG_MAX", "ARG_MIN"])
def test_arg_extreme(check_meaning, kind):
    check_meaning(kind, normal(5, 7), ints(1), out="int32", output_type="int32")


@pytest.mark.parametrize("exclusive", [False, True])
@pytest.mark.parametrize("reverse", [False, True])
def test_cumsum(check_meaning, exclusive, reverse):
    check_meaning(
        "CUMSUM",
        normal(3, 6),
        np.array(1, np.int32),
        exclusive=exclusive,
        reverse=reverse,
    )


def test_l2_normalization(check_meaning):
    check_meaning("L2_NORMALIZATION", normal(4, 9))
