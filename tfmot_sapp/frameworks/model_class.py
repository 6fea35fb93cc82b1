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
"""The class of a model that Keras can't make again by itself.

Keras copies the graph of a subclass that calls `super().__init__(inputs,
outputs)` in a constructor of its own as a plain Functional model. Its class,
with the training step that it may define, and what its constructor put beside
the graph are given back here. So are those of a subclassed model without a
config, which has no graph.
"""

import copy as shallow
from collections.abc import Callable, Mapping
from typing import Any

import tensorflow as tf

from tfmot_sapp.frameworks.made_again import metric_again
from tfmot_sapp.frameworks.private import keras3
from tfmot_sapp.frameworks.private.layers import (
    all_layers,
    attributes_of,
    is_set_by_training,
    take_over_arguments,
)
from tfmot_sapp.frameworks.references import held_by
from tfmot_sapp.frameworks.which_keras import host_value, is_layer, keras_of

# What wrapping puts in the place of a model's method.
_OF_PRUNING = ("quantize", "save")


def restore_class(
    model: Any, clone: Any, clone_layer: Callable[[Any], Any]
) -> None:
    """Makes a clone of the model's class, with the attributes it needs.

    Args:
        model: A Sequential or Functional model.
        clone: A plain one with copies of its layers. It is changed.
        clone_layer: Function from a layer to its copy.
    """
    if type(model).__module__.partition(".")[0] in ("keras", "tf_keras"):
        return
    own = _own_attributes(model, clone)
    clone.__class__ = type(model)
    take_over_arguments(model, clone)
    made: dict[int, Any] = {}
    with keras3.open_to_layers(clone):
        for name, value in own.items():
            setattr(clone, name, _copied(value, clone_layer, made))


def _own_attributes(model: Any, clone: Any) -> dict[str, Any]:
    return {
        name: value
        for name, value in attributes_of(model).items()
        if name not in vars(clone)
        and name not in _OF_PRUNING
        and not is_set_by_training(name)
    }


def copy_by_attributes(model: Any, clone_layer: Callable[[Any], Any]) -> Any:
    """Returns a copy of a subclassed model that has no config.

    Its constructor is not called: the copy has a copy of each attribute.

    Args:
        model: A subclassed model.
        clone_layer: Function from a layer to its copy.

    Raises:
        ValueError: If an attribute that would be shared computes with layers
            of the model.
    """
    keras: Any = keras_of(model)
    clone = keras.Model(name=model.name)
    _refuse_sharing(_own_attributes(model, clone), model)
    restore_class(model, clone, clone_layer)
    clone.built = model.built
    return clone


def _refuse_sharing(attributes: Mapping[str, Any], model: Any) -> None:
    """Checks that nothing that a copy would share computes with the layers."""
    theirs = set(map(id, (*all_layers(model), *model.variables)))

    def check(value: Any) -> None:
        if isinstance(value, Mapping):
            value = list(value.values())
        if isinstance(value, (list, tuple, set)):
            for item in value:
                check(item)
        elif not _has_copies(value) and any(
            id(item) in theirs for item in held_by(value)
        ):
            raise ValueError(
                f"It holds {value!r}, which computes with its layers."
            )

    check(attributes)


def _has_copies(value: Any) -> bool:
    """Whether a copy of a model gets others, or is to be given others."""
    return (
        is_layer(value)
        or hasattr(value, "update_state")
        or hasattr(value, "apply_gradients")
    )


def _copied(
    value: Any, clone_layer: Callable[[Any], Any], made: dict[int, Any]
) -> Any:
    if id(value) in made:
        return made[id(value)]
    keras = keras_of(value)
    result = value
    if isinstance(value, Mapping):
        result = {k: _copied(v, clone_layer, made) for k, v in value.items()}
    elif type(value) in (tuple, list) or type(value).__name__ in (
        "TrackedList",
        "ListWrapper",
    ):
        items = [_copied(item, clone_layer, made) for item in value]
        result = tuple(items) if isinstance(value, tuple) else items
    elif is_layer(value):
        result = clone_layer(value)
    elif keras is not None and isinstance(value, keras.metrics.Metric):
        result = metric_again(value)
    elif hasattr(keras, "random") and isinstance(
        value, keras.random.SeedGenerator
    ):
        result = type(value).from_config(value.get_config())
        result.state.assign(host_value(value.state))
    elif hasattr(value, "assign") and hasattr(value, "trainable"):
        result = _new_variable(value, keras)
    elif isinstance(value, set):
        result = shallow.copy(value)
    made[id(value)] = result
    return result


def _new_variable(variable: Any, keras: Any) -> Any:
    make = tf.Variable if keras is None else keras.Variable
    return make(
        host_value(variable),
        trainable=variable.trainable,
        dtype=variable.dtype,
        name=variable.name.partition(":")[0],
    )
