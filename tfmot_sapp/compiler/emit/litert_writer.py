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
"""`LiteRtWriter`: a list of LiteRT operations that grows."""

import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from tfmot_sapp.compiler.ir.evaluate import evaluate, has_meaning
from tfmot_sapp.compiler.ir.graph import Operation
from tfmot_sapp.compiler.ir.make import make_operation
from tfmot_sapp.compiler.ir.unread import without_unread
from tfmot_sapp.compiler.ir.values import Value

# Larger constants are rarely the same; the file's writer finds those that are.
_LARGEST_SHARED = 1 << 12
# Constants of more bytes are computed by the runtime, not stored.
_LARGEST_COMPUTED = 1 << 16
# What takes a ReLU with it.
_FUSING = (
    "ADD",
    "CONV_2D",
    "DEPTHWISE_CONV_2D",
    "FULLY_CONNECTED",
    "MUL",
    "SUB",
)
# Activations that change nothing of what another one gave.
_IMPLIED = {
    "RELU": ("RELU",),
    "RELU6": ("RELU", "RELU6"),
    "RELU_N1_TO_1": ("RELU_N1_TO_1",),
}


class LiteRtWriter:
    """Appends operations to a list, in the order of execution.

    Attributes:
        operations: What was written so far.
        name: What new values are named after.
        half_weights: Whether weights are stored in half precision.
    """

    def __init__(self) -> None:
        self.operations: list[Operation] = []
        self.name = "packed"
        self.half_weights = False
        self._counts: dict[str, int] = {}
        # The last activation of values that have one.
        self._activated: dict[Value, str] = {}
        self._constants: dict[tuple[Any, ...], Value] = {}
        # What values hold at every position that aren't stored.
        self._filled: dict[Value, np.ndarray] = {}

    # --- values and constants -------------------------------------------------

    def value(self, shape: Sequence[int | None], dtype: str = "float32") -> Any:
        """A new value.

        Args:
            shape: Its shape, `None` where unknown.
            dtype: Type of its elements.
        """
        number = self._counts.get(self.name, 0)
        self._counts[self.name] = number + 1
        return Value(f"{self.name}/{number}", tuple(shape), dtype)

    def constant(self, array: np.ndarray | Sequence[int], what: str) -> Value:
        """A constant, the same one for the same contents.

        Args:
            array: Its contents.
            what: What it is, for its name.
        """
        array = np.asarray(array)
        if array.dtype == np.int64:
            array = array.astype(np.int32)
        key = (str(array.dtype), array.shape, array.tobytes())
        if array.nbytes > _LARGEST_SHARED:
            return Value.constant(f"{self.name}/{what}", array)
        if key not in self._constants:
            self._constants[key] = Value.constant(f"{self.name}/{what}", array)
        return self._constants[key]

    def weight(self, array: np.ndarray, what: str) -> Value:
        """A weight, in half precision where that is asked and loses nothing."""
        array = np.asarray(array, np.float32)
        if self.half_weights:
            with np.errstate(over="ignore"):
                half = array.astype(np.float16)
            if np.array_equal(half.astype(np.float32), array):
                stored = self.constant(half, what)
                whole = self.value(array.shape)
                return self.write("DEQUANTIZE", [stored], whole, version=3)
        return self.constant(array, what)

    def write(
        self,
        kind: str,
        inputs: Sequence[Value | None],
        output: Value,
        version: int | None = None,
        **attributes: Any,
    ) -> Value:
        """Appends an operation; see `make_operation`."""
        return self.computed(
            make_operation(
                kind, list(inputs), [output], version=version, **attributes
            )
        )

    def computed(self, operation: Operation) -> Value:
        """Appends an operation, or computes what is constant and small.

        Args:
            operation: An operation that has one output.

        Returns:
            Its output, or a constant in its place.
        """
        (output,) = operation.outputs
        if self._is_small_constant(operation):
            arrays = [self._contents(value) for value in operation.inputs]
            (array,) = evaluate(operation, arrays)
            return Value.constant(output.name, array)
        self.operations.append(operation)
        return output

    def _is_small_constant(self, operation: Operation) -> bool:
        """Whether an operation makes a small constant of constants."""
        (output,) = operation.outputs
        # What makes a float of a half is there to keep the half.
        if operation.kind == "DEQUANTIZE" or output.dtype != "float32":
            return False
        shape = [n for n in output.shape if n is not None]
        size = 4 * math.prod(shape)
        if len(shape) < len(output.shape) or size > _LARGEST_COMPUTED:
            return False
        given = [value for value in operation.inputs if value is not None]
        if operation.kind == "CONCATENATION" and self._filled.keys() & given:
            # To fill it takes few bytes, and no longer than to read it.
            return False
        known = all(v in self._filled or v.contents is not None for v in given)
        return known and has_meaning(operation)

    def _contents(self, value: Value | None) -> np.ndarray | None:
        if value is None or value not in self._filled:
            return None if value is None else value.contents
        extents = [n or 0 for n in value.shape]
        return np.broadcast_to(self._filled[value], extents)

    def elementwise(
        self, kind: str, x: Value, y: Value, shape: Sequence[int | None]
    ) -> Value:
        """An operation on two values, element by element."""
        return self.write(
            kind,
            [x, y],
            self.value(shape, x.dtype),
            fused_activation_function="NONE",
        )

    def operation(self, operation: Operation) -> None:
        """Appends an operation as it is."""
        self.operations.append(operation)

    def copy(self, x: Value, shape: Value, output: Value) -> None:
        """Lets a value hold what another one does.

        Args:
            x: The other one.
            shape: A constant with the value's extents, -1 where unknown.
            output: The value.
        """
        self.operation(make_operation("RESHAPE", [x, shape], [output]))

    def activate(self, x: Value, kind: str, fuse: bool) -> Value:
        """A ReLU, in one operation with what made its input where it can be.

        Args:
            x: Its input.
            kind: "RELU", "RELU6" or "RELU_N1_TO_1".
            fuse: Whether nothing else reads the input.
        """
        if kind in _IMPLIED.get(self._activated.get(x, ""), ()):
            return x
        last = self._maker(x) if fuse else None
        if (
            last is not None
            and last.kind in _FUSING
            and last.attributes.get("fused_activation_function", "NONE")
            == "NONE"
        ):
            last.attributes["fused_activation_function"] = kind
            self._activated[x] = kind
            return x
        made = self.write(kind, [x], self.value(x.shape))
        self._activated[made] = kind
        return made

    def _maker(self, x: Value) -> Operation | None:
        """What was written last and made a value, but for its shape."""
        for operation in reversed(self.operations):
            if operation.outputs != [x]:
                return None
            if operation.kind != "RESHAPE":
                return operation
            (given, *_) = operation.inputs
            assert given is not None
            x = given
        return None

    def drop_unread(self, outputs: Iterable[Value]) -> None:
        """Removes what nothing reads.

        A value is cut at once in all its pieces, also in those that no product
        keeps a block of; and a constant is computed that a bias holds.

        Args:
            outputs: What is read beside what operations read.
        """
        self.operations = without_unread(self.operations, outputs)
