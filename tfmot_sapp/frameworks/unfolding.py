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
"""A model's graph with that of the models and layers inside it.

A nested model has a graph of its own. A layer that is made of others, as a
block of a transformer, has one once its `call` runs on symbolic tensors. Both
can stand in the place of the one call that the model's graph shows.
"""

import collections
import copy
import warnings
from collections.abc import Container, Iterator, Sequence
from typing import Any

import tensorflow as tf

from tfmot_sapp.frameworks.calls import (
    Call,
    calls_of,
    is_graph,
    replace_tensors,
    tensors_of,
)
from tfmot_sapp.frameworks.compiling import compile_like
from tfmot_sapp.frameworks.copying import input_like, same_layer
from tfmot_sapp.frameworks.layers.table import exact_kind_of
from tfmot_sapp.frameworks.private import keras3
from tfmot_sapp.frameworks.private.layers import (
    all_layers,
    functional_of,
    layers_inside,
    mask_of,
    put_mask,
    rename,
    structure_of,
)
from tfmot_sapp.frameworks.run_calls import fits, structured
from tfmot_sapp.frameworks.walking import unwrapped
from tfmot_sapp.frameworks.which_keras import is_layer, is_model, keras_of

# What stands for extents that are not known, where a layer must know them.
_EXTENTS = (None, 8)


def unfolded_calls(model: Any) -> list[Call]:
    """Returns the calls in a model's graph and in what is nested in it.

    Args:
        model: A Functional or Sequential model of either Keras. A layer that is
            being pruned is taken for the layer that it wraps.

    Returns:
        List of `Call` in an order of execution. Their symbolic tensors tell who
        reads what; of those that are inside of others no model can be made.
    """
    return list(_unfolded(functional_of(model), {}, ()))


def _unfolded(
    graph: Any,
    known: dict[int, Any],
    inside: tuple[Any, ...],
) -> Iterator[Call]:
    for call in calls_of(graph):
        layer = unwrapped(call.layer) if is_layer(call.layer) else call.layer
        args, kwargs = replace_tensors((call.args, call.kwargs), known)
        if inside:
            for tensor in call.outputs:
                # The same graph may be unfolded at several places.
                known.setdefault(id(tensor), copy.copy(tensor))
        outputs = [known.get(id(tensor), tensor) for tensor in call.outputs]
        new = Call(layer, tuple(args), kwargs, outputs, call.structure, inside)
        inner = _graph_inside(new) if is_layer(layer) else None
        if inner is None:
            yield new
            continue
        yield from _unfolded(*inner, (*inside, layer))


def _graph_inside(call: Call) -> tuple[Any, dict[int, Any]] | None:
    """Returns the graph behind a call, and which tensors it has outside."""
    if is_model(call.layer) and is_graph(call.layer):
        return _nested(call)
    if _is_composite(call.layer):
        for extent in _EXTENTS:
            found = _traced(call, extent)
            if found is not None:
                return found
    return None


def _nested(call: Call) -> tuple[Any, dict[int, Any]] | None:
    if not fits(call.layer, call.args, call.kwargs):
        return None
    graph = functional_of(call.layer)
    structure = structure_of(graph, "outputs")
    if isinstance(structure, dict) and keras_of(graph).__name__ != "keras":
        return None
    given = tf.nest.flatten(call.args[0])
    known = {id(old): new for old, new in zip(graph.inputs, given)}
    return _joined(graph, known, graph.outputs, call)


def _joined(
    graph: Any, known: dict[int, Any], outputs: Sequence[Any], call: Call
) -> tuple[Any, dict[int, Any]] | None:
    """Joins a graph's ends with a call's tensors, if they go one to one."""
    ends = list(map(id, outputs))
    if len(ends) != len(call.outputs) or len({*ends, *known}) != len(
        ends
    ) + len(known):
        return None
    known.update(zip(ends, call.outputs))
    return graph, known


def _is_composite(layer: Any) -> bool:
    """Whether a layer of Keras 3 is made of others, and nothing is known."""
    if keras_of(layer).__name__ != "keras" or exact_kind_of(layer) is not None:
        return False
    return layer.built and bool(layers_inside(layer))


def _traced(
    call: Call, extent: int | None
) -> tuple[Any, dict[int, Any]] | None:
    import keras

    layer = call.layer
    given: dict[int, tuple[Any, Any]] = {}

    def inner(tensor: Any) -> Any:
        if not isinstance(tensor, keras.KerasTensor):
            return tensor
        if id(tensor) not in given:
            first, *shape = tensor.shape
            shape = [extent if n is None else n for n in shape]
            if first is None and extent is not None:
                first = 2
            new = keras.KerasTensor((first, *shape), dtype=tensor.dtype)
            given[id(tensor)] = (tensor, new)
            if mask_of(tensor) is not None:
                put_mask(new, inner(mask_of(tensor)))
        return given[id(tensor)][1]

    args, kwargs = keras.tree.map_structure(inner, (call.args, call.kwargs))
    with keras3.without_new_nodes(all_layers(layer)):
        outputs = _called(layer, args, kwargs)
        if outputs is None:
            return None
        graph = keras.Function([new for _, new in given.values()], outputs)
    known = {id(new): outer for outer, new in given.values()}
    return _joined(graph, known, outputs, call)


