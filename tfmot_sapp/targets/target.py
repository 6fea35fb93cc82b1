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
"""`Target`: everything that is known of where a model runs, in one object.

What is packed and how it is written follows from the target that is passed
down; no other module holds figures or limits of a runtime. A new target is one
subclass, a frozen dataclass whose fields are what a user says about it, as
`CpuTarget` is.
"""

import abc
import dataclasses
from typing import Any

from tfmot_sapp.base.checks import check_choice, check_count, check_instance
from tfmot_sapp.base.settings import Settings
from tfmot_sapp.targets.costs import Costs
from tfmot_sapp.targets.operators import Operators

# Data types of models: float32, and what `export_tflite` takes.
QUANTIZE = (None, "float16", "dynamic_int8", "int8", "int4")


@dataclasses.dataclass(frozen=True, eq=False)
class Target(Settings, abc.ABC):
    """Where a model is to run. Targets of equal fields are equal."""

    @abc.abstractmethod
    def costs(self, quantize: str | None = None) -> Costs:
        """Returns what work costs there.

        Args:
            quantize: Data type of the model, as in `export_tflite`.
        """

    @abc.abstractmethod
    def operators(self, quantize: str | None = None) -> Operators:
        """Returns what operations may be there, and how layers are written.

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


def check_target(target: Any, name: str = "target") -> Target:
    """Returns the target if it is one.

    Args:
        target: The value to check.
        name: The argument's name.

    Raises:
        TypeError: If it is no `Target`.
    """
    return check_instance(
        target,
        name,
        Target,
        "where the model will run, such as `tfmot_sapp.CpuTarget(threads=4)`, "
        "`tfmot_sapp.GpuTarget()` or `tfmot_sapp.NpuTarget()`",
    )


def check_quantize(quantize: Any) -> str | None:
    """Returns a model's data type if it is one.

    Args:
        quantize: As in `export_tflite`.

    Raises:
        TypeError: If it is no string.
        ValueError: If it is unknown.
    """
    return check_choice(quantize, "quantize", QUANTIZE)


def eighths(
    inputs: int, outputs: int, widest: tuple[int, int], least: int = 16
) -> tuple[int, int] | None:
    """Returns blocks of which there are eight on each side at least.

    Args:
        inputs: Inputs of one tap of a kernel.
        outputs: Its outputs.
        widest: Largest extents of a block.
        least: Extents are multiples of this.

    Returns:
        (in, out), or `None` where they would be narrower than `least`.

    Raises:
        TypeError: If `inputs` or `outputs` is no integer.
        ValueError: If one is less than 1.

    Example:

    >>> eighths(512, 1024, widest=(32, 128))
    (32, 128)
    """
    check_count(inputs, "inputs")
    check_count(outputs, "outputs")
    block = tuple(
        min(most, least * (extent // (8 * least)))
        for most, extent in zip(widest, (inputs, outputs))
    )
    return (block[0], block[1]) if min(block) >= least else None
