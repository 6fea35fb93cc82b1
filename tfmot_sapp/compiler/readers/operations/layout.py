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
"""Reads what moves and summarises positions, and what picks channels."""

from collections.abc import Sequence

from tfmot_sapp.compiler.graph import Concat, Part, Value
from tfmot_sapp.compiler.ir.graph import Operation
from tfmot_sapp.compiler.readers.operations.reader import (
    Reader,
    keeps_channels,
    node_name,
    reads,
)


@reads("AVERAGE_POOL_2D", "MAX_POOL_2D")
@reads("RESIZE_BILINEAR", "RESIZE_NEAREST_NEIGHBOR", "BATCH_TO_SPACE_ND")
def _by_window(reader: Reader, operation: Operation) -> bool:
    return _moved(reader, operation, "pool")


@reads("SPACE_TO_BATCH_ND")
def _space_to_batch(reader: Reader, operation: Operation) -> bool:
    # It fills up with zeros.
    return _moved(reader, operation, "frame")


@reads("EXPAND_DIMS", "RESHAPE", "SQUEEZE")
def _reshape(reader: Reader, operation: Operation) -> bool:
    return _moved(reader, operation, "pool", most_unknown=1)


@reads("TRANSPOSE")
def _transpose(reader: Reader, operation: Operation) -> bool:
    axes = reader.integers(operation.inputs[1])
    if axes is None or axes[-1] not in (len(axes) - 1, -1):
        return False
    return _moved(reader, operation, "pool")


@reads("MEAN", "REDUCE_MAX", "REDUCE_MIN", "SUM")
def _reduce(reader: Reader, operation: Operation) -> bool:
    x = reader.value(operation.inputs[0])
    axes = reader.integers(operation.inputs[1])
    if x is None or axes is None:
        return False
    if not axes or {-1, len(x.shape) - 1}.intersection(axes):
        return False
    kind = "frame" if operation.kind == "SUM" else "pool"
    return _moved(reader, operation, kind)


@reads("MIRROR_PAD", "PAD", "PADV2")
def _pad(reader: Reader, operation: Operation) -> bool:
    pads = reader.integers(operation.inputs[1])
    if pads is None or any(pads[-2:]):
        return False
    kinds = {"MIRROR_PAD": "pool", "PAD": "frame", "PADV2": "vary"}
    return _moved(reader, operation, kinds[operation.kind])


@reads("TILE")
def _tile(reader: Reader, operation: Operation) -> bool:
    counts = reader.integers(operation.inputs[1])
    if counts is None or counts[-1:] != [1]:
        return False
    return _moved(reader, operation, "pool")


@reads("BROADCAST_TO")
def _broadcast(reader: Reader, operation: Operation) -> bool:
    if reader.integers(operation.inputs[1]) is None:
        return False
    return _moved(reader, operation, "pool")


@reads("CONCATENATION")
def _concatenation(reader: Reader, operation: Operation) -> bool:
    values = [reader.value(tensor) for tensor in operation.inputs]
    (output,) = operation.outputs
    rank = len(output.shape)
    if any(v is None or not v.channels for v in values) or rank < 2:
        return False
    given: list[Value] = [v for v in values if v is not None]
    axis = operation.attributes.get("axis", 0) % rank
    fused = operation.attributes.get("fused_activation_function", "NONE")
    if fused != "NONE":
        # Runtimes are not of one mind whether to heed it.
        return False
    if axis != rank - 1:
        if not all(keeps_channels(operation, value) for value in given):
            return False
        step = reader.step(operation, range(len(given)), "vary")
        return reader.add(operation, given, steps=[step])
    if sum(v.channels for v in given) != output.shape[-1]:
        return False
    made = reader.make(output)
    reader.nodes.append(Concat(node_name(operation), given, [made]))
    return True


