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
"""How windows slide over values of a LiteRT graph: extents, padding."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from tfmot_sapp.compiler.ir.values import Value


def extents(
    x: Value,
    taps: Sequence[int],
    strides: Sequence[int],
    padding: str,
    dilation: Sequence[int],
) -> list[int | None]:
    """Spatial extents of what a window gives, `None` where unknown."""
    extents: list[int | None] = []
    for n, tap, stride, gap in zip(x.shape[1:-1], taps, strides, dilation):
        if n is None:
            extents.append(None)
            continue
        reach = (tap - 1) * gap if padding == "valid" else 0
        extents.append(-(-(n - reach) // stride))
    return extents


def first(window: tuple[Any, ...]) -> tuple[Any, ...]:
    """A window along the first spatial axis."""
    strides, padding, dilation = window
    return strides[:1], padding, dilation[:1]


def frame(
    x: Value,
    kernel: np.ndarray,
    strides: Sequence[int],
    dilation: Sequence[int],
) -> list[tuple[int, int]]:
    """What "same" pads, (before, after) along each spatial axis."""
    frame = []
    for n, taps, stride, gap in zip(
        x.shape[1:-1], kernel.shape, strides, dilation
    ):
        extent = n or 1
        made = -(-extent // stride)
        total = max((made - 1) * stride + (taps - 1) * gap + 1 - extent, 0)
        frame.append((total // 2, total - total // 2))
    return frame


def options(window: tuple[Any, ...]) -> dict[str, Any]:
    """A window as the options of a convolution."""
    strides, padding, dilation = window[:3]
    return {
        "padding": padding.upper(),
        "stride_h": strides[0],
        "stride_w": strides[1],
        "dilation_h_factor": dilation[0],
        "dilation_w_factor": dilation[1],
    }
