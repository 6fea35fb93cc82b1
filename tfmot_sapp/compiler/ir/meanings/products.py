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
"""Products of matrices, and lookups in tables."""

import numpy as np

from tfmot_sapp.compiler.ir.graph import Operation
from tfmot_sapp.compiler.ir.meanings.activations import activate
from tfmot_sapp.compiler.ir.meanings.table import Arrays, meaning


@meaning("FULLY_CONNECTED")
def _fully_connected(operation: Operation, arrays: Arrays) -> list[np.ndarray]:
    x, kernel = arrays[:2]
    if operation.attributes.get("weights_format", "DEFAULT") != "DEFAULT":
        raise ValueError(
            "FULLY_CONNECTED must have weights in the default format. "
            f"Received: {operation.attributes['weights_format']}."
        )
    y = x.reshape(-1, kernel.shape[1]) @ kernel.T
    if len(arrays) > 2 and arrays[2] is not None:
        y = y + arrays[2]
    if operation.attributes.get("keep_num_dims", False):
        y = y.reshape(*x.shape[:-1], kernel.shape[0])
    return [activate(operation, y)]


@meaning("BATCH_MATMUL")
def _batch_matmul(operation: Operation, arrays: Arrays) -> list[np.ndarray]:
    x, y = arrays
    if operation.attributes.get("adj_x", False):
        x = np.swapaxes(x, -1, -2)
    if operation.attributes.get("adj_y", False):
        y = np.swapaxes(y, -1, -2)
    return [x @ y]


@meaning("GATHER", moves=True)
def _gather(operation: Operation, arrays: Arrays) -> list[np.ndarray]:
    table, indices = arrays
    axis = operation.attributes.get("axis", 0)
    axis = axis + table.ndim if axis < 0 else axis
    batch_axes = operation.attributes.get("batch_dims", 0)
    if batch_axes < 0:
        batch_axes += indices.ndim
    batch = table.shape[:batch_axes]
    rows = [
        np.take(table[place], indices[place], axis - batch_axes)
        for place in np.ndindex(*batch)
    ]
    stacked = np.stack(rows) if rows else np.empty((0,), table.dtype)
    return [stacked.reshape(*batch, *stacked.shape[1:])]


@meaning("GATHER_ND", moves=True)
def _gather_nd(operation: Operation, arrays: Arrays) -> list[np.ndarray]:
    table, indices = arrays
    return [table[tuple(np.moveaxis(indices, -1, 0))]]


@meaning("ONE_HOT")
def _one_hot(operation: Operation, arrays: Arrays) -> list[np.ndarray]:
    indices, depth, on, off = arrays
    axis = operation.attributes.get("axis", -1)
    axis = axis + indices.ndim + 1 if axis < 0 else axis
    places = np.arange(int(depth)).reshape(-1, *[1] * (indices.ndim - axis))
    hits = np.expand_dims(indices, axis) == places
    return [np.asarray(np.where(hits, on, off))]
