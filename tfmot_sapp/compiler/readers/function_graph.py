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
"""The graph of a traced function, changed and traced again.

```python
graph = FunctionGraph(function)
graph.give(variable, "kernel")  # What it read from a variable is now given.
changed = graph.trace()
```
"""

import dataclasses
from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
import tensorflow as tf

# Operations that only look at a variable.
_READS = "ReadVariableOp"


@dataclasses.dataclass(eq=False)
class FunctionGraph:
    """The graph of a concrete function of named tensors.

    Attributes:
        function: The concrete function.
        definition: Its graph, a `GraphDef` that may be changed.
        given: Specs of the arguments that were added, by their names.
    """

    function: Any
    definition: Any = dataclasses.field(init=False)
    given: dict[str, Any] = dataclasses.field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        self.definition = self.function.graph.as_graph_def()
        self._captured = {
            inner.op.name: outer
            for outer, inner in self.function.graph.captures
        }

    def reads(self) -> dict[str, Any]:
        """Returns the nodes that read a variable, with the variables."""
        by_handle = {id(v.handle): v for v in self.function.variables}
        found = {}
        for node in self.definition.node:
            if node.op == _READS:
                outer = self._captured.get(producer(node.input[0]))
                if id(outer) in by_handle:
                    found[node.name] = by_handle[id(outer)]
        return found

    def give(self, variable: Any, name: str) -> None:
        """Makes what is read of a variable an argument of the function.

        Args:
            variable: The variable.
            name: The argument's name.
        """
        reads = self.reads()
        for node in self.definition.node:
            if reads.get(node.name) is variable:
                # Others may wait for the node.
                node.op = "Identity"
                node.input[:] = [name]
                dtype = node.attr["dtype"].type
                node.ClearField("attr")
                node.attr["T"].type = dtype
        self.given[name] = tf.TensorSpec(variable.shape, variable.dtype, name)

    def shift(self, nodes: Collection[str], name: str) -> None:
        """Adds a scalar argument of the function to what some nodes make.

        Args:
            nodes: Names of the nodes, each of one output of float32.
            name: The argument's name.
        """
        for node in list(self.definition.node):
            if node.name in nodes:
                shifted = self.definition.node.add(name=node.name, op="AddV2")
                shifted.attr["T"].type = tf.float32.as_datatype_enum
                node.name += "/unshifted"
                shifted.input[:] = [node.name, name]
        self.given[name] = tf.TensorSpec((), tf.float32, name)

    def tensor(self, name: str) -> Any:
        """Returns the traced graph's tensor that an input of a node names."""
        return self.function.graph.get_tensor_by_name(_numbered(name))

    def values(self, names: Mapping[str, str]) -> dict[str, np.ndarray]:
        """Computes tensors that depend on no argument.

        Args:
            names: Names of the tensors as inputs of nodes, by any keys.

        Returns:
            Their contents by the same keys.
        """
        if not names:
            return {}

        @tf.function(autograph=False)
        def compute() -> Any:
            return self._imported({}, [_numbered(n) for n in names.values()])

        return dict(zip(names, (tensor.numpy() for tensor in compute())))

    def replace(self, node: Any, function: Any) -> None:
        """Writes another function in place of a node.

        Args:
            node: A node of the definition, of one output.
            function: A concrete function of one tensor, the node's first input,
                to one. It captures nothing.
        """
        inner = function.graph.as_graph_def()
        argument, result = function.inputs[0].op.name, function.outputs[0].name
        given, scope = node.input[0], f"{node.name}/packed/"
        for each in inner.node:
            if each.name != argument:
                added = self.definition.node.add()
                added.CopyFrom(each)
                added.name = scope + each.name
                added.input[:] = [
                    given
                    if producer(name) == argument
                    else scope + name.lstrip("^")
                    for name in each.input
                    # A function of one tensor waits for nothing.
                    if not name.startswith("^")
                ]
        node.op = "Identity"
        node.input[:] = [scope + result]
        node.ClearField("attr")
        node.attr["T"].type = function.outputs[0].dtype.as_datatype_enum

    def prune(self) -> None:
        """Leaves out what no output of the function depends on."""
        nodes = {node.name: node for node in self.definition.node}
        reads = self.reads()
        needed: set[str] = set()
        open_ends = [tensor.op.name for tensor in self.function.outputs]
        while open_ends:
            name = open_ends.pop()
            if name in needed or name not in nodes:
                continue
            needed.add(name)
            open_ends += [
                producer(each)
                for each in nodes[name].input
                # To wait for a variable that is read is no use of it.
                if not (each.startswith("^") and producer(each) in reads)
            ]
        for name in nodes.keys() - needed:
            self.definition.node.remove(nodes[name])
        for node in self.definition.node:
            node.input[:] = [
                each for each in node.input if producer(each) in needed
            ]

    def variables(self) -> list[Any]:
        """Returns the variables that are still read, or passed on."""
        used = self._used()
        handles = {
            id(outer) for name, outer in self._captured.items() if name in used
        }
        return [v for v in self.function.variables if id(v.handle) in handles]

    def trace(self, **options: Any) -> Any:
        """Returns the concrete function that the changed graph is.

        Args:
            **options: Arguments of `tf.function`, such as `jit_compile`.
        """
        specs = tf.nest.flatten(self.function.structured_input_signature)
        places = {
            spec.name: tensor.name
            for spec, tensor in zip(specs, self.function.inputs)
        }
        places |= {name: f"{name}:0" for name in self.given}

        @tf.function(autograph=False, **options)
        def changed(**arguments: Any) -> Any:
            outputs = self._imported(
                {place: arguments[name] for name, place in places.items()},
                [tensor.name for tensor in self.function.outputs],
            )
            return tf.nest.pack_sequence_as(
                self.function.structured_outputs, outputs
            )

        return changed.get_concrete_function(
            **{spec.name: spec for spec in specs}, **self.given
        )

    def _imported(self, given: dict[str, Any], wanted: list[str]) -> list[Any]:
        """Writes the graph into the one being traced; returns some tensors."""
        graph = tf.compat.v1.get_default_graph()
        used = self._used()
        tensors = {k: v for k, v in given.items() if producer(k) in used}
        for name, outer in self._captured.items():
            if name in used:
                tensors[f"{name}:0"] = graph.capture(outer)
        replaced = {*map(producer, given), *self._captured}
        definition = tf.compat.v1.GraphDef()
        definition.library.CopyFrom(self.definition.library)
        definition.versions.CopyFrom(self.definition.versions)
        definition.node.extend(
            node for node in self.definition.node if node.name not in replaced
        )
        return tf.graph_util.import_graph_def(
            definition, tensors, wanted, name=""
        )

    def _used(self) -> set[str]:
        return {
            producer(name)
            for node in self.definition.node
            for name in node.input
        }


def _numbered(name: str) -> str:
    return name if ":" in name else f"{name}:0"


def producer(name: str) -> str:
    """Returns the name of the node that an input of another comes from.

    Args:
        name: The input, such as `"split:1"` or `"^wait"`.
    """
    return name.lstrip("^").partition(":")[0]