@reads("SPLIT", "SPLIT_V")
def _split(reader: Reader, operation: Operation) -> bool:
    is_even = operation.kind == "SPLIT"
    x = reader.value(operation.inputs[1 if is_even else 0])
    axis = reader.integers(operation.inputs[0 if is_even else 2])
    if x is None or axis is None or not x.channels:
        return False
    if axis[0] % len(x.shape) != len(x.shape) - 1:
        return False
    widths = [tensor.shape[-1] or 0 for tensor in operation.outputs]
    if sum(widths) != x.channels or 0 in widths:
        return False
    begin = 0
    for tensor, width in zip(operation.outputs, widths):
        output = reader.make(tensor)
        reader.nodes.append(Part(tensor.name, [x], [output], begin))
        begin += width
    return True


@reads("SLICE")
def _slice(reader: Reader, operation: Operation) -> bool:
    x = reader.value(operation.inputs[0])
    begins = reader.integers(operation.inputs[1])
    sizes = reader.integers(operation.inputs[2])
    if x is None or begins is None or sizes is None or not x.channels:
        return False
    made = operation.outputs[0].shape
    others = tuple(x.shape[:-1]) == tuple(made[:-1]) and not any(begins[:-1])
    return _cut(reader, operation, x, begins[-1], others)


@reads("STRIDED_SLICE")
def _strided_slice(reader: Reader, operation: Operation) -> bool:
    x = reader.value(operation.inputs[0])
    vectors = [reader.integers(tensor) for tensor in operation.inputs[1:]]
    if x is None or not x.channels or any(v is None for v in vectors):
        return False
    begins, ends, strides = (v or [] for v in vectors)
    masks = operation.attributes
    last = len(x.shape) - 1
    if len(begins) != len(x.shape) or strides[-1] != 1:
        return False
    if any(masks.get(m, 0) for m in ("ellipsis_mask", "new_axis_mask")):
        return False
    if masks.get("shrink_axis_mask", 0) >> last & 1 or masks.get("offset"):
        return False
    is_first = masks.get("begin_mask", 0) >> last & 1
    begin = 0 if is_first else begins[-1]
    begin += x.channels if begin < 0 else 0
    shape = operation.outputs[0].shape
    whole = (
        masks.get("shrink_axis_mask", 0) == 0
        and tuple(shape[:-1]) == tuple(x.shape[:-1])
        and None not in x.shape[1:-1]
        and all(stride == 1 for stride in strides)
        and _starts_at_zero(begins[:-1], masks.get("begin_mask", 0))
    )
    return _cut(reader, operation, x, begin, whole)


def _starts_at_zero(begins: Sequence[int], mask: int) -> bool:
    return all(
        begin == 0 or mask >> axis & 1 for axis, begin in enumerate(begins)
    )


def _cut(
    reader: Reader,
    operation: Operation,
    x: Value,
    begin: int,
    other_axes_are_whole: bool,
) -> bool:
    """Some channels of all positions, or all channels of some positions."""
    (output,) = operation.outputs
    width = output.shape[-1] if output.shape else None
    if not width or begin + width > (x.channels or 0):
        return False
    if begin == 0 and width == x.channels:
        return _moved(reader, operation, "pool")
    if not other_axes_are_whole or len(output.shape) != len(x.shape):
        return False
    made = reader.make(output)
    reader.nodes.append(Part(node_name(operation), [x], [made], begin))
    return True


def _moved(
    reader: Reader,
    operation: Operation,
    kind: str,
    most_unknown: int | None = None,
) -> bool:
    """An operation on one value that leaves the channels what they are."""
    x = reader.value(operation.inputs[0])
    shape = operation.outputs[0].shape
    if x is None or not x.channels or not shape or shape[-1] != x.channels:
        return False
    if most_unknown is not None and list(shape).count(None) > most_unknown:
        return False
    rest = operation.inputs[1:]
    if most_unknown is None and any(
        tensor is None or reader.values.get(tensor) is not None
        for tensor in rest
    ):
        return False
    step = reader.step(operation, (0,), kind)
    return reader.add(operation, [x], steps=[step])
