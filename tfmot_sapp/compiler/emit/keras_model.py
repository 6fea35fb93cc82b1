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
"""Writes a planned graph as a Keras Functional model."""

from typing import Any

import numpy as np

from tfmot_sapp.compiler.choose.explanation import Explanation
from tfmot_sapp.compiler.choose.plan import Plan
from tfmot_sapp.compiler.emit.computation import Computation
from tfmot_sapp.compiler.emit.emitter import Emitter
from tfmot_sapp.compiler.emit.packed_layer import packed_layer_class
from tfmot_sapp.compiler.graph import Graph, Opaque


def emit(
    graph: Graph,
    plan: Plan,
    explanation: Explanation,
    inputs: list[Any],
    keras: Any,
) -> list[Any]:
    """Calls the layers of the packed model on its inputs.

    Args:
        graph: The graph after all passes.
        plan: How to compute each of its nodes.
        explanation: What a report is to say about them.
        inputs: Symbolic tensors of the model's inputs.
        keras: The module, `keras` or `tf_keras`.

    Returns:
        Symbolic tensors of the model's outputs.
    """
    return _KerasEmitter(graph, plan, explanation, inputs, keras).run()


class _KerasEmitter(Emitter):
    """Makes a packed layer of every computation."""

    def __init__(
        self,
        graph: Graph,
        plan: Plan,
        explanation: Explanation,
        inputs: list[Any],
        keras: Any,
    ):
        super().__init__(graph, plan, inputs)
        self._explanation = explanation
        self._keras = keras
        self._layer_class = packed_layer_class(keras)
        self._shared: dict[tuple[Any, ...], Any] = {}
        self._names: set[str] = set()

    def width(self, tensor: Any) -> int:
        return int(tensor.shape[-1])

    def pass_through(self, node: Opaque, tensors: list[Any]) -> list[Any]:
        return list(node.operation(tensors))

    def compute(self, computation: Computation) -> list[Any]:
        node = computation.node
        shared = node.shared if node is not None else None
        steps = [
            {
                "kind": step.kind,
                "layer": None
                if step.kind == "add"
                else self._keras.saving.serialize_keras_object(step.operation),
                "operands": places,
            }
            for step, places in computation.steps
        ]
        arrays = [np.ascontiguousarray(each) for each in computation.arrays]
        digest = tuple(hash(each.tobytes()) for each in arrays)
        key = (shared, repr(computation.lowering), repr(steps), digest)
        layer = self._shared.get(key) if shared is not None else None
        if layer is None:
            layer = self._layer_class(
                computation.lowering.get_config(),
                steps,
                computation.core_inputs,
                self._explanation.get(node) if node is not None else None,
                name=self._unique(computation.name),
                dtype=_policy(computation),
            )
            layer.build([tuple(each.shape) for each in computation.tensors])
            for weight, array in zip(layer.weights, arrays):
                weight.assign(array.reshape(weight.shape))
            if shared is not None:
                self._shared[key] = layer
        outputs = layer(list(computation.tensors))
        return list(outputs) if isinstance(outputs, list | tuple) else [outputs]

    def _unique(self, name: str) -> str:
        name = name.replace("/", "_")
        unique, number = name, 0
        while unique in self._names:
            number += 1
            unique = f"{name}_{number}"
        self._names.add(unique)
        return unique


def _policy(computation: Computation) -> Any:
    """The dtype policy of a layer; a copy computes in what it is given in."""
    node = computation.node
    if node is not None and node.dtype is not None:
        return node.dtype
    given = computation.tensors[0].dtype
    name = getattr(given, "name", given)
    return name if "float" in name else None
