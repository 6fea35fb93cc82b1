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
"""Reads a Keras model into the graph that packing works on.

Layers are told by their exact class: a subclass may compute something else, so
it passes through. Nested models are read in place. Both Keras give the same
graph, since the classes of their layers have the same names and attributes.
"""

import math
from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from tfmot_sapp.compiler.graph import (
    Concat,
    Core,
    Graph,
    Node,
    Opaque,
    Packable,
    Step,
    Value,
)
from tfmot_sapp.compiler.readers.keras_copies import Copies
from tfmot_sapp.compiler.readers.keras_projections import (
    flattened_einsum,
    read_attention,
    reshaped,
)
from tfmot_sapp.compiler.readers.keras_properties import (
    can_be_read,
    dtype_of,
    has_masks,
)
from tfmot_sapp.frameworks.calls import (
    OPERATIONS,
    Call,
    calls_of,
    is_graph,
    is_nested,
    policy_of,
    replace_tensors,
    tensors_of,
)
from tfmot_sapp.frameworks.layers.activations import ELEMENTWISE
from tfmot_sapp.frameworks.layers.kind import LayerKind
from tfmot_sapp.frameworks.layers.table import exact_kind_of
from tfmot_sapp.frameworks.private.layers import functional_of, operation_name
from tfmot_sapp.frameworks.run_calls import fits, paired, structured
from tfmot_sapp.frameworks.which_keras import keras_of

# The steps that layers without weights become, by what they do to channels.
_STEPS = {
    "map": "map",
    "pool": "pool",
    "frame": "frame",
    "add": "add",
    "sum": "merge",
    "multiply": "merge",
}


def read_graph(model: Any, take_apart: bool = True) -> Graph:
    """Reads a built Functional or Sequential model of either Keras.

    Args:
        model: The model. Nothing in it is changed.
        take_apart: Whether layers that runtimes have operations of their own
            for, such as a grouped convolution, become products that can be
            packed. Otherwise they pass through.

    Returns:
        A `Graph` that computes what the model computes at inference.
    """
    reader = _Reader(keras_of(model), take_apart)
    reader.count_calls(model)
    inputs = [Value(tuple(tensor.shape)) for tensor in model.inputs]
    outputs = reader.read_model(model, inputs)
    return Graph(reader.nodes, inputs, outputs)


