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
"""All layers of a model, in order."""

from collections.abc import Iterator
from typing import Any

from tfmot_sapp.frameworks.private.layers import is_walkable, layers_inside


def flatten_layers(model: Any) -> Iterator[Any]:
    """Yields a layer and all layers inside it, or those of a list, in order.

    A layer that occurs in several places is yielded several times.
    """
    if isinstance(model, (list, tuple)):
        for layer in model:
            yield from flatten_layers(layer)
    elif is_walkable(model):
        yield model
        for layer in layers_inside(model, recursive=False):
            yield from flatten_layers(layer)
