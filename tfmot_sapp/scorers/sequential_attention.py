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
"""Softmax attention over the blocks of a layer, trained with its weights.

Yasuda, Axiotis, Fu, Bateni, Mirrokni, "SequentialAttention++ for Block
Sparsification: Differentiable Pruning Meets Combinatorial Optimization",
arXiv 2402.17902, Section 3 and Algorithm 1.
"""

import dataclasses
from typing import Any

import numpy as np
import tensorflow as tf

from tfmot_sapp.base.checks import check_flag, check_real
from tfmot_sapp.blocks.grid import BlockGrid, scale
from tfmot_sapp.blocks.trained_products import scale_trained
from tfmot_sapp.scorers.scorer import (
    KernelView,
    Scorer,
    State,
    StateSpec,
    check_scorer,
)


@dataclasses.dataclass(frozen=True, eq=False)
class SequentialAttention(Scorer):
    """Scores a block by its attention `A = N softmax(L)`.

    Every block of a layer has one trainable logit. The attention, whose mean
    over the layer's `N` blocks is 1, multiplies the weights of its block in
    every phase and is folded into them when the pruning wrappers are stripped.
    Logits start at 0, where the attention is exactly 1 everywhere.

    Args:
        logit_scale: Factor `m` in `A = N softmax(m L)`. An optimizer has one
            rate for all variables; with Adam the logits move at `m` times that
            rate, with SGD at `m` squared times. Defaults to 5.
        clip: Whether `A` is clipped to [density, 1 / density] of the target
            sparsity, a safety.
        per_output: Whether the softmax is taken over the blocks of each output
            block (the last axis of the grid) instead of all blocks, so that
            attention moves between inputs only.
        times: A scorer whose score multiplies the attention for the choice of
            blocks, such as `Magnitude()`. Defaults to `None`: the attention
            alone, as in the paper. Only the attention multiplies the weights,
            so scorers that change the weights themselves are refused.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If `logit_scale` is not positive, or `times` has a factor of
            its own on the weights.

    Example:

    >>> SequentialAttention(logit_scale=2).get_config()
    {'logit_scale': 2.0, 'clip': True, 'per_output': False, 'times': None}
    """

    logit_scale: float = 5.0
    clip: bool = True
    per_output: bool = False
    times: Scorer | None = None

    def __post_init__(self) -> None:
        """Checks the arguments."""
        self._set(
            logit_scale=check_real(self.logit_scale, "logit_scale", above=0),
            clip=check_flag(self.clip, "clip"),
            per_output=check_flag(self.per_output, "per_output"),
        )
        if self.times is not None:
            _check_only_scores(check_scorer(self.times, "times"))

    def state_specs(
        self, grid: BlockGrid, target_sparsity: float | None
    ) -> dict[str, StateSpec]:
        """Returns one trainable logit per block, and the other's variables."""
        logits = StateSpec(grid.cells, 0.0, trainable=True)
        if self.times is None:
            return {"logits": logits}
        others = self.times.state_specs(grid, target_sparsity)
        if "logits" in others:
            raise ValueError(
                "`times` must name its variables otherwise than `logits`, "
                f"which the attention trains. Received: times={self.times!r}."
            )
        return {**others, "logits": logits}

    @property
    def observes(self) -> bool:  # type: ignore[override]
        """Whether the other score sees the gradients of training."""
        return self.times is not None and self.times.observes

    def observe(self, products: tf.Tensor, state: State) -> None:
        """Shows the other score one step's products."""
        if self.times is not None:
            self.times.observe(products, state)

    def penalty(self, state: State, grid: BlockGrid) -> tf.Tensor | None:
        """Returns what the other scorer adds to the loss."""
        return None if self.times is None else self.times.penalty(state, grid)

    def anneal(self, state: State, progress: float) -> None:
        """Changes the other scorer's variables as training goes on."""
        if self.times is not None:
            self.times.anneal(state, progress)

    def own_mask(self, view: KernelView) -> np.ndarray | None:
        """Returns the blocks that the other scorer keeps by itself."""
        return None if self.times is None else self.times.own_mask(view)

    def attention(
        self, logits: tf.Tensor, target_sparsity: float | None
    ) -> tf.Tensor:
        """Returns `A = N softmax(m L)`, clipped (arXiv 2402.17902, Section 3).

        Args:
            logits: Tensor with one logit per block.
            target_sparsity: Sparsity the layer ends at; `None` does not clip.

        Returns:
            Tensor like `logits` whose mean is 1 before clipping.
        """
        scaled = self.logit_scale * logits
        weight = tf.exp(scaled - tf.stop_gradient(tf.reduce_max(scaled)))
        # Dividing by the mean gives exactly 1 where all logits are equal,
        # which N * softmax does not.
        attention = weight / tf.reduce_mean(
            weight, axis=self._axes(weight), keepdims=True
        )
        if self.clip and target_sparsity is not None:
            density = 1.0 - target_sparsity
            attention = tf.clip_by_value(attention, density, 1.0 / density)
        return attention

    def score(self, view: KernelView) -> np.ndarray:
        """Returns the attention before clipping, times the other score."""
        scaled = self.logit_scale * np.asarray(view.state["logits"], np.float64)
        weight = np.exp(scaled - scaled.max())
        scores = weight / weight.mean(axis=self._axes(weight), keepdims=True)
        if self.times is not None:
            scores = scores * self.times.score(view)
        return scores

    def _axes(self, values: Any) -> tuple[int, ...]:
        rank = len(values.shape)
        return tuple(range(rank - 1 if self.per_output else rank))

    def effective_kernel(
        self,
        kernel: tf.Tensor,
        mask: tf.Tensor,
        state: State,
        grid: BlockGrid,
        target_sparsity: float | None,
        training: bool,
    ) -> tf.Tensor:
        """Returns the kernel times attention times mask, block by block."""
        attention = self.attention(state["logits"], target_sparsity)
        product = scale_trained if training else scale
        return product(kernel, attention * mask, grid)


def _check_only_scores(scorer: Scorer) -> None:
    changed = [
        name
        for name in ("effective_kernel", "initial_kernel")
        if getattr(type(scorer), name) is not getattr(Scorer, name)
    ]
    if not scorer.zeroes_dropped:
        changed.append("zeroes_dropped")
    if changed:
        raise ValueError(
            "`times` must be a scorer that leaves the weights alone, such as "
            "`tfmot_sapp.Magnitude()`: the attention is the only factor on "
            "them, so what its score describes would never be trained. "
            f"Received: times={scorer!r}, whose {' and '.join(changed)} "
            "differ. Use it as the `scorer` itself."
        )
