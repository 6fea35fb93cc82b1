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
"""Architectures of keras.applications, of random weights."""

from typing import Any

import keras

from benchmarks.architectures.architecture import Architecture

# Class, the small form's side, and its arguments.
_SMALL: tuple[tuple[str, int, dict[str, Any]], ...] = (
    ("MobileNet", 32, {"alpha": 0.25}),
    ("MobileNetV2", 32, {"alpha": 0.35}),
    ("MobileNetV3Small", 32, {}),
    ("EfficientNetB0", 32, {}),
    ("EfficientNetV2B0", 32, {}),
    ("DenseNet121", 32, {}),
    ("InceptionV3", 75, {}),
    ("Xception", 71, {}),
    ("ResNet50", 32, {}),
    ("ResNet50V2", 32, {}),
    ("NASNetMobile", 32, {}),
    ("ConvNeXtTiny", 32, {}),
    ("VGG16", 32, {}),
)


def _make(name: str, side: int, arguments: dict[str, Any]) -> Any:
    def make(size: str) -> Any:
        kwargs = {"weights": None}
        if size == "small":
            kwargs = {
                **kwargs,
                "input_shape": (side, side, 3),
                "include_top": False,
                "pooling": "avg",
                **arguments,
            }
        return getattr(keras.applications, name)(**kwargs)

    return make


APPLICATIONS = tuple(
    Architecture(name, _make(name, side, arguments), extents=224)
    for name, side, arguments in _SMALL
)
