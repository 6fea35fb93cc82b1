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
"""Writes the packer's graph as a `.tflite` file."""

from typing import Any

import flatbuffers

from tfmot_sapp.compiler.ir.check import check_graph
from tfmot_sapp.compiler.ir.graph import Graph, Signature, Subgraph
from tfmot_sapp.compiler.ir.values import Value
from tfmot_sapp.compiler.schema import new_table
from tfmot_sapp.compiler.writers.associated_files import (
    pack_associated_files,
)
from tfmot_sapp.compiler.writers.tflite_buffers import Buffers
from tfmot_sapp.compiler.writers.tflite_operations import (
    OperatorCodes,
    write_operation,
)
from tfmot_sapp.compiler.writers.tflite_values import encode, write_value

_IDENTIFIER = b"TFL3"
_VERSION = 3


def write_tflite(graph: Graph) -> bytes:
    """Writes a graph as a `.tflite` file.

    What `read_tflite` read is written as it was; values that nothing refers to
    are left out, and constants with the same contents are stored once.

    Args:
        graph: The graph.

    Returns:
        The file's bytes.

    Raises:
        ValueError: If the graph can't be executed, if the format does not
            have one of its operators, types or options, or if the file would
            be larger than 2 GB.

    Example:

    ```python
    graph = read_tflite(pathlib.Path("model.tflite").read_bytes())
    pathlib.Path("copy.tflite").write_bytes(write_tflite(graph))
    ```
    """
    return b"".join(tflite_pieces(graph))


def tflite_pieces(graph: Graph) -> list[bytearray | memoryview | bytes]:
    """Returns a `.tflite` file in pieces, the constants not copied.

    Args:
        graph: The graph.

    Returns:
        The pieces, which are the file when they are written one after another.

    Raises:
        ValueError: As `write_tflite` does.
    """
    check_graph(graph)
    buffers, codes = Buffers(), OperatorCodes()
    subgraph_indices = {s: index for index, s in enumerate(graph.subgraphs)}
    numberings = {
        subgraph: _number_values(subgraph, graph.signatures)
        for subgraph in graph.subgraphs
    }
    model = new_table("Model")
    model.version = _VERSION
    if graph.description is not None:
        model.description = encode(graph.description)
    model.subgraphs = [
        _write_subgraph(s, buffers, codes, numberings[s], subgraph_indices)
        for s in graph.subgraphs
    ]
    model.operatorCodes = codes.tables
    if graph.signatures:
        model.signatureDefs = [
            _write_signature(
                signature,
                numberings[signature.subgraph],
                subgraph_indices[signature.subgraph],
            )
            for signature in graph.signatures
        ]
    _write_metadata(model, graph, buffers)
    _write_external_buffers(model, graph)
    model.buffers = buffers.tables
    builder = flatbuffers.Builder()
    builder.Finish(model.Pack(builder), file_identifier=_IDENTIFIER)
    pieces = buffers.lay_out(builder.Output())
    if graph.associated_files:
        end = sum(len(piece) for piece in pieces)
        pieces.append(pack_associated_files(graph.associated_files, end))
    return pieces


def _number_values(
    subgraph: Subgraph, signatures: list[Signature]
) -> dict[Value, int]:
    values = dict.fromkeys(subgraph.used_values())
    for signature in signatures:
        if signature.subgraph is subgraph:
            values.update(dict.fromkeys(signature.inputs.values()))
            values.update(dict.fromkeys(signature.outputs.values()))
    return {value: index for index, value in enumerate(values)}


def _write_subgraph(
    subgraph: Subgraph,
    buffers: Buffers,
    codes: OperatorCodes,
    indices: dict[Value, int],
    subgraph_indices: dict[Subgraph, int],
) -> Any:
    table = new_table("SubGraph")
    table.name = encode(subgraph.name)
    table.tensors = [write_value(v, buffers, indices) for v in indices]
    table.inputs = [indices[value] for value in subgraph.inputs]
    table.outputs = [indices[value] for value in subgraph.outputs]
    table.operators = [
        write_operation(operation, codes, indices, subgraph_indices)
        for operation in subgraph.operations
    ]
    table.debugMetadataIndex = subgraph.debug_index
    return table


def _write_signature(
    signature: Signature, indices: dict[Value, int], subgraph_index: int
) -> Any:
    table = new_table("SignatureDef")
    table.signatureKey = encode(signature.key)
    table.subgraphIndex = subgraph_index
    table.inputs = _tensor_maps(signature.inputs, indices)
    table.outputs = _tensor_maps(signature.outputs, indices)
    return table


def _tensor_maps(
    named: dict[str, Value], indices: dict[Value, int]
) -> list[Any]:
    maps = []
    for name, value in named.items():
        table = new_table("TensorMap")
        table.name = encode(name)
        table.tensorIndex = indices[value]
        maps.append(table)
    return maps


def _write_metadata(model: Any, graph: Graph, buffers: Buffers) -> None:
    if graph.metadata:
        model.metadata = []
    for entry in graph.metadata:
        table = new_table("Metadata")
        table.name = encode(entry.name)
        table.buffer = buffers.index(entry.contents)
        model.metadata.append(table)
    if graph.unnamed_metadata:
        model.metadataBuffer = [
            buffers.index(contents) for contents in graph.unnamed_metadata
        ]


def _write_external_buffers(model: Any, graph: Graph) -> None:
    if graph.external_files:
        model.externalBufferGroups = []
    for name in graph.external_files:
        group = new_table("ExternalBufferGroup")
        group.name = encode(name)
        model.externalBufferGroups.append(group)
    if graph.external_buffers:
        model.externalBuffers = []
    for buffer in graph.external_buffers:
        table = new_table("ExternalBuffer")
        table.id = buffer.number
        table.group = buffer.group
        table.offset = buffer.offset
        table.length = buffer.length
        if buffer.packing:
            table.packing = encode(buffer.packing)
        model.externalBuffers.append(table)
