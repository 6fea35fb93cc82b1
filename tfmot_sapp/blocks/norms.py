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
"""Norms of the blocks of a kernel, differentiable."""

import math

import tensorflow as tf

from tfmot_sapp.blocks.grid import BlockGrid, block_max, block_sum


def block_norm_squared(kernel: tf.Tensor, grid: BlockGrid) -> tf.Tensor:
    """Returns the sum of squares of each block, differentiable at zero too.

    Args:
        kernel: Tensor with `grid.shape`.
        grid: A `BlockGrid`.

    Returns:
        Tensor of shape `grid.cells`.
    """
    return block_sum(tf.square(kernel), grid)


def block_norm(
    kernel: tf.Tensor, grid: BlockGrid, order: float = 2.0
) -> tf.Tensor:
    """Returns the norm of each block of a kernel, differentiable.

    Args:
        kernel: Tensor with `grid.shape`.
        grid: A `BlockGrid`.
        order: Order of the norm, at least 1; `math.inf` is the largest.

    Returns:
        Tensor of shape `grid.cells`.
    """
    if order == math.inf:
        return block_max(tf.abs(kernel), grid)
    if order == 2.0:
        return tf.sqrt(block_norm_squared(kernel, grid))
    return block_sum(tf.abs(kernel) ** order, grid) ** (1.0 / order)
