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
"""Dense, EinsumDense and Embedding: products without taps."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from tfmot_sapp.frameworks.channel_operations import ChannelOperation, Linear
from tfmot_sapp.frameworks.layers.axes import BATCH, IN, OUT, einsum_roles
from tfmot_sapp.frameworks.layers.kind import (
    KernelAxes,
    LayerKind,
    array,
    bias_of,
)


def _read_dense(layer: Any) -> list[ChannelOperation] | None:
    if getattr(layer, "quantization_mode", None):
        return None
    kernel = array(layer.kernel)
    return [Linear(kernel, bias_of(layer, kernel.shape[-1], kernel.dtype))]


def _einsum_kernels(layer: Any) -> list[KernelAxes]:
    roles = _innermost(einsum_roles(layer.equation))
    return [("kernel", roles)] if {IN, OUT} <= set(roles) else []


def _innermost(roles: Sequence[str]) -> list[str]:
    """Leaves input and output one run of axes each, the last one.

    In a kernel (heads, in, size) a block lies within one head.
    """
    kept = list(roles)
    for role in (IN, OUT):
        ended = False
        for axis in range(len(kept) - 1, -1, -1):
            if kept[axis] == role and ended:
                kept[axis] = BATCH
            elif kept[axis] != role:
                ended = ended or role in kept[axis:]
    return kept


def einsum_product(layer: Any, rank: int) -> Linear | None:
    """Reads an EinsumDense as a product over the last axes, where it is one.

    Args:
        layer: A built `EinsumDense`.
        rank: Number of axes of its input.

    Returns:
        The product of the merged axes, or `None`.
    """
    summed = summed_axes(layer.equation)
    if summed is None:
        return None
    given = layer.equation.partition(",")[0].replace("...", "").strip()
    if len(given) > rank:
        return None
    kernel = array(layer.kernel)
    inputs = math.prod(kernel.shape[:summed])
    extents = kernel.shape[summed:]
    bias = np.zeros(extents, kernel.dtype)
    if getattr(layer, "bias", None) is not None:
        own = array(layer.bias)
        if own.ndim > len(extents):
            return None
        bias = bias + own
    return Linear(kernel.reshape(inputs, -1), bias.reshape(-1))


def summed_axes(equation: str) -> int | None:
    """Reads an equation as a product over the last axes, where it is one.

    Args:
        equation: Of an input and a kernel, as `einsum` takes it.

    Returns:
        How many of the kernel's axes are summed over: the first ones, which
        are the last ones of the input. `None` for any other equation.

    Example:

    >>> summed_axes("abc,cde->abde")
    1
    """
    given, rest = equation.replace(" ", "").split(",")
    kernel_axes, made = rest.split("->")
    given, made = given.replace("...", ""), made.replace("...", "")
    summed = "".join(axis for axis in kernel_axes if axis not in made)
    new = kernel_axes[len(summed) :]
    if (
        not summed
        or not new
        or kernel_axes != summed + new
        or not given.endswith(summed)
        or made != given[: len(given) - len(summed)] + new
    ):
        return None
    return len(summed)


PRODUCTS = (
    LayerKind(
        ("Dense",),
        kernels=lambda layer: [("kernel", (IN, OUT))],
        effect="units",
        size="units",
        multiply_adds=lambda layer, given, made: (
            made * math.prod(layer.kernel.shape)
        ),
        read=_read_dense,
    ),
    LayerKind(("EinsumDense",), kernels=_einsum_kernels, effect="product"),
    LayerKind(
        ("Embedding",),
        kernels=lambda layer: [("embeddings", (IN, OUT))],
        effect="lookup",
    ),
    # keras-hub's, of positions and of distances.
    LayerKind(
        ("PositionEmbedding",),
        kernels=lambda layer: [("position_embeddings", (IN, OUT))],
        effect="lookup",
    ),
    LayerKind(
        ("RelativeEmbedding",),
        kernels=lambda layer: [("rel_embeddings", (IN, OUT))],
        effect="lookup",
    ),
    LayerKind(
        ("ReversibleEmbedding",),
        # The second is there where the weights are not tied.
        kernels=lambda layer: [
            ("embeddings", (IN, OUT)),
            ("reverse_embeddings", (IN, OUT)),
        ],
        effect="lookup",
    ),
)
