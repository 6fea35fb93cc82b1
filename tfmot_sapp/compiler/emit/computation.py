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
"""What is written at once."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from tfmot_sapp.compiler.graph import Packable, Step
from tfmot_sapp.compiler.lowerings.lowering import Lowering

# For each output piece, which of the given tensors a step takes for an
# operand; `None` where that is zero.
Places = list[int | None]


@dataclasses.dataclass(eq=False)
class Computation:
    """What is written at once: a lowering, and the steps that follow it.

    Attributes:
        name: What it is named after.
        lowering: The lowering.
        tensors: What the lowering takes, then the operands of the steps.
        core_inputs: How many the lowering takes.
        arrays: The lowering's weights.
        steps: Each step, with the places of each of its operands.
        channels: Channels of each output piece, where there are steps.
        node: What it belongs to, if it isn't a copy between two forms.
    """

    name: str
    lowering: Lowering
    tensors: list[Any]
    core_inputs: int
    arrays: Sequence[np.ndarray] = ()
    steps: list[tuple[Step, list[Places]]] = dataclasses.field(
        default_factory=list
    )
    channels: list[np.ndarray] = dataclasses.field(default_factory=list)
    node: Packable | None = None
