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
"""Weights that are multiplied by a power of themselves."""

import dataclasses

import numpy as np
import tensorflow as tf

from tfmot_sapp.base.checks import check_flag, check_real
from tfmot_sapp.blocks.grid import BlockGrid, scale
from tfmot_sapp.blocks.norms import block_norm, block_norm_squared
from tfmot_sapp.blocks.trained_products import (
    TINY,
    power_of_each,
    scale_by_norm,
)
from tfmot_sapp.scorers.scorer import KernelView, Scorer, State


@dataclasses.dataclass(frozen=True, eq=False)
class PowerPropagation(Scorer):
    """Trains weights whose magnitude also sets their rate of learning.

    By blocks, the layer multiplies with `||V_b||^(alpha-1) V_b`, the block form
    of arXiv 2402.17902, Section 4. Element by element it is `|v|^(alpha-1) v`,
    the original of Schwarz et al., "Powerpropagation", arXiv 2110.00296,
    Equation 1. Either way large weights grow faster and small ones stay small.
    What is trained starts where the product equals the kernel that was wrapped.
    Blocks are scored by the norm of the product.

    Zero has no gradient here, so a block that comes back takes up the weights
    it was dropped with.

    Args:
        alpha: Exponent, at least 1; 1 is no reparametrisation.
        elementwise: Whether each weight has its own power, rather than its
            block's.

    Raises:
        ValueError: If `alpha` is less than 1.

    Example:

    >>> PowerPropagation(alpha=3).get_config()
    {'alpha': 3.0, 'elementwise': False}
    """

    alpha: float = 2.0
    elementwise: bool = False

    zeroes_dropped = False

    def __post_init__(self) -> None:
        """Checks the arguments."""
        self._set(
            alpha=check_real(self.alpha, "alpha", least=1),
            elementwise=check_flag(self.elementwise, "elementwise"),
        )

    def initial_kernel(self, kernel: tf.Tensor, grid: BlockGrid) -> tf.Tensor:
        """Returns the weights whose product is the kernel."""
        return self._powered(kernel, grid, 1 / self.alpha - 1)

    def score(self, view: KernelView) -> np.ndarray:
        """Returns the norm of each block of the product."""
        product = self._powered(view.kernel, view.grid, self.alpha - 1)
        return block_norm(product, view.grid).numpy()

    def effective_kernel(
        self,
        kernel: tf.Tensor,
        mask: tf.Tensor,
        state: State,
        grid: BlockGrid,
        target_sparsity: float | None,
        training: bool,
    ) -> tf.Tensor:
        """Returns the product, masked."""
        if training and self.alpha != 1:
            product = power_of_each if self.elementwise else scale_by_norm
            return product(kernel, mask, grid, self.alpha - 1)
        return scale(self._powered(kernel, grid, self.alpha - 1), mask, grid)

    def _powered(
        self, kernel: tf.Tensor, grid: BlockGrid, exponent: float
    ) -> tf.Tensor:
        if exponent == 0:
            return kernel
        tiny = tf.constant(TINY, kernel.dtype)
        if self.elementwise:
            return kernel * tf.maximum(tf.abs(kernel), tiny) ** exponent
        squared = block_norm_squared(kernel, grid)
        # A block of zeros stays one, whichever way the power goes.
        factor = tf.maximum(squared, tiny) ** (exponent / 2)
        return scale(kernel, tf.where(squared > 0, factor, 0), grid)
