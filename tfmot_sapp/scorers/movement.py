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
"""Scores from gradient times weight: movement and Taylor."""

import dataclasses
from typing import Any

import numpy as np
import tensorflow as tf

from tfmot_sapp.base.checks import check_real
from tfmot_sapp.blocks.grid import BlockGrid
from tfmot_sapp.scorers.scorer import KernelView, Scorer, State, StateSpec


@dataclasses.dataclass(frozen=True, eq=False)
class Movement(Scorer):
    """Scores a block by how far training moves it away from zero.

    The score is `-sum_t sum_b g w`, the sum over all steps of gradient times
    weight (Sanh, Wolf and Rush, "Movement Pruning", arXiv 2005.07683, Equation
    3, for a block as in Lagunas et al., arXiv 2109.04838): it grows while steps
    against the gradient make the block's weights larger. A block that has been
    dropped collects nothing.

    Example:

    >>> Movement().get_config()
    {}
    """

    observes = True

    def state_specs(
        self, grid: BlockGrid, target_sparsity: float | None
    ) -> dict[str, StateSpec]:
        """Returns one running sum per block."""
        return {"movement": StateSpec(grid.cells)}

    def observe(self, products: tf.Tensor, state: State) -> None:
        """Adds one step's products."""
        _add(state["movement"], -products)

    def score(self, view: KernelView) -> np.ndarray:
        """Returns the sums."""
        return np.asarray(view.state["movement"])


@dataclasses.dataclass(frozen=True, eq=False)
class Taylor(Scorer):
    """Scores a block by what its loss would be if it were removed.

    To first order that is `(sum_b g w)^2`, averaged over steps with decaying
    weights (Molchanov et al., "Importance Estimation for Neural Network
    Pruning", arXiv 1906.10771, Equation 8).

    Args:
        decay: Share of the average that a step leaves as it is, in [0, 1).

    Raises:
        ValueError: If `decay` is outside its range.

    Example:

    >>> Taylor(decay=0.9).get_config()
    {'decay': 0.9}
    """

    decay: float = 0.99

    observes = True

    def __post_init__(self) -> None:
        """Checks the arguments."""
        self._set(decay=check_real(self.decay, "decay", least=0, below=1))

    def state_specs(
        self, grid: BlockGrid, target_sparsity: float | None
    ) -> dict[str, StateSpec]:
        """Returns one running average per block."""
        return {"taylor": StateSpec(grid.cells)}

    def observe(self, products: tf.Tensor, state: State) -> None:
        """Moves the average towards one step's squared products."""
        average = tf.convert_to_tensor(state["taylor"])
        step = tf.square(tf.cast(products, average.dtype)) - average
        _add(state["taylor"], (1 - self.decay) * step)

    def score(self, view: KernelView) -> np.ndarray:
        """Returns the averages."""
        return np.asarray(view.state["taylor"])


def _add(variable: Any, value: tf.Tensor) -> None:
    before = tf.convert_to_tensor(variable)
    value = tf.cast(value, before.dtype)
    # A step whose gradient has overflowed, which an optimizer with a loss
    # scale skips, must not stay in the sum for good.
    value = tf.where(tf.math.is_finite(value), value, tf.zeros_like(value))
    variable.assign(before + value)
