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
"""What a layer does to channels, as arrays: no Keras, no TensorFlow.

Channels are the last axis of every value.
"""

import dataclasses
import math

import numpy as np


@dataclasses.dataclass(eq=False)
class Window:
    """How a convolution slides.

    Attributes:
        strides: One integer per spatial axis.
        padding: "valid", "same" or "causal".
        dilation: One integer per spatial axis.
        transposed: Whether it's a transposed convolution.
    """

    strides: tuple[int, ...]
    padding: str
    dilation: tuple[int, ...]
    transposed: bool = False

    def covers_constants(self, taps: tuple[int, ...]) -> bool:
        """Whether a constant channel stays constant: nothing is padded."""
        if self.transposed:
            return False
        return self.padding == "valid" or math.prod(taps) == 1


@dataclasses.dataclass(eq=False)
class Linear:
    """A Dense layer or a convolution.

    Attributes:
        kernel: Array of shape (*taps, inputs, outputs); a Dense has no taps.
        bias: Array of shape (outputs,).
        window: How it slides; `None` for a Dense.
        border: Array of shape (*taps, 1, outputs) or `None`: what a channel of
            ones would be multiplied with. It stands for all constant input
            channels of a convolution that pads with zeros.
        groups: Groups of the convolution that this was read from; their kernel
            is written out with zeros between the groups.
    """

    kernel: np.ndarray
    bias: np.ndarray
    window: Window | None = None
    border: np.ndarray | None = None
    groups: int = 1

    @property
    def taps(self) -> tuple[int, ...]:
        """Spatial extents of the kernel."""
        return self.kernel.shape[:-2]

    def by_tap(self) -> np.ndarray:
        """The kernel as (taps, inputs, outputs)."""
        return self.kernel.reshape(-1, *self.kernel.shape[-2:])


@dataclasses.dataclass(eq=False)
class Depthwise:
    """A depthwise convolution of multiplier 1.

    Attributes:
        kernel: Array of shape (*taps, channels).
        bias: Array of shape (channels,).
        window: How it slides.
    """

    kernel: np.ndarray
    bias: np.ndarray
    window: Window

    @property
    def taps(self) -> tuple[int, ...]:
        """Spatial extents of the kernel."""
        return self.kernel.shape[:-1]


@dataclasses.dataclass(eq=False)
class Scale:
    """A factor and an offset for every channel: a batch norm at inference."""

    factor: np.ndarray
    offset: np.ndarray


ChannelOperation = Linear | Depthwise | Scale
