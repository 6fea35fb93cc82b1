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
"""Batch norms, which are read, and others, which are not."""

from typing import Any

import numpy as np

from tfmot_sapp.frameworks.channel_operations import ChannelOperation, Scale
from tfmot_sapp.frameworks.layers.kind import LayerKind, array


def channel_axis(norm: Any) -> int:
    """Returns the axis that a batch norm of either Keras has a mean along."""
    axis = norm.axis
    return int(axis[0] if isinstance(axis, (list, tuple)) else axis)


def _read_batch_norm(layer: Any) -> list[ChannelOperation] | None:
    axis = channel_axis(layer)
    mean, variance = array(layer.moving_mean), array(layer.moving_variance)
    if axis != -1 and not _is_last(layer, axis):
        return None
    factor = 1.0 / np.sqrt(variance.astype(np.float64) + layer.epsilon)
    if layer.scale:
        factor = factor * array(layer.gamma)
    offset = -mean * factor
    if layer.center:
        offset = offset + array(layer.beta)
    return [Scale(factor, offset)]


def _is_last(layer: Any, axis: int) -> bool:
    spec = layer.input_spec
    spec = spec[0] if isinstance(spec, (list, tuple)) else spec
    return spec is not None and axis == (spec.ndim or 0) - 1


NORMALIZATION = (
    LayerKind(("BatchNormalization",), effect="scale", read=_read_batch_norm),
    LayerKind(
        (
            "LayerNormalization",
            "GroupNormalization",
            "RMSNormalization",
            "UnitNormalization",
            "Normalization",
        )
    ),
)
