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
"""Convolutions and pooling compute in NumPy what they do in LiteRT."""

import numpy as np
import pytest

RANDOM = np.random.default_rng(0)


def normal(*shape):
    return RANDOM.normal(size=shape).astype(np.float32)


WINDOWS = [
    {"stride_h": 1, "stride_w": 1},
    {"stride_h": 2, "stride_w": 3},
    {"dilation_h_factor": 2, "dilation_w_factor": 3},
]
ACTIVATIONS = ["NONE", "RELU", "RELU6", "RELU_N1_TO_1"]


def window(options):
    return {"stride_h": 1, "stride_w": 1, **options}


@pytest.mark.parametrize("padding", ["SAME", "VALID"])
@pytest.mark.parametrize("options", WINDOWS)
@pytest.mark.parametrize("taps", [(1, 1), (3, 3), (2, 5)])
def test_conv_2d(check_meaning, padding, options, taps):
    x, kernel = normal(2, 11, 13, 5), normal(7, *taps, 5)

    check_meaning(
        "CONV_2D", x, kernel, normal(7), padding=padding, **window(options)
    )


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_conv_2d_with_activation(check_meaning, activation):
    check_meaning(
        "CONV_2D",
        3 * normal(1, 6, 5, 4),
        normal(3, 2, 2, 4),
        normal(3),
        fused_activation_function=activation,
        **window({}),
    )


def test_conv_2d_in_groups(check_meaning):
    x, kernel = normal(1, 7, 6, 12), normal(9, 3, 3, 4)

    check_meaning("CONV_2D", x, kernel, normal(9), **window({}))


def test_conv_2d_without_bias_of_a_kernel_that_is_given(check_meaning):
    x, kernel = normal(1, 4, 4, 3), normal(2, 3, 3, 3)

    check_meaning("CONV_2D", x, kernel, normal(2), given=(0, 1), **window({}))


@pytest.mark.parametrize("padding", ["SAME", "VALID"])
@pytest.mark.parametrize("options", WINDOWS)
@pytest.mark.parametrize("multiplier", [1, 3])
def test_depthwise_conv_2d(check_meaning, padding, options, multiplier):
    x, kernel = normal(2, 10, 9, 4), normal(1, 3, 3, 4 * multiplier)

    check_meaning(
        "DEPTHWISE_CONV_2D",
        x,
        kernel,
        normal(4 * multiplier),
        depth_multiplier=multiplier,
        padding=padding,
        fused_activation_function="RELU6",
        **window(options),
    )


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize(
    "padding,strides,taps,extents",
    [
        ("SAME", (2, 2), (3, 3), (8, 10)),
        ("SAME", (1, 1), (3, 2), (4, 5)),
        ("SAME", (3, 2), (2, 2), (11, 9)),
        ("VALID", (2, 2), (3, 3), (9, 11)),
        ("VALID", (1, 2), (2, 4), (5, 12)),
        ("VALID", (3, 3), (2, 2), (11, 14)),
    ],
)
def test_transpose_conv(check_meaning, padding, strides, taps, extents, bias):
    size = 1 if padding == "SAME" else 0
    rows, columns = (
        -(-extent // stride) if size else (extent - tap) // stride + 1
        for extent, stride, tap in zip(extents, strides, taps)
    )
    arrays = [
        np.array([2, *extents, 5], np.int32),
        normal(5, *taps, 3),
        normal(2, rows, columns, 3),
    ]

    check_meaning(
        "TRANSPOSE_CONV",
        *arrays,
        *[normal(5)] * bias,
        given=(2,),
        version=3 if bias else 1,
        padding=padding,
        stride_h=strides[0],
        stride_w=strides[1],
    )


@pytest.mark.parametrize("kind", ["AVERAGE_POOL_2D", "MAX_POOL_2D"])
@pytest.mark.parametrize("padding", ["SAME", "VALID"])
@pytest.mark.parametrize("strides,taps", [((2, 2), (3, 3)), ((1, 3), (2, 5))])
def test_pooling(check_meaning, kind, padding, strides, taps):
    check_meaning(
        kind,
        normal(2, 9, 11, 3) - 2,
        padding=padding,
        stride_h=strides[0],
        stride_w=strides[1],
        filter_height=taps[0],
        filter_width=taps[1],
        fused_activation_function="RELU_N1_TO_1",
    )


def test_l2_pooling(check_meaning):
    check_meaning(
        "L2_POOL_2D",
        normal(1, 7, 7, 2),
        padding="SAME",
        stride_h=2,
        stride_w=2,
        filter_height=3,
        filter_width=3,
    )
