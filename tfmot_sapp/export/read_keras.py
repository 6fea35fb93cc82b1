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
from typing import Any

from tfmot_sapp.export.graph import (
    Concat,
    Core,
    Graph,
    Linear,
    Node,
    Opaque,
    Packable,
    Step,
    Value,
)
from tfmot_sapp.export.keras_calls import (
    OPERATIONS,
    Call,
    calls_of,
    is_graph,
    is_nested,
    operation_name,
    replace_tensors,
    tensors_of,
)
from tfmot_sapp.export.lowerings import Attention
from tfmot_sapp.export.packed_layers import packed_layer_class
from tfmot_sapp.export.read_layers import CORES, einsum_core, is_pruned
from tfmot_sapp.frameworks import keras_of

# Functions of one value, by the name under which every Keras has them.
_ACTIVATIONS = frozenset(
    {
        "relu",
        "relu6",
        "sigmoid",
        "tanh",
        "elu",
        "selu",
        "softplus",
        "softsign",
        "silu",
        "swish",
        "gelu",
        "exponential",
        "hard_sigmoid",
        "hard_silu",
        "hard_swish",
        "leaky_relu",
        "mish",
    }
)
_AT_INFERENCE_NOTHING = frozenset(
    {
        "Dropout",
        "SpatialDropout1D",
        "SpatialDropout2D",
        "SpatialDropout3D",
        "AlphaDropout",
        "GaussianDropout",
        "GaussianNoise",
        "ActivityRegularization",
    }
)
_STEPS = {
    "ReLU": "map",
    "LeakyReLU": "map",
    "ELU": "map",
    "Add": "add",
    "Subtract": "merge",
    "Multiply": "merge",
    "Average": "merge",
    "Maximum": "merge",
    "Minimum": "merge",
    **{
        f"{kind}{rank}D": "pool"
        for kind in (
            "MaxPooling",
            "AveragePooling",
            "GlobalMaxPooling",
            "GlobalAveragePooling",
            "Cropping",
            "UpSampling",
        )
        for rank in (1, 2, 3)
    },
    **{f"ZeroPadding{rank}D": "frame" for rank in (1, 2, 3)},
}


def read_graph(model: Any) -> Graph:
    """Reads a built Functional or Sequential model of either Keras.

    Args:
        model: The model. Nothing in it is changed.

    Returns:
        A `Graph` that computes what the model computes at inference.
    """
    reader = _Reader(keras_of(model))
    reader.count_calls(model)
    inputs = [Value(tuple(tensor.shape)) for tensor in model.inputs]
    outputs = reader.read_model(model, inputs)
    return Graph(reader.nodes, inputs, outputs)


