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
"""`PruningPlan`: what `plan_pruning` returns, a mapping and a table."""

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from tfmot_sapp.allocations.allocation import Allocation
from tfmot_sapp.base.tables import render
from tfmot_sapp.training.policy import MinimumBlocks


@dataclasses.dataclass(frozen=True)
class PlannedLayer:
    """What is planned for a layer.

    Attributes:
        name: The layer's name.
        kernels: The names of its kernels.
        shapes: What is multiplied, in words, such as `"3x3 256-256"`.
        block_size: `(in, out)`; `None` for a layer that stays dense.
        sparsity: Fraction of its blocks that go.
        before: Microseconds of the dense layer.
        after: Microseconds of the packed one.
        why: The reason, in words.
        groups: Number of groups that its blocks form, if they do.
    """

    name: str
    kernels: tuple[str, ...]
    shapes: str
    block_size: tuple[int, int] | None
    sparsity: float
    before: float
    after: float
    why: str
    groups: int | None = None


@dataclasses.dataclass(frozen=True, eq=False)
class PruningPlan(Mapping[str, Any]):
    """Block shapes and sparsities by layer; arguments of `prune_blocks`.

    Attributes:
        layers: One `PlannedLayer` for each layer with a kernel.
        dense_ms: Milliseconds of a call of the dense model.
        packed_ms: Milliseconds of a call of the packed one.
        dense_bytes: Bytes of the dense model's weights.
        packed_bytes: Bytes of the packed one's, with its operations.
        processor: Where the times were measured, or `None` for estimates.
        allocation: Which blocks stay, with the sparsities of all layers.
        find_keep: Finds `keep`.
    """

    layers: tuple[PlannedLayer, ...]
    dense_ms: float
    packed_ms: float
    dense_bytes: int
    packed_bytes: int
    processor: str | None
    allocation: Allocation
    find_keep: Callable[[], dict[str, float]] = dataclasses.field(repr=False)

    @property
    def speedup(self) -> float:
        """How many times faster the packed model is than the dense one."""
        # A model that only looks up tables takes no time that is counted.
        return self.dense_ms / self.packed_ms if self.packed_ms else 1.0

    @property
    def keep(self) -> dict[str, float]:
        """Shares of units by layer that meet the same budget.

        They go into `prune_structured(model, data, keep=plan.keep)`, which
        makes a smaller dense model.
        """
        return self.find_keep()

    def __getitem__(self, name: str) -> Any:
        return self._arguments()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._arguments())

    def __len__(self) -> int:
        return len(self._arguments())

    def _arguments(self) -> dict[str, Any]:
        pruned = [layer for layer in self.layers if layer.block_size]
        return {
            "block_size": {layer.name: layer.block_size for layer in pruned},
            "allocation": self.allocation,
            "pruning_policy": MinimumBlocks(1),
        }

    def __str__(self) -> str:
        head = (
            "layer",
            "shape",
            "blocks",
            "sparsity",
            "before",
            "after",
            "why",
        )
        rows = [
            (
                layer.name,
                layer.shapes,
                "dense"
                if layer.block_size is None
                else "x".join(map(str, layer.block_size))
                + (f", {layer.groups} groups" if layer.groups else ""),
                "" if layer.block_size is None else f"{layer.sparsity:.1%}",
                f"{layer.before:.1f} us",
                f"{layer.after:.1f} us",
                layer.why,
            )
            for layer in self.layers
        ]
        how = f"measured on {self.processor}" if self.processor else "estimated"
        footer = (
            "whole model",
            "",
            "",
            "",
            f"{self.dense_ms:.3g} ms",
            f"{self.packed_ms:.3g} ms",
            f"{self.speedup:.2f}x, {self.dense_bytes / 1e6:.3g} to "
            f"{self.packed_bytes / 1e6:.3g} MB, {how}",
        )
        return render(head, rows, footer, numeric=(3, 4, 5))
