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
"""A score from the second moment that the optimizer keeps anyway."""

import dataclasses

import numpy as np
import tensorflow as tf

from tfmot_sapp.blocks.grid import block_sum
from tfmot_sapp.scorers.scorer import KernelView, Scorer

# What optimizers call their average of squared gradients.
_NAMES = ("velocities", "v", "accumulators")


@dataclasses.dataclass(frozen=True, eq=False)
class SecondMoment(Scorer):
    """Scores a block by `sum_b w^2 v`, with `v` Adam's second moment.

    With the squared gradients' mean in place of the Hessian's diagonal this is
    what Optimal Brain Damage estimates that removing the block costs (LeCun,
    Denker and Solla 1989, Equation 5). It needs an optimizer that keeps such a
    mean: Adam, AdamW, Nadam, RMSprop, Adagrad. Before the optimizer's first
    step it is the block's norm.

    Example:

    >>> SecondMoment().get_config()
    {}
    """

    def score(self, view: KernelView) -> np.ndarray:
        """Returns the estimates."""
        squares = tf.square(tf.cast(view.kernel, tf.float32))
        found = [name for name in _NAMES if name in view.slots]
        if found:
            moment = tf.convert_to_tensor(view.slots[found[0]])
            scores = block_sum(squares * tf.cast(moment, tf.float32), view.grid)
            if tf.reduce_any(scores > 0):
                return scores.numpy()
        elif view.slots:
            raise ValueError(
                "`SecondMoment` needs an optimizer that averages squared "
                "gradients, such as Adam. Received: one whose variables are "
                f"{sorted(view.slots)}. Choose another optimizer or another "
                "scorer."
            )
        return block_sum(squares, view.grid).numpy()
