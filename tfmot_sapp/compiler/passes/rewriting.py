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
"""`Rewriting`: the operations of a subgraph, written anew one by one."""

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from tfmot_sapp.compiler.ir.graph import Operation, Subgraph
from tfmot_sapp.compiler.ir.make import make_operation
from tfmot_sapp.compiler.ir.values import Shape, Value, integers_of

# What the delegate transposes, reshapes and slices has no more axes.
HIGHEST_RANK = 6


class Rewriting:
    """What was written of a subgraph so far.

    The subgraph and its operations aren't changed. What is no longer read is
    still there.

    Args:
        subgraph: The subgraph.

    Attributes:
        operations: In the order of execution.
        readers: For each value the operations of the subgraph that read it.
        returned: The values that the subgraph returns.
        name: What new values are named after.
    """

    def __init__(self, subgraph: Subgraph):
        self.operations: list[Operation] = []
        self.readers = subgraph.readers()
        self.returned = set(subgraph.outputs)
        self.name = "rewritten"
        self._makers: dict[Value, Operation] = {}
        self._known: dict[tuple[Any, ...], Value] = {}
        self._same: dict[Value, Value] = {}

    def append(self, operation: Operation) -> None:
        """Takes over an operation.

        Args:
            operation: The operation.
        """
        self.operations.append(operation)
        self._makers.update(dict.fromkeys(operation.outputs, operation))
        axes = axes_of(operation)
        if axes is not None:
            key = ("TRANSPOSE", operation.inputs[0], axes)
            self._known.setdefault(key, operation.outputs[0])

    def up_to_date(self, operation: Operation) -> Operation:
        """An operation that reads what was written instead of its inputs.

        Args:
            operation: An operation of the subgraph.
        """
        inputs = [
            None if value is None else self._same.get(value, value)
            for value in operation.inputs
        ]
        return dataclasses.replace(operation, inputs=inputs)

    def maker(self, value: Value | None) -> Operation | None:
        """What made a value; `None` for inputs and constants."""
        return None if value is None else self._makers.get(value)

    def only_read_by(self, value: Value, *kinds: str) -> bool:
        """Whether nothing but operations of some kinds needs a value."""
        readers = self.readers.get(value, [])
        return value not in self.returned and all(
            reader.kind in kinds for reader in readers
        )

    # --- what is written ------------------------------------------------------

    def constant(self, array: np.ndarray, what: str) -> Value:
        """A constant.

        Args:
            array: Its contents.
            what: What it is, for its name.
        """
        return Value.constant(f"{self.name}/{what}", np.asarray(array))

    def write(
        self,
        kind: str,
        inputs: Sequence[Value],
        made: Value | Shape,
        version: int | None = None,
        **attributes: Any,
    ) -> Value:
        """Appends an operation of one output; see `make_operation`.

        Args:
            kind: Its kind.
            inputs: What it reads.
            made: What it makes, or the shape of a new float32 value.
            version: Version of the operator.
            **attributes: Its options.
        """
        if not isinstance(made, Value):
            number = len(self.operations)
            made = Value(f"{self.name}/{number}", tuple(made), "float32")
        self.append(make_operation(kind, inputs, [made], version, **attributes))
        return made

    def once(
        self, key: tuple[Any, ...], kind: str, inputs: list[Value], shape: Shape
    ) -> Value:
        """What `write` makes, written the first time that it is asked for.

        Args:
            key: What is the same for the same result.
            kind: As for `write`.
            inputs: As for `write`.
            shape: The shape of a new float32 value.
        """
        if key not in self._known:
            self._known[key] = self.write(kind, inputs, shape)
        return self._known[key]

    def reshape(
        self, x: Value, shape: Shape, made: Value | None = None
    ) -> Value:
        """A value in another shape, of which one extent may be unknown.

        Args:
            x: The value.
            shape: The shape.
            made: What to call it, or `None` for a value of its own.
        """
        before = self.maker(x)
        if before is not None and before.kind == "RESHAPE":
            # Of known extents but for one, the shape between says nothing.
            x = before.inputs[0] or x
        if tuple(shape) == tuple(x.shape):
            if made is None:
                return x
            if made not in self.returned:
                self._same[made] = x
                return x
        wanted = np.array([-1 if n is None else n for n in shape], np.int32)
        key = ("RESHAPE", x, tuple(shape))
        if made is None and key in self._known:
            return self._known[key]
        written = self.write(
            "RESHAPE",
            [x, self.constant(wanted, "shape")],
            made or tuple(shape),
            new_shape=wanted.tolist(),
        )
        return self._known.setdefault(key, written)

    def transpose(
        self, x: Value, axes: Sequence[int], made: Value | None = None
    ) -> Value:
        """A value with its axes in another order, in one operation.

        Args:
            x: The value.
            axes: The axes in their new order.
            made: What to call it, or `None` for a value of its own.
        """
        before = self.maker(x)
        inner = axes_of(before)
        if before is not None and inner is not None:
            assert before.inputs[0] is not None
            joined = [inner[axis] for axis in axes]
            return self.transpose(before.inputs[0], joined, made)
        axes = tuple(axes)
        shape = tuple(x.shape[axis] for axis in axes)
        if axes == tuple(range(len(axes))):
            return self.reshape(x, shape, made)
        key = ("TRANSPOSE", x, axes)
        if made is None and key in self._known:
            return self._known[key]
        order = self.constant(np.array(axes, np.int32), "axes")
        written = self.write("TRANSPOSE", [x, order], made or shape)
        return self._known.setdefault(key, written)

    def cut(
        self, x: Value, begins: Sequence[int], sizes: Sequence[int | None]
    ) -> Value:
        """Neighbouring indices of every axis.

        Args:
            x: The value.
            begins: The first of each axis.
            sizes: How many of each; `None` for all of an unknown number.
        """
        if tuple(sizes) == tuple(x.shape):
            return x
        key = ("SLICE", x, tuple(begins), tuple(sizes))
        known = [-1 if n is None else n for n in sizes]
        return self.once(
            key,
            "SLICE",
            [
                x,
                self.constant(np.array(begins, np.int32), "begin"),
                self.constant(np.array(known, np.int32), "size"),
            ],
            tuple(sizes),
        )


def axes_of(operation: Operation | None) -> tuple[int, ...] | None:
    """The order in which a transposition puts the axes.

    Args:
        operation: The operation.

    Returns:
        The axes, `None` for what is no transposition, or not a known one.
    """
    if operation is None or operation.kind != "TRANSPOSE":
        return None
    x, order = [*operation.inputs, None, None][:2]
    numbers = integers_of(order)
    if x is None or numbers is None or len(operation.outputs) != 1:
        return None
    axes = tuple(axis % max(len(x.shape), 1) for axis in numbers)
    return axes if sorted(axes) == list(range(len(x.shape))) else None


def extent_of(shape: Sequence[int | None]) -> int | None:
    """The number of elements, `None` where it isn't known.

    Args:
        shape: The shape.
    """
    known = [n for n in shape if n is not None]
    return math.prod(known) if len(known) == len(shape) else None
