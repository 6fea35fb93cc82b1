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
"""What Keras 3 keeps private. Called with objects of Keras 3 only."""

import contextlib
import inspect
from collections.abc import Callable, Iterable, Iterator
from typing import Any


def operation_behind(tensor: Any) -> Any:
    """Returns the operation or layer that a symbolic tensor comes from."""
    return tensor._keras_history.operation


def is_functional(model: Any) -> bool:
    """Returns whether a model holds the graph of a Functional one."""
    return hasattr(model, "_nodes") and hasattr(model, "_operations")


def unrounded_value(variable: Any) -> Any:
    """Returns a variable's value in its own type.

    Inside a layer of mixed precision `variable.value` is a rounded copy.
    """
    return variable._value


def initial_shape_of(function: Any) -> tuple[int, ...] | None:
    """Returns the shape of a new variable, given the function of its value.

    Args:
        function: What Keras gives TensorFlow as a new variable's value.

    Returns:
        The shape, or `None` if the function is none of Keras's.
    """
    code = getattr(function, "__code__", None)
    if code is None or "self" not in code.co_freevars:
        return None
    cell = function.__closure__[code.co_freevars.index("self")]
    return getattr(cell.cell_contents, "_shape", None)


def build_shapes_of(layer: Any) -> dict[str, Any]:
    """Returns the shapes that a layer was built for, by argument."""
    return getattr(layer, "_build_shapes_dict", None) or {}


def first_call_of(layer: Any) -> tuple[tuple, dict[str, Any]] | None:
    """Returns what a layer was first called with in a graph.

    Args:
        layer: A layer.

    Returns:
        Positional arguments and arguments by name, symbolic tensors among
        them; or `None` for one that no graph holds.
    """
    nodes = getattr(layer, "_inbound_nodes", ())
    if not nodes:
        return None
    return nodes[0].arguments.args, nodes[0].arguments.kwargs


def build_by_call(layer: Any, args: tuple, kwargs: dict[str, Any]) -> None:
    """Builds a layer as a call builds it, without a node in a graph.

    Args:
        layer: A layer.
        args: Positional arguments, symbolic tensors among them.
        kwargs: Arguments by name.
    """
    from keras.src import backend

    backend.compute_output_spec(layer, *args, **kwargs)


def is_built_by_call(layer: Any) -> bool:
    """Returns whether only a call builds the layers that a layer holds."""
    from keras.src import utils
    from keras.src.layers.layer import might_have_unbuilt_state

    return utils.is_default(layer.build) and might_have_unbuilt_state(layer)


def symbolic(shape: Any, dtype: str) -> Any:
    """Returns symbolic tensors of a shape, or of a structure of shapes."""
    import keras

    if isinstance(shape, (list, tuple)) and not all(
        extent is None or isinstance(extent, int) for extent in shape
    ):
        return [symbolic(part, dtype) for part in shape]
    if isinstance(shape, dict):
        return {name: symbolic(part, dtype) for name, part in shape.items()}
    return keras.KerasTensor(shape, dtype)


@contextlib.contextmanager
def open_to_layers(layer: Any) -> Iterator[None]:
    """Opens the list of a built layer's layers, which Keras 3 closes.

    While it is open attributes of the layer can be given other layers. Those
    of tf_keras, which this may be called with too, are always open.
    """
    tracker = getattr(layer, "_tracker", None)
    if tracker is None:
        yield
        return
    was_locked = tracker.locked
    tracker.unlock()
    try:
        yield
    finally:
        if was_locked:
            tracker.lock()


def replace_tracked_layer(layer: Any, old: Any, new: Any) -> None:
    """Puts a layer in another's place in the list of a layer's layers."""
    tracker = layer._tracker
    if tracker.is_in_store("layers", old):
        tracker.replace_tracked_value("layers", old, new)


def same_lambda(layer: Any) -> Any:
    """Returns a new `Lambda` that calls the same functions."""
    import keras

    return type(layer)(
        layer.function,
        output_shape=layer._output_shape,
        mask=layer.mask,
        arguments=layer.arguments,
        **keras.layers.Layer.get_config(layer),
    )


def forget_calls(layer: Any) -> None:
    """Takes the nodes off a layer that hold the graph it was called in."""
    layer._inbound_nodes.clear()
    layer._outbound_nodes.clear()


@contextlib.contextmanager
def without_new_nodes(layers: Iterable[Any]) -> Iterator[None]:
    """Within it layers are called on symbolic tensors, and keep no trace."""
    links = ("_inbound_nodes", "_outbound_nodes")
    before = [
        (nodes, len(nodes))
        for layer in layers
        for link in links
        if (nodes := getattr(layer, link, None)) is not None
    ]
    try:
        yield
    finally:
        for nodes, length in before:
            del nodes[length:]


@contextlib.contextmanager
def told_nothing_for_none(layers: Iterable[Any]) -> Iterator[None]:
    """Within it symbolic calls of layers drop what says nothing.

    An argument that is `None` as it is by itself changes no output, but may be
    one that an inherited `compute_output_spec` does not take.

    Args:
        layers: Layers of Keras 3.
    """
    changed = []
    for layer in layers:
        if "symbolic_call" not in vars(layer):
            # Past Keras's tracking of attributes.
            vars(layer)["symbolic_call"] = _without_nones(layer)
            changed.append(layer)
    try:
        yield
    finally:
        for layer in changed:
            del vars(layer)["symbolic_call"]


def _without_nones(layer: Any) -> Callable[..., Any]:
    call = type(layer).symbolic_call

    def symbolic_call(*args: Any, **kwargs: Any) -> Any:
        return call(layer, *args, **without_defaults(layer, kwargs))

    return symbolic_call


def without_defaults(layer: Any, kwargs: dict[str, Any]) -> dict[str, Any]:
    """Returns arguments by name without those that are `None` by themselves.

    Args:
        layer: The layer that they are for.
        kwargs: The arguments.
    """
    known = inspect.signature(layer.call).parameters
    return {
        name: value
        for name, value in kwargs.items()
        if value is not None
        or name not in known
        or known[name].default is not None
    }


def stateless_scope() -> Any:
    """Returns the `keras.StatelessScope` that one is in, or `None`."""
    # Keras does not export how to ask for it.
    from keras.src.backend.common import stateless_scope as scopes

    if not scopes.in_stateless_scope():
        return None
    return scopes.get_stateless_scope()
