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
"""Penalties on the norms of blocks, as Keras regularizers.

What a differentiable mask with weight decay does to blocks equals a penalty on
their norms (arXiv 2402.17902, Section 2 and Appendix A): `GroupLasso` and
`GroupPower` are those penalties without a mask. They are Keras 3 regularizers;
tf_keras takes them as the callables they are. A tf_keras model that has one
loads where one has been made, or in `tfmot_sapp.prune_scope()`.
"""

import sys
from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from tfmot_sapp.blocks.block_size import validate_block_size
from tfmot_sapp.blocks.grid import BlockGrid
from tfmot_sapp.blocks.norms import block_norm_squared

# Keeps the derivative of a norm finite at zero.
_TINY = 1e-12


class BlockRegularizer(keras.regularizers.Regularizer):
    """Base class: a penalty for each block's norm, summed.

    Args:
        strength: Factor of the sum, at least 0.
        block_size: `(in, out)`, all taps of a convolution together, or one
            extent per axis of the kernel.
    """

    def __init__(self, strength: float, block_size: Sequence[int]):
        if not (
            isinstance(strength, (int, float)) and 0 <= strength < float("inf")
        ):
            raise ValueError(
                "`strength` must be a number of at least 0. "
                f"Received: strength={strength!r}."
            )
        _register_with_tf_keras(type(self))
        if isinstance(block_size, list):
            block_size = tuple(block_size)
        self.strength = float(strength)
        self.block_size = validate_block_size(block_size)

    def penalty(self, norms: tf.Tensor) -> tf.Tensor:
        """Returns the penalty of each norm."""
        raise TypeError(
            f"{type(self).__qualname__} must define `penalty(norms)`."
        )

    def __call__(self, kernel: Any) -> tf.Tensor:
        """Returns the penalty of a kernel, a scalar."""
        # tf_keras may have come after the regularizer was made.
        _register_with_tf_keras(type(self))
        kernel = tf.convert_to_tensor(kernel)
        shape = tuple(kernel.shape)
        block = self.block_size
        if len(block) == 2 < len(shape):
            block = (*shape[:-2], *block)
        grid = BlockGrid.over(shape, block)
        squared = block_norm_squared(kernel, grid)
        norms = tf.sqrt(squared + tf.constant(_TINY, squared.dtype))
        return self.strength * tf.reduce_sum(self.penalty(norms))

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments that make an equal regularizer."""
        return {
            "strength": self.strength,
            "block_size": list(self.block_size),
        }


def _register_with_tf_keras(cls: type) -> None:
    # tf_keras loads no regularizer but those it has been told of.
    tf_keras = sys.modules.get("tf_keras")
    name = f"tfmot_sapp>{cls.__name__}"
    if tf_keras is not None and name not in tf_keras.utils.get_custom_objects():
        tf_keras.saving.register_keras_serializable("tfmot_sapp")(cls)


@keras.saving.register_keras_serializable(package="tfmot_sapp")
class GroupLasso(BlockRegularizer):
    """`strength * sum_b ||W_b||` (Yuan and Lin 2006).

    What a mask `w_b` times weights `beta_b` gives with the weight decay
    `strength / 2 * (||w||^2 + ||beta||^2)`.

    Args:
        strength: Factor of the sum, at least 0.
        block_size: `(in, out)`, or one extent per axis of the kernel.

    Example:

    >>> kernel = tf.constant([[3.0, 4.0, 0.0, 0.0]])
    >>> round(float(GroupLasso(0.5, (1, 2))(kernel)), 3)
    2.5
    """

    def penalty(self, norms: tf.Tensor) -> tf.Tensor:
        """Returns the norms."""
        return norms


@keras.saving.register_keras_serializable(package="tfmot_sapp")
class GroupPower(BlockRegularizer):
    """`strength * sum_b ||W_b||^power`.

    With power `2 / alpha` this is what block PowerPropagation of exponent
    `alpha` gives with the weight decay `strength * ||beta||^2`; below 1 it is
    not convex and prefers few large blocks.

    Args:
        strength: Factor of the sum, at least 0.
        block_size: `(in, out)`, or one extent per axis of the kernel.
        power: Exponent, positive.

    Example:

    >>> kernel = tf.constant([[3.0, 4.0]])
    >>> round(float(GroupPower(1.0, (1, 2), power=0.5)(kernel)), 3)
    2.236
    """

    def __init__(
        self, strength: float, block_size: Sequence[int], power: float = 2 / 3
    ):
        super().__init__(strength, block_size)
        if not (isinstance(power, (int, float)) and 0 < power < float("inf")):
            raise ValueError(
                f"`power` must be a positive number. Received: power={power!r}."
            )
        self.power = float(power)

    def penalty(self, norms: tf.Tensor) -> tf.Tensor:
        """Returns the powers of the norms."""
        return norms**self.power

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments that make an equal regularizer."""
        return {**super().get_config(), "power": self.power}


@keras.saving.register_keras_serializable(package="tfmot_sapp")
class GroupLog(BlockRegularizer):
    """`strength * sum_b log(1 + ||W_b||)`, increasing and subadditive.

    One of the penalties of Theorem 1.1 of arXiv 2402.17902.

    Args:
        strength: Factor of the sum, at least 0.
        block_size: `(in, out)`, or one extent per axis of the kernel.

    Example:

    >>> kernel = tf.constant([[3.0, 4.0]])
    >>> round(float(GroupLog(1.0, (1, 2))(kernel)), 3)
    1.792
    """

    def penalty(self, norms: tf.Tensor) -> tf.Tensor:
        """Returns the logarithms of one and the norms."""
        return tf.math.log1p(norms)
