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
"""Reads a `.tflite` file into the packer's graph.

Whatever the file holds is in the graph: operators that no pass knows with
their options and versions, metadata, signatures, subgraphs. Constants are views
of the file's bytes. A file that is damaged, or of a newer version of the format
than the installed one, is refused.
"""

import struct
from typing import Any

import numpy as np

from tfmot_sapp.compiler.ir.check import check_graph
from tfmot_sapp.compiler.ir.graph import (
    ExternalBuffer,
    Graph,
    Metadata,
    Signature,
    Subgraph,
)
from tfmot_sapp.compiler.ir.values import Value
from tfmot_sapp.compiler.readers.associated_files import (
    read_associated_files,
)
from tfmot_sapp.compiler.readers.flatbuffer import FlatbufferReader
from tfmot_sapp.compiler.readers.tflite_operations import (
    OperatorCode,
    outside_bytes,
    read_operations,
    read_operator_codes,
)
from tfmot_sapp.compiler.readers.tflite_values import read_values, value_at
from tfmot_sapp.compiler.schema import schema_module

_IDENTIFIER = b"TFL3"
# What the generated classes raise where a file is not as they expect.
_UNEXPECTED = (MemoryError, TypeError, struct.error)


def read_tflite(content: bytes | bytearray | memoryview) -> Graph:
    """Reads a `.tflite` file.

    Args:
        content: The file's bytes, or anything that shows them, such as a
            memory map. Constants are views of it, so it must not change.

    Returns:
        The graph.

    Raises:
        ValueError: If `content` is no whole file of this format, or if the
            installed version of the format does not know what is in it.

    Example:

    ```python
    graph = read_tflite(pathlib.Path("model.tflite").read_bytes())
    print([operation.kind for operation in graph.main.operations])
    ```
    """
    view = memoryview(content).cast("B").toreadonly()
    schema_module()
    try:
        return _read(view)
    except _UNEXPECTED as error:
        raise _refusal(view, "an offset in it leads nowhere") from error
    except ValueError as error:
        raise _refusal(view, str(error).rstrip(".")) from error


def _refusal(view: memoryview, reason: str) -> ValueError:
    return ValueError(
        "`content` must be a whole `.tflite` file. Received: "
        f"{len(view)} bytes that can't be read, because {reason}."
    )


def _read(view: memoryview) -> Graph:
    if len(view) < 8 or view[4:8] != _IDENTIFIER:
        raise ValueError(f"they don't have the mark {_IDENTIFIER.decode()}")
    reader = FlatbufferReader(view)
    model = schema_module().Model.GetRootAs(view, 0)
    reader.table(model, "Model")
    if model.Version() != 3:
        raise ValueError(f"they are of version {model.Version()}, not 3")
    buffers = [
        _read_buffer(reader, buffer)
        for buffer in reader.tables(model, "Buffers", "Buffer")
    ]
    tables = list(reader.tables(model, "Subgraphs", "SubGraph"))
    if not tables:
        raise ValueError("they have no subgraph")
    subgraphs = [
        Subgraph(
            reader.text(table, "Name"), debug_index=table.DebugMetadataIndex()
        )
        for table in tables
    ]
    codes = read_operator_codes(reader, model)
    for table, subgraph in zip(tables, subgraphs):
        _fill(reader, table, subgraph, buffers, codes, subgraphs)
    graph = Graph(
        subgraphs=subgraphs,
        signatures=_read_signatures(reader, model, subgraphs),
        metadata=_read_metadata(reader, model, buffers),
        description=reader.optional_text(model, "Description"),
        external_files=[
            reader.text(group, "Name")
            for group in reader.tables(
                model, "ExternalBufferGroups", "ExternalBufferGroup"
            )
        ],
        external_buffers=_read_external_buffers(reader, model),
        unnamed_metadata=[
            _buffer_at(buffers, index)
            for index in reader.numbers(model, "MetadataBuffer") or ()
        ],
    )
    graph.associated_files = read_associated_files(reader)
    check_graph(graph)
    return graph


def _read_buffer(reader: FlatbufferReader, buffer: Any) -> np.ndarray | None:
    data = reader.vector(buffer, "Data")
    if data is None and buffer.Offset() > 1:
        # Files of over 2 GB keep their weights behind the flatbuffer.
        return outside_bytes(reader, buffer.Offset(), buffer.Size())
    return data


def _buffer_at(buffers: list[np.ndarray | None], index: int) -> np.ndarray:
    if not 0 <= index < len(buffers):
        raise ValueError(f"it refers to buffer {index} of {len(buffers)}")
    buffer = buffers[index]
    return np.zeros(0, np.uint8) if buffer is None else buffer


def _fill(
    reader: FlatbufferReader,
    table: Any,
    subgraph: Subgraph,
    buffers: list[np.ndarray | None],
    codes: list[OperatorCode],
    subgraphs: list[Subgraph],
) -> None:
    values = read_values(reader, table, buffers)
    subgraph.values = values
    for field, chosen in (
        ("Inputs", subgraph.inputs),
        ("Outputs", subgraph.outputs),
    ):
        indices = reader.numbers(table, field) or ()
        chosen.extend(value_at(values, index) for index in indices)
    subgraph.operations = read_operations(
        reader, table, values, codes, subgraphs
    )
    _complete_empty_constants(subgraph)


def _complete_empty_constants(subgraph: Subgraph) -> None:
    # A file may leave out the contents of a constant without elements.
    written = set(subgraph.inputs)
    for operation in subgraph.operations:
        written.update(operation.outputs)
    for value in subgraph.values:
        is_empty = 0 in value.shape and None not in value.shape
        if is_empty and value not in written and not value.is_variable:
            value.stored = np.zeros(0, np.uint8)


def _read_signatures(
    reader: FlatbufferReader, model: Any, subgraphs: list[Subgraph]
) -> list[Signature]:
    signatures = []
    for table in reader.tables(model, "SignatureDefs", "SignatureDef"):
        index = table.SubgraphIndex()
        if index >= len(subgraphs):
            raise ValueError(
                f"it refers to subgraph {index} of {len(subgraphs)}"
            )
        subgraph = subgraphs[index]
        signatures.append(
            Signature(
                key=reader.text(table, "SignatureKey"),
                subgraph=subgraph,
                inputs=_read_names(reader, table, "Inputs", subgraph),
                outputs=_read_names(reader, table, "Outputs", subgraph),
            )
        )
    return signatures


def _read_names(
    reader: FlatbufferReader, table: Any, field: str, subgraph: Subgraph
) -> dict[str, Value]:
    return {
        reader.text(entry, "Name"): value_at(
            subgraph.values, entry.TensorIndex()
        )
        for entry in reader.tables(table, field, "TensorMap")
    }


def _read_metadata(
    reader: FlatbufferReader, model: Any, buffers: list[np.ndarray | None]
) -> list[Metadata]:
    return [
        Metadata(
            reader.text(table, "Name"), _buffer_at(buffers, table.Buffer())
        )
        for table in reader.tables(model, "Metadata", "Metadata")
    ]


def _read_external_buffers(
    reader: FlatbufferReader, model: Any
) -> list[ExternalBuffer]:
    return [
        ExternalBuffer(
            number=table.Id(),
            group=table.Group(),
            offset=table.Offset(),
            length=table.Length(),
            packing=reader.text(table, "Packing"),
        )
        for table in reader.tables(model, "ExternalBuffers", "ExternalBuffer")
    ]
