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
"""What a layer holds, taken over by a copy of it.

Besides weights a layer may hold what it has learned from data (the statistics
of a `Normalization`, the vocabulary of a `StringLookup`) outside of its
variables, and flags that its config doesn't tell.
"""

import tempfile
from collections.abc import Container
from typing import Any

import tensorflow as tf

from tfmot_sapp.frameworks.private.layers import all_layers, layers_inside
from tfmot_sapp.frameworks.walking import held_layers, paired_layers
from tfmot_sapp.frameworks.which_keras import host_value, keras_of


def copy_state(original: Any, copy: Any, skip: Container[int] = ()) -> None:
    """Gives a layer's variables, adapted state and flags to its copy.

    Args:
        original: A layer.
        copy: A layer of the same structure.
        skip: The `id`s of layers inside the original that are copied elsewhere.

    Raises:
        ValueError: If the two do not have the same structure.
    """
    skip = _inside(original, skip)
    if skip:
        for old, new in paired_layers(original, copy, skip):
            if old.built:
                copy_own_weights(old, new)
                _copy_trainability(own_variables_of(old), own_variables_of(new))
    elif original.built:
        _assign_all(original, copy, variables_of(original), variables_of(copy))
    if original.built:
        for source, target in zip(states_of(original), states_of(copy)):
            target.assign(host_value(source))
    for old, new in _pairs(original, copy, skip):
        if new.trainable != old.trainable:
            new.trainable = old.trainable
    if original.built and not skip:
        _copy_trainability(variables_of(original), variables_of(copy))
    copy_adapted_state(original, copy, skip)


def copy_adapted_state(
    original: Any, copy: Any, skip: Container[int] = ()
) -> None:
    """Gives what a layer has learned by `adapt` to its copy.

    Args:
        original: A layer.
        copy: A layer made from its config.
        skip: The `id`s of layers inside the original that are copied elsewhere.

    Raises:
        ValueError: If the two do not have the same layers inside.
    """
    for old, new in _pairs(original, copy, _inside(original, skip)):
        _copy_one_adapted_state(old, new)


def _inside(layer: Any, skip: Container[int]) -> set[int]:
    """Returns which layers deep inside a layer are left out."""
    return {id(inner) for inner in layers_inside(layer) if id(inner) in skip}


def _pairs(
    original: Any, copy: Any, skip: Container[int]
) -> list[tuple[Any, Any]]:
    """Returns a layer and those inside it, with their copies."""
    if skip:
        return paired_layers(original, copy, skip)
    inside, theirs = all_layers(original), all_layers(copy)
    if list(map(type, inside)) != list(map(type, theirs)):
        if any(map(_has_adapted_state, inside)):
            raise ValueError(_other_structure(original, "layers"))
        return [(original, copy)]
    return list(zip(inside, theirs))


def copy_own_weights(original: Any, copy: Any) -> None:
    """Copies the variables that a model or layer holds outside of its layers.

    Args:
        original: A subclassed model or a layer.
        copy: A copy of it.

    Raises:
        ValueError: If the two do not have the same ones.
    """
    _assign_all(
        original, copy, own_variables_of(original), own_variables_of(copy)
    )


def states_of(layer: Any) -> list[Any]:
    """Returns the states that stateful recurrent layers keep between calls.

    Keras 3 does not list them among a layer's variables.
    """
    return [
        state
        for inner in all_layers(layer)
        if getattr(inner, "stateful", False)
        for state in tf.nest.flatten(getattr(inner, "states", None))
        if hasattr(state, "assign")
    ]


def variables_of(layer: Any) -> list[Any]:
    """Returns what a layer tracks that has a shape and can be assigned.

    Lookups of tf_keras list their tables among their variables.
    """
    return [v for v in layer.variables if hasattr(v, "assign")]


def vocabulary_of(layer: Any) -> list[Any]:
    """Returns the texts or numbers that a lookup knows, none for others."""
    if hasattr(layer, "set_vocabulary") and hasattr(layer, "get_vocabulary"):
        return list(layer.get_vocabulary(include_special_tokens=False))
    return []


