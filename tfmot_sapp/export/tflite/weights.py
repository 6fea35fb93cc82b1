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
"""Whether the weights of a file are those of its model.

Rounding noise hides the loss of some weights in the outputs, so the weights of
a quantized file are compared themselves: with those of the same model's float32
file, which are exact, each within half a step of its own rounding.

In a float32 file a loss hides where a unit gives zero for all inputs that are
tried. Kernels that are stored as they are, in whatever order, are looked for
there.
"""

from collections.abc import Iterable

import numpy as np

from tfmot_sapp.export.tflite.flatbuffer import Graph, Tensor, read_graph

# Half a step, and what computing the scale in float32 adds.
_STEPS = 0.51
# Of floating point numbers, relative and absolute. Small kernels stay in
# float32 in a file of 8 bits, and may have been folded in another order.
_FLOAT_STEPS = {"FLOAT16": (2.0**-10, 2.0**-24), "FLOAT32": (1e-5, 0.0)}
# Largest share of weights that may be farther off.
_MOST_OFF = 1e-3
# A kernel that shares this much with a tensor is meant by it.
_MOSTLY_FOUND = 0.9


def misrounded_weights(content: bytes, reference: bytes) -> str | None:
    """Finds a tensor of weights that isn't what it should have been rounded from.

    Args:
        content: A quantized `.tflite` file's bytes.
        reference: Those of the float32 file of the same model.

    Returns:
        What is wrong, or `None`. Tensors that the float32 file has none of the
        same shape of can't be compared.
    """  # noqa: E501
    exact = _constants(read_graph(reference), ("FLOAT32",))
    for tensor in _constants(
        read_graph(content), tuple(_FLOAT_STEPS) + ("INT8", "INT4")
    ):
        assert tensor.data is not None
        found, allowed = _real_and_allowed(tensor)
        shares = [
            _share_off(found, allowed, each.data)
            for each in exact
            if each.shape == tensor.shape and each.data is not None
        ]
        if shares and min(shares) > _MOST_OFF:
            return (
                f"{min(shares):.2%} of the weights of {tensor.name!r} are not "
                "what they should have been rounded to"
            )
    return None


def lost_weights(
    content: bytes, kernels: Iterable[tuple[str, np.ndarray]]
) -> str | None:
    """Finds a kernel that a file holds but for some of its weights.

    Args:
        content: A float32 `.tflite` file's bytes.
        kernels: The model's kernels and their names.

    Returns:
        What is wrong, or `None`. Kernels that were changed while the file was
        made, such as by the scale of a batch norm, are in no tensor.
    """
    stored: dict[int, list[np.ndarray]] = {}
    for tensor in _constants(read_graph(content), ("FLOAT32",)):
        assert tensor.data is not None
        stored.setdefault(tensor.data.size, []).append(_bits(tensor.data))
    for name, weights in kernels:
        wanted = _bits(weights)
        alike = stored.get(wanted.size, [])
        total = wanted.sum(dtype=np.uint64)
        if any(each.sum(dtype=np.uint64) == total for each in alike):
            continue
        nonzero = wanted[weights.ravel() != 0]
        shares = [float(np.isin(nonzero, each).mean()) for each in alike]
        if shares and len(nonzero) and _MOSTLY_FOUND < max(shares) < 1:
            return f"{1 - max(shares):.2%} of the weights of {name!r} are lost"
    return None


def _bits(values: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(values, np.float32).ravel().view(np.uint32)


def _constants(graph: Graph, dtypes: tuple[str, ...]) -> list[Tensor]:
    return [
        tensor
        for tensor in graph.tensors
        if tensor.data is not None
        and tensor.dtype in dtypes
        and len(tensor.shape) > 1
        and not tensor.is_sparse
    ]


def _real_and_allowed(tensor: Tensor) -> tuple[np.ndarray, np.ndarray]:
    values = np.asarray(tensor.data, np.float32)
    if tensor.dtype in _FLOAT_STEPS:
        relative, least = _FLOAT_STEPS[tensor.dtype]
        return values, np.abs(values) * relative + least
    shape = [1] * values.ndim
    if len(tensor.scales) > 1:
        shape[tensor.channel_axis] = -1
    scales = np.reshape(tensor.scales, shape) if len(tensor.scales) else 1.0
    points = np.reshape(tensor.zero_points, shape) if len(tensor.scales) else 0
    return (values - points) * scales, np.broadcast_to(
        _STEPS * np.asarray(scales), values.shape
    )


def _share_off(
    found: np.ndarray, allowed: np.ndarray, exact: np.ndarray
) -> float:
    if not found.size:
        return 0.0
    return float(np.mean(~(np.abs(found - exact) <= allowed)))
