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
"""Activation functions, as operations of their own and fused to others."""

import math
from collections.abc import Callable

import numpy as np

from tfmot_sapp.compiler.ir.graph import Operation
from tfmot_sapp.compiler.ir.meanings.table import Arrays, meaning

# Erf to a float's precision; NumPy has none.
_erf = np.frompyfunc(math.erf, 1, 1)


def _relu(x: np.ndarray) -> np.ndarray:
    return np.maximum(x, x.dtype.type(0))


def _relu6(x: np.ndarray) -> np.ndarray:
    return np.clip(x, x.dtype.type(0), x.dtype.type(6))


def _relu_n1_to_1(x: np.ndarray) -> np.ndarray:
    return np.clip(x, x.dtype.type(-1), x.dtype.type(1))


def _relu_0_to_1(x: np.ndarray) -> np.ndarray:
    return np.clip(x, x.dtype.type(0), x.dtype.type(1))


def _logistic(x: np.ndarray) -> np.ndarray:
    # exp of -|x| can't overflow.
    small = np.exp(-np.abs(x))
    return np.where(x >= 0, 1 / (1 + small), small / (1 + small))


def _hard_swish(x: np.ndarray) -> np.ndarray:
    return x * _relu6(x + x.dtype.type(3)) / x.dtype.type(6)


def _elu(x: np.ndarray) -> np.ndarray:
    return np.where(x > 0, x, np.expm1(np.minimum(x, 0)))


_FUSED: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "NONE": lambda x: x,
    "RELU": _relu,
    "RELU6": _relu6,
    "RELU_N1_TO_1": _relu_n1_to_1,
}
_ALONE: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "ELU": _elu,
    "HARD_SWISH": _hard_swish,
    "LOGISTIC": _logistic,
    "RELU": _relu,
    "RELU6": _relu6,
    "RELU_0_TO_1": _relu_0_to_1,
    "RELU_N1_TO_1": _relu_n1_to_1,
    "TANH": np.tanh,
}


def has_known_activation(operation: Operation) -> bool:
    """Returns whether `activate` computes what is fused to an operation.

    Runtimes don't agree on a fused TANH or SIGN_BIT: LiteRT ignores them after
    most operators and refuses them after others.

    Args:
        operation: The operation.
    """
    return _fused(operation) in _FUSED


def activate(operation: Operation, x: np.ndarray) -> np.ndarray:
    """Applies the activation that is fused to an operation.

    Args:
        operation: The operation, which `has_known_activation`.
        x: What it computes without.

    Returns:
        The activated array.
    """
    return _FUSED[_fused(operation)](x)


def _fused(operation: Operation) -> str:
    return operation.attributes.get("fused_activation_function", "NONE")


@meaning(*_ALONE)
def _alone(operation: Operation, arrays: Arrays) -> list[np.ndarray]:
    return [_ALONE[operation.kind](arrays[0])]


@meaning("LEAKY_RELU")
def _leaky_relu(operation: Operation, arrays: Arrays) -> list[np.ndarray]:
    x = arrays[0]
    alpha = x.dtype.type(operation.attributes.get("alpha", 0))
    return [np.where(x > 0, x, alpha * x)]


@meaning("PRELU")
def _prelu(operation: Operation, arrays: Arrays) -> list[np.ndarray]:
    x, alpha = arrays
    return [np.asarray(np.where(x > 0, x, alpha * x))]


@meaning("GELU")
def _gelu(operation: Operation, arrays: Arrays) -> list[np.ndarray]:
    x = arrays[0]
    wide = x.astype(np.float64)
    if operation.attributes.get("approximate", False):
        inner = math.sqrt(2 / math.pi) * (wide + 0.044715 * wide**3)
        gate = np.tanh(inner)
    else:
        gate = np.asarray(_erf(wide / math.sqrt(2)), np.float64)
    return [(0.5 * wide * (1 + gate)).astype(x.dtype)]


@meaning("SOFTMAX")
def _softmax(operation: Operation, arrays: Arrays) -> list[np.ndarray]:
    x = arrays[0] * arrays[0].dtype.type(operation.attributes.get("beta", 0))
    powers = np.exp(x - x.max(-1, keepdims=True))
    return [powers / powers.sum(-1, keepdims=True)]


@meaning("LOG_SOFTMAX")
def _log_softmax(operation: Operation, arrays: Arrays) -> list[np.ndarray]:
    x = arrays[0] - arrays[0].max(-1, keepdims=True)
    return [x - np.log(np.exp(x).sum(-1, keepdims=True))]
