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
"""Operations on elements compute in NumPy what they do in LiteRT."""

import numpy as np
import pytest

RANDOM = np.random.default_rng(1)


def normal(*shape):
    return RANDOM.normal(size=shape).astype(np.float32)


def integers(*shape, low=-9, high=9, dtype=np.int32):
    return RANDOM.integers(low, high, shape).astype(dtype)


@pytest.mark.parametrize(
    "kind",
    [
        "ABS", "CEIL", "COS", "EXP", "FLOOR", "NEG", "ROUND", "SIGN", "SIN",
        "SQUARE", "ZEROS_LIKE", "ELU", "HARD_SWISH", "LOGISTIC", "RELU",
        "RELU6", "RELU_0_TO_1", "RELU_N1_TO_1", "TANH",
    ],
)  # fmt: skip
def test_unary(check_meaning, kind):
    check_meaning(kind, 4 * normal(3, 17))


@pytest.mark.parametrize("kind", ["LOG", "RSQRT", "SQRT"])
def test_unary_of_what_is_positive(check_meaning, kind):
    check_meaning(kind, np.abs(normal(2, 3, 5)) + np.float32(0.01))


def test_halves_are_rounded_to_even(check_meaning):
    check_meaning("ROUND", np.array([-2.5, -0.5, 0.5, 1.5, 2.5], np.float32))


@pytest.mark.parametrize("approximate", [False, True])
def test_gelu(check_meaning, approximate):
    check_meaning("GELU", 2 * normal(7, 9), approximate=approximate)


def test_leaky_relu(check_meaning):
    check_meaning("LEAKY_RELU", normal(5, 7), alpha=0.2)


def test_prelu(check_meaning):
    check_meaning("PRELU", normal(1, 3, 4, 5), normal(1, 1, 5))


SHAPES = [((2, 3, 5), (2, 3, 5)), ((2, 3, 5), (5,)), ((4, 1, 3), (1, 6, 1))]


@pytest.mark.parametrize("kind", ["ADD", "SUB", "MUL", "DIV"])
@pytest.mark.parametrize("shapes", SHAPES)
@pytest.mark.parametrize("activation", ["NONE", "RELU6"])
def test_arithmetic(check_meaning, kind, shapes, activation):
    x, y = normal(*shapes[0]), np.abs(normal(*shapes[1])) + np.float32(0.5)

    check_meaning(
        kind, x, y, given=(0, 1), fused_activation_function=activation
    )


@pytest.mark.parametrize("kind", ["ADD", "SUB", "MUL", "DIV"])
def test_arithmetic_of_integers(check_meaning, kind):
    y = integers(4, 5, low=1)

    check_meaning(kind, integers(4, 5), y, given=(0, 1))


@pytest.mark.parametrize(
    "kind", ["MAXIMUM", "MINIMUM", "SQUARED_DIFFERENCE", "FLOOR_DIV"]
)
@pytest.mark.parametrize("shapes", SHAPES)
def test_binary(check_meaning, kind, shapes):
    check_meaning(kind, *[normal(*shape) for shape in shapes], given=(0, 1))


@pytest.mark.parametrize("kind", ["FLOOR_DIV", "FLOOR_MOD"])
def test_division_of_integers_rounds_down(check_meaning, kind):
    y = integers(30, low=1) * np.where(integers(30) < 0, -1, 1)

    check_meaning(kind, integers(30), y.astype(np.int32), given=(0, 1))


def test_power(check_meaning):
    check_meaning("POW", np.abs(normal(3, 4)), normal(3, 4), given=(0, 1))


@pytest.mark.parametrize(
    "kind",
    ["EQUAL", "NOT_EQUAL", "LESS", "LESS_EQUAL", "GREATER", "GREATER_EQUAL"],
)
@pytest.mark.parametrize("dtype", [np.float32, np.int32, np.int64])
def test_comparison(check_meaning, kind, dtype):
    x, y = integers(3, 8, dtype=dtype), integers(8, dtype=dtype)

    check_meaning(kind, x, y, given=(0, 1), out="bool")


@pytest.mark.parametrize("kind", ["LOGICAL_AND", "LOGICAL_OR"])
def test_logic(check_meaning, kind):
    check_meaning(kind, integers(9) > 0, integers(9) > 0, given=(0, 1))


def test_logical_not(check_meaning):
    check_meaning("LOGICAL_NOT", integers(9) > 0)


def test_select_of_rows(check_meaning):
    check_meaning(
        "SELECT",
        integers(4) > 0,
        normal(4, 3),
        normal(4, 3),
        given=(0, 1, 2),
        out="float32",
    )


def test_select_broadcasts(check_meaning):
    check_meaning(
        "SELECT_V2",
        integers(4, 1) > 0,
        normal(4, 3),
        normal(3),
        given=(0, 1, 2),
        out="float32",
    )


@pytest.mark.parametrize(
    "source,target",
    [
        (np.float32, "int32"),
        (np.int32, "float32"),
        (np.int32, "int64"),
        (np.float32, "bool"),
        (np.bool_, "float32"),
        (np.float32, "float16"),
    ],
)
def test_cast(check_meaning, source, target):
    check_meaning(
        "CAST",
        (5 * normal(3, 7)).astype(source),
        out=target,
        in_data_type=np.dtype(source).name,
        out_data_type=target,
    )


def test_softmax(check_meaning):
    check_meaning("SOFTMAX", 30 * normal(3, 4, 7), beta=0.5)


def test_log_softmax(check_meaning):
    check_meaning("LOG_SOFTMAX", 5 * normal(6, 7))
