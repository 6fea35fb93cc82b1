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
import math
from collections.abc import Iterator
from typing import Any

from tfmot_sapp.compiler.lowerings.lowering import Lowering, Weight
from tfmot_sapp.compiler.lowerings.operations import (
    Operations,
    Tensor,
    Tensors,
)


@dataclasses.dataclass(frozen=True)
class Products(Lowering):
    """One small product, or a sum of some, for every output piece.

    Attributes:
        taps: Spatial extents of the kernels; empty for a Dense.
        window: As `Operations.product` takes it.
        inputs: Widths of the input pieces.
        widths: Widths of the output pieces.
        reads: For each output piece, groups of input pieces. The pieces of a
            group are concatenated, the products of the groups added up. An
            output piece without groups is its bias, added to the next of the
            pieces that are given after the inputs.
        spans: First and last-but-one channel of each input piece, where one
            tensor is given in place of them. Each is cut from it when it is
            first read, so pieces may overlap. The last inputs may have no span;
            they are given after the tensor.
    """

    taps: tuple[int, ...]
    window: tuple[Any, ...]
    inputs: tuple[int, ...]
    widths: tuple[int, ...]
    reads: tuple[tuple[tuple[int, ...], ...], ...]
    spans: tuple[tuple[int, int], ...] = ()
    kind = "products"

    def get_config(self) -> dict[str, Any]:
        """The fields and the kind, without those that say nothing."""
        config = super().get_config()
        if not self.spans:
            del config["spans"]
        return config

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
        self, weights: Tensors, pieces: Tensors, write: Operations
    ) -> Iterator[Tensor]:
        """Yields the output pieces."""
        joined: dict[tuple[int, ...], Tensor] = {}
        cut: dict[int, Tensor] = {}
        # Pieces that are given follow the tensor that the others are cut from.
        skipped = len(self.spans) - 1 if self.spans else 0

        def piece(i: int) -> Tensor:
            if i >= len(self.spans):
                return pieces[i - skipped]
            if i not in cut:
                cut[i] = write.cut(pieces[0], *self.spans[i])
            return cut[i]

        remaining = iter(weights)
        summands = iter(pieces[len(self.inputs) - skipped :])
        for groups in self.reads:
            kernels = [next(remaining) for _ in groups]
            bias = next(remaining)
            if not groups:
                yield write.shifted(next(summands), bias)
                continue
            if write.operators.additions_round:
                groups = (tuple(i for group in groups for i in group),)
                kernels = [write.weights_concatenated(kernels, -2)]
            total = None
            for group, kernel in zip(groups, kernels):
                if group not in joined:
                    joined[group] = write.joined_to_multiply(
                        [piece(i) for i in group],
                        self.window,
                        math.prod(self.taps),
                    )
                # Fused with the first product, the bias costs nothing.
                part = write.product(
                    joined[group],
                    kernel,
                    bias if total is None else None,
                    self.window,
                )
                total = part if total is None else write.add(total, part)
            yield total
