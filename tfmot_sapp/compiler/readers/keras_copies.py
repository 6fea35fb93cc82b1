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
"""Copies of the layers that a packed Keras model takes over as they are."""

from typing import Any

from tfmot_sapp.frameworks.copying import same_layer
from tfmot_sapp.frameworks.private.layers import is_walkable, layers_inside


class Copies:
    """Copies layers, each once.

    A layer that is inside of another one, and called by itself too, as a tied
    embedding, is one and the same layer in both places of the copy.
    """

    def __init__(self) -> None:
        self._made: dict[int, Any] = {}
        self._owners: dict[int, Any] = {}

    def note(self, layer: Any) -> None:
        """Notes a layer that the model calls, before any is copied."""
        if not is_walkable(layer):
            return
        for inner in layers_inside(layer):
            self._owners.setdefault(id(inner), layer)

    def of(self, layer: Any) -> Any:
        """Returns the copy of a layer.

        Args:
            layer: A layer of either Keras.

        Returns:
            A layer of the same configuration and weights; the layer itself
            where it can't be made from its config.
        """
        owner = self._owners.get(id(layer))
        if id(layer) not in self._made and owner is not None:
            self.of(owner)
        if id(layer) not in self._made:
            self._copy(layer)
        return self._made[id(layer)]

    def _copy(self, layer: Any) -> None:
        try:
            copy = same_layer(layer)
        except ValueError:
            # Without a usable config it can't be copied; it is used as it is.
            copy = layer
        self._made[id(layer)] = copy
        inside, theirs = layers_inside(layer), layers_inside(copy)
        if list(map(type, inside)) == list(map(type, theirs)):
            for old, new in zip(inside, theirs):
                self._made.setdefault(id(old), new)
