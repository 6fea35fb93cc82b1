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
"""The cells of recurrent layers, which hold their kernels."""

from typing import Any

from tfmot_sapp.frameworks.layers.axes import IN, OUT, convolution_roles
from tfmot_sapp.frameworks.layers.kind import KernelAxes, LayerKind, by_rank


def _convolutions(layer: Any) -> list[KernelAxes]:
    roles = convolution_roles(len(layer.kernel.shape))
    return [("kernel", roles), ("recurrent_kernel", roles)]


RECURRENT = (
    LayerKind(
        ("LSTMCell", "GRUCell", "SimpleRNNCell"),
        kernels=lambda layer: [
            ("kernel", (IN, OUT)),
            ("recurrent_kernel", (IN, OUT)),
        ],
        size="units",
    ),
    LayerKind(("ConvLSTMCell",), kernels=_convolutions, size="filters"),
    LayerKind(
        ("LSTM", "GRU", "SimpleRNN"),
        holds_layers=True,
        effect="loop",
        size="units",
    ),
    LayerKind(
        by_rank(["ConvLSTM"]), holds_layers=True, effect="loop", size="filters"
    ),
)
