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
"""What a kernel's loss of blocks saves: parameters, multiply-adds or time."""

import dataclasses
import math
from collections.abc import Callable

import numpy as np

from tfmot_sapp.calibration.fitting import Target
from tfmot_sapp.targets.costs import Costs

# A kernel, and at how many places of a sample it is multiplied, to what is
# saved when so many of its blocks are gone, from none to all.
Saved = Callable[[Target, int], np.ndarray]


@dataclasses.dataclass(frozen=True)
class Saving:
    """What kernels are to save together.

    Attributes:
        remove: How much, in the units of `saved`.
        saved: What each of them saves, as far as can be said of one alone.
        achieved: What the copy that is pruned saves with the zeros that it has;
            `None` if that is the sum of what its kernels save.
    """

    remove: float
    saved: Saved
    achieved: Callable[[], float] | None = None


def parameters(target: Target, places: int) -> np.ndarray:
    """Returns the parameters that a kernel saves; blocks count the same."""
    del places
    blocks = target.blocks.grid.num_blocks
    size = math.prod(target.blocks.kernel.shape)
    return size / blocks * np.arange(blocks + 1.0)


def multiply_adds(target: Target, places: int) -> np.ndarray:
    """Returns the multiply-adds that a kernel saves, for one sample."""
    return places * parameters(target, places)


def microseconds(costs: Costs) -> Saved:
    """Returns what kernels save by a runtime's figures, for one sample.

    A packed kernel is taken for a product by block of columns, each of which
    copies what it reads together. Where that is slower than the dense kernel,
    nothing is saved.

    Args:
        costs: The runtime's figures.
    """

    def saved(target: Target, places: int) -> np.ndarray:
        blocks = target.blocks
        groups, columns = blocks.shape
        inputs, outputs = len(blocks.row_groups), len(blocks.column_groups)
        count = math.prod(getattr(blocks.kernel.owner, "kernel_size", ()))
        depth = inputs / count
        dense = costs.product(places, count, depth, outputs)
        kept = 1 - np.arange(groups * columns + 1) / (groups * columns)
        packed = np.array(
            [
                columns
                * (
                    costs.product(
                        places, count, depth * share, outputs / columns
                    )
                    + costs.join(
                        places, depth * share, math.ceil(groups * share)
                    )
                )
                for share in kept
            ]
        )
        faster = np.maximum(dense - costs.margin * packed, 0.0)
        return np.maximum.accumulate(faster)

    return saved
