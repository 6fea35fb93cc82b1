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
"""Layers without weights, by what they do to channels.

The names are those under which both Keras have them.
"""

# Functions of one value, by the name under which every Keras has them.
ACTIVATIONS = frozenset(
    {
        "relu",
        "relu6",
        "sigmoid",
        "tanh",
        "elu",
        "selu",
        "softplus",
        "softsign",
        "silu",
        "swish",
        "gelu",
        "exponential",
        "hard_sigmoid",
        "hard_silu",
        "hard_swish",
        "leaky_relu",
        "mish",
    }
)
AT_INFERENCE_NOTHING = frozenset(
    {
        "Dropout",
        "SpatialDropout1D",
        "SpatialDropout2D",
        "SpatialDropout3D",
        "AlphaDropout",
        "GaussianDropout",
        "GaussianNoise",
        "ActivityRegularization",
    }
)
STEPS = {
    "ReLU": "map",
    "LeakyReLU": "map",
    "ELU": "map",
    "Add": "add",
    "Subtract": "merge",
    "Multiply": "merge",
    "Average": "merge",
    "Maximum": "merge",
    "Minimum": "merge",
    **{
        f"{kind}{rank}D": "pool"
        for kind in (
            "MaxPooling",
            "AveragePooling",
            "GlobalMaxPooling",
            "GlobalAveragePooling",
            "Cropping",
            "UpSampling",
        )
        for rank in (1, 2, 3)
    },
    **{f"ZeroPadding{rank}D": "frame" for rank in (1, 2, 3)},
}
