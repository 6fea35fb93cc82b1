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
"""What is inside a `.tflite` file: its operators and tensors.

Read straight from the flatbuffer, before any delegate has rewritten the graph.
"""

import collections
import dataclasses
import functools
from typing import Any

import numpy as np

from tfmot_sapp.compiler.schema import schema_module


@dataclasses.dataclass(frozen=True)
class Tensor:
    """One tensor of a file.

    Attributes:
        name: Its name.
        shape: Its shape; 1 where it is dynamic.
        dtype: Name of its type in the format, such as `"FLOAT32"`, `"INT8"`.
        scales: Quantization scales: none, one, or one per channel.
        zero_points: As many zero points.
        channel_axis: The axis that several scales run along.
        data: The stored values of a constant, else `None`. Flat bytes where
            the tensor is sparsely encoded.
        is_sparse: Whether the file holds only its non-zero blocks.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    scales: np.ndarray
    zero_points: np.ndarray
    channel_axis: int
    data: np.ndarray | None
    is_sparse: bool


@dataclasses.dataclass(frozen=True)
class Op:
    """One operator of a file.

    Attributes:
        name: Its name in the format, such as `"CONV_2D"`; that of a custom
            operator as the file spells it.
        inputs: Indices of the tensors that it reads; -1 for an absent one.
        outputs: Indices of those that it writes.
    """

    name: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]


@dataclasses.dataclass(frozen=True)
class Graph:
    """A file's main subgraph, operators in the order of execution."""

    tensors: tuple[Tensor, ...]
    ops: tuple[Op, ...]


_NUMPY = {
    "FLOAT32": np.float32,
    "FLOAT16": np.float16,
    "INT8": np.int8,
    "UINT8": np.uint8,
    "INT16": np.int16,
    "INT32": np.int32,
    "INT64": np.int64,
    "BOOL": np.bool_,
}


def read_graph(content: bytes) -> Graph:
    """Reads the main subgraph of a file.

    Args:
        content: The file's bytes; the constants are views into them.

    Returns:
        A `Graph`.
    """
    schema = schema_module()
    model = schema.Model.GetRootAsModel(content, 0)
    subgraph = model.Subgraphs(0)
    tensors = tuple(
        _read_tensor(model, subgraph.Tensors(i))
        for i in range(subgraph.TensorsLength())
    )
    names = _op_names(model)
    return Graph(tensors, tuple(_read_ops(subgraph, names)))


def count_ops(content: bytes) -> dict[str, int]:
    """Counts the operators of a file, those of all its subgraphs.

    Args:
        content: The file's bytes.

    Returns:
        Dictionary from operator names to counts, most frequent first.
    """
    model = schema_module().Model.GetRootAsModel(content, 0)
    names = _op_names(model)
    counts = collections.Counter(
        op.name
        for i in range(model.SubgraphsLength())
        for op in _read_ops(model.Subgraphs(i), names)
    )
    return dict(counts.most_common())


def _read_ops(subgraph: Any, names: list[str]) -> list[Op]:
    operators = map(subgraph.Operators, range(subgraph.OperatorsLength()))
    return [
        Op(
            names[operator.OpcodeIndex()],
            tuple(map(operator.Inputs, range(operator.InputsLength()))),
            tuple(map(operator.Outputs, range(operator.OutputsLength()))),
        )
        for operator in operators
    ]


def _op_names(model: Any) -> list[str]:
    names = _enum_names("BuiltinOperator")
    found = []
    for i in range(model.OperatorCodesLength()):
        code = model.OperatorCodes(i)
        if code.CustomCode() is not None:
            found.append(code.CustomCode().decode())
        else:
            # Files of before 2020 have the code in the older, one-byte field.
            number = max(code.BuiltinCode(), code.DeprecatedBuiltinCode())
            found.append(names[number])
    return found


def _read_tensor(model: Any, tensor: Any) -> Tensor:
    dtype = _enum_names("TensorType")[tensor.Type()]
    shape = tuple(map(tensor.Shape, range(tensor.ShapeLength())))
    quantization = tensor.Quantization()
    scales = zero_points = np.zeros(0)
    channel_axis = 0
    if quantization is not None and quantization.ScaleLength():
        scales = quantization.ScaleAsNumpy()
        zero_points = quantization.ZeroPointAsNumpy()
        channel_axis = quantization.QuantizedDimension()
    is_sparse = tensor.Sparsity() is not None
    data: np.ndarray | None = None
    stored = model.Buffers(tensor.Buffer()).DataAsNumpy()
    if isinstance(stored, np.ndarray) and dtype == "INT4" and not is_sparse:
        data = _nibbles(stored)[: int(np.prod(shape))].reshape(shape)
    elif isinstance(stored, np.ndarray) and dtype in _NUMPY:
        data = stored.view(_NUMPY[dtype])
        data = data if is_sparse else data.reshape(shape)
    return Tensor(
        name=(tensor.Name() or b"").decode(),
        shape=shape,
        dtype=dtype,
        scales=scales,
        zero_points=zero_points,
        channel_axis=channel_axis,
        data=data,
        is_sparse=is_sparse,
    )


def _nibbles(stored: np.ndarray) -> np.ndarray:
    """Signed numbers of 4 bits, the lower half of each byte first."""
    halves = np.stack([stored << 4, stored], axis=-1).reshape(-1)
    return halves.view(np.int8) >> 4


@functools.cache
def _enum_names(enum: str) -> dict[int, str]:
    values = vars(getattr(schema_module(), enum))
    return {v: k for k, v in values.items() if isinstance(v, int)}
