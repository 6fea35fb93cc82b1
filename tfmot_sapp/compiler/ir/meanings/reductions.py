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
"""Operations that reduce axes to one element, or run along one."""

from collections.abc import Callable
from typing import Any

import numpy as np

from tfmot_sapp.compiler.ir.dtypes import numpy_dtype
from tfmot_sapp.compiler.ir.graph import Operation
from tfmot_sapp.compiler.ir.meanings.table import Arrays, meaning


def _mean(x: np.ndarray, axes: tuple[int, ...], **options: Any) -> np.ndarray:
    mean = np.mean(x, axes, **options)
    # The mean of integers is cut towards zero.
    return mean if x.dtype.kind == "f" else np.trunc(mean).astype(x.dtype)


_REDUCTIONS: dict[str, Callable[..., np.ndarray]] = {
    "MEAN": _mean,
    "REDUCE_ALL": np.all,
    "REDUCE_ANY": np.any,
    "REDUCE_MAX": np.max,
    "REDUCE_MIN": np.min,
    "REDUCE_PROD": np.prod,
    "SUM": np.sum,
}


@meaning(*_REDUCTIONS)
def _reduce(operation: Operation, arrays: Arrays) -> list[np.ndarray]:
    x, axes = arrays
    # An axis may be named twice, once from each end.
    chosen = {a + x.ndim if a < 0 else a for a in axes.reshape(-1).tolist()}
    keep = operation.attributes.get("keep_dims", False)
    y = _REDUCTIONS[operation.kind](x, tuple(chosen), keepdims=keep)
    # NumPy sums narrow integers in wide ones.
    return [np.asarray(y, x.dtype)]


@meaning("ARG_MAX", "ARG_MIN")
def _arg_extreme(operation: Operation, arrays: Arrays) -> list[np.ndarray]:
    x, axis = arrays
    find = np.argmax if operation.kind == "ARG_MAX" else np.argmin
    dtype = numpy_dtype(operation.outputs[0].dtype)
    return [np.asarray(find(x, int(axis.reshape(()))), dtype)]


@meaning("CUMSUM")
def _cumsum(operation: Operation, arrays: Arrays) -> list[np.ndarray]:
    x, axis = arrays[0], int(arrays[1].reshape(()))
    backwards = operation.attributes.get("reverse", False)
    x = np.flip(x, axis) if backwards else x
    y = np.cumsum(x, axis, dtype=x.dtype)
    if operation.attributes.get("exclusive", False):
        y = y - x
    return [np.flip(y, axis) if backwards else y]


@meaning("L2_NORMALIZATION")
def _l2_normalization(operation: Operation, arrays: Arrays) -> list[np.ndarray]:
    x = arrays[0]
    norm = np.sqrt((x * x).sum(-1, keepdims=True))
    # The runtime's least norm.
    return [x / np.maximum(norm, x.dtype.type(1e-6))]
