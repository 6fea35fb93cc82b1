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
"""Computing operations and subgraphs in NumPy.

For folding constants, and for tests: it is written to be right, not fast.
"""

from collections.abc import Sequence

import numpy as np

from tfmot_sapp.compiler.ir.dtypes import numpy_dtype
from tfmot_sapp.compiler.ir.graph import Operation, Subgraph
from tfmot_sapp.compiler.ir.meanings import (  # noqa: F401
    activations,
    elementwise,
    layout,
    products,
    reductions,
    windows,
)
from tfmot_sapp.compiler.ir.meanings.table import find_meaning, moves_elements
from tfmot_sapp.compiler.ir.values import Value

_REGIONS = ("IF", "STABLEHLO_COMPOSITE", "WHILE")
# A loop of a file need not end.
_MOST_ITERATIONS = 100_000
# Integers can be divided by zero, and shapes can be at odds: what a file asks
# for need not make sense.
_SENSELESS = (IndexError, TypeError, ValueError, ZeroDivisionError)


def has_meaning(operation: Operation) -> bool:
    """Returns whether `evaluate` computes an operation.

    Args:
        operation: The operation.
    """
    if operation.kind in _REGIONS:
        return all(
            has_meaning(inner)
            for regions in operation.regions.values()
            for region in regions
            for inner in region.operations
        )
    if find_meaning(operation.kind) is None:
        return False
    if not activations.has_known_activation(operation):
        return False
    given = [value for value in operation.inputs if value is not None]
    if any(numpy_dtype(v.dtype) is None for v in [*given, *operation.outputs]):
        return False
    if operation.kind == "DEQUANTIZE" or moves_elements(operation.kind):
        return True
    return not any(v.is_quantized for v in [*given, *operation.outputs])


def evaluate(
    operation: Operation, arrays: Sequence[np.ndarray | None]
) -> list[np.ndarray]:
    """Computes what an operation writes.

    What a file asks for may be larger than the memory: look at the shapes of
    the outputs first where a file is not trusted.

    Args:
        operation: The operation.
        arrays: What it reads, `None` for an input that is left out.

    Returns:
        One array for each output.

    Raises:
        ValueError: If the operation has no meaning in NumPy, see
            `has_meaning`, or can't be computed from these arrays.
    """
    if not has_meaning(operation):
        raise ValueError(
            f"`operation` must be one that NumPy can compute. Received: "
            f"{operation.kind} {operation.custom_code}".rstrip()
            + f" of version {operation.version} on "
            f"{[v.dtype for v in operation.inputs if v is not None]}."
        )
    with np.errstate(all="ignore"):
        try:
            found = _compute(operation, arrays)
        except _SENSELESS as error:
            shapes = [None if a is None else np.shape(a) for a in arrays]
            raise ValueError(
                f"`arrays` must fit {operation.kind} with the options "
                f"{operation.attributes}. Received shapes: {shapes} ({error})."
            ) from error
    for array, value in zip(found, operation.outputs):
        _check(array, value, operation.kind)
    return found


def compute_channels(
    operation: Operation, arrays: Sequence[np.ndarray | None]
) -> np.ndarray:
    """Computes what an operation that treats channels alike makes of some.

    Args:
        operation: The operation, which has one output.
        arrays: What it reads: of values (1, channels), and constants.

    Returns:
        Array of shape (1, channels), whatever shape the output has.
    """
    with np.errstate(all="ignore"):
        (found,) = _compute(operation, arrays)
    return found.reshape(1, -1)


def run_subgraph(
    subgraph: Subgraph, inputs: Sequence[np.ndarray]
) -> list[np.ndarray]:
    """Computes a subgraph.

    Args:
        subgraph: The subgraph.
        inputs: One array for each of its inputs.

    Returns:
        One array for each of its outputs.

    Raises:
        ValueError: If the number of inputs is wrong, or an operation has no
            meaning in NumPy.
    """
    if len(inputs) != len(subgraph.inputs):
        raise ValueError(
            f"`inputs` must be {len(subgraph.inputs)} arrays. Received: "
            f"{len(inputs)}."
        )
    known: dict[Value, np.ndarray] = dict(zip(subgraph.inputs, inputs))
    for operation in subgraph.operations:
        arrays = [_look_up(value, known) for value in operation.inputs]
        known.update(zip(operation.outputs, evaluate(operation, arrays)))
    return [_contents(value, known) for value in subgraph.outputs]


def _look_up(
    value: Value | None, known: dict[Value, np.ndarray]
) -> np.ndarray | None:
    return None if value is None else _contents(value, known)


def _contents(value: Value, known: dict[Value, np.ndarray]) -> np.ndarray:
    found = known.get(value, value.contents)
    if found is None:
        raise ValueError(
            "a value must be an input, a dense constant of a type that NumPy "
            f"has, or written by an operation. Received: {value.name!r} of "
            f"type {value.dtype}."
        )
    return found


def _compute(
    operation: Operation, arrays: Sequence[np.ndarray | None]
) -> list[np.ndarray]:
    if operation.kind in _REGIONS:
        return _run_regions(operation, [a for a in arrays if a is not None])
    meaning = find_meaning(operation.kind)
    assert meaning is not None
    return [np.asarray(array) for array in meaning(operation, arrays)]


def _run_regions(
    operation: Operation, arrays: list[np.ndarray]
) -> list[np.ndarray]:
    if operation.kind == "IF":
        branch = "then" if bool(arrays[0].reshape(())) else "else"
        return run_subgraph(operation.region(branch), arrays[1:])
    if operation.kind == "STABLEHLO_COMPOSITE":
        return run_subgraph(operation.region("decomposition"), arrays)
    for _ in range(_MOST_ITERATIONS):
        if not bool(run_subgraph(operation.region("cond"), arrays)[0]):
            return arrays
        arrays = run_subgraph(operation.region("body"), arrays)
    raise ValueError(f"it runs more than {_MOST_ITERATIONS:,} times")


def _check(array: np.ndarray, value: Value, kind: str) -> None:
    fits = len(array.shape) == len(value.shape) and all(
        known is None or known == extent
        for known, extent in zip(value.shape, array.shape)
    )
    # A value whose shape comes out of the data is often noted as a scalar.
    if array.dtype != numpy_dtype(value.dtype) or not (fits or not value.shape):
        raise ValueError(
            f"{kind} must write {value.name!r} of shape {list(value.shape)} "
            f"and type {value.dtype}. Received: shape {list(array.shape)} and "
            f"type {array.dtype}."
        )
