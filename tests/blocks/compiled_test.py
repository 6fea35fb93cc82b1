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
"""Compiled functions of kernels: few, quiet, callable anywhere."""

import numpy as np
import tensorflow as tf

import tfmot_sapp as sapp
from tfmot_sapp.blocks import compiled
from tfmot_sapp.blocks.compiled import run_compiled
from tfmot_sapp.blocks.grid import BlockGrid
from tfmot_sapp.blocks.norms import block_norm
from tfmot_sapp.blocks.trained_products import scale_trained


def test_the_number_of_programs_is_bounded(monkeypatch):
    assert compiled._program.cache_info().maxsize == compiled._MOST_PROGRAMS


def test_many_kernels_make_no_warning(caplog, capfd):
    """TensorFlow warns of functions that are traced again and again."""
    for width in range(4, 16):
        kernel = np.arange(2.0 * width, dtype=np.float32).reshape(2, width)
        grid = BlockGrid.over(kernel.shape, (2, 2))
        factor = tf.ones(grid.cells)
        with tf.GradientTape() as tape:
            tape.watch(factor)
            product = scale_trained(tf.constant(kernel), factor, grid)
        tape.gradient(product, factor)
        run_compiled(block_norm, (tf.constant(kernel),), grid, 2.0)

    assert "retracing" not in caplog.text
    assert "retracing" not in capfd.readouterr().err


def test_programs_of_one_graph_serve_others():
    grid = BlockGrid.over((4, 6), (2, 3))
    kernel = tf.reshape(tf.range(24.0), (4, 6))

    def norm():
        return run_compiled(block_norm, (kernel,), grid, 3.0)

    found = [tf.function(norm)(), norm(), tf.function(norm)()]

    expected = [
        [
            np.sum(np.abs(kernel[i : i + 2, j : j + 3]) ** 3.0) ** (1 / 3)
            for j in (0, 3)
        ]
        for i in (0, 2)
    ]
    for value in found:
        np.testing.assert_allclose(value, expected, rtol=1e-5)


def test_sparse_gradients_are_made_dense():
    grid = BlockGrid.over((4, 2), (2, 2))
    rows = tf.IndexedSlices(
        tf.constant([[3.0, 0.0], [4.0, 0.0]]),
        tf.constant([0, 1]),
        tf.constant([4, 2]),
    )

    np.testing.assert_allclose(
        run_compiled(block_norm, (rows,), grid, 2.0), [[5.0], [0.0]]
    )


def test_scores_of_many_layers_make_no_warning(keras, caplog):
    widths = range(8, 20)
    model = keras.Sequential(
        [keras.Input((8,)), *(keras.layers.Dense(width) for width in widths)]
    )
    model = sapp.prune_blocks(
        model,
        sapp.ConstantSparsity(0.5, 0),
        (4, 4),
        sapp.Magnitude(),
        pruning_policy=sapp.MinimumBlocks(1),
    )
    pruning = sapp.UpdatePruningStep()
    pruning.set_model(model)
    pruning.on_train_begin()
    pruning.on_train_end()

    assert "retracing" not in caplog.text
