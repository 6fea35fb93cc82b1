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
"""All layers of a model, in order, and where a layer holds others."""

from collections.abc import Iterator, Mapping
from typing import Any

from tfmot_sapp.frameworks.private.layers import (
    attributes_of,
    is_walkable,
    layers_inside,
)
from tfmot_sapp.frameworks.which_keras import is_layer, is_model


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


def held_layers(layer: Any) -> Iterator[tuple[str, Any]]:
    """Yields the layers that a layer holds itself, each with its place.

    A place is the name of an attribute without leading underscores, followed by
    the index in a list or the key in a dictionary; the index among its layers
    for a model. Keras keeps the layers of a graph in no attribute.
    """
    if is_model(layer) and getattr(layer, "layers", None):
        for index, inner in enumerate(layer.layers):
            yield f"{index}", inner
    for name, value in attributes_of(layer).items():
        for place, item in _items(name.lstrip("_"), value):
            if is_layer(item):
                yield place, item


def _items(name: str, value: Any) -> list[tuple[str, Any]]:
    if isinstance(value, (list, tuple)):
        return [(f"{name}.{i}", item) for i, item in enumerate(value)]
    if isinstance(value, Mapping):
        return [(f"{name}.{key}", item) for key, item in value.items()]
    return [(name, value)]
