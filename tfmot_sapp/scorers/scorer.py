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
"""How much each block is worth, and what it does to the weights meanwhile.

A scorer is one class. On the host, between steps, it gives every block a score;
in the training graph it turns the kernel into the effective kernel that the
layer multiplies with. A new method overrides `score`, and the two other methods
only where it needs state of its own or puts a factor on the weights:

```python
class Largest(Scorer):
    '''Keeps the blocks that hold the largest weights.'''

    def score(self, view):
        return block_max(tf.abs(view.kernel), view.grid).numpy()
```
"""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from tfmot_sapp.base.checks import check_instance
from tfmot_sapp.base.settings import Settings
from tfmot_sapp.blocks.grid import BlockGrid, scale

State = Mapping[str, Any]


@dataclasses.dataclass(frozen=True)
class StateSpec:
    """A variable that a scorer wants for each kernel.

    Attributes:
        shape: Its shape.
        initial: Initial value, the same everywhere; or a function from a shape
            to a NumPy array.
        trainable: Whether the optimizer trains it with the weights.
        dtype: Its data type.
    """

    shape: tuple[int, ...]
    initial: float | Callable[[tuple[int, ...]], np.ndarray] = 0.0
    trainable: bool = False
    dtype: str = "float32"


@dataclasses.dataclass(frozen=True)
class KernelView:
    """What a scorer may look at, on the host, to score one kernel's blocks.

    Attributes:
        grid: The grid over the kernel.
        kernel: The kernel, a tensor.
        mask: Boolean NumPy array of shape `grid.cells`: the blocks in force.
        state: The scorer's variables as tensors, by name.
        target_sparsity: Sparsity the kernel ends at, if the schedule tells.
        slots: The optimizer's variables for the kernel as tensors, by name
            ("momentums", "velocities" for Adam); empty without an optimizer.
    """

    grid: BlockGrid
    kernel: tf.Tensor
    mask: np.ndarray
    state: Mapping[str, tf.Tensor]
    target_sparsity: float | None = None
    slots: Mapping[str, tf.Tensor] = dataclasses.field(default_factory=dict)


class Scorer(Settings):
    """Base class of the scorers.

    A subclass with arguments returns them from `get_config`, or is a frozen
    dataclass.

    Attributes:
        zeroes_dropped: Whether the weights of dropped blocks become zero in the
            kernel itself, so that a block that comes back starts from zero. Not
            where the gradient at zero is zero.
        observes: Whether `observe` is called in training.
    """

    # No annotations, which would make them arguments of dataclasses.
    zeroes_dropped = True
    observes = False

    def state_specs(
        self, grid: BlockGrid, target_sparsity: float | None
    ) -> dict[str, StateSpec]:
        """Returns the variables to make for a kernel, by name.

        Args:
            grid: The grid over the kernel.
            target_sparsity: Sparsity the kernel ends at, if the schedule tells.
        """
        return {}

    def score(self, view: KernelView) -> np.ndarray:
        """Returns one score per block; higher scores are kept.

        Runs on the host, between training steps.

        Args:
            view: A `KernelView`.

        Returns:
            NumPy array of shape `view.grid.cells`.
        """
        raise TypeError(
            f"{type(self).__qualname__} must define `score(view)`, which "
            "returns one value per block of `view.grid`."
        )

    def effective_kernel(
        self,
        kernel: tf.Tensor,
        mask: tf.Tensor,
        state: State,
        grid: BlockGrid,
        target_sparsity: float | None,
        training: bool,
    ) -> tf.Tensor:
        """Returns what the layer multiplies with instead of its kernel.

        Runs inside the training graph, and once on the host when the factor is
        folded into the weights at the end. Blocks whose mask is zero must come
        out exactly zero. The default multiplies each block with its mask.

        Args:
            kernel: Tensor with `grid.shape`.
            mask: Tensor of shape `grid.cells`, ones and zeros, of the kernel's
                dtype.
            state: The scorer's variables as tensors of the kernel's dtype.
            grid: The grid over the kernel.
            target_sparsity: Sparsity the kernel ends at, if the schedule tells.
            training: Whether the layer runs in training mode.

        Returns:
            Tensor like `kernel`.
        """
        return scale(kernel, mask, grid)

    def initial_kernel(
        self, kernel: tf.Tensor, grid: BlockGrid
    ) -> tf.Tensor | None:
        """Returns what to train in place of a kernel, or `None` for itself.

        A scorer whose factor depends on the weights gives the weights that its
        factor turns into the kernel.

        Args:
            kernel: The kernel before pruning, a tensor.
            grid: The grid over it.
        """
        return None

    def own_mask(self, view: KernelView) -> np.ndarray | None:
        """Returns the blocks the scorer keeps where no schedule says how many.

        Args:
            view: A `KernelView`.

        Returns:
            Boolean NumPy array of shape `view.grid.cells`; `None`, the default,
            keeps all.
        """
        return None

    def observe(self, products: tf.Tensor, state: State) -> None:
        """Sees the gradient of one training step, block by block.

        Runs inside the training graph, where `observes` is set.

        Args:
            products: Tensor of shape `grid.cells`: the sum over each block of
                weight times gradient, both as the layer sees them.
            state: The scorer's variables, assignable, by name.
        """

    def penalty(self, state: State, grid: BlockGrid) -> tf.Tensor | None:
        """Returns a scalar to add to the model's loss, or `None`.

        Args:
            state: The scorer's variables as tensors.
            grid: The grid over the kernel.
        """
        return None

    def anneal(self, state: State, progress: float) -> None:
        """Changes state variables as training goes on.

        Called on the host whenever the masks change.

        Args:
            state: The scorer's variables, assignable, by name.
            progress: Fraction of the schedule that is done, in [0, 1].
        """


def check_scorer(scorer: Any, name: str = "scorer") -> Scorer:
    """Returns the scorer if it is one.

    Args:
        scorer: The value to check.
        name: The argument's name.

    Raises:
        TypeError: If it is no `Scorer`.
    """
    return check_instance(
        scorer,
        name,
        Scorer,
        "a `tfmot_sapp.Scorer`, such as `tfmot_sapp.SequentialAttention()` or "
        "`tfmot_sapp.Magnitude()`",
    )
