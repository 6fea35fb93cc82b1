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
"""Operations on elements at the same place, with NumPy's broadcasting."""

from collections.abc import Callable

import numpy as np

from tfmot_sapp.compiler.ir.dtypes import numpy_dtype
from tfmot_sapp.compiler.ir.graph import Operation
from tfmot_sapp.compiler.ir.meanings.activations import activate
from tfmot_sapp.compiler.ir.meanings.table import Arrays, meaning


def _divide(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    if x.dtype.kind == "f":
        return x / y
    # Integers are divided towards zero, as in C++.
    quotient = np.abs(x) // np.abs(y)
    return np.where((x < 0) != (y < 0), -quotient, quotient).astype(x.dtype)


def _reciprocal_root(x: np.ndarray) -> np.ndarray:
    return x.dtype.type(1) / np.sqrt(x)


def _squared_difference(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return (x - y) * (x - y)


_UNARY: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "ABS": np.abs,
    "CEIL": np.ceil,
    "COS": np.cos,
    "EXP": np.exp,
    "FLOOR": np.floor,
    "LOG": np.log,
    "LOGICAL_NOT": np.logical_not,
    "NEG": np.negative,
    # Halves go to the even neighbour, in NumPy as in the runtime.
    "ROUND": np.round,
    "RSQRT": _reciprocal_root,
    "SIGN": np.sign,
    "SIN": np.sin,
    "SQRT": np.sqrt,
    "SQUARE": np.square,
    "ZEROS_LIKE": np.zeros_like,
}
_BINARY: dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    "ADD": np.add,
    "DIV": _divide,
    "EQUAL": np.equal,
    "FLOOR_DIV": np.floor_divide,
    "FLOOR_MOD": np.mod,
    "GREATER": np.greater,
    "GREATER_EQUAL": np.greater_equal,
    "LESS": np.less,
    "LESS_EQUAL": np.less_equal,
    "LOGICAL_AND": np.logical_and,
    "LOGICAL_OR": np.logical_or,
    "MAXIMUM": np.maximum,
    "MINIMUM": np.minimum,
    "MUL": np.multiply,
    "NOT_EQUAL": np.not_equal,
    "POW": np.power,
    "SQUARED_DIFFERENCE": _squared_difference,
    "SUB": np.subtract,
}


@meaning(*_UNARY)
def _unary(operation: Operation, arrays: Arrays) -> list[np.ndarray]:
    return [_UNARY[operation.kind](arrays[0])]


@meaning(*_BINARY)
def _binary(operation: Operation, arrays: Arrays) -> list[np.ndarray]:
    x, y = arrays
    return [activate(operation, _BINARY[operation.kind](x, y))]


@meaning("SELECT")
def _select(operation: Operation, arrays: Arrays) -> list[np.ndarray]:
    condition, x, y = arrays
    if condition.ndim == 1:
        # One condition for each entry of the first axis.
        condition = condition.reshape(-1, *[1] * (x.ndim - 1))
    return [np.asarray(np.where(condition, x, y))]


@meaning("SELECT_V2")
def _select_v2(operation: Operation, arrays: Arrays) -> list[np.ndarray]:
    condition, x, y = arrays
    return [np.asarray(np.where(condition, x, y))]


@meaning("CAST")
def _cast(operation: Operation, arrays: Arrays) -> list[np.ndarray]:
    # The options may lack the types, the values never do.
    dtype = numpy_dtype(operation.outputs[0].dtype)
    if dtype is None:
        raise ValueError(
            "CAST must write a type that NumPy has. Received: "
            f"{operation.outputs[0].dtype}."
        )
    return [arrays[0].astype(dtype)]


@meaning("DEQUANTIZE")
def _dequantize(operation: Operation, arrays: Arrays) -> list[np.ndarray]:
    x, value = arrays[0], operation.inputs[0]
    assert value is not None
    quantization = value.quantization
    if x.dtype.kind == "f":
        return [x.astype(np.float32)]
    if quantization is None or quantization.scale is None:
        raise ValueError(
            f"DEQUANTIZE must read a value with scales. Received: {value.name}."
        )
    if quantization.details is not None:
        raise ValueError(
            "DEQUANTIZE must read a value with one vector of scales. "
            f"Received: {value.name}, of {quantization.details}."
        )
    scale, zero = quantization.scale, quantization.zero_point
    shape = [1] * x.ndim
    if scale.size > 1:
        shape[quantization.axis] = scale.size
    elif x.ndim == 0:
        shape = []
    if zero is None or not zero.size:
        zero = np.zeros(1, np.int64)
    if zero.size < scale.size:
        zero = np.repeat(zero, scale.size)
    centred = (x.astype(np.int64) - zero.reshape(shape)).astype(np.float32)
    return [centred * scale.reshape(shape)]
