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
"""Groups of units removed one after the other, what reads them fitted.

A unit is a group of rows in the kernels that read it, for all columns at once:
what blocks are refitted by after training (`calibration/`) serves units too.
Original and smaller model run side by side over held data, a stretch at a time,
so that each layer makes up for what was lost before it.
"""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tfmot_sapp.base.progress import Progress
from tfmot_sapp.calibration.data import inputs_of as model_inputs
from tfmot_sapp.calibration.fitting import Seen, Settings, Target, problem_of
from tfmot_sapp.calibration.gram import Problem
from tfmot_sapp.calibration.layers import Blocks, what_follows
from tfmot_sapp.calibration.places import inputs_of
from tfmot_sapp.calibration.programs import Program, program_of
from tfmot_sapp.calibration.sweep import Held, Store, Sweep
from tfmot_sapp.frameworks.kernels import find_kernels
from tfmot_sapp.frameworks.private.attention import projections_of
from tfmot_sapp.frameworks.which_keras import host_value
from tfmot_sapp.structured.criteria import Criterion, check_selected
from tfmot_sapp.structured.reconstruct import Reconstruct, reconstructed
from tfmot_sapp.structured.shrink import shrink
from tfmot_sapp.structured.statistics import Part, Statistics, producer_norm
from tfmot_sapp.units.groups import Group, find_groups

# Share of the features' mean square that a refit's ridge is.
_RIDGE = 1e-3
_ROWS = 20_000


def removed_in_order(
    model: Any,
    counts: Mapping[str, int],
    criterion: Criterion,
    batches: Sequence[Sequence[Held]],
    store: Store,
    refit: bool | Reconstruct,
    progress: Progress,
    label: str,
) -> Any:
    """Removes units and fits what reads them.

    Args:
        model: The model.
        counts: How many units each group keeps, by the groups' names.
        criterion: What chooses the units.
        batches: The data: batches with a value for each input.
        store: Where values between layers are held.
        refit: Whether groups are reconstructed after the refit.
        progress: Where progress is shown.
        label: What it is called there.

    Returns:
        A smaller model.
    """
    original, groups = model, {g.name: g for g in find_groups(model).groups}
    # Products of features are needed as they are by these.
    most = math.inf if criterion.needs_gram else Settings.most_inputs
    settings = Settings(_RIDGE, _ROWS, most_inputs=most)
    step = progress.start(label, len(counts))
    sweep = Sweep([program_of(model), program_of(model)], batches, store)
    for name in [name for name in groups if name in counts]:
        known = {g.name: g for g in find_groups(model).groups}
        group = known[name]
        at = _step_of(sweep.programs[1], group.producer)
        sweep.advance(at)
        readers = _readers(group, groups[name])
        targets = [_target(sweep.programs, group, reader) for reader in readers]
        seen = [_seen(sweep, target, settings) for target in targets]
        kept = _chosen(group, targets, seen, criterion, counts[name])
        weights = _refitted(readers, targets, seen, kept)
        model = shrink(model, known, {name: kept}, weights)
        if isinstance(refit, Reconstruct):
            inputs = [model_inputs(batch) for batch in batches]
            reconstructed(model, name, (original, groups), inputs, refit)
        sweep.replace(program_of(model), at)
        step()
    return model


@dataclasses.dataclass(frozen=True)
class _Reader:
    """A layer that reads units.

    Attributes:
        layer: The layer.
        inner: The layer that its kernel is in, which may be inside of it.
        original: The same in the original.
        norm: The batch norm behind it, `None` for none.
    """

    layer: Any
    inner: Any
    original: Any
    norm: Any


def _readers(group: Group, known: Group) -> list[_Reader]:
    if group.has_heads:
        inner, original = (
            projections_of(g.producer).output for g in (group, known)
        )
        return [_Reader(group.producer, inner, original, None)]
    return [
        _Reader(one.layer, one.layer, other.layer, one.scaled_by)
        for one, other in zip(group.consumers, known.consumers)
    ]


