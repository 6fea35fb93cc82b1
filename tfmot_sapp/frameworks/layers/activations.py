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
"""Activations, as layers and as functions."""

from tfmot_sapp.frameworks.layers.kind import LayerKind

# Functions of one value, by the names under which a Keras has them. Softmax is
# none.
ELEMENTWISE = frozenset(
    {
        "linear",
        "relu",
        "relu6",
        "leaky_relu",
        "elu",
        "selu",
        "celu",
        "gelu",
        "silu",
        "swish",
        "mish",
        "exponential",
        "sigmoid",
        "log_sigmoid",
        "hard_sigmoid",
        "hard_silu",
        "hard_swish",
        "tanh",
        "hard_tanh",
        "tanh_shrink",
        "soft_shrink",
        "hard_shrink",
        "softplus",
        "softsign",
        "squareplus",
        "threshold",
    }
)

ACTIVATIONS = (
    LayerKind(("ReLU", "LeakyReLU", "ELU", "ThresholdedReLU"), effect="map"),
    LayerKind(("Activation",), effect="activation"),
    LayerKind(("Softmax",)),
    LayerKind(("PReLU",)),
)
