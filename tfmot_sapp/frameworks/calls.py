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
"""The calls in a Keras graph, the same for both Keras."""

import dataclasses
from typing import Any

from tfmot_sapp.frameworks.private import keras3, tf_keras2
from tfmot_sapp.frameworks.private.layers import has_nodes, nodes_of
from tfmot_sapp.frameworks.which_keras import is_model, keras_of


@dataclasses.dataclass
class Call:
    """One call of a layer in a Keras graph.

    Attributes:
        layer: A layer, or an operation that Keras recorded.
        args: What it was called with, symbolic tensors among it.
        kwargs: Likewise, by name.
        outputs: The symbolic tensors that it returned, flat.
        structure: The same as it returned them.
        inside: The models and layers that the layer is inside of, the outermost
            first, where a graph is unfolded.
    """

    layer: Any
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    outputs: list[Any]
    structure: Any = None
    inside: tuple[Any, ...] = ()


def holds_graph(model: Any) -> bool:
    """Returns whether a model is Sequential, or made from inputs and outputs.

    It may be a subclass that computes something else in its `call`, or not be
    built: whether its graph can be read, `is_graph` tells.
    """
    keras = keras_of(model)
    if keras is None or not is_model(model):
        return False
    if isinstance(model, keras.Sequential):
        return True
    if keras.__name__ == "tf_keras":
        return tf_keras2.is_functional(model)
    return keras3.is_functional(model)


def is_graph(model: Any) -> bool:
    """Whether a model's graph can be read: a Functional or Sequential one."""
    if not holds_graph(model) or not getattr(model, "inputs", None):
        return False
    # A subclass may compute something else in its call.
    cls: Any = type(model)
    keras: Any = keras_of(model)
    if isinstance(model, keras.Sequential):
        return bool(model.built) and cls.call is keras.Sequential.call
    return has_nodes(model) and cls.call is _functional_call(model)


def _functional_call(model: Any) -> Any:
    base: Any
    for base in type(model).__mro__:
        if base.__name__ == "Functional":
            return base.call
    return None


def is_nested(layer: Any) -> bool:
    """Whether a layer is itself a model."""
    keras: Any = keras_of(layer)
    return isinstance(layer, keras.Model)


def calls_of(model: Any) -> list[Call]:
    calls = []
    for node in nodes_of(model):
        if node.is_input:
            continue
        if hasattr(node, "arguments"):
            operation = node.operation
            args, kwargs = node.arguments.args, node.arguments.kwargs
        else:
            operation = node.layer
            args, kwargs = node.call_args, node.call_kwargs
        calls.append(
            Call(
                operation,
                args,
                dict(kwargs),
                tensors_of(node.outputs),
                node.outputs,
            )
        )
    return calls


def tensors_of(structure: Any) -> list[Any]:
    if isinstance(structure, dict):
        return [t for key in structure for t in tensors_of(structure[key])]
    if isinstance(structure, (list, tuple)):
        return [t for item in structure for t in tensors_of(item)]
    if _is_symbolic(structure):
        return [structure]
    return []


def replace_tensors(structure: Any, new: dict[int, Any]) -> Any:
    if isinstance(structure, dict):
        return {
            key: replace_tensors(item, new) for key, item in structure.items()
        }
    if isinstance(structure, (list, tuple)):
        return type(structure)(replace_tensors(item, new) for item in structure)
    return new.get(id(structure), structure)


def _is_symbolic(obj: Any) -> bool:
    return type(obj).__name__ in (
        "KerasTensor",
        "RaggedKerasTensor",
        "SparseKerasTensor",
    )


OPERATIONS = {"add": ("add", 2), "relu": ("map", 1)}


def policy_of(layer: Any) -> Any:
    policy = getattr(layer, "dtype_policy", None)
    return getattr(policy, "name", None)
