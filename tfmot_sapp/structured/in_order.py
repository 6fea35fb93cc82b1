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
from tfmot_sapp.calibration.places import inputs_of, to_matrix
from tfmot_sapp.calibration.programs import Program, program_of
from tfmot_sapp.calibration.sweep import Held, Store, Sweep
from tfmot_sapp.frameworks.kernels import Kernel, find_kernels
from tfmot_sapp.frameworks.layers.table import effect_of
from tfmot_sapp.frameworks.private.attention import projections_of
from tfmot_sapp.frameworks.which_keras import host_value
from tfmot_sapp.structured.collect import collect
from tfmot_sapp.structured.criteria import Criterion, check_selected
from tfmot_sapp.structured.reconstruct import Reconstruct, reconstructed
from tfmot_sapp.structured.shrink import shrink
from tfmot_sapp.structured.statistics import Part, Statistics, producer_norm
from tfmot_sapp.units.groups import find_groups
from tfmot_sapp.units.members import Group

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
    # Which of the original's outputs layers still have, by their names.
    left: dict[str, np.ndarray] = {}
    sweep = Sweep([program_of(model), program_of(model)], batches, store)
    for name in [name for name in groups if name in counts]:
        known = {g.name: g for g in find_groups(model).groups}
        group = known[name]
        at = min(_step_of(sweep.programs[1], m.layer) for m in group.makers)
        sweep.advance(at)
        is_separable = any(
            effect_of(c.layer) == "separable" for c in group.consumers
        )
        if is_separable or group.is_shared:
            # What a second convolution reads is seen by nothing outside; one
            # kernel that reads in several calls has no best weights of one.
            kept = _unfitted(model, group, criterion, counts[name], batches)
            model = shrink(model, known, {name: kept})
        else:
            readers = _readers(group, groups[name], left)
            targets = [
                _target(sweep.programs, group, reader) for reader in readers
            ]
            seen = [
                _seen(sweep, reader, target, settings)
                for reader, target in zip(readers, targets)
            ]
            kept = _chosen(group, targets, seen, criterion, counts[name])
            weights = _refitted(readers, targets, seen, kept, group.units)
            model = shrink(model, known, {name: kept}, weights)
        _note_left(left, group, kept)
        if isinstance(refit, Reconstruct):
            inputs = [model_inputs(batch) for batch in batches]
            reconstructed(model, name, (original, groups), inputs, refit)
        sweep.replace(program_of(model), at)
        step()
    return model


def _unfitted(
    model: Any,
    group: Group,
    criterion: Criterion,
    count: int,
    batches: Sequence[Sequence[Held]],
) -> np.ndarray:
    """Returns the units to keep of a group whose readers stay as they are."""
    inputs = (model_inputs(batch) for batch in batches)
    found = collect(model, [group], inputs, criterion.needs_gram)[group.name]
    selected = criterion.select(found, count)
    return check_selected(selected, group.units, count)


def _note_left(
    left: dict[str, np.ndarray], group: Group, kept: np.ndarray
) -> None:
    stays = np.zeros(group.units + 1, bool)
    stays[kept] = stays[-1] = True
    for maker in () if group.has_heads else group.makers:
        name = maker.layer.name
        before = left.get(name, np.arange(len(maker.unit_of)))
        left[name] = before[stays[maker.unit_of]]


@dataclasses.dataclass(frozen=True)
class _Reader:
    """A layer that reads units.

    Attributes:
        layer: The layer.
        inner: The layer that its kernel is in, which may be inside of it.
        original: The same in the original.
        norm: The original's batch norm behind it, `None` for none.
        unit_of: The unit that each of its channels belongs to, `None` for
            heads.
        outputs: Which of the original's outputs it still has, `None` for all.
    """

    layer: Any
    inner: Any
    original: Any
    norm: Any
    unit_of: np.ndarray | None = None
    outputs: np.ndarray | None = None

    def of_original(self, values: np.ndarray) -> np.ndarray:
        """Returns what belongs to outputs that it still has, on the last axis.

        Args:
            values: Values of the original.
        """
        return values if self.outputs is None else values[..., self.outputs]


def _readers(
    group: Group, known: Group, left: Mapping[str, np.ndarray]
) -> list[_Reader]:
    if group.has_heads:
        inner, original = (
            projections_of(g.producer).output for g in (group, known)
        )
        return [_Reader(group.producer, inner, original, None)]
    return [
        _Reader(
            one.layer,
            one.layer,
            other.layer,
            other.scaled_by,
            one.unit_of,
            left.get(one.layer.name),
        )
        for one, other in zip(group.consumers, known.consumers)
    ]


def _step_of(program: Program, layer: Any) -> int:
    return next(
        index for index, step in enumerate(program.steps) if step.layer is layer
    )


def _target(
    programs: Sequence[Program], group: Group, reader: _Reader
) -> Target:
    kernel = _kernel_of(reader.inner)
    inputs = inputs_of(kernel)
    if reader.unit_of is None:
        units = np.repeat(np.arange(group.units), inputs // group.units)
    else:
        units = np.tile(reader.unit_of, inputs // len(reader.unit_of))
        # What belongs to no unit is one more, which always stays.
        units = np.where(units < 0, group.units, units)
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


def _kernel_of(layer: Any) -> Kernel:
    return next(k for k in find_kernels(layer) if k.attribute == "kernel")


def _seen(
    sweep: Sweep, reader: _Reader, target: Target, settings: Settings
) -> Seen:
    ahead = sweep.fork()
    ahead.advance(target.step)
    kernel = _kernel_of(reader.original)
    whole = to_matrix(host_value(kernel.variable).astype(np.float32), kernel)
    seen = problem_of(
        ahead,
        target,
        target.blocks.weights(),
        settings,
        reader.of_original(whole),
    )
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
        units = target.blocks.row_groups
        inside = units < group.units
        mean = problem.row_mean[None, inside]
        parts.append(
            Part(
                (weights * scale)[inside],
                units[inside],
                mean,
                np.ones(mean.shape, bool),
                None if gram is None else gram[np.ix_(inside, inside)],
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
    units: int,
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
        inside[units:] = True
        solved = problem.refit(inside, blocks.row_groups, blocks.column_groups)
        more = problem.bias(solved)
        new = {id(blocks.kernel.variable): blocks.shaped(solved)}
        bias = getattr(reader.inner, "bias", None)
        if more is not None and bias is not None:
            value = reader.of_original(host_value(reader.original.bias))
            new[id(bias)] = value + more.reshape(value.shape)
        elif more is not None:
            norm = target.norm
            mean = host_value(norm.moving_mean)
            if reader.norm is not None:
                mean = reader.of_original(host_value(reader.norm.moving_mean))
            mean = mean - more
            found[norm.name] = _with(norm, {id(norm.moving_mean): mean})
        found[reader.layer.name] = _with(reader.layer, new)
    return found


def _with(layer: Any, new: Mapping[int, np.ndarray]) -> list[np.ndarray]:
    """Returns a layer's weights, some of them replaced."""
    values = [(id(w), host_value(w)) for w in layer.weights]
    return [new.get(key, old).astype(old.dtype) for key, old in values]
