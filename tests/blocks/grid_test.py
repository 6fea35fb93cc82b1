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
"""Grids against naive loops: ragged edges, ranks 1 to 5."""

import itertools

import numpy as np
import pytest
import tensorflow as tf

import tfmot_sapp as sapp
from tfmot_sapp.blocks import grid as block_grid
from tfmot_sapp.blocks import trained_products
from tfmot_sapp.blocks.grid import BlockGrid

CASES = [
    ((7,), (3,)),
    ((6,), (2,)),
    ((5, 9), (2, 4)),
    ((8, 8), (4, 2)),
    ((3, 3), (10, 10)),
    ((17, 1), (8, 8)),
    ((3, 5, 7), (3, 2, 3)),
    ((2, 3, 5, 6), (2, 3, 2, 4)),
    ((2, 3, 5, 6), (1, 1, 2, 4)),
    ((2, 2, 2, 5, 6), (2, 2, 2, 3, 6)),
]


def cell_slices(grid):
    """Yields each block's index in the grid and its slice of the kernel."""
    for cell in itertools.product(*map(range, grid.cells)):
        yield (
            cell,
            tuple(
                slice(i * extent, min((i + 1) * extent, length))
                for i, extent, length in zip(cell, grid.block, grid.view)
            ),
        )


@pytest.mark.parametrize("shape, block", CASES)
def test_sums_match_a_loop_over_blocks(shape, block):
    grid = BlockGrid.over(shape, block)
    values = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    expected = np.zeros(grid.cells, np.float32)
    for cell, part in cell_slices(grid):
        expected[cell] = values[part].sum()

    np.testing.assert_allclose(
        block_grid.block_reduce(values, grid), expected, rtol=1e-4, atol=1e-5
    )
    np.testing.assert_allclose(
        block_grid.block_sum(tf.constant(values), grid),
        expected,
        rtol=1e-4,
        atol=1e-5,
    )


@pytest.mark.parametrize("shape, block", CASES)
@pytest.mark.parametrize(
    "scale",
    [block_grid.scale, trained_products.scale_trained],
    ids=lambda f: f.__name__,
)
def test_scaling_and_its_gradient_match_a_loop(shape, block, scale):
    grid = BlockGrid.over(shape, block)
    rng = np.random.default_rng(1)
    kernel = rng.normal(size=shape).astype(np.float32)
    factor = rng.normal(size=grid.cells).astype(np.float32)
    upstream = rng.normal(size=shape).astype(np.float32)
    spread = np.zeros(shape, np.float32)
    of_factor = np.zeros(grid.cells, np.float32)
    for cell, part in cell_slices(grid):
        spread[part] = factor[cell]
        of_factor[cell] = (upstream[part] * kernel[part]).sum()

    with tf.GradientTape() as tape:
        variables = tf.constant(kernel), tf.constant(factor)
        tape.watch(variables)
        scaled = scale(*variables, grid)
    gradients = tape.gradient(scaled, variables, tf.constant(upstream))

    np.testing.assert_array_equal(scaled, kernel * spread)
    np.testing.assert_array_equal(gradients[0], upstream * spread)
    np.testing.assert_allclose(gradients[1], of_factor, rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(block_grid.expand(factor, grid), spread)


@pytest.mark.parametrize("elementwise", [False, True])
@pytest.mark.parametrize("alpha", [1.5, 2.0, 3.0])
@pytest.mark.parametrize("shape, block", CASES)
def test_powers_and_their_gradients_match_plain_ones(
    shape, block, alpha, elementwise
):
    """The products of training beside those that TensorFlow differentiates."""
    grid = BlockGrid.over(shape, block)
    rng = np.random.default_rng(2)
    kernel = rng.normal(size=shape).astype(np.float32)
    mask = (rng.random(grid.cells) < 0.7).astype(np.float32)
    kernel[next(cell_slices(grid))[1]] = 0
    upstream = tf.constant(rng.normal(size=shape), tf.float32)
    scorer = sapp.PowerPropagation(alpha, elementwise)

    found = {}
    for training in (False, True):
        with tf.GradientTape() as tape:
            variable = tf.constant(kernel)
            tape.watch(variable)
            product = scorer.effective_kernel(
                variable, tf.constant(mask), {}, grid, 0.5, training
            )
        found[training] = product, tape.gradient(product, variable, upstream)

    for mine, plain in zip(found[True], found[False]):
        np.testing.assert_allclose(mine, plain, rtol=1e-4, atol=1e-5)
        assert np.all(np.isfinite(mine))


@pytest.mark.parametrize("shape, block", CASES)
def test_gradients_are_shown_block_by_block(shape, block):
    grid = BlockGrid.over(shape, block)
    rng = np.random.default_rng(3)
    kernel = tf.constant(rng.normal(size=shape), tf.float32)
    upstream = rng.normal(size=shape).astype(np.float32)
    seen = []

    with tf.GradientTape() as tape:
        tape.watch(kernel)
        shown = trained_products.watched(kernel, grid, seen.append)
        shown = trained_products.watched_gradient(shown, grid, seen.append)
    gradient = tape.gradient(shown, kernel, tf.constant(upstream))

    np.testing.assert_array_equal(gradient, upstream)
    for cell, part in cell_slices(grid):
        np.testing.assert_allclose(
            seen[0][cell], np.sum(upstream[part] ** 2), rtol=1e-4
        )
        np.testing.assert_allclose(
            seen[1][cell],
            np.sum(upstream[part] * kernel.numpy()[part]),
            rtol=1e-4,
            atol=1e-5,
        )


@pytest.mark.parametrize("shape, block", CASES)
def test_block_weights_count_what_blocks_hold(shape, block):
    grid = BlockGrid.over(shape, block)

    assert grid.num_weights == np.prod(shape)
    np.testing.assert_array_equal(
        grid.block_weights(), block_grid.block_reduce(np.ones(shape, int), grid)
    )


def test_a_view_cuts_merged_axes():
    grid = BlockGrid.over((6, 2, 4), (3, 4), view=(6, 8))

    assert grid.cells == (2, 2)
    mask = block_grid.expand(np.array([[1, 0], [0, 1]]), grid)
    assert mask.shape == (6, 2, 4)
    np.testing.assert_array_equal(mask[:3, 0], 1)
    np.testing.assert_array_equal(mask[:3, 1], 0)


def test_a_view_of_another_size_is_refused():
    with pytest.raises(ValueError, match="`view`"):
        BlockGrid.over((6, 2, 4), (3, 4), view=(6, 9))