def _step_of(program: Program, layer: Any) -> int:
    return next(
        index for index, step in enumerate(program.steps) if step.layer is layer
    )


def _target(
    programs: Sequence[Program], group: Group, reader: _Reader
) -> Target:
    kernel = next(
        k for k in find_kernels(reader.inner) if k.attribute == "kernel"
    )
    inputs = inputs_of(kernel)
    units = np.arange(inputs) % group.units
    if group.has_heads:
        units = np.repeat(np.arange(group.units), inputs // group.units)
    outputs = math.prod(kernel.shape) // inputs
    blocks = Blocks(kernel, kernel.grid((1, 1)), units, np.zeros(outputs, int))
    index = _step_of(programs[1], reader.layer)
    around = what_follows(programs[1], index)
    norm = None
    if around.norm is not None:
        norm = programs[1].steps[around.norm].layer
    name = reader.layer.name
    return Target(
        name, name, name, index, reader.original, blocks, norm, around
    )


def _seen(sweep: Sweep, target: Target, settings: Settings) -> Seen:
    ahead = sweep.fork()
    ahead.advance(target.step)
    seen = problem_of(ahead, target, target.blocks.weights(), settings)
    if seen is None:
        raise ValueError(
            f"What `{target.label}` reads can't be seen. Received: a layer "
            "that calls its parts in a compiled function; leave it out by "
            "`keep`."
        )
    return seen


def _chosen(
    group: Group,
    targets: Sequence[Target],
    seen: Sequence[Seen],
    criterion: Criterion,
    count: int,
) -> np.ndarray:
    """Returns the units that a criterion keeps."""
    parts = []
    for target, (problem, _) in zip(targets, seen):
        weights, gram = target.blocks.weights(), None
        if isinstance(problem, Problem) and criterion.needs_gram:
            # Losses are then those of the refit, not of copied weights.
            weights, gram = problem.best(), problem.gram
        scale = 1.0 if target.scale is None else target.scale
        mean = problem.row_mean[None]
        parts.append(
            Part(
                weights * scale,
                target.blocks.row_groups,
                mean,
                np.ones(mean.shape, bool),
                gram,
            )
        )
    activation = np.bincount(
        parts[0].unit_of, parts[0].summed[0], minlength=group.units
    )
    statistics = Statistics(
        group.units, activation, producer_norm(group), tuple(parts)
    )
    selected = criterion.select(statistics, count)
    return check_selected(selected, group.units, count)


def _refitted(
    readers: Sequence[_Reader],
    targets: Sequence[Target],
    seen: Sequence[Seen],
    kept: np.ndarray,
) -> dict[str, list[np.ndarray]]:
    """Returns new weights of whole size by layer name.

    The bias that comes with the solution goes into the layer's own, or into the
    mean of the batch norm behind it.
    """
    found = {}
    for reader, target, (problem, _) in zip(readers, targets, seen):
        blocks = target.blocks
        inside = np.zeros((int(blocks.row_groups.max()) + 1, 1), bool)
        inside[kept] = True
        solved = problem.refit(inside, blocks.row_groups, blocks.column_groups)
        more = problem.bias(solved)
        new = {id(blocks.kernel.variable): blocks.shaped(solved)}
        bias = getattr(reader.inner, "bias", None)
        if more is not None and bias is not None:
            value = host_value(bias)
            new[id(bias)] = value + more.reshape(value.shape)
        elif more is not None:
            norm = target.norm
            mean = host_value(norm.moving_mean) - more
            found[norm.name] = _with(norm, {id(norm.moving_mean): mean})
        found[reader.layer.name] = _with(reader.layer, new)
    return found


def _with(layer: Any, new: Mapping[int, np.ndarray]) -> list[np.ndarray]:
    """Returns a layer's weights, some of them replaced."""
    values = [(id(w), host_value(w)) for w in layer.weights]
    return [new.get(key, old).astype(old.dtype) for key, old in values]
