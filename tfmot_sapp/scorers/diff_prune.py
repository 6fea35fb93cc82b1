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
"""Deterministic binary gates with an L0 surrogate, after DiffPrune."""

from typing import Any

import numpy as np
import tensorflow as tf

from tfmot_sapp.base.checks import check_choice, check_flag, check_real
from tfmot_sapp.blocks.grid import BlockGrid, scale
from tfmot_sapp.blocks.trained_products import scale_trained
from tfmot_sapp.scorers import gates
from tfmot_sapp.scorers.hard_concrete import gates_density
from tfmot_sapp.scorers.scorer import KernelView, Scorer, State, StateSpec


class DiffPrune(Scorer):
    """Multiplies blocks by approximately binary gates that reach exact zeros.

    This follows what the abstract of Shulman, "DiffPrune: Neural Network
    Pruning with Deterministic Approximate Binary Gates and L0 Regularization"
    (arXiv 2012.03653), fixes: a deterministic, differentiable transformation of
    real numbers approximates Bernoulli variables, takes exact zeros, multiplies
    the parameters, and a surrogate of the L0 loss encourages sparsity. The
    transformations are this project's, not the paper's formulas:

    - "moments" gives the gates of a layer the mean and variance of Bernoulli
      variables whose rate is trained, and penalises what leaves [0, 1].
    - "sigmoid" is a stretched sigmoid whose temperature falls from 1 to 0.1 as
      the schedule goes on.

    What is added to the loss is `penalty` times the share of weights that the
    surrogate expects to stay. Blocks are scored by the numbers behind their
    gates, so a schedule's target is reached exactly; with `LearnedSparsity` the
    gates that end at zero decide.

    Args:
        transformation: "moments" or "sigmoid".
        stochastic: Whether noise is added to the numbers in training.
        penalty: Weight of the surrogate in the loss, at least 0.

    Raises:
        ValueError: If an argument is out of its range.

    Example:

    >>> DiffPrune(penalty=0.5).get_config()
    {'transformation': 'moments', 'stochastic': False, 'penalty': 0.5}
    """

    def __init__(
        self,
        transformation: str = "moments",
        stochastic: bool = False,
        penalty: float = 0.1,
    ):
        self.transformation = check_choice(
            transformation, "transformation", sorted(_TRANSFORMATIONS)
        )
        self.stochastic = check_flag(stochastic, "stochastic")
        self.weight = check_real(penalty, "penalty", least=0)
        self._transformation = _TRANSFORMATIONS[self.transformation]

    def state_specs(
        self, grid: BlockGrid, target_sparsity: float | None
    ) -> dict[str, StateSpec]:
        """Returns the numbers behind the gates, and what they need."""
        return self._transformation.state_specs(grid)

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
        if training and self.stochastic:
            state = {**state, "gates": self._transformation.noisy(state)}
        factor = self._transformation.gate(state) * mask
        product = scale_trained if training else scale
        return product(kernel, factor, grid)

    def penalty(self, state: State, grid: BlockGrid) -> tf.Tensor:
        """Returns the weighted surrogate of the L0 loss."""
        return self.weight * self._transformation.surrogate(state, grid)

    def anneal(self, state: State, progress: float) -> None:
        """Lowers the temperature, where there is one."""
        if "temperature" in state:
            state["temperature"].assign(1.0 - 0.9 * progress)

    def score(self, view: KernelView) -> np.ndarray:
        """Returns the numbers behind the gates."""
        return np.asarray(view.state["gates"])

    def own_mask(self, view: KernelView) -> np.ndarray:
        """Returns which gates are open."""
        return np.asarray(self._transformation.gate(view.state)) > 0

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments that make an equal scorer."""
        return {
            "transformation": self.transformation,
            "stochastic": self.stochastic,
            "penalty": self.weight,
        }


class _Moments:
    """Gates with a Bernoulli's mean and variance."""

    # The rate starts at sigmoid(3), 95 %.
    _KEEP = 3.0

    def state_specs(self, grid: BlockGrid) -> dict[str, StateSpec]:
        return {
            "gates": StateSpec(
                grid.cells,
                lambda shape: tf.random.normal(shape).numpy(),
                trainable=True,
            ),
            "keep": StateSpec((), self._KEEP, trainable=True),
        }

    def unclipped(self, state: State) -> tf.Tensor:
        return gates.moment_matched(state["gates"], tf.sigmoid(state["keep"]))

    def gate(self, state: State) -> tf.Tensor:
        return tf.clip_by_value(self.unclipped(state), 0.0, 1.0)

    def noisy(self, state: State) -> tf.Tensor:
        values = state["gates"]
        uniform = gates.uniform_like(values)
        normal = np.sqrt(2) * tf.math.erfinv(2 * uniform - 1)
        return values + 0.1 * normal

    def surrogate(self, state: State, grid: BlockGrid) -> tf.Tensor:
        return tf.sigmoid(state["keep"]) + gates.overshoot(
            self.unclipped(state)
        )


class _Sigmoid:
    """A stretched sigmoid, steeper and steeper."""

    def state_specs(self, grid: BlockGrid) -> dict[str, StateSpec]:
        return {
            # Inside the slope, where the data has a gradient.
            "gates": StateSpec(grid.cells, 2.0, trainable=True),
            "temperature": StateSpec((), 1.0),
        }

    def gate(self, state: State) -> tf.Tensor:
        return gates.stretched_sigmoid(state["gates"], state["temperature"])

    def noisy(self, state: State) -> tf.Tensor:
        uniform = gates.uniform_like(state["gates"])
        noise = tf.math.log(uniform) - tf.math.log1p(-uniform)
        return state["gates"] + noise * state["temperature"]

    def surrogate(self, state: State, grid: BlockGrid) -> tf.Tensor:
        expected = tf.sigmoid(
            state["gates"] + gates.EDGE * state["temperature"]
        )
        return gates_density(expected, grid)


_TRANSFORMATIONS: dict[str, _Moments | _Sigmoid] = {
    "moments": _Moments(),
    "sigmoid": _Sigmoid(),
}
