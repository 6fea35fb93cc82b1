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
`GroupPower` are those penalties without a mask. They are plain callables, which
both Keras take as regularizers.
"""

import dataclasses
import sys
from typing import Any

import tensorflow as tf

from tfmot_sapp.base.checks import check_real
from tfmot_sapp.base.settings import Settings
from tfmot_sapp.blocks.block_size import BlockSize, check_extents
from tfmot_sapp.blocks.grid import BlockGrid
from tfmot_sapp.blocks.norms import block_norm_squared

# Keeps the derivative of a norm finite at zero.
_TINY = 1e-12


@dataclasses.dataclass(frozen=True, eq=False)
class BlockRegularizer(Settings):
    """Base class: a penalty for each block's norm, summed.

    Args:
        strength: Factor of the sum, at least 0.
        block_size: `(in, out)`, all taps of a convolution together, or one
            extent per axis of the kernel.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If an argument is out of its range.
    """

    strength: float
    block_size: BlockSize

    def __post_init__(self) -> None:
        """Checks the arguments."""
        self._set(
            strength=check_real(self.strength, "strength", least=0),
            block_size=check_extents(self.block_size),
        )

    def penalty(self, norms: tf.Tensor) -> tf.Tensor:
        """Returns the penalty of each norm."""
        raise TypeError(
            f"{type(self).__qualname__} must define `penalty(norms)`."
        )

    def __call__(self, kernel: Any) -> tf.Tensor:
        """Returns the penalty of a kernel, a scalar."""
        kernel = tf.convert_to_tensor(kernel)
        shape = tuple(kernel.shape)
        block = self.block_size
        if len(block) == 2 < len(shape):
            block = (*shape[:-2], *block)
        grid = BlockGrid.over(shape, block)
        squared = block_norm_squared(kernel, grid)
        norms = tf.sqrt(squared + tf.constant(_TINY, squared.dtype))
        return self.strength * tf.reduce_sum(self.penalty(norms))


@dataclasses.dataclass(frozen=True, eq=False)
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


@dataclasses.dataclass(frozen=True, eq=False)
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

    power: float = 2 / 3

    def __post_init__(self) -> None:
        """Checks the arguments."""
        super().__post_init__()
        self._set(power=check_real(self.power, "power", above=0))

    def penalty(self, norms: tf.Tensor) -> tf.Tensor:
        """Returns the powers of the norms."""
        return norms**self.power


@dataclasses.dataclass(frozen=True, eq=False)
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


REGULARIZERS = (GroupLasso, GroupPower, GroupLog)


def register_with_loaded_kerases() -> None:
    """Makes the regularizers known to each Keras that has been imported."""
    for name in ("keras", "tf_keras"):
        # One that is still being imported tells when it is done.
        saving = getattr(sys.modules.get(name), "saving", None)
        if saving is not None:
            for cls in REGULARIZERS:
                saving.register_keras_serializable("tfmot_sapp")(cls)


register_with_loaded_kerases()
