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
"""Blocks ranked by the norm of their weights.

The baseline of arXiv 2402.17902, Section 4 ("Magnitude"); under a rising
schedule it is gradual magnitude pruning (Zhu and Gupta, arXiv 1710.01878) by
blocks.
"""

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from tfmot_sapp.blocks.grid import BlockGrid
from tfmot_sapp.blocks.norms import block_norm
from tfmot_sapp.scorers.scorer import KernelView, Scorer


class Magnitude(Scorer):
    """Scores a block by the norm of its weights.

    Args:
        order: Order `p` of the norm `(sum |w|^p)^(1/p)`, at least 1. The
            default, 2, is the Frobenius norm; `math.inf` is the largest weight.

    Raises:
        ValueError: If `order` is less than 1.

    Example:

    >>> Magnitude().get_config()
    {'order': 2.0}
    """

    def __init__(self, order: float = 2.0):
        if not (isinstance(order, (int, float)) and order >= 1):
            raise ValueError(
                "`order` must be a number of at least 1, the order of the "
                f"norm. Received: order={order!r}."
            )
        self.order = float(order)

    def score(self, view: KernelView) -> np.ndarray:
        """Returns the norm of each block."""
        return _compiled_norm(view.grid, self.order)(view.kernel).numpy()

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments that make an equal scorer."""
        return {"order": self.order}


@functools.cache
def _compiled_norm(
    grid: BlockGrid, order: float
) -> Callable[[tf.Tensor], tf.Tensor]:
    # Compiled, it reads a large kernel once and stores nothing of its size.
    return tf.function(
        lambda kernel: block_norm(kernel, grid, order),
        jit_compile=True,
        autograph=False,
    )
