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
"""Layers in the attributes of a model or layer are replaced.

Both Keras keep a second list of a model's layers, from which they collect
weights; a layer that is replaced in an attribute is replaced there too.
"""

from collections.abc import Callable, Mapping
from typing import Any

from tfmot_sapp.frameworks.private import keras3
from tfmot_sapp.frameworks.private.layers import attributes_of
from tfmot_sapp.frameworks.walking import held_layers, paired_layers
from tfmot_sapp.frameworks.which_keras import is_layer, keras_of


def replace_members(
    original: Any, copy: Any, make: Callable[[Any], Any]
) -> None:
    """Puts new layers in a model's attributes.

    Args:
        original: A subclassed model.
        copy: A copy of it, whose attributes are changed.
        make: Function from a layer of the original to the one that the copy
            gets in its place; `None` leaves the one that is there.
    """
    # Keras 3 closes the list of a model's layers when the model is built.
    is_keras_3 = keras_of(copy).__name__ == "keras"
    mine = attributes_of(copy)
    with keras3.open_to_layers(copy):
        for name, value in attributes_of(original).items():
            if not any(map(is_layer, _flat(value))):
                continue
            ours = mine.get(name, ())
            new = _map_layers(value, ours, make)
            if list(map(id, _flat(new))) == list(map(id, _flat(ours))):
                continue
            for before, after in zip(_flat(ours), _flat(new)):
                if is_layer(before) and before is not after and is_keras_3:
                    keras3.replace_tracked_layer(copy, before, after)
            if hasattr(copy, name):
                delattr(copy, name)
            setattr(copy, name, new)


def replace_inside(
    original: Any, copy: Any, make: Callable[[Any], Any | None]
) -> None:
    """Puts new layers in the places of some that are deep inside a layer.

    Args:
        original: A layer.
        copy: A copy of it, which is changed.
        make: Function from a layer inside the original to the one that the copy
            gets in its place, or `None` for one that stays as it was copied.
    """
    for old, new in paired_layers(original, copy):
        replaced = {
            id(inner): made
            for _, inner in held_layers(old)
            if (made := make(inner)) is not None
        }
        if replaced:
            replace_members(old, new, _Replacement(replaced))


class _Replacement(dict[int, Any]):
    """Layers by the `id` of those whose places they take."""

    def __call__(self, layer: Any) -> Any | None:
        return self.get(id(layer))


def _flat(value: Any) -> list[Any]:
    if isinstance(value, Mapping):
        return [item for member in value.values() for item in _flat(member)]
    if isinstance(value, (list, tuple)):
        return [item for member in value for item in _flat(member)]
    return [value]


def _map_layers(value: Any, mine: Any, make: Callable[[Any], Any]) -> Any:
    if isinstance(value, Mapping):
        named = mine if isinstance(mine, Mapping) else {}
        return {
            key: _map_layers(member, named.get(key, member), make)
            for key, member in value.items()
        }
    if isinstance(value, (list, tuple)):
        own = mine if len(_sequence(mine)) == len(value) else value
        items = [
            _map_layers(member, theirs, make)
            for member, theirs in zip(value, own)
        ]
        return tuple(items) if isinstance(value, tuple) else items
    if not is_layer(value):
        return value
    made = make(value)
    return mine if made is None else made


def _sequence(value: Any) -> Any:
    return value if isinstance(value, (list, tuple)) else ()
