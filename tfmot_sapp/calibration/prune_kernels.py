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

import contextlib
import dataclasses
from collections.abc import Iterator, Mapping, Sequence

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
from tfmot_sapp.calibration.held_out import (
    held_out_batches,
    probed_samples,
)
from tfmot_sapp.calibration.padding import Effective
from tfmot_sapp.calibration.programs import Program
from tfmot_sapp.calibration.savings import Saving
from tfmot_sapp.calibration.sensitivity import (
    Sensitivity,
    block_scores,
    sensitivities,
    spread,
)
from tfmot_sapp.calibration.sweep import Held, Store, Sweep
from tfmot_sapp.calibration.targets import nothing_to_prune
from tfmot_sapp.calibration.wanted_sparsity import WantedSparsity

# Between how many the share of the blocks that saves enough is looked for.
_TRIES = 8
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
        effective: What of the batches' sequences has an effect, as for a
            `Sweep`.
    """

    programs: Sequence[Program]
    batches: Sequence[Sequence[Held]]
    store: Store
    settings: Settings
    logits: bool
    effective: Sequence[Effective] | None = None

    def sweep(self, programs: Sequence[Program]) -> Sweep:
        """Returns a run of some of the models over the batches."""
        return Sweep(programs, self.batches, self.store, self.effective)


@dataclasses.dataclass(frozen=True)
class Weighed:
    """What kernels' losses of blocks do to the network.

    Attributes:
        found: The sensitivities of kernels that can be seen.
        unseen: Names of the others.
    """

    found: Sequence[Sensitivity]
    unseen: frozenset[str]


def weigh(
    calibration: Calibration,
    targets: Sequence[Target],
    progress: Progress,
    probed: bool = True,
) -> Weighed:
    """Measures what each kernel's loss of blocks does.

    Args:
        calibration: The models and the data. The copy is not changed.
        targets: The kernels, in order of execution.
        progress: Where progress is shown.
        probed: Whether the rest of the network is run; otherwise a kernel's own
            error stands for the change of the network's output.
    """
    samples = probed_samples(len(targets)) if probed else 0
    found, unseen = sensitivities(
        calibration.sweep(calibration.programs[1:]),
        targets,
        calibration.settings,
        samples,
        calibration.logits,
        progress.start("weighing layers", len(targets)),
    )
    return Weighed(found, frozenset(target.name for target in unseen))


def counts_of(
    targets: Sequence[Target], wanted: WantedSparsity, weighed: Weighed | None
) -> dict[str, int]:
    """Returns how many blocks of each kernel go.

    Args:
        targets: The kernels.
        wanted: How many are to go.
        weighed: What their loss does; may be `None` where sparsities are given
            by name.

    Raises:
        ValueError: If what is wanted can't be saved.
    """
    if wanted.by_name is not None or weighed is None:
        counts = {}
        for target in targets:
            own = wanted.own(target.label, target.layer_name) or 0.0
            number = target.blocks.grid.num_blocks
            counts[target.name] = number - kept_blocks(number, own)
        return counts
    found = weighed.found
    named = {each.name: each for each in targets}
    if wanted.saving is not None:
        return _saving_enough(found, named, wanted.saving)
    if wanted.allocation is None:
        chosen = _spread(found, wanted.overall) if found else []
        return {each.name: n for each, n in zip(found, chosen)}
    scores = {
        each.name: named[each.name].blocks.over_grid(
            block_scores(each.removals)
        )
        for each in found
    }
    masks = _allocated(
        wanted.allocation, scores, wanted.overall, wanted.overall
    )
    return {name: int(np.sum(~mask)) for name, mask in masks.items()}


def _spread(found: Sequence[Sensitivity], sparsity: float) -> list[int]:
    total = sum(each.num_blocks for each in found)
    remove = total - kept_blocks(total, sparsity)
    with contextlib.suppress(ValueError):
        return spread(found, remove)
    if remove > total - len(found):
        raise ValueError(
            "`sparsity` must leave each kernel at least one block; ask for "
            "less, or for smaller blocks. Received: "
            f"sparsity={sparsity}, {remove} of {total} blocks, where there are "
            f"{len(found)} kernels."
        )
    # So sparse that no kernel can keep what it usually does.
    return spread(found, remove, most=1.0)


def _saving_enough(
    found: Sequence[Sensitivity],
    named: Mapping[str, Target],
    saving: Saving,
) -> dict[str, int]:
    """Returns the counts that save enough at the least change."""
    saved = [saving.saved(named[each.name], each.places) for each in found]

    def counts(remove: float) -> dict[str, int]:
        chosen = spread(found, remove, saved)
        return {each.name: n for each, n in zip(found, chosen)}

    if saving.achieved is None:
        try:
            return counts(saving.remove)
        except ValueError as error:
            raise ValueError(
                "`sparsity` must be a budget that can be met by removing "
                "blocks: ask for more, or let more layers be pruned. Received: "
                f"a budget that {saving.remove:.4g} must be saved for, where "
                f"blocks save less than {sum(map(np.max, saved)):.4g}."
            ) from error
    low, high = 0.0, float(sum(np.max(each) for each in saved))
    best = None
    for _ in range(_TRIES):
        middle = (low + high) / 2
        try:
            trial = counts(middle)
        except ValueError:
            high = middle
            continue
        with _zeros(found, named, trial):
            enough = saving.achieved() >= saving.remove
        if enough:
            best, high = trial, middle
        else:
            low = middle
    if best is None:
        raise ValueError(
            "So much can't be saved by removing blocks: ask for a smaller "
            "speed-up, or let more layers be pruned. Received: "
            f"{saving.remove:.4g} to be saved, where blocks may save up to "
            f"{high:.4g}."
        )
    return best


@contextlib.contextmanager
def _zeros(
    found: Sequence[Sensitivity],
    named: Mapping[str, Target],
    counts: Mapping[str, int],
) -> Iterator[None]:
    """Puts zeros where blocks would go, without any refit."""
    before = []
    for each in found:
        blocks = named[each.name].blocks
        weights = blocks.weights()
        before.append((blocks, weights))
        kept = kept_after(each.removals, counts[each.name])
        whole = kept[np.ix_(blocks.row_groups, blocks.column_groups)]
        blocks.assign(weights * whole)
    try:
        yield
    finally:
        for blocks, weights in before:
            blocks.assign(weights)


def prune_kernels(
    calibration: Calibration,
    targets: Sequence[Target],
    wanted: WantedSparsity,
    progress: Progress,
    weighed: Weighed | None = None,
) -> tuple[list[Target], dict[str, str]]:
    """Removes blocks of the copy's kernels and fits what is left of them.

    Args:
        calibration: The models and the data.
        targets: The kernels, in order of execution.
        wanted: How many blocks go.
        progress: Where progress is shown.
        weighed: What the kernels' losses do, if it is known already.

    Returns:
        The kernels that were dealt with, and reasons why others were not by
        their names in reports.

    Raises:
        ValueError: If there are none, or a value in the model isn't finite.
    """
    if weighed is None and wanted.by_name is None:
        probed = wanted.allocation is None
        weighed = weigh(calibration, targets, progress, probed)
    unseen = set() if weighed is None else set(weighed.unseen)
    counts = counts_of(targets, wanted, weighed)
    done = []
    step = progress.start("fitting layers", len(counts))
    sweep = calibration.sweep(calibration.programs)
    for target in in_order(sweep, targets):
        if target.name in counts:
            if _fit(calibration.settings, sweep, target, counts, wanted):
                done.append(target)
            else:
                unseen.add(target.name)
            step()
    reasons = {each.label: _UNSEEN for each in targets if each.name in unseen}
    if not done:
        raise ValueError(nothing_to_prune(reasons))
    return done, reasons


def _fit(
    settings: Settings,
    sweep: Sweep,
    target: Target,
    counts: dict[str, int],
    wanted: WantedSparsity,
) -> bool:
    """Removes blocks of one kernel and fits the others, if it can be seen."""
    weights = target.blocks.weights()
    held_out = held_out_batches(sweep.sizes)
    seen = problem_of(sweep, target, weights, settings, None, held_out)
    if seen is None:
        return False
    problem = seen.problem
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
