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
"""What the functions that read operations share: values, constants, nodes."""

from collections.abc import Callable, Sequence

import numpy as np

from tfmot_sapp.compiler.graph import (
    Core,
    Node,
    Packable,
    Step,
    Table,
    Value,
)
from tfmot_sapp.compiler.ir.graph import Operation
from tfmot_sapp.compiler.ir.make import make_operation
from tfmot_sapp.compiler.ir.values import Value as Tensor
from tfmot_sapp.compiler.ir.values import integers_of
from tfmot_sapp.compiler.readers.operations.step import OperationStep
from tfmot_sapp.frameworks.channel_operations import Depthwise, Linear

# Fused activations that are operations of their own, and treat each value by
# itself.
_ACTIVATIONS = {"RELU", "RELU6", "RELU_N1_TO_1", "TANH"}


class Reader:
    """Collects the nodes of a subgraph.

    Attributes:
        nodes: In the order of execution.
        values: For each tensor that a call gives or an operation writes.
        constants: Contents of the float32 constants that were looked at.
        half: Constants that are stored in half precision.
    """

    def __init__(self) -> None:
        self.nodes: list[Node] = []
        self.values: dict[Tensor, Value] = {}
        self.constants: dict[Tensor, np.ndarray] = {}
        self.half: set[Tensor] = set()

    # --- what an operation reads ----------------------------------------------

    def value(self, tensor: Tensor | None) -> Value | None:
        """The value of a float32 tensor that isn't constant."""
        if tensor is None or tensor.dtype != "float32" or not tensor.shape:
            return None
        return None if tensor in self.half else self.values.get(tensor)

    def constant(self, tensor: Tensor | None) -> np.ndarray | None:
        """Contents of a float32 constant, also of one in half precision."""
        if tensor is None or tensor.dtype != "float32":
            return None
        if tensor not in self.constants:
            contents = None if tensor in self.values else tensor.contents
            if contents is None:
                return None
            self.constants[tensor] = contents
        return self.constants[tensor]

    def integers(self, tensor: Tensor | None) -> list[int] | None:
        """Contents of a constant of integers."""
        if tensor is None or tensor in self.values:
            return None
        return integers_of(tensor)

    # --- nodes ----------------------------------------------------------------

    def make(self, tensor: Tensor) -> Value:
        """The value that a tensor is from now on."""
        value = Value(tuple(tensor.shape))
        self.values[tensor] = value
        return value

    def add(
        self,
        operation: Operation,
        inputs: list[Value],
        core: Core = None,
        steps: Sequence[Step] = (),
        half: bool = False,
        shape: Sequence[int | None] | None = None,
    ) -> bool:
        """Adds a node for an operation, and one for a fused activation.

        Args:
            operation: The operation, which has one output.
            inputs: What is computed from, then operands of the steps.
            core: What happens to channels.
            steps: What follows.
            half: Whether its weights are stored in half precision.
            shape: Of the output, where it isn't the operation's.

        Returns:
            Whether it was added, for whoever reads an operation to return: not
            if the file says that other channels come out.
        """
        (tensor,) = operation.outputs
        name = node_name(operation)
        fused = operation.attributes.get("fused_activation_function", "NONE")
        output = Value(tuple(tensor.shape if shape is None else shape))
        if _channels_made(core) not in (None, output.channels):
            return False
        node = Packable(
            name,
            inputs,
            [output],
            core,
            list(steps),
            [name] if core is not None else [],
            "float16" if half else None,
        )
        self.nodes.append(node)
        if fused != "NONE":
            made = Tensor(tensor.name, tensor.shape, tensor.dtype)
            activation = make_operation(fused, [made], [made])
            held = OperationStep(activation, (0,), {})
            step = Step(held, "map", compute=held.compute)
            after = Value(output.shape)
            self.nodes.append(
                Packable(f"{name}/{fused}", [output], [after], None, [step], [])
            )
            output = after
        self.values[tensor] = output
        return True

    def step(
        self,
        operation: Operation,
        places: Sequence[int],
        kind: str,
        keeps_zero: bool = False,
    ) -> Step:
        """A step that is an operation.

        Args:
            operation: The operation.
            places: Which of its inputs are values, first the one continued.
            kind: As in `Step`.
            keeps_zero: As in `Step`.
        """
        constants = {}
        for place, tensor in enumerate(operation.inputs):
            if place in places or tensor is None:
                continue
            contents = self.constant(tensor)
            contents = tensor.contents if contents is None else contents
            if contents is not None:
                constants[place] = contents
        held = OperationStep(operation, tuple(places), constants)
        return Step(
            held,
            kind,
            len(places) - 1,
            keeps_zero,
            held.is_by_channel,
            held.compute,
        )


# Returns whether it read the operation; otherwise that passes through.
ReadOperation = Callable[[Reader, Operation], bool]
_READERS: dict[str, ReadOperation] = {}


def reads(*kinds: str) -> Callable[[ReadOperation], ReadOperation]:
    """Enters a function in the table of those that read operations.

    Args:
        *kinds: The kinds of operations that it reads.
    """

    def enter(function: ReadOperation) -> ReadOperation:
        for kind in kinds:
            _READERS[kind] = function
        return function

    return enter


def read_operation(reader: Reader, operation: Operation) -> bool:
    """Reads an operation, if what it does to channels is known.

    Args:
        reader: Where nodes are added.
        operation: The operation.

    Returns:
        Whether it was read. Nothing was added if not.
    """
    function = _READERS.get(operation.kind)
    if function is None or len(operation.outputs) == 0:
        return False
    fused = operation.attributes.get("fused_activation_function", "NONE")
    if fused != "NONE" and fused not in _ACTIVATIONS:
        return False
    if any(tensor.dtype != "float32" for tensor in operation.outputs):
        return False
    return function(reader, operation)


def _channels_made(core: Core) -> int | None:
    if isinstance(core, Linear | Depthwise):
        return core.kernel.shape[-1]
    return core.rows.shape[-1] if isinstance(core, Table) else None


def keeps_channels(operation: Operation, value: Value) -> bool:
    """Whether what an operation writes has as many channels as a value.

    A file may say otherwise, because the runtime works out shapes anew.

    Args:
        operation: The operation.
        value: What it reads.
    """
    (output,) = operation.outputs
    return output.shape[-1:] == (value.channels,)


def node_name(operation: Operation) -> str:
    """A short name for what an operation writes."""
    name = operation.outputs[0].name if operation.outputs else operation.kind
    return name.split(";")[0] or operation.kind
