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
"""Layers and weights that several parts of a model hold.

A layer may stand in a graph and be held by another layer beside it, as a head
that multiplies with the embeddings; an operation may read a weight itself.
Copies of the parts must go on sharing what they share.
"""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from tfmot_sapp.frameworks.calls import calls_of, is_graph
from tfmot_sapp.frameworks.private.layers import functional_of
from tfmot_sapp.frameworks.references import referred
from tfmot_sapp.frameworks.walking import held_layers
from tfmot_sapp.frameworks.which_keras import (
    host_value,
    is_layer,
    is_model,
    keras_of,
)


@dataclasses.dataclass(frozen=True)
class Sharing:
    """What is shared in a model.

    Attributes:
        layers: The layers that several parts hold, by their `id`; of layers
            inside each other that the same parts hold, the outermost.
        parts: The layers of the model and of the models in it, without those
            inside other layers.
        readers: For the `id` of each weight that an operation or a function
            reads by itself, what reads it.
    """

    layers: Mapping[int, Any] = dataclasses.field(default_factory=dict)
    parts: Sequence[Any] = ()
    readers: Mapping[int, str] = dataclasses.field(default_factory=dict)


def find_sharing(model: Any) -> Sharing:
    """Finds what is shared in a model.

    Args:
        model: A model of either Keras.

    Raises:
        ValueError: If an operation computes with a constant that has been taken
            from a weight, and not with the weight.
    """
    search = _Search()
    search.add_parts_of(model)
    return Sharing(search.shared(), search.parts, search.readers)


class _Search:
    def __init__(self) -> None:
        self._layers: dict[int, Any] = {}
        self._holders: dict[int, set[int]] = {}
        self._parents: dict[int, set[int]] = {}
        self._models: set[int] = set()
        self.parts: list[Any] = []
        self.readers: dict[int, str] = {}

    def add_parts_of(self, model: Any) -> None:
        """Adds the layers of a graph, or those that a model's class has."""
        if id(model) in self._models:
            return
        self._models.add(id(model))
        for _, layer in held_layers(model):
            if is_model(layer):
                self.add_parts_of(layer)
            else:
                self._add_part(layer)
        if is_graph(model):
            self._add_operations(model)

    def _add_part(self, layer: Any) -> None:
        if any(layer is part for part in self.parts):
            return
        self.parts.append(layer)
        self._hold(layer, layer)
        stack = [layer]
        while stack:
            outer = stack.pop()
            for _, inner in held_layers(outer):
                if inner is layer:
                    continue
                self._parents.setdefault(id(inner), set()).add(id(outer))
                if id(layer) not in self._holders.get(id(inner), ()):
                    self._hold(inner, layer)
                    stack.append(inner)
        for item in function_references(layer):
            if is_layer(item) and not is_model(item):
                self._hold(item, layer)
            elif is_variable(item):
                self.readers[id(item)] = f"the layer `{layer.name}`"

    def _hold(self, layer: Any, holder: Any) -> None:
        self._layers[id(layer)] = layer
        self._holders.setdefault(id(layer), set()).add(id(holder))

    def _add_operations(self, model: Any) -> None:
        constants = []
        for call in calls_of(functional_of(model)):
            name = getattr(call.layer, "name", type(call.layer).__name__)
            for value in tf.nest.flatten((call.args, call.kwargs)):
                if is_variable(value):
                    self.readers[id(value)] = f"the operation `{name}`"
                elif isinstance(value, tf.Tensor) and len(value.shape) > 1:
                    constants.append((name, value))
        for name, value in constants:
            _refuse_snapshot(model, name, value)

    def shared(self) -> dict[int, Any]:
        return {
            key: self._layers[key]
            for key, holders in self._holders.items()
            if len(holders) > 1
            and not any(
                self._holders.get(parent) == holders
                for parent in self._parents.get(key, ())
            )
        }


def function_references(layer: Any) -> Iterator[Any]:
    """Yields what the function of a `Lambda` refers to; nothing for others."""
    if is_lambda(layer):
        yield from referred(layer.function)


def is_lambda(layer: Any) -> bool:
    """Returns whether a layer calls a function that it was given."""
    keras = keras_of(layer)
    return keras is not None and isinstance(layer, keras.layers.Lambda)


def is_variable(obj: Any) -> bool:
    """Returns whether an object is a variable, of a Keras or TensorFlow."""
    return hasattr(obj, "assign") and hasattr(obj, "trainable")


def _refuse_snapshot(model: Any, name: str, value: Any) -> None:
    """Refuses a constant that has the values of a weight.

    `ops.transpose(embedding.embeddings)` is computed at once, when the graph is
    made: what it gives knows nothing of later changes of the weight.
    """
    if not hasattr(value, "numpy"):
        return
    constant = value.numpy()
    for variable in model.weights:
        shape = tuple(variable.shape)
        if shape not in (constant.shape, constant.shape[::-1]):
            continue
        weight = host_value(variable)
        if np.ptp(weight) and (
            np.array_equal(weight, constant)
            or np.array_equal(weight.T, constant)
        ):
            raise ValueError(
                f"The operation `{name}` of the model `{model.name}` computes "
                f"with a constant that was taken from `{_path(variable)}` when "
                "the model was made. It is not tied to that weight, and would "
                "keep the dense values. Use a layer that reads the weight when "
                "it is called, such as `keras.layers.ReversibleEmbedding`."
            )


def _path(variable: Any) -> str:
    return getattr(variable, "path", variable.name)
