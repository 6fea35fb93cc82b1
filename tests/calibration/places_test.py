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
"""Rows read at places give what the layer gives there."""

import numpy as np
import pytest

from tfmot_sapp.calibration.places import (
    from_matrix,
    places_of,
    to_matrix,
    why_no_rows,
)
from tfmot_sapp.frameworks.kernels import find_kernels


def layers_of(keras):
    layers = keras.layers
    return {
        "dense": (layers.Dense(5), (2, 4, 6)),
        "flat": (layers.Dense(5), (2, 6)),
        "conv1d": (layers.Conv1D(5, 3, dilation_rate=2), (2, 11, 4)),
        "causal": (layers.Conv1D(5, 3, padding="causal"), (2, 7, 4)),
        "strided": (
            layers.Conv2D(5, (3, 2), strides=2, padding="same"),
            (2, 8, 7, 3),
        ),
        "valid": (layers.Conv2D(4, 3), (2, 6, 5, 3)),
        "conv3d": (layers.Conv3D(4, 2, padding="same"), (2, 3, 4, 3, 2)),
        "heads": (
            layers.EinsumDense("abc,cde->abde", (None, 2, 3)),
            (2, 5, 4),
        ),
        "merge": (
            layers.EinsumDense("abde,dec->abc", (None, 7)),
            (2, 5, 2, 3),
        ),
        "ellipsis": (
            layers.EinsumDense("...x,xy->...y", 7),
            (2, 5, 4),
        ),
    }


NAMES = [
    "dense",
    "flat",
    "conv1d",
    "causal",
    "strided",
    "valid",
    "conv3d",
    "heads",
    "merge",
    "ellipsis",
]


@pytest.mark.parametrize("name", NAMES)
def test_rows_times_the_matrix_are_the_outputs(keras, name):
    layer, shape = layers_of(keras)[name]
    rng = np.random.default_rng(0)
    inputs = rng.normal(size=shape).astype(np.float32)
    outputs = np.asarray(layer(inputs))
    (kernel,) = find_kernels(layer)
    places = places_of(kernel, shape)
    at = np.stack([rng.permutation(places.count)[:3] for _ in range(2)])

    rows = places.rows(inputs, at)

    matrix = to_matrix(np.asarray(kernel.variable), kernel)
    np.testing.assert_allclose(
        rows @ matrix, places.outputs(outputs, at), atol=1e-5
    )
    np.testing.assert_array_equal(
        from_matrix(matrix, kernel), np.asarray(kernel.variable)
    )
    assert why_no_rows(kernel) is None


def test_what_cannot_be_read_says_why(keras):
    layer = keras.layers.Conv2DTranspose(4, 3)
    layer.build((None, 5, 5, 3))
    grouped = keras.layers.Conv2D(4, 3, groups=2)
    grouped.build((None, 5, 5, 4))

    assert "overlap" in why_no_rows(find_kernels(layer)[0])
    assert "groups" in why_no_rows(find_kernels(grouped)[0])


@pytest.mark.parametrize("name", ["dense", "heads", "merge", "ellipsis"])
def test_masked_places_are_those_of_masked_positions(keras, name):
    layer, shape = layers_of(keras)[name]
    inputs = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    mask = np.arange(shape[1]) < np.array([[shape[1] - 2], [1]])
    marked = np.where(
        mask.reshape(mask.shape + (1,) * (inputs.ndim - 2)), inputs, 7
    )
    layer(inputs)
    (kernel,) = find_kernels(layer)
    places = places_of(kernel, shape)
    at = np.tile(np.arange(places.count), (2, 1))

    visible = places.visible(mask)

    rows = places.rows(marked.astype(np.float32), at)
    np.testing.assert_array_equal(~(rows == 7).all(axis=1), visible.ravel())


def test_masks_that_say_nothing_of_places(keras):
    layer, shape = layers_of(keras)["conv1d"]
    layer(np.zeros(shape, np.float32))

    places = places_of(find_kernels(layer)[0], shape)

    assert places.visible(np.ones(shape[:2], bool)) is None
