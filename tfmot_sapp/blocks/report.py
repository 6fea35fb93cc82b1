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
"""What was pruned, by how much, and what was not and why, as a table."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np


@dataclasses.dataclass(frozen=True)
class Row:
    """One kernel in a report.

    Attributes:
        name: The kernel's name: its layer's, and its path where a layer has
            several.
        shape: The kernel's shape.
        block: Extent of a block along each axis; `None` if not known.
        blocks: Number of blocks; `None` if not known.
        kept: Number of blocks kept; `None` if not known.
        weights: Number of weights before pruning.
        kept_weights: Number of weights in kept blocks or, where blocks are not
            known, of weights that are not zero.
        mask: Boolean array of the blocks kept, shaped as the grid; `None` if
            not known.
        skipped: Why the kernel was left alone; `None` if it was pruned.
    """

    name: str
    shape: tuple[int, ...]
    block: tuple[int, ...] | None
    blocks: int | None
    kept: int | None
    weights: int
    kept_weights: int
    mask: np.ndarray | None = dataclasses.field(
        default=None, compare=False, repr=False
    )
    skipped: str | None = None

    @property
    def sparsity(self) -> float:
        """Fraction of the blocks that are removed, or of the weights."""
        if self.blocks:
            return 1.0 - (self.kept or 0) / self.blocks
        return 1.0 - self.kept_weights / max(1, self.weights)


@dataclasses.dataclass(frozen=True)
class Report:
    """What was pruned in a model; prints as a table.

    Attributes:
        rows: One `Row` per kernel.
        parameters: Number of parameters of the plain model.
        kept_parameters: The same without those in removed blocks.
        note: That little of the model is pruned, and why, or that nothing
            passes through it any more; `None` where there is nothing to say.
    """

    rows: tuple[Row, ...]
    parameters: int
    kept_parameters: int
    note: str | None = None

    @property
    def pruned(self) -> tuple[Row, ...]:
        """The rows of kernels that are pruned."""
        return tuple(row for row in self.rows if row.skipped is None)

    @property
    def skipped(self) -> dict[str, str]:
        """Names of what was left alone, each with the reason."""
        return {row.name: row.skipped for row in self.rows if row.skipped}

    @property
    def sparsity(self) -> float:
        """Fraction of the blocks removed over all pruned kernels."""
        known = [row for row in self.pruned if row.blocks]
        if not known:
            weights = sum(row.weights for row in self.pruned)
            kept = sum(row.kept_weights for row in self.pruned)
            return 1.0 - kept / weights if weights else 0.0
        blocks = sum(row.blocks or 0 for row in known)
        return 1.0 - sum(row.kept or 0 for row in known) / blocks

    def to_dict(self) -> dict[str, Any]:
        """Returns the report as plain values.

        Returns:
            A dictionary with the keys "layers" (a list of dictionaries) and
            "total".
        """
        return {
            "layers": [
                {
                    "name": row.name,
                    "shape": list(row.shape),
                    "block_size": None
                    if row.block is None
                    else list(row.block),
                    "blocks": row.blocks,
                    "blocks_kept": row.kept,
                    "sparsity": row.sparsity,
                    "parameters": row.weights,
                    "parameters_kept": row.kept_weights,
                    "skipped": row.skipped,
                }
                for row in self.rows
            ],
            "total": {
                "sparsity": self.sparsity,
                "parameters": self.parameters,
                "parameters_kept": self.kept_parameters,
                "note": self.note,
            },
        }

    def __str__(self) -> str:
        from tfmot_sapp.base.tables import render

        cells = [
            [
                row.name,
                _times(row.shape),
                _times(row.block) if row.block else "",
                f"{row.kept} / {row.blocks}" if row.blocks else "",
                "" if row.skipped else f"{100 * row.sparsity:.1f} %",
                f"{row.weights:,}",
                f"{row.kept_weights:,}",
                row.skipped or "",
            ]
            for row in self.rows
        ]
        total = [
            "total",
            "",
            "",
            "",
            f"{100 * self.sparsity:.1f} %",
            f"{self.parameters:,}",
            f"{self.kept_parameters:,}",
            "all parameters of the model",
        ]
        head = (
            "layer",
            "kernel",
            "block",
            "blocks kept",
            "sparsity",
            "parameters",
            "kept",
            "left alone because",
        )
        table = render(head, cells, footer=total, numeric=range(3, 7))
        return f"{table}\n{self.note}" if self.note else table


def _times(shape: Sequence[int]) -> str:
    return " x ".join(str(extent) for extent in shape)
