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
"""Hard concrete gates with an L0 penalty."""

from typing import Any

import numpy as np
import tensorflow as tf

from tfmot_sapp.base.checks import check_real
from tfmot_sapp.blocks.grid import BlockGrid, scale
from tfmot_sapp.blocks.trained_products import scale_trained
from tfmot_sapp.scorers import gates
from tfmot_sapp.scorers.scorer import KernelView, Scorer, State, StateSpec


class HardConcrete(Scorer):
    """Multiplies each block by a random gate and penalises open gates.

    In training the gate is a hard concrete variable, afterwards its
    deterministic estimate (Louizos, Welling and Kingma, arXiv 1712.01312,
    Section 4, Equations 10 to 13). What is added to the loss is `penalty` times
    the expected share of the kernel's weights whose gates are open. Blocks are
    scored by their `log_alpha`, so a schedule's target is reached exactly; with
    `LearnedSparsity` the gates that end at zero decide.

    Args:
        penalty: Weight of the expected density in the loss, at least 0.
        drop_rate: Probability `p` in (0, 1): `log_alpha` starts at
            `log((1 - p) / p)`.

    Raises:
        ValueError: If an argument is out of its range.

    Example:

    >>> HardConcrete(penalty=0.5).get_config()
    {'penalty': 0.5, 'drop_rate': 0.5}
    """

    def __init__(self, penalty: float = 0.1, drop_rate: float = 0.5):
        self.weight = check_real(penalty, "penalty", least=0)
        self.drop_rate = check_real(drop_rate, "drop_rate", above=0, below=1)

    def state_specs(
        self, grid: BlockGrid, target_sparsity: float | None
    ) -> dict[str, StateSpec]:
        """Returns one trainable `log_alpha` per block."""
        start = np.log((1 - self.drop_rate) / self.drop_rate)

        def initial(shape: tuple[int, ...]) -> np.ndarray:
            return tf.random.normal(shape, start, 0.01).numpy()

        return {"log_alpha": StateSpec(grid.cells, initial, trainable=True)}

    def effective_kernel(
        self,
        kernel: tf.Tensor,
        mask: tf.Tensor,
        state: State,
        grid: BlockGrid,
        target_sparsity: float | None,
        training: bool,
    ) -> tf.Tensor:
        """Returns the kernel times gates times mask."""
        log_alpha = state["log_alpha"]
        if training:
            gate = gates.hard_concrete(log_alpha, gates.uniform_like(log_alpha))
            return scale_trained(kernel, gate * mask, grid)
        return scale(
            kernel, gates.stretched_sigmoid(log_alpha, 1.0) * mask, grid
        )

    def penalty(self, state: State, grid: BlockGrid) -> tf.Tensor:
        """Returns the weighted share of weights that are expected to stay."""
        return self.weight * gates_density(
            gates.open_probability(state["log_alpha"]), grid
        )

    def score(self, view: KernelView) -> np.ndarray:
        """Returns `log_alpha`."""
        return np.asarray(view.state["log_alpha"])

    def own_mask(self, view: KernelView) -> np.ndarray:
        """Returns which gates are open after training."""
        gate = gates.stretched_sigmoid(view.state["log_alpha"], 1.0)
        return np.asarray(gate) > 0

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments that make an equal scorer."""
        return {"penalty": self.weight, "drop_rate": self.drop_rate}


def gates_density(open_share: tf.Tensor, grid: BlockGrid) -> tf.Tensor:
    """Returns the share of a kernel's weights behind open gates.

    Args:
        open_share: Tensor of shape `grid.cells`: how far each gate is open.
        grid: The grid over the kernel.
    """
    weights = grid.block_weights() / grid.num_weights
    return tf.reduce_sum(open_share * tf.constant(weights, open_share.dtype))
