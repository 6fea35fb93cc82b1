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
"""Products over blocks inside a training step, with gradients of their own.

They give what automatic differentiation of `scale` and `block_sum` in `grid.py`
would. A training step of a small network is short of memory bandwidth, so what
counts is how often these walk through the kernel, and how many tensors of its
size they ask for.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

import tensorflow as tf

from tfmot_sapp.blocks.compiled import run_compiled
from tfmot_sapp.blocks.grid import BlockGrid, block_sum, repeat_along, scale

# Keeps the powers of norms, and their derivatives, finite at zero.
TINY = 1e-30


def scale_trained(
    kernel: tf.Tensor, factor: tf.Tensor, grid: BlockGrid
) -> tf.Tensor:
    """The same as `scale`, for factors that are trained.

    A training step is short of memory bandwidth, so what this costs is the
    number of times it walks through the kernel and the tensors of the kernel's
    size that it asks for. It is three walks and one such tensor: the product is
    compiled, so that factors spread along one axis only; the gradient of the
    factors, a sum of products over blocks, is compiled to read the kernel once;
    and it is computed first, so that the gradient of the kernel may then
    overwrite what it was computed from (`benchmarks/training/overhead.py`).

    Args:
        kernel: Tensor with `grid.shape`.
        factor: Tensor of shape `grid.cells`, of the kernel's dtype.
        grid: A `BlockGrid`.

    Returns:
        Tensor with the kernel's shape and dtype.
    """

    @tf.custom_gradient
    def scaled(
        kernel: tf.Tensor, factor: tf.Tensor
    ) -> tuple[tf.Tensor, Callable[..., Any]]:
        def gradient(upstream: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            sums = run_compiled(_sum_of_products, (upstream, kernel), grid)
            with tf.control_dependencies([sums]):
                return scale(upstream, factor, grid), sums

        return run_compiled(_scale_rows, (kernel, factor), grid), gradient

    return scaled(kernel, factor)


def watched(
    kernel: tf.Tensor,
    grid: BlockGrid,
    observe: Callable[[tf.Tensor], None],
) -> tf.Tensor:
    """Returns the kernel, and shows what its gradient does to each block.

    Args:
        kernel: Tensor with `grid.shape`.
        grid: A `BlockGrid`.
        observe: Called while the gradient is computed, with the sum over each
            block of weight times gradient, a tensor of shape `grid.cells`.

    Returns:
        `kernel`.
    """

    def look(upstream: tf.Tensor) -> None:
        observe(run_compiled(_sum_of_products, (upstream, kernel), grid))

    return _shown(kernel, look)


def watched_gradient(
    kernel: tf.Tensor,
    grid: BlockGrid,
    observe: Callable[[tf.Tensor], None],
) -> tf.Tensor:
    """Returns the kernel, and shows how large its gradient is in each block.

    Args:
        kernel: Tensor with `grid.shape`.
        grid: A `BlockGrid`.
        observe: Called while the gradient is computed, with its squared norm
            in each block, a tensor of shape `grid.cells`.

    Returns:
        `kernel`.
    """

    def look(upstream: tf.Tensor) -> None:
        observe(run_compiled(_sum_of_products, (upstream, upstream), grid))

    return _shown(kernel, look)


def _shown(kernel: tf.Tensor, look: Callable[[tf.Tensor], None]) -> tf.Tensor:
    """Returns the kernel, and shows its gradient while it is computed."""

    @tf.custom_gradient
    def identity(kernel: tf.Tensor) -> tuple[tf.Tensor, Callable[..., Any]]:
        def gradient(upstream: tf.Tensor) -> tf.Tensor:
            look(upstream)
            return upstream

        return tf.identity(kernel), gradient

    return identity(kernel)


def _sum_of_products(
    left: tf.Tensor, right: tf.Tensor, grid: BlockGrid
) -> tf.Tensor:
    return block_sum(left * right, grid)


def _scale_rows(
    kernel: tf.Tensor, factor: tf.Tensor, grid: BlockGrid
) -> tf.Tensor:
    """Returns what `scale` does, with the factors of a row laid out in full.

    A processor multiplies two rows faster than it looks up the factor of every
    short run of a row.
    """
    last = len(grid.view) - 1
    rows = dataclasses.replace(grid, block=(*grid.block[:last], 1))
    factor = repeat_along(factor, last, grid.block[last], grid.view[last])
    return scale(kernel, factor, rows)


def scale_by_norm(
    kernel: tf.Tensor, mask: tf.Tensor, grid: BlockGrid, exponent: float
) -> tf.Tensor:
    """Multiplies every block by a power of its own norm, and by its mask.

    The gradient of `f(||W||^2) W` is `f g + 2 f' (g . W) W`, with `g` what
    comes from above: two factors per block, put together in one walk.

    Args:
        kernel: Tensor with `grid.shape`.
        mask: Tensor of shape `grid.cells`, of the kernel's dtype.
        grid: A `BlockGrid`.
        exponent: Power of the Frobenius norm.

    Returns:
        Tensor with the kernel's shape and dtype. A block of zeros stays one.
    """

    @tf.custom_gradient
    def scaled(
        kernel: tf.Tensor, mask: tf.Tensor
    ) -> tuple[tf.Tensor, Callable[..., Any]]:
        squared = run_compiled(_sum_of_products, (kernel, kernel), grid)
        bounded = tf.maximum(squared, tf.constant(TINY, kernel.dtype))
        factor = mask * tf.where(squared > 0, bounded ** (exponent / 2), 0)

        def gradient(upstream: tf.Tensor) -> tuple[tf.Tensor, None]:
            along = run_compiled(_sum_of_products, (upstream, kernel), grid)
            # Twice the derivative by the squared norm.
            slope = exponent * bounded ** (exponent / 2 - 1)
            slope = tf.where(squared > TINY, slope, 0)
            other = mask * slope * along
            both = (upstream, factor, kernel, other)
            return run_compiled(_sum_of_scaled, both, grid), None

        return run_compiled(_scale_rows, (kernel, factor), grid), gradient

    return scaled(kernel, tf.stop_gradient(mask))


def power_of_each(
    kernel: tf.Tensor, mask: tf.Tensor, grid: BlockGrid, exponent: float
) -> tf.Tensor:
    """Multiplies every weight by a power of its magnitude, and by its mask.

    Args:
        kernel: Tensor with `grid.shape`.
        mask: Tensor of shape `grid.cells`, of the kernel's dtype.
        grid: A `BlockGrid`.
        exponent: Power of the magnitude.

    Returns:
        Tensor with the kernel's shape and dtype.
    """

    def powers(
        base: tf.Tensor, values: tf.Tensor, factor: tf.Tensor
    ) -> tf.Tensor:
        return run_compiled(_powers, (base, values, factor), grid, exponent)

    @tf.custom_gradient
    def powered(
        kernel: tf.Tensor, mask: tf.Tensor
    ) -> tuple[tf.Tensor, Callable[..., Any]]:
        def gradient(upstream: tf.Tensor) -> tuple[tf.Tensor, None]:
            return powers(kernel, upstream, (exponent + 1) * mask), None

        return powers(kernel, kernel, mask), gradient

    return powered(kernel, tf.stop_gradient(mask))


def _sum_of_scaled(
    first: tf.Tensor,
    factor: tf.Tensor,
    second: tf.Tensor,
    other: tf.Tensor,
    grid: BlockGrid,
) -> tf.Tensor:
    return _scale_rows(first, factor, grid) + _scale_rows(second, other, grid)


def _powers(
    base: tf.Tensor,
    values: tf.Tensor,
    factor: tf.Tensor,
    grid: BlockGrid,
    exponent: float,
) -> tf.Tensor:
    """Returns `|base|^exponent * values`, blocks times their factors."""
    bounded = tf.maximum(tf.abs(base), tf.constant(TINY, base.dtype))
    return _scale_rows(bounded**exponent * values, factor, grid)
