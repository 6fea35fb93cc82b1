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
"""Operations that move elements: shapes, slices, pads, and what makes them."""

import numpy as np

from tfmot_sapp.compiler.ir.dtypes import numpy_dtype
from tfmot_sapp.compiler.ir.graph import Operation
from tfmot_sapp.compiler.ir.meanings.activations import activate
from tfmot_sapp.compiler.ir.meanings.table import Arrays, meaning


def _ints(array: np.ndarray) -> list[int]:
    return [int(number) for number in np.asarray(array).reshape(-1)]


@meaning("RESHAPE", moves=True)
def _reshape(operation: Operation, arrays: Arrays) -> list[np.ndarray]:
    if len(arrays) > 1 and arrays[1] is not None:
        return [arrays[0].reshape(_ints(arrays[1]))]
    return [arrays[0].reshape(operation.attributes.get("new_shape") or ())]


@meaning("DENSIFY", moves=True)
def _densify(operation: Operation, arrays: Arrays) -> list[np.ndarray]:
    # A sparsely encoded constant is read in its dense form.
    return [arrays[0]]


@meaning("TRANSPOSE", moves=True)
def _transpose(operation: Operation, arrays: Arrays) -> list[np.ndarray]:
    return [np.transpose(arrays[0], _ints(arrays[1]))]


@meaning("EXPAND_DIMS", moves=True)
def _expand_dims(operation: Operation, arrays: Arrays) -> list[np.ndarray]:
    return [np.expand_dims(arrays[0], int(arrays[1].reshape(())))]


@meaning("SQUEEZE", moves=True)
def _squeeze(operation: Operation, arrays: Arrays) -> list[np.ndarray]:
    axes = operation.attributes.get("squeeze_dims")
    return [np.squeeze(arrays[0], tuple(axes) if axes else None)]


@meaning("CONCATENATION")
def _concatenation(operation: Operation, arrays: Arrays) -> list[np.ndarray]:
    axis = operation.attributes.get("axis", 0)
    return [activate(operation, np.concatenate(arrays, axis))]


@meaning("SPLIT", moves=True)
def _split(operation: Operation, arrays: Arrays) -> list[np.ndarray]:
    axis, x = arrays
    parts = operation.attributes.get("num_splits", 0)
    return np.split(x, parts, int(axis.reshape(())))


@meaning("SPLIT_V", moves=True)
def _split_v(operation: Operation, arrays: Arrays) -> list[np.ndarray]:
    x, sizes, axis = arrays[0], _ints(arrays[1]), int(arrays[2].reshape(()))
    rest = x.shape[axis] - sum(size for size in sizes if size >= 0)
    sizes = [rest if size < 0 else size for size in sizes]
    return np.split(x, np.cumsum(sizes)[:-1].tolist(), axis)


@meaning("SLICE", moves=True)
def _slice(operation: Operation, arrays: Arrays) -> list[np.ndarray]:
    x, begins, sizes = arrays[0], _ints(arrays[1]), _ints(arrays[2])
    return [
        x[
            tuple(
                slice(begin, None if size < 0 else begin + size)
                for begin, size in zip(begins, sizes)
            )
        ]
    ]


@meaning("STRIDED_SLICE", moves=True)
def _strided_slice(operation: Operation, arrays: Arrays) -> list[np.ndarray]:
    x, begins, ends, strides = arrays[0], *map(_ints, arrays[1:])
    masks = operation.attributes
    if masks.get("offset", False):
        ends = [begin + end for begin, end in zip(begins, ends)]

    def marked(mask: str, axis: int) -> bool:
        return bool(masks.get(mask, 0) >> axis & 1)

    index: list[slice | int | None] = []
    for axis, stride in enumerate(strides):
        if marked("ellipsis_mask", axis):
            index.append(Ellipsis)  # type: ignore[arg-type]
        elif marked("new_axis_mask", axis):
            index.append(None)
        elif marked("shrink_axis_mask", axis):
            index.append(begins[axis])
        else:
            begin = None if marked("begin_mask", axis) else begins[axis]
            end = None if marked("end_mask", axis) else ends[axis]
            index.append(slice(begin, end, stride))
    return [x[tuple(index)]]


@meaning("PACK", moves=True)
def _pack(operation: Operation, arrays: Arrays) -> list[np.ndarray]:
    return [np.stack(arrays, operation.attributes.get("axis", 0))]


@meaning("UNPACK", moves=True)
def _unpack(operation: Operation, arrays: Arrays) -> list[np.ndarray]:
    axis = operation.attributes.get("axis", 0)
    return list(np.moveaxis(arrays[0], axis, 0))


@meaning("TILE", moves=True)
def _tile(operation: Operation, arrays: Arrays) -> list[np.ndarray]:
    return [np.tile(arrays[0], _ints(arrays[1]))]


@meaning("BROADCAST_TO", moves=True)
def _broadcast_to(operation: Operation, arrays: Arrays) -> list[np.ndarray]:
    return [np.broadcast_to(arrays[0], _ints(arrays[1]))]


@meaning("REVERSE_V2", moves=True)
def _reverse(operation: Operation, arrays: Arrays) -> list[np.ndarray]:
    return [np.flip(arrays[0], tuple(_ints(arrays[1])))]


@meaning("PAD", "PADV2")
def _pad(operation: Operation, arrays: Arrays) -> list[np.ndarray]:
    x, pads = arrays[0], np.asarray(arrays[1]).reshape(-1, 2).tolist()
    fill = arrays[2].reshape(()) if len(arrays) > 2 else 0
    return [np.pad(x, pads, constant_values=fill)]


@meaning("MIRROR_PAD", moves=True)
def _mirror_pad(operation: Operation, arrays: Arrays) -> list[np.ndarray]:
    mode = operation.attributes.get("mode", "REFLECT").lower()
    pads = np.asarray(arrays[1]).reshape(-1, 2).tolist()
    return [np.pad(arrays[0], pads, mode)]


@meaning("SHAPE", moves=True)
def _shape(operation: Operation, arrays: Arrays) -> list[np.ndarray]:
    dtype = numpy_dtype(operation.outputs[0].dtype)
    return [np.array(arrays[0].shape, dtype)]


@meaning("RANK", moves=True)
def _rank(operation: Operation, arrays: Arrays) -> list[np.ndarray]:
    return [np.array(arrays[0].ndim, np.int32)]


@meaning("FILL", moves=True)
def _fill(operation: Operation, arrays: Arrays) -> list[np.ndarray]:
    extents, element = arrays
    return [np.full(_ints(extents), element.reshape(()), element.dtype)]


@meaning("RANGE")
def _range(operation: Operation, arrays: Arrays) -> list[np.ndarray]:
    start, limit, step = (array.reshape(()) for array in arrays)
    count = max(int(np.ceil((limit - start) / step)), 0)
    steps = np.arange(count).astype(start.dtype)
    return [start + steps * step]
