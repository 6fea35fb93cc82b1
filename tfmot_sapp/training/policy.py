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
"""Which layers of a model are pruned.

Any object with TF-MOT's `PruningPolicy` protocol will do, that is with
`allow_pruning(layer)` and `ensure_model_supports_pruning(model)`. A policy may
say how many blocks a kernel must have at least (`min_blocks`).
"""

import dataclasses
from typing import Any

from tfmot_sapp.base.checks import check_methods, check_whole


@dataclasses.dataclass(frozen=True)
class MinimumBlocks:
    """Prunes every kernel that is cut in enough blocks (arXiv 2402.17902).

    Args:
        min_blocks: Kernels with fewer blocks are left alone. The paper's
            experiments use 100, the default.

    Raises:
        TypeError: If `min_blocks` is no whole number.
        ValueError: If `min_blocks` is less than 1.

    Example:

    >>> MinimumBlocks(10).min_blocks
    10
    """

    min_blocks: int = 100

    def __post_init__(self) -> None:
        """Checks the arguments."""
        min_blocks = check_whole(self.min_blocks, "min_blocks", least=1)
        object.__setattr__(self, "min_blocks", min_blocks)

    def allow_pruning(self, layer: Any) -> bool:
        """Allows every layer; the number of blocks decides."""
        return True

    def ensure_model_supports_pruning(self, model: Any) -> None:
        """Accepts every model."""


def check_policy(policy: Any) -> Any:
    """Returns the policy if it follows TF-MOT's protocol.

    Raises:
        TypeError: If it lacks one of the two methods.
    """
    return check_methods(
        policy,
        "pruning_policy",
        ("allow_pruning", "ensure_model_supports_pruning"),
        "have the methods `allow_pruning(layer)` and "
        "`ensure_model_supports_pruning(model)` of TF-MOT's `PruningPolicy`, "
        "such as `tfmot_sapp.MinimumBlocks(100)`",
    )
