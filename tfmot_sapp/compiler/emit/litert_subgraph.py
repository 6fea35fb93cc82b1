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
"""Writes a planned graph as the operations of a LiteRT subgraph."""

import dataclasses

import numpy as np

from tfmot_sapp.compiler.choose.plan import Plan
from tfmot_sapp.compiler.emit.computation import Computation
from tfmot_sapp.compiler.emit.emitter import Emitter
from tfmot_sapp.compiler.emit.litert_operations import LiteRtOperations
from tfmot_sapp.compiler.emit.litert_stacks import LiteRtStacks
from tfmot_sapp.compiler.graph import Graph, Opaque, Step
from tfmot_sapp.compiler.ir.graph import Operation, Subgraph
from tfmot_sapp.compiler.ir.values import Value as Tensor
from tfmot_sapp.compiler.readers.operations.step import OperationStep
from tfmot_sapp.compiler.readers.subgraph import given_tensors
from tfmot_sapp.targets.operators import Operators

_RELUS = ("RELU", "RELU6", "RELU_N1_TO_1")
# Which input holds a shape, or sizes, of which the last is the channels'.
_SIZES = {"BROADCAST_TO": 1, "RESHAPE": 1, "SLICE": 2, "STRIDED_SLICE": 2}


def write_subgraph(
    subgraph: Subgraph, graph: Graph, plan: Plan, operators: Operators
) -> None:
    """Puts the operations of a planned graph in a subgraph.

    Inputs and outputs stay the same values, with their names.

    Args:
        subgraph: What the graph was read from; its operations are replaced.
        graph: The graph after all passes.
        plan: How to compute each of its nodes.
        operators: How the runtime wants them written.
    """
    write = LiteRtStacks(operators)
    emitter = _LiteRtEmitter(graph, plan, subgraph, write)
    made = emitter.run()
    routed = [t for t in subgraph.outputs if t in emitter.routed]
    _name_outputs(write, subgraph, dict(zip(routed, made)))
    write.drop_unread(subgraph.outputs)
    subgraph.operations = write.operations


class _LiteRtEmitter(Emitter):
    """Appends operations for every computation.

    Attributes:
        routed: Tensors of the subgraph that are values of the graph.
    """

    def __init__(
        self,
        graph: Graph,
        plan: Plan,
        subgraph: Subgraph,
        write: LiteRtOperations,
    ):
        super().__init__(graph, plan, subgraph.inputs)
        self._write = write
        self.routed = set(subgraph.inputs).union(
            *(operation.outputs for operation in subgraph.operations)
        )

    def width(self, tensor: Tensor) -> int:
        return self._write.channels(tensor)

    def pass_through(self, node: Opaque, tensors: list[Tensor]) -> list[Tensor]:
        operation: Operation = node.operation
        given = [t for t in given_tensors(operation) if t in self.routed]
        replaced = dict(zip(given, tensors))
        inputs = [
            None if t is None else replaced.get(t, t) for t in operation.inputs
        ]
        self._write.operation(dataclasses.replace(operation, inputs=inputs))
        return list(operation.outputs)

    def compute(self, computation: Computation) -> list[Tensor]:
        write, node = self._write, computation.node
        write.name = computation.name
        write.half_weights = node is not None and node.dtype == "float16"
        arrays = [
            np.asarray(array, np.float32).reshape(shape)
            for array, (_, shape) in zip(
                computation.arrays, computation.lowering.weights()
            )
        ]
        given = computation.tensors[: computation.core_inputs]
        results = []
        for j, y in enumerate(
            computation.lowering.outputs(arrays, given, write)
        ):
            is_new = y not in computation.tensors
            for step, places in computation.steps:
                found = [place[j] for place in places]
                others = [
                    computation.tensors[at] for at in found if at is not None
                ]
                channels = computation.channels[j]
                y = _follow(write, step, [y, *others], channels, is_new)
                is_new = True
            results.append(y)
        return results


def _follow(
    write: LiteRtOperations,
    step: Step,
    values: list[Tensor],
    channels: np.ndarray,
    is_new: bool,
) -> Tensor:
    """Writes a step for one piece."""
    if step.kind == "add":
        x = values[0]
        for other in values[1:]:
            x = write.add(x, other)
        return x
    held: OperationStep = step.operation
    operation = held.operation
    if operation.kind in _RELUS:
        return write.activate(values[0], operation.kind, is_new)
    if operation.kind in ("EXPAND_DIMS", "RESHAPE", "SQUEEZE"):
        # Whatever it is called, the shape is known.
        shape = operation.outputs[0].shape
        return write.reshape(values[0], (*shape[:-1], len(channels)))
    inputs = list(operation.inputs)
    for place, array in held.constants_for(channels).items():
        if place == _SIZES.get(operation.kind):
            array = _resized(array, len(channels))
        given = inputs[place]
        if given is None or given.contents is not array:
            inputs[place] = write.constant(array, "constant")
    for place, value in zip(held.places, values):
        inputs[place] = value
    shape = operation.outputs[0].shape
    made = write.value((*shape[:-1], len(channels)))
    attributes = {
        name: option
        for name, option in operation.attributes.items()
        if name != "fused_activation_function"
    }
    if "fused_activation_function" in operation.attributes:
        attributes["fused_activation_function"] = "NONE"
    return write.computed(
        dataclasses.replace(
            operation, inputs=inputs, outputs=[made], attributes=attributes
        )
    )


def _resized(sizes: np.ndarray, channels: int) -> np.ndarray:
    """Sizes of all axes, the last of them that of a piece."""
    resized = np.array(sizes)
    resized.reshape(-1)[-1] = channels
    return resized


def _name_outputs(
    write: LiteRtOperations, subgraph: Subgraph, made: dict[Tensor, Tensor]
) -> None:
    """Lets the values that a subgraph returns be written by operations.

    Args:
        write: What was written so far; it is changed.
        subgraph: The subgraph.
        made: For each of its outputs the tensor that holds it.
    """
    renamed: dict[Tensor, Tensor] = {}
    written = {t for op in write.operations for t in op.outputs}
    own = {*subgraph.inputs, *subgraph.outputs}
    for output, tensor in made.items():
        if tensor is output:
            continue
        if tensor in written and tensor not in renamed and tensor not in own:
            renamed[tensor] = output
            continue
        write.name = output.name
        source = renamed.get(tensor, tensor)
        shape = write.constant(
            np.array([-1 if n is None else n for n in output.shape], np.int32),
            "shape",
        )
        write.copy(source, shape, output)
    for operation in write.operations:
        operation.inputs = [
            None if t is None else renamed.get(t, t) for t in operation.inputs
        ]
        operation.outputs = [renamed.get(t, t) for t in operation.outputs]
