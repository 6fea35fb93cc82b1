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

`clone_with` copies a model, those nested in it included, and lets a function
replace layers on the way. Every layer of the copy is new and has the weights of
the original, so nothing that happens to one reaches the other.
"""

from collections.abc import Callable
from typing import Any

from tfmot_sapp.frameworks.layer_attributes import (
    layer_members,
    replace_members,
)
from tfmot_sapp.frameworks.private import keras3, tf_keras2
from tfmot_sapp.frameworks.which_keras import (
    host_value,
    is_layer,
    is_model,
    keras_of,
)

Copy = Callable[[Any], Any]


class Cloner:
    """Makes one copy of a model.

    Args:
        replace: Function from an original layer and a function that copies a
            layer, to the layer that the new model has in its place. Copies are
            built if their originals are, and get their weights in the end.
    """

    def __init__(self, replace: Callable[[Any, Copy], Any]):
        self._replace = replace
        self._made: dict[int, Any] = {}
        self._copied: list[tuple[Any, Any]] = []

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
        for original, copy in self._copied:
            copy_weights(original, copy)
        return clone

    def _clone_model(self, model: Any) -> Any:
        if not is_graph(model):
            return self._clone_subclassed(model)
        keras = keras_of(model)
        if isinstance(model, keras.Sequential):
            return self._clone_sequential(model, keras)
        if keras.__name__ == "tf_keras":
            return keras.models.clone_model(
                model, clone_function=self._clone_layer
            )
        # Left to itself Keras 3 renames the inputs, and compiles the copy as
        # the original was, with an optimizer that misses the wrappers.
        inputs = keras.tree.map_structure(
            lambda tensor: _input_like(keras, tensor), model.input
        )
        compiled, model.compiled = model.compiled, False
        try:
            return keras.models.clone_model(
                model, input_tensors=inputs, clone_function=self._clone_layer
            )
        finally:
            model.compiled = compiled

    def _clone_layer(self, layer: Any) -> Any:
        # Keras 3 hands over bare operations too, which hold no state.
        if not is_layer(layer):
            return layer
        if id(layer) not in self._made:
            self._made[id(layer)] = self._new_layer(layer)
        return self._made[id(layer)]

    def _new_layer(self, layer: Any) -> Any:
        if isinstance(layer, keras_of(layer).layers.InputLayer):
            return type(layer).from_config(layer.get_config())
        if is_model(layer):
            return self._clone_model(layer)
        return self._replace(layer, self._copy)

    def _copy(self, layer: Any) -> Any:
        copy = copy_layer(layer)
        self._copied.append((layer, copy))
        return copy

    def _clone_sequential(self, model: Any, keras: Any) -> Any:
        layers = [self._clone_layer(layer) for layer in model.layers]
        inputs = getattr(model, "inputs", None) if model.built else None
        if inputs:
            layers = [_input_like(keras, inputs[0]), *layers]
        return keras.Sequential(layers, name=model.name)

    def _clone_subclassed(self, model: Any) -> Any:
        copy = copy_layer(model)
        _copy_own_weights(model, copy)
        replace_members(model, copy, self._clone_layer)
        return copy


def _input_like(keras: Any, tensor: Any) -> Any:
    name = tensor.name
    if keras.__name__ == "keras":
        name = keras3.operation_behind(tensor).name
    return keras.Input(
        batch_shape=tuple(tensor.shape), dtype=tensor.dtype, name=name
    )


def copy_layer(layer: Any) -> Any:
    """Returns a new layer with a layer's config, built as it is.

    Args:
        layer: A layer or subclassed model of either Keras.

    Returns:
        A layer with weights of its own, their values still to be copied.

    Raises:
        ValueError: If the layer cannot be made again from its config.
    """
    try:
        copy = type(layer).from_config(layer.get_config())
    except Exception as error:
        raise ValueError(
            f"The layer `{layer.name}` of type {type(layer).__name__} cannot "
            "be copied, because it cannot be made again from its config. "
            "Define `get_config()` in its class, or wrap the layers inside it "
            "by `prune_blocks(layer, ...)` where they are made. "
            f"Received the error: {error}"
        ) from error
    if layer.built:
        _build_like(layer, copy)
    return copy


def _build_like(original: Any, copy: Any) -> None:
    if keras_of(original).__name__ == "tf_keras":
        from tfmot_sapp.frameworks.tf_keras_building import build_like

        build_like(original, copy)
    elif not copy.built:
        config = original.get_build_config()
        if config:
            copy.build_from_config(config)


def copy_weights(original: Any, copy: Any) -> None:
    """Copies all variables of a layer into its copy.

    Args:
        original: A layer.
        copy: A layer of the same structure.

    Raises:
        ValueError: If the two do not have the same variables.
    """
    if not original.built:
        return
    _assign_all(original, copy, list(original.variables), list(copy.variables))


def is_graph(model: Any) -> bool:
    """Returns whether a model is Sequential or Functional."""
    keras = keras_of(model)
    if keras is None or not is_model(model):
        return False
    if isinstance(model, keras.Sequential):
        return True
    if keras.__name__ == "tf_keras":
        return tf_keras2.is_functional(model)
    return keras3.is_functional(model)


def _copy_own_weights(original: Any, copy: Any) -> None:
    """Copies the variables that a model holds outside of its layers."""
    _assign_all(original, copy, _own(original), _own(copy))


def _own(model: Any) -> list[Any]:
    inner = {
        id(variable)
        for layer in layer_members(model)
        for variable in layer.variables
    }
    return [v for v in model.variables if id(v) not in inner]


def _assign_all(
    original: Any, copy: Any, sources: list[Any], targets: list[Any]
) -> None:
    shapes = [tuple(variable.shape) for variable in sources]
    found = [tuple(variable.shape) for variable in targets]
    if shapes != found:
        raise ValueError(
            f"The copy of layer `{original.name}` of type "
            f"{type(original).__name__} has other variables than the original. "
            "Its `get_config()` must return everything that its weights depend "
            f"on. Received: shapes {shapes} and {found}."
        )
    for source, target in zip(sources, targets):
        target.assign(host_value(source))