def own_variables_of(model: Any) -> list[Any]:
    """Returns the variables of a layer that no layer inside of it holds."""
    inner = {
        id(variable)
        for _, layer in held_layers(model)
        for variable in variables_of(layer)
    }
    # In tf_keras a model has those of its metrics too, which it often makes
    # when it is compiled.
    inner |= {
        id(variable)
        for metric in getattr(model, "metrics", ())
        for variable in metric.variables
    }
    return [v for v in variables_of(model) if id(v) not in inner]


def _assign_all(
    original: Any, copy: Any, sources: list[Any], targets: list[Any]
) -> None:
    shapes = [tuple(variable.shape) for variable in sources]
    found = [tuple(variable.shape) for variable in targets]
    if shapes != found:
        raise ValueError(
            _other_structure(original, "variables")
            + f" Received: shapes {shapes} and {found}."
        )
    _share_values(sources, targets)


def share_values(original: Any, copy: Any) -> None:
    """Gives a copy the original's values, if it has its variables by now.

    Args:
        original: A layer.
        copy: A copy of it, which may not be built yet.
    """
    sources = variables_of(original) if original.built else []
    targets = variables_of(copy) if copy.built else []
    if [tuple(v.shape) for v in sources] == [tuple(v.shape) for v in targets]:
        _share_values(sources, targets)


def _share_values(sources: list[Any], targets: list[Any]) -> None:
    for source, target in zip(sources, targets):
        # TensorFlow lets the two have one buffer until one of them changes,
        # where they are of one type.
        value, dtype = tf.convert_to_tensor(source), tf.as_dtype(target.dtype)
        target.assign(value if value.dtype == dtype else tf.cast(value, dtype))


def _other_structure(original: Any, what: str) -> str:
    return (
        f"The copy of layer `{original.name}` of type "
        f"{type(original).__name__} has other {what} than the original. Its "
        "`get_config()` must return everything that its structure depends on."
    )


def _copy_trainability(sources: list[Any], targets: list[Any]) -> None:
    """Copies the flags of single variables, which Keras 3 lets users set."""
    for source, target in zip(sources, targets):
        if (
            keras_of(source) is not None
            and keras_of(source).__name__ == "keras"
            and source.trainable != target.trainable
        ):
            target.trainable = source.trainable


def _has_adapted_state(layer: Any) -> bool:
    return hasattr(layer, "finalize_state") or _saves_by_itself(layer)


def _saves_by_itself(layer: Any) -> bool:
    """Returns whether a user's class saves and loads more than variables."""
    for cls in type(layer).__mro__:
        if cls.__module__.partition(".")[0] in ("keras", "tf_keras"):
            return False
        if {"load_own_variables", "load_assets"} & set(vars(cls)):
            return True
    return False


def _copy_one_adapted_state(original: Any, copy: Any) -> None:
    if hasattr(original, "bin_boundaries"):
        boundaries = original.bin_boundaries
        copy.bin_boundaries = None if boundaries is None else list(boundaries)
        # In tf_keras a variable, which has been assigned.
        if not hasattr(copy.summary, "assign"):
            copy.summary = original.summary
    elif hasattr(original, "set_vocabulary"):
        _copy_vocabulary(original, copy)
    elif _saves_by_itself(original):
        store: dict[str, Any] = {}
        original.save_own_variables(store)
        copy.load_own_variables(store)
        with tempfile.TemporaryDirectory() as folder:
            original.save_assets(folder)
            copy.load_assets(folder)
    elif hasattr(original, "finalize_state"):
        copy.finalize_state()


def _copy_vocabulary(original: Any, copy: Any) -> None:
    vocabulary = list(original.get_vocabulary())
    if vocabulary == list(copy.get_vocabulary()):
        return
    plain = list(original.get_vocabulary(include_special_tokens=False))
    if original.get_config()["output_mode"] not in ("tf_idf", "tf-idf"):
        copy.set_vocabulary(plain)
        return
    # The first ones are those of special tokens.
    store: dict[str, Any] = {}
    original.save_own_variables(store)
    (weights,) = store.values()
    special = len(vocabulary) - len(plain)
    copy.set_vocabulary(plain, weights[special : len(vocabulary)])
    copy.load_own_variables(store)
