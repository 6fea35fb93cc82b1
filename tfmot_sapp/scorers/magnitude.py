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

import dataclasses
import math

import numpy as np

from tfmot_sapp.base.checks import check_real
from tfmot_sapp.blocks.compiled import run_compiled
from tfmot_sapp.blocks.norms import block_norm
from tfmot_sapp.scorers.scorer import KernelView, Scorer


@dataclasses.dataclass(frozen=True, eq=False)
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

    order: float = 2.0

    def __post_init__(self) -> None:
        """Checks the arguments."""
        meaning = "the order of the norm"
        order = check_real(
            self.order, "order", least=1, most=math.inf, meaning=meaning
        )
        self._set(order=order)

    def score(self, view: KernelView) -> np.ndarray:
        """Returns the norm of each block."""
        norm = run_compiled(block_norm, (view.kernel,), view.grid, self.order)
        return norm.numpy()
