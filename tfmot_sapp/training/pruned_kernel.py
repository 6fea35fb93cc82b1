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
"""One kernel that is being pruned: its grid, its mask, its scorer's variables.

The layer's wrapper makes one `PrunedKernel` for each kernel it prunes. The
training graph reads it (`effective`), and between steps the host changes it
(`set_mask`, `zero_masked`). Variables may be of either Keras: they are read
with `tf.convert_to_tensor` and written with `assign`.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from tfmot_sapp.base.container_checks import NO_NUMBERS, as_array
from tfmot_sapp.blocks.grid import BlockGrid, scale
from tfmot_sapp.blocks.trained_products import watched, watched_gradient
from tfmot_sapp.frameworks.kernels import Kernel
from tfmot_sapp.frameworks.which_keras import host_value
from tfmot_sapp.scorers.scorer import KernelView, Scorer

# Share of the average gradient norm that a step leaves as it is.
_DECAY = 0.95


@dataclasses.dataclass(frozen=True)
class PrunedKernel:
    """A kernel with what pruning adds to it, one value per block.

    Attributes:
        name: Name that reports and allocations know it by.
        kernel: The kernel.
        grid: The grid over it.
        scorer: The scorer.
        target_sparsity: Sparsity it ends at, if known.
        mask: Variable of shape `grid.cells`: ones for the blocks in force.
        scheduled_mask: Variable likewise: the mask that the schedule asked for
            last. It differs from `mask` only when training has stopped before
            the schedule's end: `mask` is at the target then, and training that
            goes on starts from this one.
        state: The scorer's variables, by name.
        gradients: Variable of shape `grid.cells`: the average of each block's
            squared gradient norm, dropped blocks included; `None` where the
            schedule swaps no blocks.
    """

    name: str
    kernel: Kernel
    grid: BlockGrid
    scorer: Scorer
    target_sparsity: float | None
    mask: Any
    scheduled_mask: Any
    state: Mapping[str, Any]
    gradients: Any = None

    @property
    def axes(self) -> tuple[int, int]:
        """The grid's axes of input blocks and of output blocks."""
        return self.kernel.axes(self.grid)

    @property
    def variable(self) -> Any:
        """The kernel's variable."""
        return self.kernel.variable

    def effective(
        self, weights: tf.Tensor, training: bool, mask: Any = None
    ) -> tf.Tensor:
        """Returns what the layer multiplies with, for weights given.

        Args:
            weights: The kernel's value.
            training: Whether the layer runs in training mode.
            mask: A mask to multiply with. Defaults to `None`: the one in force.
        """
        mask = self.mask if mask is None else mask
        product = self.scorer.effective_kernel(
            weights,
            tf.cast(tf.convert_to_tensor(mask), weights.dtype),
            {
                name: tf.cast(tf.convert_to_tensor(variable), weights.dtype)
                for name, variable in self.state.items()
            },
            self.grid,
            self.target_sparsity,
            training,
        )
        if training and self.scorer.observes:
            product = watched(product, self.grid, self._observe)
        if training and self.gradients is not None:
            product = watched_gradient(product, self.grid, self._average)
        return product

    def _observe(self, products: tf.Tensor) -> None:
        self.scorer.observe(_over_replicas(products), self.state)

    def _average(self, norms: tf.Tensor) -> None:
        norms = _over_replicas(norms)
        average = tf.convert_to_tensor(self.gradients)
        # A step whose gradient has overflowed, which an optimizer with a loss
        # scale skips, must not stay in the average for good.
        norms = tf.cast(norms, average.dtype)
        norms = tf.where(tf.math.is_finite(norms), norms, average)
        self.gradients.assign(average + (1 - _DECAY) * (norms - average))

    def growth(self) -> np.ndarray:
        """Returns what each block promises: its squared gradient norm."""
        if self.gradients is None:
            return np.zeros(self.grid.cells)
        return host_value(self.gradients)

    def prepare(self) -> None:
        """Makes the kernel what the scorer trains in its place."""
        kernel = self.scorer.initial_kernel(
            tf.convert_to_tensor(self.variable), self.grid
        )
        if kernel is not None:
            self.variable.assign(kernel)

    def penalty(self) -> tf.Tensor | None:
        """Returns the scorer's penalty for this kernel, or `None`."""
        state = {
            name: tf.convert_to_tensor(variable)
            for name, variable in self.state.items()
        }
        return self.scorer.penalty(state, self.grid)

    def folded(self, mask: np.ndarray | None = None) -> tf.Tensor:
        """Returns the weights with factor and mask multiplied in.

        Args:
            mask: The mask. Defaults to `None`: the one in force.
        """
        weights = tf.convert_to_tensor(self.variable)
        return self.effective(weights, False, mask)

    def mask_array(self) -> np.ndarray:
        """Returns the mask in force as a boolean array."""
        return host_value(self.mask)

    def scheduled_mask_array(self) -> np.ndarray:
        """Returns the mask that the schedule asked for last, boolean."""
        return host_value(self.scheduled_mask)

    def score(self, slots: Mapping[str, tf.Tensor]) -> np.ndarray:
        """Returns the blocks' scores.

        Args:
            slots: The optimizer's variables for the kernel, by name.
        """
        made = f"`scorer` {type(self.scorer).__name__}.score"
        scores = as_array(self.scorer.score(self._view(slots)))
        fits = scores.shape == self.grid.cells
        if not fits or scores.dtype.kind in NO_NUMBERS:
            raise ValueError(
                f"{made} must return one number per block, an array of shape "
                f"{self.grid.cells} for `{self.name}`. Received: an array of "
                f"shape {scores.shape} and type {scores.dtype}."
            )
        scores = scores.astype(np.float64)
        if np.any(np.isnan(scores)) and np.all(
            np.isfinite(host_value(self.variable))
        ):
            # Where training has diverged the scores are not to blame.
            raise ValueError(
                f"{made} must return numbers. Received: NaN for "
                f"{int(np.isnan(scores).sum())} of {scores.size} blocks of "
                f"`{self.name}`."
            )
        return scores

    def own_mask(self) -> np.ndarray | None:
        """Returns the mask that the scorer's gates make, if it has any."""
        return self.scorer.own_mask(self._view({}))

    def _view(self, slots: Mapping[str, tf.Tensor]) -> KernelView:
        return KernelView(
            grid=self.grid,
            kernel=tf.convert_to_tensor(self.variable),
            mask=self.mask_array(),
            state={
                name: tf.convert_to_tensor(variable)
                for name, variable in self.state.items()
            },
            target_sparsity=self.target_sparsity,
            slots=slots,
        )

    def set_mask(self, mask: np.ndarray) -> None:
        """Puts a mask in force that the schedule asks for."""
        self.mask.assign(np.asarray(mask, bool))
        self.scheduled_mask.assign(np.asarray(mask, bool))

    def set_final_mask(self, mask: np.ndarray) -> None:
        """Puts a mask in force and remembers the schedule's own."""
        self.mask.assign(np.asarray(mask, bool))

    def restore_scheduled_mask(self) -> None:
        """Puts the mask back in force that the schedule asked for last."""
        self.mask.assign(self.scheduled_mask_array())

    def zero_masked(self, *others: Any) -> None:
        """Sets the weights of masked blocks to zero, in the kernel for good.

        Args:
            *others: Variables shaped like the kernel, such as an optimizer's
                momentum, to be set to zero in the same places.
        """
        if not self.scorer.zeroes_dropped:
            return
        for variable in (self.variable, *others):
            value = tf.convert_to_tensor(variable)
            mask = tf.cast(tf.convert_to_tensor(self.mask), value.dtype)
            variable.assign(scale(value, mask, self.grid))


def _over_replicas(values: tf.Tensor) -> tf.Tensor:
    """Sums what every replica has seen of a step, so that all know the same.

    Gradients add up over replicas, and so do their products with weights. Their
    squared norms do not; the sum stands in for the norm of the sum.
    """
    context = tf.distribute.get_replica_context()
    if context is None or context.strategy.num_replicas_in_sync == 1:
        return values
    return context.all_reduce(tf.distribute.ReduceOp.SUM, values)