class _Reader:
    """Collects the nodes of a model and of the models nested in it."""

    def __init__(self, keras: Any):
        self.keras = keras
        self.nodes: list[Node] = []
        self._clones: dict[int, Any] = {}
        self._counts: dict[int, int] = {}

    def read_model(self, model: Any, inputs: list[Value]) -> list[Value]:
        functional = getattr(model, "_functional", None) or model
        values = dict(zip(map(id, functional.inputs), inputs))
        for call in calls_of(functional):
            results = self._read_call(call, values)
            values.update(zip(map(id, call.outputs), results))
        return [values[id(tensor)] for tensor in functional.outputs]

    def count_calls(self, model: Any) -> None:
        """Counts how often each layer is called, in nested models too."""
        functional = getattr(model, "_functional", None) or model
        for call in calls_of(functional):
            layer = call.layer
            self._counts[id(layer)] = self._counts.get(id(layer), 0) + 1
            if self._is_layer(layer) and is_nested(layer) and is_graph(layer):
                self.count_calls(layer)

    def _read_call(self, call: Call, values: dict[int, Value]) -> list[Value]:
        tensors = tensors_of((call.args, call.kwargs))
        inputs = [values[id(tensor)] for tensor in tensors]
        layer = call.layer
        plain = not call.kwargs.get("mask") is not None
        if self._is_layer(layer) and is_nested(layer) and is_graph(layer):
            ordered = tensors_of(call.args)
            matching = len(ordered) == len(layer.inputs) == len(inputs)
            if matching and not isinstance(call.args[0], dict):
                return self.read_model(layer, inputs)
        if plain and len(call.outputs) == 1:
            shape = tuple(call.outputs[0].shape)
            result = self._read_layer(call, inputs, shape)
            if result is not None:
                if self._counts[id(layer)] > 1:
                    self._share(layer)
                return [result]
        return self._opaque(call, inputs, tensors)

    def _share(self, layer: Any) -> None:
        for node in self.nodes:
            if isinstance(node, Packable) and node.made_from is layer:
                node.shared = id(layer)

    def _is_layer(self, obj: Any) -> bool:
        return isinstance(obj, self.keras.layers.Layer)

    def _is_exactly(self, layer: Any, name: str) -> bool:
        return type(layer) is getattr(self.keras.layers, name, None)

    # --- one reading function per kind of layer -------------------------------

    def _read_layer(
        self, call: Call, inputs: list[Value], shape: tuple[int | None, ...]
    ) -> Value | None:
        layer, name = call.layer, type(call.layer).__name__
        if not self._is_exactly(layer, name):
            return self._read_operation(call, inputs, shape)
        if name in _AT_INFERENCE_NOTHING:
            return inputs[0]
        if name in _STEPS:
            if getattr(layer, "data_format", None) == "channels_first":
                return None
            if any(value.shape != inputs[0].shape for value in inputs):
                return None
            step = Step(self.clone(layer), _STEPS[name], len(inputs) - 1)
            return self._add(layer, inputs, None, [step], shape)
        if name == "Activation":
            return self._read_activation(layer, inputs, shape)
        if name == "Concatenate":
            rank = len(shape)
            if layer.axis not in (-1, rank - 1) or rank < 2:
                return None
            output = Value(shape)
            self.nodes.append(Concat(layer.name, inputs, [output]))
            return output
        if name == "Flatten":
            if math.prod(n or 0 for n in inputs[0].shape[1:-1]) != 1:
                return None
            step = Step(self.clone(layer), "pool")
            return self._add(layer, inputs, None, [step], shape)
        if name == "EinsumDense" and len(inputs) == 1:
            return self._read_einsum(layer, inputs, shape)
        if name == "MultiHeadAttention":
            return self._read_attention(call, inputs, shape)
        read = CORES.get(name)
        if read is None or len(inputs) != 1:
            return None
        core = read(layer)
        if core is None:
            return None
        return self._linear(layer, inputs, core, shape)

    def _read_activation(
        self, layer: Any, inputs: list[Value], shape: tuple[int | None, ...]
    ) -> Value | None:
        name = self._activation_name(layer.activation)
        if name == "linear":
            return inputs[0]
        if name not in _ACTIVATIONS:
            return None
        step = Step(self.clone(layer), "map")
        return self._add(layer, inputs, None, [step], shape)

    def _read_operation(
        self, call: Call, inputs: list[Value], shape: tuple[int | None, ...]
    ) -> Value | None:
        """Bare operations that Keras records: `x + y`, `ops.relu(x)`."""
        kind = OPERATIONS.get(operation_name(call.layer))
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
        return self._add(call.layer, inputs, None, [step], shape)

    def _relu(self, name: str) -> Any:
        return self.keras.layers.Activation("relu", name=name)

    def _linear(
        self,
        layer: Any,
        inputs: list[Value],
        cores: list[Core],
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
            activation, name=f"{layer.name}_{name}", dtype=_policy(layer)
        )
        value = self._add(layer, [value], cores[-1], [], shape)
        if name in _ACTIVATIONS:
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
        core = einsum_core(layer, len(inputs[0].shape))
        if core is None or not is_pruned(core):
            return None
        given, made = core.kernel.shape
        value = self._reshaped(inputs[0], given, f"{layer.name}_in")
        if value is None:
            return None
        flat = (*shape[: len(value.shape) - 1], made)
        value = self._linear(layer, [value], [core], flat)
        if value.shape == shape:
            return value
        return self._reshape(value, shape, f"{layer.name}_out")

    def _reshaped(self, value: Value, channels: int, name: str) -> Value | None:
        """The value with its last axes merged to this many channels."""
        merged, rank = 1, len(value.shape)
        while merged < channels and rank > 1:
            rank -= 1
            merged *= value.shape[rank] or 0
        if merged != channels:
            return None
        shape = (*value.shape[:rank], channels)
        if shape == value.shape:
            return value
        return self._reshape(value, shape, name)

    def _reshape(
        self, value: Value, shape: tuple[int | None, ...], name: str
    ) -> Value | None:
        target = tuple(-1 if n is None else n for n in shape[1:])
        if target.count(-1) > 1:
            return None
        layer = self.keras.layers.Reshape(target, name=name)
        output = Value(shape)

        def call(tensors: list[Any]) -> list[Any]:
            return [layer(tensors[0])]

        self.nodes.append(Opaque(name, [value], [output], call, layer))
        return output

    def _read_attention(
        self, call: Call, inputs: list[Value], shape: tuple[int | None, ...]
    ) -> Value | None:
        """Takes a MultiHeadAttention apart if its projections are pruned."""
        layer = call.layer
        tensors = tensors_of((call.args, call.kwargs))
        named = dict(zip(("query", "value", "key"), call.args)) | call.kwargs
        extra = set(named) - {"query", "value", "key", "training"}
        asked = [named[key] for key in extra if named[key] not in (None, False)]
        masked = any(
            getattr(tensor, "_keras_mask", None) is not None
            for tensor in tensors
        )
        values = dict(zip(map(id, tensors), inputs))
        query, value = named.get("query"), named.get("value")
        key = named.get("key")
        key = value if key is None else key
        if asked or masked or len(shape) != 3 or self._counts[id(layer)] > 1:
            return None
        parts = [
            (layer._query_dense, values[id(query)]),
            (layer._key_dense, values[id(key)]),
            (layer._value_dense, values[id(value)]),
            (layer._output_dense, None),
        ]
        cores = [einsum_core(part, 3 + (v is None)) for part, v in parts]
        if any(core is None for core in cores):
            return None
        if not any(is_pruned(core) for core in cores):
            return None
        names = ("query", "key", "value", "output")
        made = []
        for name, core, (_, source) in zip(names[:3], cores, parts):
            flat = (*source.shape[:-1], core.kernel.shape[1])
            made.append(
                self._projection(
                    f"{layer.name}_{name}", layer, source, core, flat
                )
            )
        heads = layer._num_heads
        lowering = Attention(heads, layer._key_dim**-0.5)
        mixed = Value((*made[0].shape[:-1], cores[3].kernel.shape[0]))
        attention = packed_layer_class(self.keras)(
            lowering.get_config(),
            core_inputs=3,
            name=f"{layer.name}_attention",
            dtype=_policy(layer),
        )

        def mix(tensors: list[Any]) -> list[Any]:
            outputs = attention(list(tensors))
            several = isinstance(outputs, list | tuple)
            return list(outputs) if several else [outputs]

        self.nodes.append(Opaque(attention.name, made, [mixed], mix, attention))
        return self._projection(
            f"{layer.name}_output", layer, mixed, cores[3], shape
        )

    def _projection(
        self,
        name: str,
        layer: Any,
        value: Value,
        core: Linear,
        shape: tuple[int | None, ...],
    ) -> Value:
        output = Value(shape)
        self.nodes.append(
            Packable(name, [value], [output], core, [], [name], _policy(layer))
        )
        return output

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
            _policy(layer),
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
            return tensors_of(layer(*args, **kwargs))

        name = getattr(layer, "name", type(layer).__name__)
        self.nodes.append(Opaque(name, inputs, outputs, again, layer))
        return outputs

    def clone(self, layer: Any) -> Any:
        """A layer of the same configuration and weights, made once."""
        if not self._is_layer(layer):
            return layer
        if id(layer) not in self._clones:
            self._clones[id(layer)] = _copy(self.keras, layer)
        return self._clones[id(layer)]


def _copy(keras: Any, layer: Any) -> Any:
    if is_nested(layer) and is_graph(layer):
        copy = keras.models.clone_model(layer)
        copy.set_weights(layer.get_weights())
        return copy
    try:
        copy = type(layer).from_config(layer.get_config())
        if layer.weights:
            if hasattr(layer, "get_build_config"):
                copy.build_from_config(layer.get_build_config() or {})
            if len(copy.weights) != len(layer.weights):
                return layer
            copy.set_weights(layer.get_weights())
    except (TypeError, ValueError, NotImplementedError, AttributeError):
        # Without a usable config it can't be copied; it is used as it is.
        return layer
    return copy


def _policy(layer: Any) -> Any:
    policy = getattr(layer, "dtype_policy", None)
    return getattr(policy, "name", None)
