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

from collections.abc import Container, Iterator, Mapping
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
    the indices in lists and the keys in dictionaries; the index among its
    layers for a model. Keras keeps the layers of a graph in no attribute.
    """
    if is_model(layer) and getattr(layer, "layers", None):
        for index, inner in enumerate(layer.layers):
            yield f"{index}", inner
    for name, value in attributes_of(layer).items():
        for place, item in _items(name.lstrip("_"), value):
            if is_layer(item):
                yield place, item


def _items(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, (list, tuple)):
        for index, item in enumerate(value):
            yield from _items(f"{name}.{index}", item)
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from _items(f"{name}.{key}", item)
    else:
        yield name, value


def paired_layers(
    original: Any, copy: Any, skip: Container[int] = ()
) -> list[tuple[Any, Any]]:
    """Returns a layer and those inside it, each with what is in its place.

    Args:
        original: A layer or model.
        copy: Another of the same structure. Wrappers of pruning in either are
            seen through.
        skip: The `id`s of layers of the original that are left out, with what
            is inside them.

    Returns:
        Pairs of layers of one class, those of the original once each.
    """
    pairs: list[tuple[Any, Any]] = []
    seen: set[int] = set()

    def visit(old: Any, new: Any) -> None:
        if id(old) in skip:
            return
        old, new = unwrapped(old), unwrapped(new)
        if id(old) in seen or id(old) in skip or type(old) is not type(new):
            return
        seen.add(id(old))
        pairs.append((old, new))
        theirs = dict(held_layers(new))
        for place, inner in held_layers(old):
            if place in theirs:
                visit(inner, theirs[place])

    visit(original, copy)
    return pairs


def unwrapped(layer: Any) -> Any:
    """Returns the layer in a wrapper of pruning, and any other as it is."""
    return layer.layer if is_pruned(layer) else layer


def is_pruned(layer: Any) -> bool:
    """Returns whether a layer is a wrapper of pruning."""
    return hasattr(type(layer), "pruned_kernels")
