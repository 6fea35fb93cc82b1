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
"""Reads what treats each value by itself: activations, sums, factors."""

import numpy as np

from tfmot_sapp.compiler.graph import Step, Value
from tfmot_sapp.compiler.ir.graph import Operation
from tfmot_sapp.compiler.readers.operations.reader import (
    Reader,
    keeps_channels,
    reads,
)
from tfmot_sapp.compiler.readers.operations.step import is_by_channel
from tfmot_sapp.frameworks.channel_operations import Scale


@reads(
    "ABS",
    "CEIL",
    "COS",
    "ELU",
    "EXP",
    "FLOOR",
    "GELU",
    "HARD_SWISH",
    "LEAKY_RELU",
    "LOG",
    "LOGISTIC",
    "NEG",
    "RELU",
    "RELU6",
    "RELU_0_TO_1",
    "RELU_N1_TO_1",
    "ROUND",
    "RSQRT",
    "SIGN",
    "SIN",
    "SQRT",
    "SQUARE",
    "TANH",
)
def _unary(reader: Reader, operation: Operation) -> bool:
    x = reader.value(operation.inputs[0])
    if x is None or not x.channels or not keeps_channels(operation, x):
        return False
    step = reader.step(operation, (0,), "map")
    return reader.add(operation, [x], steps=[step])


@reads("PRELU")
def _prelu(reader: Reader, operation: Operation) -> bool:
    x = reader.value(operation.inputs[0])
    slopes = reader.constant(operation.inputs[1])
    if x is None or slopes is None or not x.channels:
        return False
    if not keeps_channels(operation, x):
        return False
    return _with_constant(reader, operation, x, slopes, 0)


@reads(
    "ADD",
    "DIV",
    "MAXIMUM",
    "MINIMUM",
    "MUL",
    "POW",
    "SQUARED_DIFFERENCE",
    "SUB",
)
def _binary(reader: Reader, operation: Operation) -> bool:
    left, right = operation.inputs
    x, y = reader.value(left), reader.value(right)
    if x is not None and y is not None:
        return _of_two(reader, operation, x, y)
    place = 0 if x is not None else 1
    value = x if x is not None else y
    given = reader.constant(right if x is not None else left)
    if value is None or given is None or not value.channels:
        return False
    if not keeps_channels(operation, value):
        return False
    scale = _scale(operation.kind, place, given, value.channels)
    if scale is not None and given.ndim <= len(value.shape):
        return reader.add(operation, [value], scale)
    return _with_constant(reader, operation, value, given, place)


def _of_two(reader: Reader, operation: Operation, x: Value, y: Value) -> bool:
    shape = tuple(operation.outputs[0].shape)
    channels = shape[-1] if shape else None
    if not channels or {x.channels, y.channels} - {channels, 1}:
        return False
    # What is continued has the channels of the result.
    places = (0, 1) if x.channels == channels else (1, 0)
    values = [x, y] if x.channels == channels else [y, x]
    if values[0].channels != channels:
        return False
    is_sum = operation.kind == "ADD" and x.shape == y.shape == shape
    step = reader.step(
        operation,
        places,
        "add" if is_sum else "merge",
        keeps_zero=operation.kind == "MUL",
    )
    return reader.add(operation, values, steps=[step])


def _scale(
    kind: str, place: int, given: np.ndarray, channels: int
) -> Scale | None:
    """A constant by channel as a factor and an offset.

    Args:
        kind: What is done with it.
        place: Whether the value is the first or the second input.
        given: The constant.
        channels: Number of channels.
    """
    if given.size != 1 and not is_by_channel(given, channels):
        return None
    constant = np.broadcast_to(given.reshape(-1), channels)
    ones, zeros = np.ones(channels, np.float32), np.zeros(channels, np.float32)
    if kind == "ADD":
        return Scale(ones, constant)
    if kind == "SUB":
        return Scale(ones, -constant) if place == 0 else Scale(-ones, constant)
    if kind == "MUL":
        return Scale(constant, zeros)
    if kind == "DIV" and place == 0 and np.all(constant != 0):
        return Scale((1 / constant).astype(np.float32), zeros)
    return None


def _with_constant(
    reader: Reader,
    operation: Operation,
    value: Value,
    given: np.ndarray,
    place: int,
) -> bool:
    same = given.size == 1 or is_by_channel(given, value.channels)
    if not same and given.shape[-1] not in (1, value.channels):
        return False
    step: Step = reader.step(operation, (place,), "map" if same else "vary")
    return reader.add(operation, [value], steps=[step])
