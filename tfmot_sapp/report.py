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
"""What was pruned, by how much, and what was not and why."""

import dataclasses
import sys
import weakref
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tfmot_sapp.frameworks import host_value, is_layer, is_model
from tfmot_sapp.kernels import find_kernels, has_matrices, why_no_kernels
from tfmot_sapp.mask_update import flatten_layers, pruned_layers
from tfmot_sapp.wrapper import PruneBlocksMixin, kernel_name

# What a stripped model cannot say of itself: the block sizes it was pruned
# with, and why layers were left alone. Kept beside the models, so that these
# stay plain ones; a model that was saved and loaded reports by its zeros.
_SKIPPED: "weakref.WeakKeyDictionary[Any, dict[str, str]]" = (
    weakref.WeakKeyDictionary()
)
_ROWS: "weakref.WeakKeyDictionary[Any, tuple[Row, ...]]" = (
    weakref.WeakKeyDictionary()
)


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
    """

    rows: tuple[Row, ...]
    parameters: int
    kept_parameters: int

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
            },
        }

    def __str__(self) -> str:
        from tfmot_sapp.tables import render

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
        return render(head, cells, footer=total, numeric=range(3, 7))


def report(model: Any) -> Report:
    """Reports what is pruned in a model, layer by layer.

    Args:
        model: A wrapped, stripped or packed model, a layer or a list of layers,
            of either Keras. For a model that was pruned elsewhere, or loaded
            from a file after stripping, it counts zeros.

    Returns:
        A `Report`: print it, or take `to_dict()`. For a packed model it is a
        `PackingReport`, which says what was chosen for each layer and why.

    Raises:
        TypeError: If `model` is none of these.

    Example:

    >>> import keras, tfmot_sapp as sapp
    >>> model = keras.Sequential(
    ...     [keras.Input((64,)), keras.layers.Dense(100, name="hidden")])
    >>> schedule = sapp.SequentialAttentionSchedule(0.9, end_step=1000)
    >>> pruned = sapp.prune_blocks(model, schedule, block_size=(4, 4))
    >>> [(row.name, row.kept, row.blocks) for row in report(pruned).rows]
    [('hidden', 400, 400)]
    """
    members = model if isinstance(model, (list, tuple)) else [model]
    if not members or not all(map(is_layer, members)):
        raise TypeError(
            "`model` must be a model, a layer or a list of layers of Keras 3 "
            f"or tf_keras. Received: {model!r} of type {type(model).__name__}."
        )
    if is_model(model) and _is_packed(model):
        from tfmot_sapp.export.packing_report import packing_report

        return packing_report(model)
    rows = _remembered(model)
    if rows is None:
        rows = _rows(model)
    wrapped = pruned_layers(model)
    extra = sum(_count(_added_variables(layer)) for layer in wrapped)
    parameters = sum(_count(member.weights) for member in members) - extra
    removed = sum(row.weights - row.kept_weights for row in rows)
    return Report(tuple(rows), parameters, parameters - removed)


def _is_packed(model: Any) -> bool:
    # Without `pack_blocks` there is no packed model, and no need to import it.
    packed = sys.modules.get("tfmot_sapp.export.packed_layers")
    return packed is not None and any(
        isinstance(layer, packed.PackedComputation)
        for layer in flatten_layers(model)
    )


def remember_skipped(model: Any, reasons: Mapping[str, str]) -> None:
    """Notes why layers of a wrapped model were left alone."""
    _SKIPPED[model] = dict(reasons)


def remember_pruning(wrapped: Any, stripped: Any) -> None:
    """Notes for a stripped model what its wrapped form knew."""
    _ROWS[stripped] = tuple(_rows(wrapped))


def _remembered(model: Any) -> Sequence[Row] | None:
    if not is_model(model):
        return None
    rows = _ROWS.get(model)
    if rows is None:
        return None
    # A stripped model may have been trained on or changed since.
    current = {
        row.name: row for row in _zero_rows(model, {}) if row.skipped is None
    }
    return [
        row
        if row.skipped
        or row.name not in current
        or current[row.name].kept_weights <= row.kept_weights
        else current[row.name]
        for row in rows
    ]


def _rows(model: Any) -> list[Row]:
    reasons = dict(_SKIPPED.get(model, {})) if is_model(model) else {}
    if not pruned_layers(model):
        return _zero_rows(model, reasons)
    rows = []
    inside: set[int] = set()
    for layer in flatten_layers(model):
        if id(layer) in inside:
            continue
        if isinstance(layer, PruneBlocksMixin):
            inside.update(id(inner) for inner in layer._flatten_layers())
            rows += [_pruned_row(kernel) for kernel in layer.pruned_kernels]
            for name, why in layer.skipped_kernels:
                reasons.setdefault(name, why)
        elif not is_model(layer) and layer.built:
            inside.update(id(inner) for inner in layer._flatten_layers())
            rows += _skipped_rows(layer, reasons)
    return rows


def _pruned_row(kernel: Any) -> Row:
    mask = kernel.mask_array()
    return Row(
        name=kernel.name,
        shape=kernel.grid.shape,
        block=kernel.grid.block,
        blocks=mask.size,
        kept=int(mask.sum()),
        weights=kernel.grid.num_weights,
        kept_weights=int(kernel.grid.block_weights()[mask].sum()),
        mask=mask,
    )


def _skipped_rows(layer: Any, reasons: Mapping[str, str]) -> list[Row]:
    kernels = find_kernels(layer)
    rows = []
    for kernel in kernels:
        name = kernel_name(layer.name, kernel, kernels)
        weights = int(np.prod(kernel.shape))
        why = reasons.get(name) or reasons.get(layer.name) or "not wrapped"
        rows.append(
            Row(
                name,
                kernel.shape,
                None,
                None,
                None,
                weights,
                weights,
                None,
                why,
            )
        )
    if not kernels and has_matrices(layer):
        weights = _count(layer.weights)
        shape = max((tuple(w.shape) for w in layer.weights), key=len)
        why = reasons.get(layer.name) or why_no_kernels(layer)
        rows.append(
            Row(
                layer.name, shape, None, None, None, weights, weights, None, why
            )
        )
    return rows


def _zero_rows(model: Any, reasons: Mapping[str, str]) -> list[Row]:
    rows = []
    inside: set[int] = set()
    for layer in flatten_layers(model):
        if id(layer) in inside or is_model(layer) or not layer.built:
            continue
        inside.update(id(inner) for inner in layer._flatten_layers())
        kernels = find_kernels(layer)
        for kernel in kernels:
            values = host_value(kernel.variable)
            nonzero = int(np.count_nonzero(values))
            name = kernel_name(layer.name, kernel, kernels)
            why = None if nonzero < values.size else "no zeros in it"
            rows.append(
                Row(
                    name,
                    kernel.shape,
                    None,
                    None,
                    None,
                    values.size,
                    nonzero,
                    None,
                    reasons.get(name, why),
                )
            )
    return rows


def _added_variables(layer: Any) -> list[Any]:
    inner = {id(variable) for variable in layer.layer.weights}
    return [v for v in layer.weights if id(v) not in inner]


def _count(variables: Sequence[Any]) -> int:
    return sum(int(np.prod(tuple(variable.shape))) for variable in variables)


def _times(shape: Sequence[int]) -> str:
    return " x ".join(str(extent) for extent in shape)
