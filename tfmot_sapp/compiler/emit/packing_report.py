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
"""What `report` says of a packed model: what was chosen where, and why."""

import dataclasses
import math
from typing import Any

from tfmot_sapp.base.tables import render
from tfmot_sapp.blocks.report import Report, Row
from tfmot_sapp.compiler.emit.packed_layer import PackedComputation
from tfmot_sapp.compiler.emit.packing_rows import packing_of
from tfmot_sapp.frameworks.walking import flatten_layers
from tfmot_sapp.frameworks.which_keras import is_model


@dataclasses.dataclass(frozen=True)
class PackedRow(Row):
    """One layer of a packed model.

    Attributes:
        lowering: How it's computed, as in `packing_of`.
        why: The reason of that choice.
        macs: Multiply-adds of one example that are left; `None` if not known.
        macs_before: The same of the source; `None` if not known.
    """

    lowering: str = "unchanged"
    why: str = ""
    macs: int | None = None
    macs_before: int | None = None

    @property
    def mac_density(self) -> float | None:
        """Share of the multiply-adds that are left, where known."""
        if not self.macs_before or self.macs is None:
            return None
        return self.macs / self.macs_before


@dataclasses.dataclass(frozen=True)
class PackingReport(Report):
    """What was packed in a model; prints as a table."""

    rows: tuple[PackedRow, ...]

    @property
    def parameter_density(self) -> float:
        """Share of the parameters that are stored."""
        return self.kept_parameters / max(1, self.parameters)

    @property
    def mac_density(self) -> float:
        """Share of the known layers' multiply-adds that are left."""
        known = [row for row in self.rows if row.macs_before]
        before = sum(row.macs_before or 0 for row in known)
        return sum(row.macs or 0 for row in known) / before if before else 1.0

    def to_dict(self) -> dict[str, Any]:
        """Returns the report as plain values.

        Returns:
            As `Report.to_dict`, and for each layer `lowering`, `why` and
            `mac_density`, for the total `parameter_density` and `mac_density`.
        """
        found = super().to_dict()
        for layer, row in zip(found["layers"], self.rows):
            layer["lowering"] = row.lowering
            layer["why"] = row.why
            layer["mac_density"] = row.mac_density
        found["total"]["parameter_density"] = self.parameter_density
        found["total"]["mac_density"] = self.mac_density
        return found

    def __str__(self) -> str:
        cells = [
            [
                row.name,
                row.lowering,
                " x ".join(map(str, row.block)) if row.block else "",
                f"{row.kept} / {row.blocks}" if row.blocks else "",
                f"{row.weights:,}",
                f"{row.kept_weights:,}",
                f"{row.kept_weights / max(1, row.weights):.3f}",
                "" if row.mac_density is None else f"{row.mac_density:.3f}",
                row.why,
            ]
            for row in self.rows
        ]
        total = [
            "total",
            "",
            "",
            "",
            f"{self.parameters:,}",
            f"{self.kept_parameters:,}",
            f"{self.parameter_density:.3f}",
            f"{self.mac_density:.3f}",
            "all parameters; multiply-adds of the layers known",
        ]
        head = (
            "layer",
            "lowering",
            "block",
            "blocks kept",
            "parameters",
            "stored",
            "density",
            "MAC density",
            "because",
        )
        return render(head, cells, footer=total, numeric=range(3, 8))


def is_packed(model: Any) -> bool:
    """Returns whether a model was made by `pack_blocks`, in part or whole."""
    return is_model(model) and any(
        isinstance(layer, PackedComputation) for layer in flatten_layers(model)
    )


def packing_report(model: Any) -> PackingReport:
    """Reports what was chosen in a packed model.

    Args:
        model: A model that `pack_blocks` returned, of either Keras.

    Returns:
        A `PackingReport`.
    """
    rows = tuple(map(_row, packing_of(model)))
    stored = sum(math.prod(tuple(weight.shape)) for weight in model.weights)
    saved = sum(row.weights - row.kept_weights for row in rows)
    return PackingReport(rows, stored + saved, stored)


def _row(row: dict[str, Any]) -> PackedRow:
    left_alone = (
        row["lowering"] in ("unchanged", "dense")
        and row["parameters"] == row["parameters_before"]
    )
    return PackedRow(
        name=row["layer"],
        shape=tuple(row["shape"] or ()),
        block=tuple(row["block_size"]) if row["block_size"] else None,
        blocks=row["blocks"],
        kept=row["kept_blocks"],
        weights=row["parameters_before"],
        kept_weights=row["parameters"],
        skipped=row["why"] if left_alone else None,
        lowering=row["lowering"],
        why=row["why"],
        macs=row["macs"],
        macs_before=row["macs_before"],
    )
