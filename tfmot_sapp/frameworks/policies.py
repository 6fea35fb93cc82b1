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
"""What a policy of TF-MOT's kind says of a layer."""

from typing import Any

from tfmot_sapp.base.checks import check_flag


def is_allowed(policy: Any, layer: Any) -> bool:
    """Returns whether a policy allows a layer to be pruned.

    Args:
        policy: An object with a method `allow_pruning`.
        layer: The layer.

    Raises:
        TypeError: If it answers with anything but a bool.
    """
    answer = policy.allow_pruning(layer)
    return check_flag(answer, "pruning_policy.allow_pruning(layer)")
