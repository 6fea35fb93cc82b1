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
"""`OperationStep`: an operation that treats every channel alike."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from tfmot_sapp.compiler.ir.evaluate import compute_channels, evaluate
from tfmot_sapp.compiler.ir.graph import Operation


@dataclasses.dataclass(eq=False)
class OperationStep:
    """What a `Step` of a LiteRT graph holds.

    Attributes:
        operation: The operation; it has one output.
        places: Which of its inputs the step's values are, first the one that
            the step continues.
        constants: Contents of its other inputs by their place. Where the last
            axis is as long as the output has channels, there is one entry for
            each channel.
    """

    operation: Operation
    places: tuple[int, ...]
    constants: dict[int, np.ndarray]

    def __call__(self, given: Any) -> np.ndarray:
        """Computes constant channels.

        Args:
            given: An array of shape (1, channels), or a list of them, one for
                each of `places`.

        Returns:
            Array of shape (1, channels).
        """
        several = isinstance(given, list)
        values = given if several else [given]
        return compute_channels(self.operation, self._inputs(values))

    def compute(self, values: list[np.ndarray]) -> np.ndarray | None:
        """Computes the operation.

        Args:
            values: An array for each of `places`, of a value's shape.

        Returns:
            What it makes, `None` where NumPy can't compute it.
        """
        try:
            return evaluate(self.operation, self._inputs(values))[0]
        except ValueError:
            return None

    def _inputs(self, values: list[np.ndarray]) -> list[Any]:
        inputs: list[Any] = [None] * len(self.operation.inputs)
        for place, array in self.constants.items():
            inputs[place] = array
        for place, array in zip(self.places, values):
            inputs[place] = array
        return inputs

    def constants_for(self, channels: np.ndarray) -> dict[int, np.ndarray]:
        """The constants for some of the channels.

        Args:
            channels: Indices of the channels.

        Returns:
            Contents by place.
        """
        return {
            place: array[..., channels] if self._is_by_channel(array) else array
            for place, array in self.constants.items()
        }

    @property
    def is_by_channel(self) -> bool:
        """Whether a constant has an entry for each channel."""
        return any(map(self._is_by_channel, self.constants.values()))

    def _is_by_channel(self, array: np.ndarray) -> bool:
        count = self.operation.outputs[0].shape[-1]
        return count != 1 and array.dtype.kind == "f" and _last(array) == count


def _last(array: np.ndarray) -> int:
    return array.shape[-1] if array.ndim else 0


def is_by_channel(array: np.ndarray, channels: Sequence[int] | int) -> bool:
    """Whether a constant has one entry for each channel and no more.

    Args:
        array: The constant.
        channels: The number of channels.
    """
    return array.size == channels and _last(array) == channels
