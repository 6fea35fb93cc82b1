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
from tfmot_sapp.compiler.emit.packed_computation import PackedComputation
from tfmot_sapp.frameworks.layers.table import exact_kind_of
from tfmot_sapp.frameworks.private.layers import layers_inside
from tfmot_sapp.frameworks.walking import flatten_layers
from tfmot_sapp.frameworks.which_keras import is_model

_MARK = "tfmot_sapp_packed"


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


def packing_of(model: Any) -> list[dict[str, Any]]:
    """Says what `pack_blocks` chose for each layer of a packed model, and why.

    It is read from the layers' configs, so it's the same after saving and
    loading.

    Args:
        model: A model that `pack_blocks` returned, of either Keras.

    Returns:
        A list of dictionaries, one for each layer with weights:

        - `layer`: names of the layers it was made from, joined by " + ";
        - `lowering`: "list", "sum", "cut_list", "cut_sum", "dense", "group",
          "sliced_group", "gather_matmul" or "unchanged";
        - `shape`: of the kernel, with the channels last, or `None`;
        - `block_size`: (in, out) as found, or `None`;
        - `kept_blocks`, `blocks`: of that size;
        - `parameters`, `parameters_before`: weights that are stored;
        - `macs`, `macs_before`: multiply-adds of one example, with axes of
          unknown extent taken as 1;
        - `parameter_density`, `mac_density`: their ratios;
        - `why`: the reason of the choice.

    Example:

    >>> import keras
    >>> inputs = keras.Input((64,))
    >>> model = keras.Model(inputs, keras.layers.Dense(64, name="d")(inputs))
    >>> from tfmot_sapp.verbs.pack import pack_blocks
    >>> packing_of(pack_blocks(model))[0]["lowering"]
    'dense'
    """
    rows = []
    for layer in model.layers:
        if isinstance(layer, PackedComputation):
            if layer.row is not None:
                rows.append(dict(layer.row))
        elif layer.weights:
            count = sum(math.prod(w.shape) for w in layer.weights)
            rows.append(
                {
                    "layer": layer.name,
                    "lowering": "unchanged",
                    "shape": None,
                    "block_size": None,
                    "kept_blocks": None,
                    "blocks": None,
                    "parameters": count,
                    "parameters_before": count,
                    "macs": None,
                    "macs_before": None,
                    "parameter_density": 1.0,
                    "mac_density": None,
                    "why": _why_unchanged(layer),
                }
            )
    return rows


def add_reason(model: Any, text: str) -> None:
    """Adds to the reason of every choice in a packed model.

    Args:
        model: A model that was just packed; its layers' rows are changed.
        text: What to add.
    """
    for layer in model.layers:
        if isinstance(layer, PackedComputation) and layer.row is not None:
            layer.row = {**layer.row, "why": layer.row["why"] + text}


def _why_unchanged(layer: Any) -> str:
    kind = type(layer).__name__
    if exact_kind_of(layer) is not None and not layers_inside(layer):
        return f"{kind} passes through"
    return (
        f"{kind} passes through: packing reads Keras's own layers only, and "
        "those inside of others by `export_tflite(pack=True)`"
    )


def mark_packed(model: Any) -> None:
    """Notes that a model was made by `pack_blocks`, though nothing was packed.

    Args:
        model: The model. The note isn't saved with it.
    """
    setattr(model, _MARK, True)


def is_packed(model: Any) -> bool:
    """Returns whether a model was made by `pack_blocks`, in part or whole."""
    return is_model(model) and (
        getattr(model, _MARK, False)
        or any(
            isinstance(layer, PackedComputation)
            for layer in flatten_layers(model)
        )
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