class _Reader:
    """Collects the nodes of a model and of the models nested in it."""

    def __init__(self, keras: Any, take_apart: bool):
        self.keras = keras
        self.take_apart = take_apart
        self.nodes: list[Node] = []
        self._copies = Copies()
        self._counts: dict[int, int] = {}

    def read_model(self, model: Any, inputs: list[Value]) -> list[Value]:
        functional = functional_of(model)
        values = dict(zip(map(id, functional.inputs), inputs))
        for call in calls_of(functional):
            results = self._read_call(call, values)
            values.update(zip(map(id, call.outputs), results))
        return [values[id(tensor)] for tensor in functional.outputs]

    def count_calls(self, model: Any) -> None:
        """Counts how often each layer is called, in nested models too."""
        functional = functional_of(model)
        for call in calls_of(functional):
            layer = call.layer
            self._counts[id(layer)] = self._counts.get(id(layer), 0) + 1
            self._copies.note(layer)
            if self._is_layer(layer) and is_nested(layer) and is_graph(layer):
                self.count_calls(layer)

    def _read_call(self, call: Call, values: dict[int, Value]) -> list[Value]:
        tensors = tensors_of((call.args, call.kwargs))
        inputs = [values[id(tensor)] for tensor in tensors]
        layer = call.layer
        if self._is_layer(layer) and _can_be_read_in_place(call, tensors):
            return self._read_nested(call, tensors, inputs)
        if can_be_read(call, tensors):
            shape = tuple(call.outputs[0].shape)
            result = self._read_layer(call, inputs, shape)
            if result is not None:
                if self._counts[id(layer)] > 1:
                    self._share(layer)
                return [result]
        return self._opaque(call, inputs, tensors)

    def _read_nested(
        self, call: Call, tensors: list[Any], inputs: list[Value]
    ) -> list[Value]:
        model = call.layer
        functional = functional_of(model)
        # Keras takes the values of a dictionary by the order of their keys.
        given = dict(zip(map(id, tensors), inputs))
        ordered = tf.nest.flatten(call.args[0])
        taken = [
            self._as_type(given[id(tensor)], tensor, wanted)
            for tensor, wanted in zip(ordered, functional.inputs)
        ]
        made = self.read_model(model, taken)
        outputs = functional.outputs
        results = structured(functional, "outputs", outputs, made)
        found = paired(call.structure, results, self.keras)
        return [found[id(tensor)] for tensor in call.outputs]

    def _as_type(self, value: Value, tensor: Any, wanted: Any) -> Value:
        """A value as a model's input takes it."""
        dtype = dtype_of(wanted)
        if dtype_of(tensor) == dtype:
            return value
        own = self.keras.__name__ == "keras"
        cast = self.keras.ops.cast if own else tf.cast
        output = Value(value.shape)

        def call(given: list[Any]) -> list[Any]:
            return [cast(given[0], dtype)]

        self.nodes.append(Opaque("cast", [value], [output], call))
        return output

    def _share(self, layer: Any) -> None:
        for node in self.nodes:
            if isinstance(node, Packable) and node.made_from is layer:
                node.shared = id(layer)

    def _is_layer(self, obj: Any) -> bool:
        return isinstance(obj, self.keras.layers.Layer)

    # --- one reading function per kind of layer -------------------------------

    def _read_layer(
        self, call: Call, inputs: list[Value], shape: tuple[int | None, ...]
    ) -> Value | None:
        layer = call.layer
        kind = exact_kind_of(layer)
        if kind is None:
            return self._read_operation(call, inputs, shape)
        if kind.effect == "nothing":
            return inputs[0]
        if kind.effect in _STEPS:
            if getattr(layer, "data_format", None) == "channels_first":
                return None
            if any(value.shape != inputs[0].shape for value in inputs):
                return None
            step = Step(
                self.clone(layer),
                _STEPS[kind.effect],
                len(inputs) - 1,
                keeps_zero=kind.effect == "multiply",
            )
            return self._add(layer, inputs, None, [step], shape)
        if kind.effect == "activation":
            return self._read_activation(layer, inputs, shape)
        if kind.effect == "concatenate":
            rank = len(shape)
            if layer.axis not in (-1, rank - 1) or rank < 2:
                return None
            output = Value(shape)
            self.nodes.append(Concat(layer.name, inputs, [output]))
            return output
        if kind.effect == "flatten":
            if math.prod(n or 0 for n in inputs[0].shape[1:-1]) != 1:
                return None
            step = Step(self.clone(layer), "pool")
            return self._add(layer, inputs, None, [step], shape)
        if not self.take_apart and _is_taken_apart(layer, kind):
            return None
        if kind.effect == "product" and len(inputs) == 1:
            return self._read_einsum(layer, inputs, shape)
        if kind.effect == "heads" and self._counts[id(layer)] == 1:
            return read_attention(call, inputs, shape, self.keras, self.nodes)
        if kind.read is None or len(inputs) != 1:
            return None
        core = kind.read(layer)
        if core is None:
            return None
        return self._linear(layer, inputs, core, shape)

    def _read_activation(
        self, layer: Any, inputs: list[Value], shape: tuple[int | None, ...]
    ) -> Value | None:
        name = self._activation_name(layer.activation)
        if name == "linear":
            return inputs[0]
        if name not in ELEMENTWISE:
            return None
        step = Step(self.clone(layer), "map")
        return self._add(layer, inputs, None, [step], shape)

    def _read_operation(
        self, call: Call, inputs: list[Value], shape: tuple[int | None, ...]
    ) -> Value | None:
        """Bare operations that Keras records: `x + y`, `ops.relu(x)`."""
        kind = OPERATIONS.get(operation_name(call.layer) or "")
        if kind is None:
            return None
        name, arity = kind
        leaves = [*call.args, *call.kwargs.values()]
        if len(inputs) != arity or any(v.shape != shape for v in inputs):
            return None
        if sum(leaf is not None for leaf in leaves) != arity:
            return None
        make = self.keras.layers.Add if arity == 2 else self._relu
        step = Step(make(name=call.layer.name), name, arity - 1)
        output = self._add(call.layer, inputs, None, [step], shape)
        self.nodes[-1].dtype = dtype_of(call.outputs[0])  # type: ignore
        return output

    def _relu(self, name: str) -> Any:
        return self.keras.layers.Activation("relu", name=name)

    def _linear(
        self,
        layer: Any,
        inputs: list[Value],
        cores: Sequence[Core],
        shape: tuple[int | None, ...],
    ) -> Value:
        """A layer of one or more cores, then its activation."""
        value = inputs[0]
        for core in cores[:-1]:
            # A depthwise part comes first: it keeps the channels' number.
            between = (*shape[:-1], value.channels)
            value = self._add(layer, [value], core, [], between)
        activation = getattr(layer, "activation", None)
        name = self._activation_name(activation)
        if name == "linear":
            return self._add(layer, [value], cores[-1], [], shape)
        step_layer = self.keras.layers.Activation(
            activation, name=f"{layer.name}_{name}", dtype=policy_of(layer)
        )
        value = self._add(layer, [value], cores[-1], [], shape)
        if name in ELEMENTWISE:
            step = Step(step_layer, "map")
            return self._add(layer, [value], None, [step], shape, owned=False)
        output = Value(shape)

        def call(tensors: list[Any]) -> list[Any]:
            return [step_layer(tensors[0])]

        self.nodes.append(
            Opaque(step_layer.name, [value], [output], call, step_layer)
        )
        return output

    def _read_einsum(
        self, layer: Any, inputs: list[Value], shape: tuple[int | None, ...]
    ) -> Value | None:
        found = flattened_einsum(layer, inputs[0], self.keras, self.nodes)
        if found is None:
            return None
        core, value = found
        made = core.kernel.shape[1]
        flat = (*shape[: len(value.shape) - 1], made)
        value = self._linear(layer, [value], [core], flat)
        name = f"{layer.name}_out"
        return reshaped(value, shape, name, self.keras, self.nodes)

    def _activation_name(self, activation: Any) -> str:
        if activation is None:
            return "linear"
        name = getattr(activation, "__name__", "")
        own = getattr(self.keras.activations, name, None)
        return name if own is activation else "custom"

    def _add(
        self,
        layer: Any,
        inputs: list[Value],
        core: Core,
        steps: list[Step],
        shape: tuple[int | None, ...],
        owned: bool = True,
    ) -> Value:
        output = Value(shape)
        node = Packable(
            layer.name,
            inputs,
            [output],
            core,
            steps,
            [layer.name] if owned else [],
            policy_of(layer),
            made_from=layer if core is not None else None,
        )
        self.nodes.append(node)
        return output

    # --- what passes through --------------------------------------------------

    def _opaque(
        self, call: Call, inputs: list[Value], tensors: list[Any]
    ) -> list[Value]:
        outputs = [Value(tuple(t.shape)) for t in call.outputs]
        layer = self.clone(call.layer)

        def again(new: list[Any]) -> list[Any]:
            replaced = dict(zip(map(id, tensors), new))
            args, kwargs = replace_tensors((call.args, call.kwargs), replaced)
            results = layer(*args, **kwargs)
            found = paired(call.structure, results, self.keras)
            return [found[id(tensor)] for tensor in call.outputs]

        name = getattr(layer, "name", type(layer).__name__)
        self.nodes.append(Opaque(name, inputs, outputs, again, layer))
        return outputs

    def clone(self, layer: Any) -> Any:
        """A layer of the same configuration and weights, made once."""
        return self._copies.of(layer) if self._is_layer(layer) else layer


def _can_be_read_in_place(call: Call, tensors: list[Any]) -> bool:
    """Whether a call is that of a model whose graph stands in its place."""
    model = call.layer
    if not fits(model, call.args, call.kwargs):
        return False
    # Masks would have to be followed into the model and out of it.
    masked = has_masks(tensors) or has_masks(functional_of(model).outputs)
    return not masked and all(
        dtype_of(tensor) != "string" for tensor in tensors
    )


def _is_taken_apart(layer: Any, kind: LayerKind) -> bool:
    several = kind.effect in ("product", "heads")
    return several or getattr(layer, "groups", 1) > 1
