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
"""`Target`: everything that is known of a runtime, in one object.

What is packed and how it is written follows from the target that is passed
down; no other module holds figures or limits of a runtime. A new target is one
subclass, a frozen dataclass whose fields are what a user says about it, as
`CpuTarget` is.
"""

import abc
import dataclasses

from tfmot_sapp.targets.costs import Costs
from tfmot_sapp.targets.operators import Operators


@dataclasses.dataclass(frozen=True)
class Target(abc.ABC):
    """Where a model is to run. Targets of equal fields are equal."""

    @abc.abstractmethod
    def costs(self, quantize: str | None = None) -> Costs:
        """Returns what work costs there.

        Args:
            quantize: Data type of the model, as in `export_tflite`.
        """

    @abc.abstractmethod
    def operators(self, quantize: str | None = None) -> Operators:
        """Returns how packed layers are written for it.

        Args:
            quantize: Data type of the model, as in `export_tflite`.
        """

    @abc.abstractmethod
    def block_size(self, inputs: int, outputs: int) -> tuple[int, int] | None:
        """Returns blocks that a packed layer is fast with there.

        Args:
            inputs: Inputs of one tap of the layer's kernel.
            outputs: Its outputs.

        Returns:
            (in, out), or `None` for a kernel that is too narrow for any.
        """