def names_in(calls: Sequence[Call]) -> dict[int, str]:
    """Names layers so that no two share a name.

    Args:
        calls: What `unfolded_calls` returned.

    Returns:
        Names by the `id` of the layer: its own, behind those of what it is
        inside of if another has the same.
    """
    places = {id(call.layer): call for call in calls}
    count = collections.Counter(call.layer.name for call in places.values())
    names = {}
    for key, call in places.items():
        name = call.layer.name
        if count[name] > 1:
            name = "_".join(each.name for each in (*call.inside, call.layer))
        names[key] = name
    return names


def opened(model: Any, which: Container[int], copied: bool = True) -> Any:
    """Returns a copy of a model with the calls of others in their places.

    Args:
        model: A Functional or Sequential model of either Keras.
        which: The `id`s of nested models and of layers of several, which come
            apart in the copy. One that must know extents which the model leaves
            open stays whole.
        copied: Whether the copy has layers of its own. Otherwise it takes the
            model's, gives them their new names, and isn't compiled.

    Returns:
        A Functional model of the same Keras. Layers that were inside of others
        have the names of `names_in` there.

    Raises:
        ValueError: If a layer cannot be made again.
    """
    made = whole = same_layer(model) if copied else model
    calls = unfolded_calls(model)
    names = names_in(calls)
    boxes: dict[int, Any] = {}
    renamed: dict[int, tuple[Any, str]] = {}
    for old, new in zip(calls, unfolded_calls(made), strict=True):
        path = [*old.inside, old.layer]
        for depth, layer in enumerate((*new.inside, new.layer)):
            if id(path[depth]) in which:
                boxes[id(layer)] = layer
            if depth and is_layer(layer) and id(path[depth - 1]) in which:
                name = "_".join(each.name for each in path[: depth + 1])
                name = names.get(id(path[depth]), name)
                renamed.setdefault(id(layer), (layer, name))
    for layer, name in renamed.values():
        rename(layer, name)
    # What is inside of others comes to light one after the other; the last time
    # what did is called as every other layer is.
    depth = max((len(call.inside) for call in calls), default=0)
    for _ in range(depth + 1):
        made = _Opening(boxes).of(made)
    made.trainable = model.trainable
    if copied:
        # With the same variables.
        compile_like(whole, made, lambda variable: variable)
    return made


class _Opening:
    """Calls a graph's layers anew, or what is inside in their places."""

    def __init__(self, boxes: Container[int]):
        self._boxes = boxes
        self._operations: dict[int, Any] = {}
        self._taken: set[str] = set()

    def of(self, model: Any) -> Any:
        """Returns a model with the same layers."""
        keras: Any = keras_of(model)
        graph = functional_of(model)
        inputs = [input_like(keras, tensor) for tensor in graph.inputs]
        outputs = self._run(graph, inputs)
        return keras.Model(
            structured(graph, "inputs", graph.inputs, inputs),
            structured(graph, "outputs", graph.outputs, outputs),
            name=model.name,
        )

    def _run(self, graph: Any, inputs: Sequence[Any]) -> list[Any]:
        values = {id(old): new for old, new in zip(graph.inputs, inputs)}
        for call in calls_of(graph):
            args, kwargs = replace_tensors((call.args, call.kwargs), values)
            results = self._call(call, tuple(args), kwargs)
            values.update(
                (id(old), new) for old, new in zip(call.outputs, results)
            )
        return [values[id(tensor)] for tensor in graph.outputs]

    def _call(
        self, call: Call, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> list[Any]:
        layer = call.layer
        if not is_layer(layer):
            return tensors_of(self._operation(layer)(*args, **kwargs))
        if id(layer) in self._boxes:
            if is_model(layer) and is_graph(layer):
                if fits(layer, args, kwargs):
                    given = tf.nest.flatten(args[0])
                    return self._run(functional_of(layer), given)
            elif _is_composite(layer):
                found = _called(layer, args, kwargs)
                if found is not None and len(found) == len(call.outputs):
                    return found
        if keras_of(layer).__name__ == "keras":
            # A file would hold them, and call the layer with them.
            kwargs = keras3.without_defaults(layer, kwargs)
        return tensors_of(layer(*args, **kwargs))

    def _operation(self, operation: Any) -> Any:
        """Returns an operation under a name that is not taken."""
        if id(operation) not in self._operations:
            name, number = operation.name, 0
            while name in self._taken:
                number += 1
                name = f"{operation.name}_{number}"
            self._taken.add(name)
            new = operation
            if name != operation.name:
                new = type(operation).from_config(operation.get_config())
                rename(new, name)
            self._operations[id(operation)] = new
        return self._operations[id(operation)]


def _called(
    layer: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> list[Any] | None:
    """Calls what is inside a layer of Keras 3; `None` if it can't be."""
    import keras

    given = {name: value for name, value in kwargs.items() if value is not None}
    # Of masks that get lost, Keras has warned when the model was made.
    with (
        warnings.catch_warnings(),
        keras3.told_nothing_for_none(layers_inside(layer)),
    ):
        warnings.simplefilter("ignore")
        try:
            return list(keras.tree.flatten(layer.call(*args, **given)))
        except Exception:
            # It computes with operations that take no symbolic tensors, or
            # with extents that aren't known.
            return None
