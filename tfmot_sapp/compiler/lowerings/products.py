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
"""Small products, one or some for each output piece."""

import dataclasses
from collections.abc import Iterator
from typing import Any

import tensorflow as tf

from tfmot_sapp.compiler.lowerings.lowering import (
    Lowering,
    Tensors,
    Weight,
    concatenated,
    join,
    transposed,
)
from tfmot_sapp.targets.operators import Operators


def product(x: Any, kernel: Any, window: tuple[Any, ...]) -> Any:
    """One Dense, convolution or transposed convolution, without a bias.

    Args:
        x: Tensor with the channels last.
        kernel: Of shape (*taps, inputs, outputs).
        window: (strides, padding, dilation, whether transposed); empty for a
            Dense.
    """
    if not window:
        return tf.matmul(x, kernel)
    strides, padding, dilation, is_transposed = window
    if is_transposed:
        return _spread(x, kernel, strides, padding)
    if padding == "causal":
        reach = dilation[0] * (kernel.shape[0] - 1)
        x = tf.pad(x, [[0, 0], [reach, 0], [0, 0]])
        padding = "valid"
    return tf.nn.convolution(
        x, kernel, list(strides), padding.upper(), dilations=list(dilation)
    )


def _spread(x: Any, kernel: Any, strides: tuple[int, ...], padding: str) -> Any:
    """A transposed convolution, with the extents that Keras gives it."""
    *taps, _, width = kernel.shape
    shape = [tf.shape(x)[i] if n is None else n for i, n in enumerate(x.shape)]
    extents = [
        n * stride + (max(t - stride, 0) if padding == "valid" else 0)
        for n, stride, t in zip(shape[1:], strides, taps)
    ]
    rank = len(taps)
    swapped = transposed(kernel, (*range(rank), rank + 1, rank))
    output_shape = [shape[0], *extents, width]
    return tf.nn.conv_transpose(
        x, swapped, output_shape, list(strides), padding.upper()
    )


@dataclasses.dataclass(frozen=True)
class Products(Lowering):
    """One small product, or a sum of some, for every output piece.

    Attributes:
        taps: Spatial extents of the kernels; empty for a Dense.
        window: As `product` takes it.
        inputs: Widths of the input pieces.
        widths: Widths of the output pieces.
        reads: For each output piece, groups of input pieces. The pieces of a
            group are concatenated, the products of the groups added up.
    """

    taps: tuple[int, ...]
    window: tuple[Any, ...]
    inputs: tuple[int, ...]
    widths: tuple[int, ...]
    reads: tuple[tuple[tuple[int, ...], ...], ...]
    kind = "products"

    def weights(self) -> list[Weight]:
        """The kernels of its groups and a bias, for each output piece."""
        weights: list[Weight] = []
        for j, (width, groups) in enumerate(zip(self.widths, self.reads)):
            for g, group in enumerate(groups):
                depth = sum(self.inputs[i] for i in group)
                weights.append((f"kernel_{j}_{g}", (*self.taps, depth, width)))
            weights.append((f"bias_{j}", (width,)))
        return weights

    def outputs(
        self, weights: Tensors, pieces: Tensors, operators: Operators
    ) -> Iterator[Any]:
        """Yields the output pieces; a bare bias where nothing is read."""
        joined: dict[tuple[int, ...], Any] = {}
        remaining = iter(weights)
        for groups in self.reads:
            kernels = [next(remaining) for _ in groups]
            total = next(remaining)
            if operators.additions_round:
                groups = (tuple(i for group in groups for i in group),)
                kernels = [concatenated(kernels, -2)]
            for g, (group, kernel) in enumerate(zip(groups, kernels)):
                if group not in joined:
                    joined[group] = join(
                        [pieces[i] for i in group],
                        operators.widest_concatenation,
                    )
                part = product(joined[group], kernel, self.window)
                # Fused with the first product, the bias costs nothing.
                total = tf.nn.bias_add(part, total) if g == 0 else total + part
            yield total
