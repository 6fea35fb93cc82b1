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
"""Copies of a model with some of its layers replaced, for both Keras.

A copy computes what the original computes, or is refused. Every layer of it is
new and holds what the original holds, so nothing that happens to one reaches
the other. Models nested in it are copied too, and a function may replace layers
on the way.
"""

from collections.abc import Callable
from typing import Any

from tfmot_sapp.frameworks.building import built_like, has_same_variables
from tfmot_sapp.frameworks.calls import holds_graph
from tfmot_sapp.frameworks.layer_attributes import replace_members
from tfmot_sapp.frameworks.layer_state import (
    copy_adapted_state,
    copy_own_weights,
    copy_state,
)
from tfmot_sapp.frameworks.model_class import restore_class
from tfmot_sapp.frameworks.private import keras3
from tfmot_sapp.frameworks.private.layers import layers_inside, nodes_of
from tfmot_sapp.frameworks.which_keras import is_layer, is_model, keras_of

Copy = Callable[[Any], Any]


class Cloner:
    """Makes one copy of a model.

    Args:
        replace: Function from an original layer and a function that copies a
            layer, to the layer that the new model has in its place. Copies are
            built if their originals are, as far as they can be before they are
            called, and get what the originals hold in the end.
    """

    def __init__(self, replace: Callable[[Any, Copy], Any]):
        self._replace = replace
        self._made: dict[int, Any] = {}
        self._copied: list[tuple[Any, Any]] = []
        self._models: list[tuple[Any, Any]] = []
        self._twins: dict[int, Any] = {}

    def clone(self, model: Any) -> Any:
        """Copies a model of any kind.

        Args:
            model: A Sequential, Functional or subclassed model.

        Returns:
            A model of the same Keras and class, not compiled.

        Raises:
            ValueError: If a layer cannot be made again from its config.
        """
        clone = self._clone_model(model)
        self._copy_states()
        return clone

    def clone_layer(self, layer: Any) -> Any:
        """Copies one layer, or a model, as `clone` copies a model."""
        if is_model(layer):
            return self.clone(layer)
        clone = self._clone_layer(layer, layer)
        self._copy_states()
        return clone

    def _copy_states(self) -> None:
        # A model's flag is one for all layers in it, so the inner ones follow.
        for original, copy in reversed(self._models):
            if copy.trainable != original.trainable:
                copy.trainable = original.trainable
        for original, copy in self._copied:
            copy_state(original, copy)

    def _clone_model(self, model: Any) -> Any:
        if not holds_graph(model):
            return self._clone_subclassed(model)
        keras = keras_of(model)
        if isinstance(model, keras.Sequential):
            clone = self._clone_sequential(model, keras)
        elif keras.__name__ == "tf_keras":
            clone = keras.models.clone_model(
                model, clone_function=self._layer_of_graph(model)
            )
        else:
            clone = self._clone_functional(model, keras)
        restore_class(model, clone, self._clone_member)
        self._models.append((model, clone))
        return clone

    def _clone_functional(self, model: Any, keras: Any) -> Any:
        # Left to itself Keras 3 renames the inputs, and compiles the copy as
        # the original was, with an optimizer that misses the wrappers.
        inputs = keras.tree.map_structure(
            lambda tensor: _input_like(keras, tensor), model.input
        )
        compiled, model.compiled = model.compiled, False
        try:
            return keras.models.clone_model(
                model,
                input_tensors=inputs,
                clone_function=self._layer_of(model),
            )
        finally:
            model.compiled = compiled

    def _layer_of(self, model: Any) -> Copy:
        """Returns the function that copies a layer of a model."""
        return lambda layer: self._clone_layer(layer, model)

    def _layer_of_graph(self, model: Any) -> Copy:
        """Does so where Keras hands over more than the layers of the graph."""
        graph = {id(node.layer) for node in nodes_of(model)}

        def clone(layer: Any) -> Any:
            if id(layer) in graph:
                return self._clone_layer(layer, model)
            return self._clone_member(layer)

        return clone

    def _clone_layer(self, layer: Any, model: Any) -> Any:
        # Keras 3 hands over bare operations too, which hold no state.
        if not is_layer(layer):
            return layer
        if id(layer) not in self._made:
            self._made[id(layer)] = self._new_layer(layer, model)
        return self._made[id(layer)]

    def _clone_member(self, layer: Any) -> Any:
        """Copies a layer that a model holds in an attribute.

        One that is not in the graph, as a teacher that the training step asks,
        is copied as it is.
        """
        if id(layer) in self._made:
            return self._made[id(layer)]
        if not layer.built or not layer.variables:
            return layer
        replace, self._replace = self._replace, lambda given, copy: copy(given)
        try:
            return self._clone_layer(layer, layer)
        finally:
            self._replace = replace

    def _new_layer(self, layer: Any, model: Any) -> Any:
        if isinstance(layer, keras_of(layer).layers.InputLayer):
            return type(layer).from_config(layer.get_config())
        if is_model(layer):
            return self._clone_model(layer)
        return self._replace(layer, lambda given: self._copy(given, model))

    def _copy(self, layer: Any, model: Any) -> Any:
        try:
            copy = copy_layer(layer)
        except ValueError:
            # A model whose own config is good may hold layers whose is not.
            copy = self._twin(layer, model)
            if copy is None:
                raise
        # A lookup can't be called, as the graph is made, without its table.
        copy_adapted_state(layer, copy)
        self._copied.append((layer, copy))
        return copy

    def _twin(self, layer: Any, model: Any) -> Any | None:
        """Returns the layer that stands in its place in a model made anew."""
        if id(layer) not in self._twins and model is not layer:
            self._twins.update(_twins(model))
        return self._twins.get(id(layer))

    def _clone_sequential(self, model: Any, keras: Any) -> Any:
        layers = [self._clone_layer(layer, model) for layer in model.layers]
        inputs = getattr(model, "inputs", None) if model.built else None
        if inputs:
            layers = [_input_like(keras, inputs[0]), *layers]
        return keras.Sequential(layers, name=model.name)

    def _clone_subclassed(self, model: Any) -> Any:
        copy = copy_layer(model)
        copy_own_weights(model, copy)
        replace_members(model, copy, self._layer_of(model))
        return copy


