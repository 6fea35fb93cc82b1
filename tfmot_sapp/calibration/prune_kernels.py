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
"""Prunes a copy of a model, kernel by kernel in order of execution.

Each kernel is fitted to the outputs that the original has at its place, by
least squares on what the pruned copy gives it to read, so that it makes up for
what was lost before it as well as for its own blocks.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np

from tfmot_sapp.allocations.allocation import Allocation
from tfmot_sapp.base.progress import Progress
from tfmot_sapp.blocks.selection import kept_blocks
from tfmot_sapp.calibration.fitting import (
    Settings,
    Target,
    fitted,
    in_order,
    kept_after,
    orders,
    problem_of,
)
from tfmot_sapp.calibration.programs import Program
from tfmot_sapp.calibration.sensitivity import (
    block_scores,
    sensitivities,
    spread,
)
from tfmot_sapp.calibration.sweep import Held, Store, Sweep
from tfmot_sapp.calibration.targets import nothing_to_prune
from tfmot_sapp.calibration.wanted_sparsity import WantedSparsity

# How many samples the rest of the network is run on to weigh the layers.
_PROBED_SAMPLES = 64
_UNSEEN = (
    "what it reads can't be seen: it is not called, more than once, or inside "
    "a compiled function"
)


@dataclasses.dataclass(frozen=True)
class Calibration:
    """What a model is pruned by.

    Attributes:
        programs: The calls of the original and of the copy that is pruned.
        batches: Batches of inputs, each with a value for each input.
        store: Where values between layers are held.
        settings: How kernels are fitted.
        logits: Whether the model's outputs are logits of classes.
    """

    programs: Sequence[Program]
    batches: Sequence[Sequence[Held]]
    store: Store
    settings: Settings
    logits: bool

    def sweep(self, programs: Sequence[Program]) -> Sweep:
        """Returns a run of some of the models over the batches."""
        return Sweep(programs, self.batches, self.store)


def prune_kernels(
    calibration: Calibration,
    targets: Sequence[Target],
    wanted: WantedSparsity,
    progress: Progress,
) -> tuple[list[Target], dict[str, str]]:
    """Removes blocks of the copy's kernels and fits what is left of them.

    Args:
        calibration: The models and the data.
        targets: The kernels, in order of execution.
        wanted: How many blocks go.
        progress: Where progress is shown.

    Returns:
        The kernels that were dealt with, and reasons why others were not by
        their names in reports.

    Raises:
        ValueError: If there are none, or a value in the model isn't finite.
    """
    counts, unseen = _counts(calibration, targets, wanted, progress)
    done = []
    step = progress.start("fitting layers", len(counts))
    sweep = calibration.sweep(calibration.programs)
    for target in in_order(sweep, targets):
        if target.name in counts:
            if _fit(calibration.settings, sweep, target, counts, wanted):
                done.append(target)
            else:
                unseen.append(target)
            step()
    reasons = {target.label: _UNSEEN for target in unseen}
    if not done:
        raise ValueError(nothing_to_prune(reasons))
    return done, reasons


def _counts(
    calibration: Calibration,
    targets: Sequence[Target],
    wanted: WantedSparsity,
    progress: Progress,
) -> tuple[dict[str, int], list[Target]]:
    """Returns how many blocks of each kernel go, and what can't be seen."""
    blocks = {each.name: each.blocks.grid.num_blocks for each in targets}
    if wanted.by_name is not None:
        counts = {}
        for target in targets:
            own = wanted.own(target.label, target.layer_name) or 0.0
            number = blocks[target.name]
            counts[target.name] = number - kept_blocks(number, own)
        return counts, []
    probes = -(-_PROBED_SAMPLES // calibration.batches[0][0].samples)
    found, unseen = sensitivities(
        calibration.sweep(calibration.programs[1:]),
        targets,
        calibration.settings,
        0 if wanted.allocation else probes,
        calibration.logits,
        progress.start("weighing layers", len(targets)),
    )
    if wanted.allocation is None:
        total = sum(each.num_blocks for each in found)
        remove = total - kept_blocks(total, wanted.overall)
        chosen = spread(found, remove) if found else []
        return {each.name: n for each, n in zip(found, chosen)}, unseen
    named = {each.name: each.blocks for each in targets}
    scores = {
        each.name: named[each.name].over_grid(block_scores(each.removals))
        for each in found
    }
    masks = _allocated(
        wanted.allocation, scores, wanted.overall, wanted.overall
    )
    return {name: int(np.sum(~mask)) for name, mask in masks.items()}, unseen


def _fit(
    settings: Settings,
    sweep: Sweep,
    target: Target,
    counts: dict[str, int],
    wanted: WantedSparsity,
) -> bool:
    """Removes blocks of one kernel and fits the others, if it can be seen."""
    weights = target.blocks.weights()
    problem = problem_of(sweep, target, weights, settings)
    if problem is None:
        return False
    count = counts[target.name]
    order = orders(problem, target, settings)
    kept = kept_after(order, count)
    if wanted.allocation is not None and count:
        scores = {target.name: target.blocks.over_grid(block_scores(order))}
        sparsity = count / target.blocks.grid.num_blocks
        # The count has the targets of its own in it.
        masks = _allocated(wanted.allocation, scores, sparsity, None)
        kept = target.blocks.from_grid(masks[target.name])
    target.assign(*fitted(problem, target, weights, kept, settings))
    sweep.changed.add(target.step)
    if target.around.norm is not None:
        sweep.changed.add(target.around.norm)
    return True


def _allocated(
    allocation: Allocation,
    scores: dict[str, np.ndarray],
    sparsity: float,
    target_sparsity: float | None,
) -> dict[str, np.ndarray]:
    alive = {name: np.ones(score.shape, bool) for name, score in scores.items()}
    return dict(allocation.allocate(scores, alive, sparsity, target_sparsity))
