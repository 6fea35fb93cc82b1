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
"""Which operations of a file an accelerator does not take, and why.

The rules are an `Operators`; what is checked is a plain list of operations, so
that it serves whatever reads a file.
"""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence

from tfmot_sapp.targets.operators import Operators


@dataclasses.dataclass(frozen=True)
class Tensor:
    """What is known of an operation's input or output.

    Attributes:
        shape: Its extents, -1 where one is open.
        dtype: Its type by NumPy's name, such as `"float32"`.
        is_constant: Whether it stands in the file.
        is_sparse: Whether it is stored in the sparse encoding.
    """

    shape: tuple[int, ...]
    dtype: str
    is_constant: bool = False
    is_sparse: bool = False


@dataclasses.dataclass(frozen=True)
class Operation:
    """One operation of a file.

    Attributes:
        name: The operator's name in LiteRT's schema, such as `"CONV_2D"`.
        inputs: Its inputs, without those that are left out.
        outputs: Its outputs.
        attributes: Its options by name.
    """

    name: str
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    attributes: Mapping[str, object] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Refusal:
    """An operation that an accelerator does not take.

    Attributes:
        index: Its place in the file.
        name: Its operator's name.
        why: The reason, in words.
    """

    index: int
    name: str
    why: str


def refused(
    operations: Sequence[Operation], operators: Operators
) -> list[Refusal]:
    """Returns the operations that an accelerator does not take.

    Args:
        operations: A file's operations, in order.
        operators: What the accelerator takes, as a target's `operators`
            returns it.

    Returns:
        One `Refusal` for each limit that an operation breaks.

    Example:

    >>> from tfmot_sapp.targets.gpu_target import GpuTarget
    >>> pieces = (Tensor((1, 8), "float32"),)
    >>> operation = Operation("UNSORTED_SEGMENT_SUM", pieces, pieces)
    >>> refused([operation], GpuTarget().operators())[0].why
    'the operator is not among those that it takes'
    """
    return [
        Refusal(index, operation.name, why)
        for index, operation in enumerate(operations)
        for why in _reasons(operation, operators)
    ]


def _reasons(operation: Operation, operators: Operators) -> Iterator[str]:
    name, inputs = operation.name, operation.inputs
    if operators.names is not None and name not in operators.names:
        yield "the operator is not among those that it takes"
    highest = operators.highest_rank
    if highest is not None:
        # A constant that says how to do something is read beforehand.
        ranks = [
            len(tensor.shape)
            for tensor in (*inputs, *operation.outputs)
            if not tensor.is_constant
        ]
        if max(ranks, default=0) > highest:
            yield f"a tensor of rank {max(ranks)}, above {highest}"
    if (
        operators.must_take_all
        and any(tensor.is_sparse for tensor in inputs)
        and name != "DENSIFY"
    ):
        yield "a tensor in the sparse encoding"
    if name == "CONCATENATION" and (
        len(inputs) > operators.widest_concatenation
    ):
        yield (
            f"{len(inputs)} inputs, more than {operators.widest_concatenation}"
        )
    if name in ("SPLIT", "SPLIT_V"):
        cuts = len(operation.outputs)
        if operators.widest_split is not None and cuts > operators.widest_split:
            yield f"{cuts} outputs, more than {operators.widest_split}"
    if name == "GATHER" and len(inputs) > 1:
        yield from _reasons_of_gather(inputs[1], operators)
    if (
        name == "BATCH_MATMUL"
        and not operators.constant_left
        and inputs
        and inputs[0].is_constant
    ):
        yield "a constant left side"


def _reasons_of_gather(indices: Tensor, operators: Operators) -> Iterator[str]:
    if not operators.gathers:
        return
    if indices.dtype not in operators.index_types:
        yield f"indices of type {indices.dtype}"
    if operators.must_take_all:
        if len(indices.shape) != 1:
            yield f"indices of rank {len(indices.shape)}, not 1"
        if not indices.is_constant:
            yield "indices that are not constant"