def _twins(model: Any) -> dict[int, Any]:
    try:
        again = type(model).from_config(model.get_config())
    except Exception:
        # What is wrong with the layer itself is what the user is told.
        return {}
    mine, theirs = _unwrapped_layers(model), _unwrapped_layers(again)
    if [type(layer) for layer in mine] != [type(layer) for layer in theirs]:
        return {}
    return {
        id(layer): twin
        for layer, twin in zip(mine, theirs)
        if has_same_variables(layer, twin)
    }


def _unwrapped_layers(model: Any) -> list[Any]:
    """Returns the layers in a model, those in wrappers for the wrappers."""
    return [
        layer
        for layer in layers_inside(model)
        if not hasattr(layer, "pruned_kernels")
    ]


def _input_like(keras: Any, tensor: Any) -> Any:
    name = tensor.name
    if keras.__name__ == "keras":
        name = keras3.operation_behind(tensor).name
    return keras.Input(
        batch_shape=tuple(tensor.shape), dtype=tensor.dtype, name=name
    )


def copy_layer(layer: Any) -> Any:
    """Returns a new layer with a layer's config, built as it is if it can be.

    Args:
        layer: A layer or subclassed model of either Keras.

    Returns:
        A layer with weights of its own, their values still to be copied. One
        that is only built when it is called is not built yet.

    Raises:
        ValueError: If the layer cannot be made again from its config.
    """
    try:
        if layer.built:
            return built_like(layer, lambda: _again(layer))
        return _again(layer)
    except Exception as error:
        raise ValueError(
            f"The layer `{layer.name}` of type {type(layer).__name__} cannot "
            "be copied, because it cannot be made again from its config. "
            "Define `get_config()` in its class, or wrap the layers inside it "
            "by `prune_blocks(layer, ...)` where they are made. "
            f"Received the error: {error}"
        ) from error


def _again(layer: Any) -> Any:
    return type(layer).from_config(layer.get_config())


def same_layer(layer: Any) -> Any:
    """Returns a copy of a layer or model with all that it holds.

    Args:
        layer: A layer or model of either Keras.

    Raises:
        ValueError: If it cannot be copied.
    """
    return Cloner(lambda original, copy: copy(original)).clone_layer(layer)
