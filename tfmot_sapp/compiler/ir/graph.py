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
"""The graph that the packer works on: values, operations, subgraphs.

It is what LiteRT executes: a list of operations in the order of execution,
each of which reads and writes values. Every value is written at most once, and
before it is read. Loops and branches hold their bodies as subgraphs. An
operation that no pass knows passes through whole: its attributes, its options
as bytes and its version are kept as they were.

```python
x = Value("x", (None, 8), "float32")
w = Value.constant("w", np.ones((4, 8), np.float32))
y = Value("y", (None, 4), "float32")
layer = make_operation("FULLY_CONNECTED", [x, w, None], [y])
graph = Graph([Subgraph("main", [x], [y], [layer])])
```
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

import numpy as np

from tfmot_sapp.compiler.ir.values import Value


@dataclasses.dataclass(eq=False, slots=True)
class Operation:
    """One operation; `make_operation` makes one with its usual options.

    Attributes:
        kind: Its name in the format, such as `"CONV_2D"`, or `"CUSTOM"`.
        inputs: The values it reads, `None` for one that is left out.
        outputs: The values it writes.
        attributes: Its options by their names in the format, such as
            `"stride_h"`. Activations, paddings and types are names.
        options: Name of the format's table of these options, `None` if the
            file holds none for it.
        version: Version of the operator.
        regions: Subgraphs that it runs, such as `"cond"` and `"body"`.
        custom_code: Name of a custom operator.
        custom_options: The bytes of a custom operator's options.
        intermediates: Values that describe what it computes within.
        mutating_inputs: For each input whether it changes it, if recorded.
        debug_index: Its entry in the debugging metadata, -1 for none.
    """

    kind: str
    inputs: list[Value | None]
    outputs: list[Value]
    attributes: dict[str, Any] = dataclasses.field(default_factory=dict)
    options: str | None = None
    version: int = 1
    regions: dict[str, tuple[Subgraph, ...]] = dataclasses.field(
        default_factory=dict
    )
    custom_code: str = ""
    custom_options: np.ndarray | None = None
    intermediates: list[Value | None] = dataclasses.field(default_factory=list)
    mutating_inputs: tuple[bool, ...] | None = None
    debug_index: int = -1

    def region(self, name: str) -> Subgraph:
        """Returns the one subgraph of a region.

        Args:
            name: Name of the region.

        Raises:
            KeyError: If the operation has no such region.
        """
        (subgraph,) = self.regions[name]
        return subgraph


@dataclasses.dataclass(eq=False, slots=True)
class Subgraph:
    """Operations in the order of execution.

    Attributes:
        name: Its name.
        inputs: The values that a call gives.
        outputs: The values that a call returns.
        operations: Its operations; each reads what was written before it.
        values: The order in which values are numbered in a file. What is
            missing follows, and what nothing refers to is left out.
        debug_index: Its entry in the debugging metadata, -1 for none.
    """

    name: str
    inputs: list[Value] = dataclasses.field(default_factory=list)
    outputs: list[Value] = dataclasses.field(default_factory=list)
    operations: list[Operation] = dataclasses.field(default_factory=list)
    values: list[Value] = dataclasses.field(default_factory=list)
    debug_index: int = -1

    def used_values(self) -> list[Value]:
        """Returns the values that something refers to, each once.

        Returns:
            Those in `values` in their order, then the others in the order in
            which they come up.
        """
        used = dict.fromkeys(self._references())
        known = dict.fromkeys(value for value in self.values if value in used)
        return list(known | used)

    def readers(self) -> dict[Value, list[Operation]]:
        """Returns for each value the operations that read it."""
        readers: dict[Value, list[Operation]] = {}
        for operation in self.operations:
            for value in operation.inputs:
                if value is not None:
                    readers.setdefault(value, []).append(operation)
        return readers

    def _references(self) -> Iterator[Value]:
        for value in self._direct_references():
            yield value
            if value.quantization is not None:
                yield from value.quantization.values()

    def _direct_references(self) -> Iterator[Value]:
        yield from self.inputs
        for operation in self.operations:
            for group in (
                operation.inputs,
                operation.outputs,
                operation.intermediates,
            ):
                yield from (value for value in group if value is not None)
        yield from self.outputs


@dataclasses.dataclass(eq=False, slots=True)
class Signature:
    """An entry point with named inputs and outputs.

    Attributes:
        key: Its name.
        subgraph: The subgraph that it runs.
        inputs: Values of the subgraph by the names of the arguments.
        outputs: Values of the subgraph by the names of the results.
    """

    key: str
    subgraph: Subgraph
    inputs: dict[str, Value]
    outputs: dict[str, Value]


@dataclasses.dataclass(eq=False, slots=True)
class Metadata:
    """A named piece of data that the runtime passes to whoever asks for it.

    Attributes:
        name: Its name.
        contents: Its bytes, a flat uint8 array.
    """

    name: str
    contents: np.ndarray


@dataclasses.dataclass(frozen=True, slots=True)
class ExternalBuffer:
    """A place in another file that holds the contents of a constant.

    Attributes:
        number: The number by which values refer to it.
        group: Index of the file in `Graph.external_files`.
        offset: First byte in that file.
        length: Number of bytes.
        packing: How they are packed.
    """

    number: int
    group: int
    offset: int
    length: int
    packing: str


@dataclasses.dataclass(eq=False, slots=True)
class Graph:
    """A whole model.

    Attributes:
        subgraphs: Its subgraphs; the first is the main one.
        signatures: Its entry points.
        metadata: Named pieces of data. What names operations by their index,
            as `"model_control_dependencies"` does, holds only as long as the
            operations stay as they are.
        description: What the model is.
        external_files: Names of files beside this one that hold constants.
        external_buffers: Places in those files.
        unnamed_metadata: Contents of the metadata of before 2020, which had
            no names.
        associated_files: Contents by name of the files that are packed in the
            model's, such as labels and vocabularies.
    """

    subgraphs: list[Subgraph]
    signatures: list[Signature] = dataclasses.field(default_factory=list)
    metadata: list[Metadata] = dataclasses.field(default_factory=list)
    description: str | None = None
    external_files: list[str] = dataclasses.field(default_factory=list)
    external_buffers: list[ExternalBuffer] = dataclasses.field(
        default_factory=list
    )
    unnamed_metadata: list[np.ndarray] = dataclasses.field(default_factory=list)
    associated_files: dict[str, bytes] = dataclasses.field(default_factory=dict)

    @property
    def main(self) -> Subgraph:
        """The subgraph that runs when no signature is named."""
        return self.subgraphs[0]
