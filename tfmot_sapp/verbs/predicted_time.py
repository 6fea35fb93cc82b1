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
"""How long a model takes once it is packed, by a target's figures."""

from typing import Any

from tfmot_sapp.calibration.savings import Saving, microseconds
from tfmot_sapp.calibration.wanted_sparsity import WantedSparsity
from tfmot_sapp.compiler.pack_keras import estimate
from tfmot_sapp.targets.target import Target


def predicted_microseconds(model: Any, target: Target) -> float:
    """Returns what packing a model as it is would choose by.

    Only what can be packed is counted: products and what joins them.

    Args:
        model: A Functional or Sequential model.
        target: What it runs on.
    """
    return estimate(model, 1, target).packed


def wanted_speedup(model: Any, speedup: float, target: Target) -> Any:
    """Returns what a model is to lose for a speed-up on a target.

    Args:
        model: The copy that is pruned, dense as yet.
        speedup: How many times faster it is to be, above 1.
        target: What it runs on.
    """
    whole = predicted_microseconds(model, target)

    def achieved() -> float:
        return whole - predicted_microseconds(model, target)

    saving = Saving(
        whole * (1 - 1 / speedup), microseconds(target.costs()), achieved
    )
    return WantedSparsity(0.0, None, None, saving=saving)
