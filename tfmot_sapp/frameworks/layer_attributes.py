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
"""Layers in the attributes of a subclassed model are replaced.

Both Keras keep a second list of a model's layers, from which they collect
weights; a layer that is replaced in an attribute is replaced there too.
"""

from collections.abc import Callable, Mapping
from typing import Any

from tfmot_sapp.frameworks.private import keras3
from tfmot_sapp.frameworks.private.layers import attributes_of
from tfmot_sapp.frameworks.which_keras import is_layer, keras_of


def replace_members(
    original: Any, copy: Any, make: Callable[[Any], Any]
) -> None:
    """Puts new layers in a model's attributes.

    Args:
        original: A subclassed model.
        copy: A copy of it, whose attributes are changed.
        make: Function from a layer of the original to the one that the copy
            gets in its place.
    """
    # Keras 3 closes the list of a model's layers when the model is built.
    is_keras_3 = keras_of(copy).__name__ == "keras"
    mine = attributes_of(copy)
    with keras3.open_to_layers(copy):
        for name, value in attributes_of(original).items():
            if not any(map(is_layer, _flat(value))):
                continue
            for theirs, ours in zip(_flat(value), _flat(mine.get(name, ()))):
                if is_layer(theirs) and is_keras_3:
                    keras3.replace_tracked_layer(copy, ours, make(theirs))
            if hasattr(copy, name):
                delattr(copy, name)
            setattr(copy, name, _map_layers(value, make))


def _flat(value: Any) -> list[Any]:
    if isinstance(value, Mapping):
        return list(value.values())
    if isinstance(value, (list, tuple)):
        return list(value)
    return [value]


def _map_layers(value: Any, make: Callable[[Any], Any]) -> Any:
    def one(member: Any) -> Any:
        return make(member) if is_layer(member) else member

    if isinstance(value, Mapping):
        return {key: one(member) for key, member in value.items()}
    if isinstance(value, (list, tuple)):
        return [one(member) for member in value]
    return one(value)
