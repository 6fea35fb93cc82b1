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
"""What layers and models of both Kerases have in common, and keep private."""

from collections.abc import Iterator
from typing import Any

# Attributes by which Keras links what is also held elsewhere, or keeps books.
_LINKS = frozenset(
    {
        "_layers",
        "_metrics",
        "_inbound_nodes",
        "_inbound_nodes_value",
        "_outbound_nodes",
        "_outbound_nodes_value",
        "_functional",
        "_parent",
        "_tracker",
        "_operations",
        "_operations_by_depth",
        "_nodes_by_depth",
        "_layer_call_argspecs",
        "_obj_reference_counts_dict",
        "_created_nodes",
    }
)

# How TensorFlow's book-keeping begins. `_self_attention` is a layer of a user.
_TRACKABLE = (
    "_self_extra_variables",
    "_self_name_based_restores",
    "_self_saveable_object_factories",
    "_self_setattr_tracking",
    "_self_tracked_trackables",
    "_self_unconditional_",
    "_self_update_uid",
)

# Attributes that `compile`, `fit` and `evaluate` give to a model.
_OF_TRAINING = frozenset(
    {
        "_compile_config",
        "_compiled_trainable_state",
        "_pss_evaluation_shards",
        "history",
        "loss",
        "optimizer",
        "stop_evaluating",
        "stop_predicting",
        "stop_training",
    }
)


def is_set_by_training(name: str) -> bool:
    """Returns whether an attribute of a model comes from training it.

    Args:
        name: Name of an attribute that a model has and a new one of the same
            graph has not.
    """
    return name in _OF_TRAINING


_OF_ARGUMENTS = ("_auto_config", "call_signature_parameters")


def take_over_arguments(original: Any, copy: Any) -> None:
    """Gives a model what another of its class has noted of its arguments.

    What its constructor was called with, and which arguments its `call` takes:
    Keras asks the class for these once, when an object is made.
    """
    for name, value in vars(original).items():
        if name in _OF_ARGUMENTS or name.startswith("_call_"):
            copy.__dict__[name] = value


def is_walkable(obj: Any) -> bool:
    """Returns whether `layers_inside` can be asked about an object."""
    return hasattr(obj, "_flatten_layers")


def layers_inside(layer: Any, recursive: bool = True) -> list[Any]:
    """Returns the layers that Keras tracks inside a layer or model.

    Args:
        layer: A layer or model.
        recursive: Whether those inside them are returned too.

    Returns:
        Each layer once, in Keras's order; `layer` itself is not among them.
    """
    return list(layer._flatten_layers(recursive=recursive, include_self=False))


def all_layers(layer: Any) -> list[Any]:
    """Returns a layer or model and the layers that Keras tracks inside it."""
    return [layer, *layers_inside(layer)]


def attributes_of(obj: Any) -> dict[str, Any]:
    """Returns an object's attributes but for Keras's own book-keeping.

    Args:
        obj: A layer or model.

    Returns:
        A new dictionary of values by name, private names included.
    """
    return {
        name: value
        for name, value in vars(obj).items()
        if name not in _LINKS and not name.startswith(_TRACKABLE)
    }


def functional_of(model: Any) -> Any:
    """Returns the Functional model that a model's graph is kept in.

    A Sequential of Keras 3 keeps one beside it; any other has its graph itself.
    """
    return getattr(model, "_functional", None) or model


def has_nodes(model: Any) -> bool:
    """Returns whether a model has a graph of nodes, as Functional ones do."""
    return hasattr(model, "_nodes_by_depth")


def nodes_of(model: Any) -> Iterator[Any]:
    """Yields the nodes of a Functional model in an order of execution."""
    for depth in sorted(model._nodes_by_depth, reverse=True):
        yield from model._nodes_by_depth[depth]


def structure_of(model: Any, which: str) -> Any:
    """Returns a Functional model's inputs or outputs as they were given.

    Args:
        model: A Functional model.
        which: "inputs" or "outputs".

    Returns:
        A structure of symbolic tensors: one, a list or a dictionary.
    """
    structure = getattr(model, f"_{which}_struct", None)
    if structure is None:
        structure = getattr(model, f"_nested_{which}")
    return structure


def rename(layer: Any, name: str) -> None:
    """Gives a layer that nothing knows yet another name."""
    if hasattr(layer, "_name"):
        layer._name = name
    else:
        layer.name = name


def call_count(layer: Any) -> int:
    """Returns how often a layer has been called on symbolic tensors."""
    return len(getattr(layer, "_inbound_nodes", ()))


def mask_of(tensor: Any) -> Any:
    """Returns the Keras mask that a tensor carries, or `None`."""
    return getattr(tensor, "_keras_mask", None)


def put_mask(tensor: Any, mask: Any) -> None:
    """Gives a tensor a Keras mask to carry."""
    tensor._keras_mask = mask


def operation_name(operation: Any) -> str | None:
    """Returns the name of a bare operation in a graph: "add", "relu".

    Args:
        operation: What a node calls: a layer, an operation of Keras 3 (`x + y`,
            `keras.ops.relu(x)`), or one of TensorFlow's in tf_keras.

    Returns:
        The operation's name in lower case, the same for both Kerases, or
        `None` for a layer.
    """
    cls = type(operation)
    if cls.__name__ in ("TFOpLambda", "SlicingOpLambda"):
        symbol = (operation.symbol or "").removeprefix("tf.")
        module, _, name = symbol.rpartition(".")
        return name if module in ("", "math", "nn", "__operators__") else None
    if cls.__module__.startswith("keras.src.ops."):
        return cls.__name__.lower()
    return None
