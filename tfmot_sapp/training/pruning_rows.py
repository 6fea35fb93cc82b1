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
"""The rows of a report on a wrapped, stripped or plain model."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tfmot_sapp.base.wording import received
from tfmot_sapp.blocks.grid import BlockGrid, block_reduce
from tfmot_sapp.blocks.report import Report, Row
from tfmot_sapp.frameworks.kernels import (
    NO_KERNEL,
    find_kernels,
    kernel_name,
    other_matrices,
    short_name,
    why_no_kernels,
)
from tfmot_sapp.frameworks.layers.table import effect_of
from tfmot_sapp.frameworks.private.layers import all_layers
from tfmot_sapp.frameworks.pruning_record import record_of
from tfmot_sapp.frameworks.walking import flatten_layers
from tfmot_sapp.frameworks.which_keras import host_value, is_layer, is_model
from tfmot_sapp.training.pruning_group import pruned_layers
from tfmot_sapp.training.wrapper import PruneBlocksMixin
from tfmot_sapp.units.passage import Passage, Reads, masked_reads

# How the reasons begin for what the user has left out.
NO_BLOCK_SIZE = "no block size given for it"
NOT_ALLOWED = "not allowed by "
# What does not count where the share is told that is pruned.
_NOT_COUNTED = (NO_BLOCK_SIZE, NOT_ALLOWED, "a depthwise kernel")


def pruning_report(model: Any) -> Report:
    """Reports what is pruned in a model that is not packed.

    Args:
        model: A wrapped, stripped or plain model, a layer or a list of layers.

    Returns:
        A `Report`.

    Raises:
        TypeError: If `model` is none of these.
        ValueError: If it is a model that was never built.
    """
    members = model if isinstance(model, (list, tuple)) else [model]
    if not members or not all(map(is_layer, members)):
        raise TypeError(
            "`model` must be a model, a layer or a list of layers of Keras 3 "
            f"or tf_keras. {received('model', model)}"
        )
    wrapped = pruned_layers(model)
    unbuilt = [m.name for m in members if is_model(m) and not _has_kernels(m)]
    if unbuilt and not wrapped:
        raise ValueError(
            "`model` must be built, so that its kernels are known; call it on "
            f"data once. Received: {unbuilt}, not built."
        )
    rows = _remembered(model)
    if rows is None:
        rows = pruning_rows(model)
    extra = sum(_count(_added_variables(layer)) for layer in wrapped)
    parameters = sum(_count(member.weights) for member in members) - extra
    removed = sum(row.weights - row.kept_weights for row in rows)
    notes = [blocked_note(model)]
    if wrapped:
        notes.append(coverage_note(rows))
    note = " ".join(note for note in notes if note) or None
    return Report(tuple(rows), parameters, parameters - removed, note)


def _has_kernels(model: Any) -> bool:
    """Whether a model was built, or its layers by themselves."""
    return model.built or any(map(find_kernels, flatten_layers(model)))


def blocked_note(model: Any, passage: Passage | None = None) -> str | None:
    """Says that nothing passes through a model any more, if that is so.

    Args:
        model: A wrapped, stripped or plain model; of anything else there is
            nothing to say.
        passage: What is known of its graph. Defaults to `None`: it is read.
    """
    if not is_model(model):
        return None
    kernels = {
        id(kernel.kernel.owner): kernel
        for layer in pruned_layers(model)
        for kernel in layer.pruned_kernels
    }
    reads = masked_reads(kernels) if kernels else _zero_reads(model)
    if not reads:
        return None
    place = (passage or Passage(model)).blocked_at(reads)
    if place is None:
        return None
    return (
        "Nothing passes through the model any more: an output is the same for "
        f"all inputs, since what `{place}` keeps reads nothing that is made "
        "before it. Ask for less sparsity, or use "
        "`allocation=tfmot_sapp.ConnectedAllocation()`."
    )


def _zero_reads(model: Any) -> dict[int, Reads]:
    """Returns what layers read whose kernels have whole channels of zeros."""
    found = {}
    for layer in flatten_layers(model):
        if is_model(layer) or effect_of(layer) not in ("units", "separable"):
            continue
        for kernel in find_kernels(layer):
            there = host_value(kernel.variable) != 0
            there = np.any(there.reshape(-1, *there.shape[-2:]), axis=0)
            if np.all(there.any(axis=0)) and np.all(there.any(axis=1)):
                continue
            inputs, outputs = map(np.arange, there.shape)
            found[id(layer)] = Reads(there, inputs, outputs)
    return found


def coverage_note(rows: Sequence[Row]) -> str | None:
    """Says that little of a model is pruned, and why, if that is so.

    Args:
        rows: The rows of a wrapped model.

    Returns:
        The note; `None` where half of the weights in matrices or more are
        pruned. Those are not counted that the user has left out, nor depthwise
        kernels.
    """
    counted = [row for row in rows if _is_counted(row.skipped)]
    total = sum(row.weights for row in counted)
    pruned = sum(row.weights for row in counted if row.skipped is None)
    if 2 * pruned >= total:
        return None
    left = [row for row in counted if row.skipped is not None]
    left.sort(key=lambda row: -row.weights)
    shown = "; ".join(
        f"`{row.name}` ({row.weights:,} weights): {row.skipped}"
        for row in left[:_SHOWN]
    )
    more = "" if len(left) <= _SHOWN else f"; and {len(left) - _SHOWN} more"
    return (
        f"Only {100 * pruned / total:.0f} % of the weights in matrices are "
        f"pruned. Left alone are {shown}{more}."
    )


# Layers that the note tells of.
_SHOWN = 3


def _is_counted(reason: str | None) -> bool:
    return reason is None or not reason.startswith(_NOT_COUNTED)


def _remembered(model: Any) -> Sequence[Row] | None:
    if not is_model(model):
        return None
    rows = record_of(model).rows
    if rows is None:
        return None
    # A stripped model may have been trained on or changed since.
    current = {
        row.name: row for row in zero_rows(model, {}) if row.skipped is None
    }
    return [
        row
        if row.skipped
        or row.name not in current
        or current[row.name].kept_weights <= row.kept_weights
        else current[row.name]
        for row in rows
    ]


def pruning_rows(
    model: Any, masks: Mapping[int, np.ndarray] | None = None
) -> list[Row]:
    """Returns one `Row` for each kernel of a model, pruned or not.

    Args:
        model: A model, a layer or a list of layers.
        masks: Masks by the `id` of their `PrunedKernel`. Defaults to `None`:
            those in force.
    """
    wrapped = pruned_layers(model)
    if not wrapped:
        found = record_of(model).skipped if is_model(model) else ()
        return zero_rows(model, dict(found))
    reasons = {
        name: why for layer in wrapped for name, why in layer.left_alone.items()
    }
    masks = masks or {}
    rows = []
    inside: set[int] = set()
    for layer in flatten_layers(model):
        if id(layer) in inside:
            continue
        if isinstance(layer, PruneBlocksMixin):
            inside.update(map(id, _own_layers(layer)))
            rows += [
                _masked_row(
                    kernel.name,
                    masks.get(id(kernel), kernel.mask_array()),
                    kernel.grid,
                )
                for kernel in layer.pruned_kernels
            ]
            for name, why in layer.skipped_kernels:
                reasons.setdefault(name, why)
            rows += _skipped_rows(layer.layer, reasons, layer.pruned_kernels)
        elif not is_model(layer) and layer.built:
            inside.update(map(id, _own_layers(layer)))
            rows += _skipped_rows(layer, reasons)
    return rows


def _own_layers(layer: Any) -> list[Any]:
    """Returns a layer and those inside it that no other wrapper prunes."""
    others = {
        id(inner)
        for wrapper in pruned_layers(layer)
        if wrapper is not layer
        for inner in all_layers(wrapper)
    }
    return [inner for inner in all_layers(layer) if id(inner) not in others]


def _masked_row(name: str, mask: np.ndarray, grid: BlockGrid) -> Row:
    return Row(
        name=name,
        shape=grid.shape,
        block=grid.block,
        blocks=mask.size,
        kept=int(mask.sum()),
        weights=grid.num_weights,
        kept_weights=int(grid.block_weights()[mask].sum()),
        mask=mask,
    )


def _skipped_rows(
    layer: Any, reasons: Mapping[str, str], pruned: Sequence[Any] = ()
) -> list[Row]:
    """Returns a row for each kernel or matrix of a layer that is left alone."""
    kernels = find_kernels(layer)
    done = {id(kernel.variable) for kernel in pruned}
    shared = {
        id(kernel.variable)
        for wrapper in pruned_layers(layer)
        for kernel in wrapper.pruned_kernels
    }
    rows = []
    for kernel in kernels:
        if id(kernel.variable) in done | shared:
            continue
        name = kernel_name(layer.name, kernel, kernels)
        why = reasons.get(name) or reasons.get(layer.name) or "not wrapped"
        rows.append(_dense_row(name, kernel.shape, why))
    others = other_matrices(layer, kernels)
    if not kernels and others:
        weights = _count(layer.weights)
        shape = max((tuple(w.shape) for w in others), key=len)
        why = reasons.get(layer.name) or why_no_kernels(layer)
        rows.append(_dense_row(layer.name, shape, why, weights))
    elif kernels:
        rows += [
            _dense_row(
                f"{layer.name}/{short_name(w)}", tuple(w.shape), NO_KERNEL
            )
            for w in others
        ]
    return rows


def _dense_row(
    name: str, shape: tuple[int, ...], why: str, weights: int | None = None
) -> Row:
    count = int(np.prod(shape)) if weights is None else weights
    return Row(name, shape, None, None, None, count, count, None, why)


def zero_rows(
    model: Any,
    reasons: Mapping[str, str],
    grids: Mapping[int, BlockGrid] | None = None,
) -> list[Row]:
    """Returns one `Row` for each kernel of a model without wrappers.

    Args:
        model: A model, a layer or a list of layers.
        reasons: Why kernels were left alone, by name.
        grids: The blocks of kernels, by the `id` of their variables. Defaults
            to `None`: they aren't known, and zeros are counted.
    """
    grids = grids or {}
    rows = []
    inside: set[int] = set()
    for layer in flatten_layers(model):
        if id(layer) in inside or is_model(layer) or not layer.built:
            continue
        inside.update(map(id, all_layers(layer)))
        kernels = find_kernels(layer)
        for kernel in kernels:
            values = host_value(kernel.variable)
            nonzero = int(np.count_nonzero(values))
            name = kernel_name(layer.name, kernel, kernels)
            grid = grids.get(id(kernel.variable))
            if grid is not None:
                mask = block_reduce(np.abs(values), grid) != 0
                rows.append(_masked_row(name, mask, grid))
                continue
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
