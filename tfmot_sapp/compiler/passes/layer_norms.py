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
"""The pass `layer_norms`: normalise first, then scale.

Converters write a layer norm as `x * g + (beta - mean * g)` with a tensor
`g = inverse * gamma` as large as `x`. Written as `(x - mean) * inverse * gamma
+ beta` it takes fewer operations on large tensors, and its factor and offset
can go into the products that read it.
"""

import dataclasses

from tfmot_sapp.compiler.ir.graph import Operation, Subgraph
from tfmot_sapp.compiler.ir.make import make_operation
from tfmot_sapp.compiler.ir.values import Value


@dataclasses.dataclass(frozen=True)
class _Norm:
    """The parts of a layer norm.

    Attributes:
        x: What is normalised.
        mean: Its mean over the channels, or the negative of it.
        is_negative: Whether it is the negative.
        inverse: The inverse of the standard deviation.
        gamma: The factors.
        beta: The offsets.
    """

    x: Value
    mean: Value
    is_negative: bool
    inverse: Value
    gamma: Value
    beta: Value


def normalise_first(subgraph: Subgraph) -> list[Operation]:
    """Rewrites layer norms.

    Args:
        subgraph: The subgraph. It isn't changed.

    Returns:
        Its operations, other ones for the last of each layer norm. What those
        no longer read is still there.
    """
    writers = {v: op for op in subgraph.operations for v in op.outputs}
    operations = []
    for operation in subgraph.operations:
        norm = _norm_of(operation, writers)
        if norm is None:
            operations.append(operation)
        else:
            operations += _written(norm, operation.outputs[0])
    return operations


def _norm_of(
    operation: Operation, writers: dict[Value, Operation]
) -> _Norm | None:
    """`x * g + s`, where `s` is `beta - mean * g`."""
    for product, rest in _both_ways(operation, "ADD"):
        for x, g in _both_ways(writers.get(product), "MUL"):
            spread = writers.get(g)
            for inverse, gamma in _both_ways(spread, "MUL"):
                if not _is_single(inverse) or not gamma.is_constant:
                    continue
                found = _offset(writers.get(rest), g, writers)
                if found is not None and x.dtype == "float32":
                    mean, is_negative, beta = found
                    return _Norm(x, mean, is_negative, inverse, gamma, beta)
    return None


def _offset(
    rest: Operation | None, g: Value, writers: dict[Value, Operation]
) -> tuple[Value, bool, Value] | None:
    """The mean, whether it is negative, and beta."""
    for moved, beta in _both_ways(rest, "ADD"):
        for mean, factor in _both_ways(writers.get(moved), "MUL"):
            if beta.is_constant and factor is g and _is_single(mean):
                return mean, True, beta
    if rest is not None and rest.kind == "SUB" and not _is_fused(rest):
        beta, moved = (v for v in rest.inputs if v is not None)
        for mean, factor in _both_ways(writers.get(moved), "MUL"):
            if beta.is_constant and factor is g and _is_single(mean):
                return mean, False, beta
    return None


def _both_ways(
    operation: Operation | None, kind: str
) -> list[tuple[Value, Value]]:
    """The two inputs of an operation in either order."""
    if operation is None or operation.kind != kind or _is_fused(operation):
        return []
    x, y = operation.inputs
    return [] if x is None or y is None else [(x, y), (y, x)]


def _is_fused(operation: Operation) -> bool:
    return operation.attributes.get("fused_activation_function") not in (
        None,
        "NONE",
    )


def _is_single(value: Value) -> bool:
    return (
        not value.is_constant and len(value.shape) > 1 and value.shape[-1] == 1
    )


def _written(norm: _Norm, output: Value) -> list[Operation]:
    x, name = norm.x, output.name
    centred, normed, scaled = (
        Value(f"{name}/{part}", x.shape, "float32")
        for part in ("centred", "normed", "scaled")
    )
    return [
        make_operation(kind, inputs, [made], fused_activation_function="NONE")
        for kind, inputs, made in (
            ("ADD" if norm.is_negative else "SUB", [x, norm.mean], centred),
            ("MUL", [centred, norm.inverse], normed),
            ("MUL", [normed, norm.gamma], scaled),
            ("ADD", [scaled, norm.beta], output),
        )
    ]
