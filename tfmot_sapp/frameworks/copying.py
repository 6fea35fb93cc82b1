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
the other; what parts of the original share, the copies share. Models nested in
it are copied too, and a function may replace layers on the way.
"""

import inspect
from collections.abc import Callable
from typing import Any

from tfmot_sapp.frameworks.building import built_like
from tfmot_sapp.frameworks.calls import holds_graph
from tfmot_sapp.frameworks.compiling import compile_like
from tfmot_sapp.frameworks.initial_values import begin_like
from tfmot_sapp.frameworks.layer_attributes import (
    replace_inside,
    replace_members,
)
from tfmot_sapp.frameworks.layer_state import (
    copy_adapted_state,
    copy_own_weights,
    copy_state,
    share_values,
    variables_of,
)
from tfmot_sapp.frameworks.model_class import copy_by_attributes, restore_class
from tfmot_sapp.frameworks.private import keras3
from tfmot_sapp.frameworks.private.compiling import seen_as_uncompiled
from tfmot_sapp.frameworks.private.layers import nodes_of, rename
from tfmot_sapp.frameworks.references import rebound
from tfmot_sapp.frameworks.sharing import (
    Sharing,
    find_sharing,
    is_lambda,
    is_variable,
)
from tfmot_sapp.frameworks.twins import twins_of
from tfmot_sapp.frameworks.walking import paired_layers, unwrapped
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
        self._subclassed: list[tuple[Any, Any]] = []
        self._twins: dict[int, Any] = {}
        self._asked: set[int] = set()
        # The models that what is being copied is in, the outermost first.
        self._around: list[Any] = []
        self._sharing = Sharing()

    def clone(self, model: Any, sharing: Sharing | None = None) -> Any:
        """Copies a model of any kind.

        Args:
            model: A Sequential, Functional or subclassed model.
            sharing: What `find_sharing` says of it. Defaults to `None`: it is
                asked.

        Returns:
            A model of the same Keras and class, not compiled yet.

        Raises:
            ValueError: If a layer cannot be made again from its config.
        """
        self._sharing = find_sharing(model) if sharing is None else sharing
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

    def compile(self) -> None:
        """Compiles what was made as the originals are compiled.

        To be called when the copy is finished.
        """
        for original, copy in (*self._models, *self._subclassed):
            compile_like(original, copy)

    def _copy_states(self) -> None:
        # A model's flag is one for all layers in it, so the inner ones follow.
        for original, copy in reversed(self._models):
            if copy.trainable != original.trainable:
                copy.trainable = original.trainable
        for original, copy in self._copied:
            copy_state(original, copy, self._sharing.layers)

    def _clone_model(self, model: Any) -> Any:
        if not holds_graph(model):
            return self._clone_subclassed(model)
        self._around.append(model)
        keras = keras_of(model)
        if isinstance(model, keras.Sequential):
            clone = self._clone_sequential(model, keras)
        elif keras.__name__ == "tf_keras":
            clone = self._clone_tf_keras_functional(model, keras)
        else:
            clone = self._clone_functional(model, keras)
        restore_class(model, clone, self._clone_member)
        self._models.append((model, clone))
        self._around.pop()
        return clone

    def _clone_tf_keras_functional(self, model: Any, keras: Any) -> Any:
        try:
            return keras.models.clone_model(
                model, clone_function=self._layer_of_graph(model)
            )
        except (TypeError, ValueError) as error:
            if "cannot be copied" in str(error):
                raise
            # Operations with several arguments, or with weights: tf_keras
            # can't write them down.
            raise ValueError(
                f"The graph of the model `{model.name}` cannot be copied. Make "
                "a layer of what computes with bare operations. Received the "
                f"error: {error}"
            ) from error

    def _clone_functional(self, model: Any, keras: Any) -> Any:
        # Left to itself Keras 3 renames the inputs, and compiles the copy as
        # the original was, with an optimizer that has slots for its weights.
        inputs = keras.tree.map_structure(
            lambda tensor: input_like(keras, tensor), model.input
        )
        with seen_as_uncompiled(model):
            return keras.models.clone_model(
                model,
                input_tensors=inputs,
                clone_function=self._layer_of(model),
                call_function=self._call,
            )

    def _call(self, layer: Any, *args: Any, **kwargs: Any) -> Any:
        if self._sharing.readers:
            args, kwargs = keras_of(layer).tree.map_structure(
                self._counterpart, (args, kwargs)
            )
        return layer(*args, **kwargs)

    def _counterpart(self, item: Any) -> Any:
        """Returns what stands in the copy for a layer or a weight."""
        if id(item) in self._sharing.layers:
            return self._clone_layer(item, item)
        if not is_variable(item):
            return item
        for part in self._sharing.parts:
            if any(item is variable for variable in unwrapped(part).variables):
                return self._same_variable(item, part)
        return item

    def _same_variable(self, variable: Any, part: Any) -> Any:
        for old, new in paired_layers(part, self._clone_layer(part, part)):
            theirs = variables_of(new)
            for mine, copy in zip(variables_of(old), theirs):
                if mine is variable and len(theirs) == len(variables_of(old)):
                    return copy
        raise ValueError(
            f"The layer `{part.name}` cannot be copied, because its weights "
            "are used outside of it and the copy has them only when it is "
            "called. Give it a `build` that makes all of its weights."
        )

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
        copy = self._twins.get(id(layer))
        try:
            if copy is None:
                copy = copy_layer(layer)
        except ValueError:
            # A model whose own config is good may hold layers whose is not.
            copy = self._twin(layer, model)
            if copy is None:
                raise
        # Now, so that its own first values don't take memory any longer.
        share_values(layer, copy)
        self._share(layer, copy)
        # A lookup can't be called, as the graph is made, without its table.
        copy_adapted_state(layer, copy, self._sharing.layers)
        self._copied.append((layer, copy))
        return copy

    def _share(self, layer: Any, copy: Any) -> None:
        """Puts the copies of what a layer shares with others into its copy."""
        shared = self._sharing.layers

        def make(inner: Any) -> Any | None:
            if id(inner) not in shared or inner is layer:
                return None
            return self._clone_layer(inner, inner)

        if shared:
            replace_inside(layer, copy, make)
        if is_lambda(layer):
            copy.function = rebound(layer.function, self._counterpart)

    def _twin(self, layer: Any, model: Any) -> Any | None:
        """Returns the layer that stands in its place in a model made anew.

        A model of which only an outer one knows how it was made, as the part
        of a backbone that gives features, is found in that one.
        """
        for outer in (model, *reversed(self._around)):
            if id(outer) not in self._asked and outer is not layer:
                self._asked.add(id(outer))
                self._twins = twins_of(outer, self._made) | self._twins
            if id(layer) in self._twins:
                return self._twins[id(layer)]
        return None

    def _clone_sequential(self, model: Any, keras: Any) -> Any:
        layers = [self._clone_layer(layer, model) for layer in model.layers]
        inputs = getattr(model, "inputs", None) if model.built else None
        if inputs:
            layers = [input_like(keras, inputs[0]), *layers]
        return keras.Sequential(layers, name=model.name)

    def _clone_subclassed(self, model: Any) -> Any:
        clone_layer = self._layer_of(model)
        try:
            copy = copy_layer(model)
        except ValueError as error:
            try:
                copy = copy_by_attributes(model, clone_layer)
                copy_own_weights(model, copy)
            except ValueError:
                raise error from None
        else:
            copy_own_weights(model, copy)
            replace_members(model, copy, clone_layer)
        self._subclassed.append((model, copy))
        return copy


def input_like(keras: Any, tensor: Any, samples: int | None = None) -> Any:
    """Returns a new symbolic input like one of a model of a Keras.

    Args:
        keras: The Keras.
        tensor: The model's input.
        samples: How many samples it takes. Defaults to `None`: as many as the
            other one.
    """
    first, *others = tuple(tensor.shape)
    name = tensor.name
    if keras.__name__ == "keras":
        name = keras3.operation_behind(tensor).name
    return keras.Input(
        batch_shape=(samples or first, *others), dtype=tensor.dtype, name=name
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
        if not layer.built:
            return _again(layer)
        with begin_like(variables_of(layer)):
            return built_like(layer, lambda: _again(layer))
    except Exception as error:
        raise ValueError(
            f"The layer `{layer.name}` of type {type(layer).__name__} cannot "
            "be copied, because it cannot be made again from its config. "
            "Define `get_config()` in its class, or call `prune_blocks` (and "
            "then `strip_pruning`) on the layers or models inside it. "
            f"Received the error: {error}"
        ) from error


def _again(layer: Any) -> Any:
    if is_lambda(layer) and keras_of(layer).__name__ == "keras":
        # From a config Keras 3 makes no function, since files hold configs.
        return keras3.same_lambda(layer)
    try:
        copy = type(layer).from_config(layer.get_config())
    except Exception:
        # Keras 3 gives names and types to constructors that take nothing.
        if len(inspect.signature(type(layer).__init__).parameters) > 1:
            raise
        copy = type(layer)()
    # Of a constructor of its own neither Keras knows that it takes a name.
    if copy.name != layer.name:
        rename(copy, layer.name)
    return copy


def same_layer(layer: Any) -> Any:
    """Returns a copy of a layer or model with all that it holds.

    Args:
        layer: A layer or model of either Keras.

    Returns:
        The copy, compiled as the original is.

    Raises:
        ValueError: If it cannot be copied.
    """
    cloner = Cloner(lambda original, copy: copy(original))
    copied = cloner.clone_layer(layer)
    cloner.compile()
    return copied
