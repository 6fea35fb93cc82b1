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
"""Reads a subgraph of a LiteRT graph: what its operations do to channels.

An operation is read if its values are float32 and its weights constant; any
other passes through as it is: integers, quantized values, loops, custom
operators.
"""

import numpy as np

from tfmot_sapp.compiler.graph import Graph, Opaque
from tfmot_sapp.compiler.ir.graph import Operation, Subgraph
from tfmot_sapp.compiler.ir.values import Value as Tensor
from tfmot_sapp.compiler.readers.operations import (  # noqa: F401
    elementwise,
    layout,
    products,
)
from tfmot_sapp.compiler.readers.operations.reader import (
    Reader,
    node_name,
    read_operation,
)

# Operations that do more than to make their outputs.
_KEPT = ("CALL", "CALL_ONCE", "CUSTOM", "DELEGATE", "IF", "WHILE")


def read_subgraph(subgraph: Subgraph) -> Graph:
    """Reads a subgraph.

    Args:
        subgraph: The subgraph. It isn't changed.

    Returns:
        A `Graph` that computes what the subgraph computes. Operations that
        pass through are held by `Opaque.operation`, the others by steps.
    """
    reader = Reader()
    inputs = [reader.make(tensor) for tensor in subgraph.inputs]
    for operation in subgraph.operations:
        _note_half_precision(reader, operation)
        if not read_operation(reader, operation):
            _pass_through(reader, operation)
    # An output may be a constant, which stays what it is.
    outputs = [
        reader.values[tensor]
        for tensor in subgraph.outputs
        if tensor in reader.values
    ]
    return Graph(reader.nodes, inputs, outputs)


def given_tensors(operation: Operation) -> list[Tensor]:
    """What an operation reads, each tensor once.

    Args:
        operation: The operation.
    """
    return list(dict.fromkeys(t for t in operation.inputs if t is not None))


def _note_half_precision(reader: Reader, operation: Operation) -> None:
    """Looks through what makes a float32 constant of a float16 one."""
    if operation.kind != "DEQUANTIZE" or operation.inputs[0] is None:
        return
    given = operation.inputs[0]
    if given.dtype != "float16" or given in reader.values:
        return
    contents = given.contents
    if contents is not None:
        (made,) = operation.outputs
        reader.constants[made] = contents.astype(np.float32)
        reader.half.add(made)


def _pass_through(reader: Reader, operation: Operation) -> None:
    inputs = [
        reader.values[tensor]
        for tensor in given_tensors(operation)
        if tensor in reader.values
    ]
    outputs = [reader.make(tensor) for tensor in operation.outputs]
    kept = (
        operation.kind in _KEPT
        or not outputs
        or "VARIABLE" in operation.kind
        or "HASHTABLE" in operation.kind
        or operation.kind.startswith("STABLEHLO")
        or any(t.is_variable for t in given_tensors(operation))
    )
    reader.nodes.append(
        Opaque(node_name(operation), inputs, outputs, operation, None, kept)
    )
