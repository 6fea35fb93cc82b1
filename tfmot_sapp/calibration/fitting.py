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
"""One kernel of a model: what it is wanted to give, and its refit."""

import dataclasses
import itertools
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from tfmot_sapp.calibration.block_obs import Removal
from tfmot_sapp.calibration.budgets import cheapest_first
from tfmot_sapp.calibration.dual import RowProblem, RowStack, most_rows
from tfmot_sapp.calibration.gram import GramSums, Problem
from tfmot_sapp.calibration.layers import (
    Around,
    Blocks,
    norm_slope,
    own_bias,
    shift,
)
from tfmot_sapp.calibration.places import places_of
from tfmot_sapp.calibration.sweep import Sweep, spread_places

# What the ridge is chosen from where batches are held out.
_RIDGES = (3e-3, 1e-2, 3e-2, 1e-1, 3e-1, 1.0)


@dataclasses.dataclass(frozen=True)
class Settings:
    """How kernels are fitted.

    Attributes:
        ridge: The ridge where none is chosen, in means of the Gram matrix's
            diagonal.
        rows: About how many rows of a layer are read.
        compensate: Whether the weights that are left make up for the others.
        correct_biases: Whether biases do.
        seed: Seed of the places that are read.
        most_inputs: Kernels of more inputs are fitted in the dual.
    """

    ridge: float = 3e-2
    rows: int = 20_000
    compensate: bool = True
    correct_biases: bool = True
    seed: int = 0
    # The Gram matrix of more inputs, its inverse and their like take gigabytes
    # and minutes: beyond this the rows themselves are held, and fewer of them.
    most_inputs: float = 6144


@dataclasses.dataclass(frozen=True)
class Target:
    """A kernel to fit.

    Attributes:
        name: Its name, which no other has.
        label: Its name in reports.
        layer_name: The name of the layer that it is in.
        step: The step that multiplies with it.
        original: The layer that holds the original's kernel.
        blocks: The copy's kernel, cut in blocks.
        norm: The copy's batch norm behind it, `None` for none.
        around: What follows the step.
    """

    name: str
    label: str
    layer_name: str
    step: int
    original: Any
    blocks: Blocks
    norm: Any
    around: Around

    @property
    def scale(self) -> np.ndarray | None:
        """What a batch norm multiplies each output by."""
        return None if self.norm is None else norm_slope(self.norm)

    @property
    def has_free_bias(self) -> bool:
        """Whether outputs can be shifted."""
        return self.norm is not None or self._bias is not None

    @property
    def _bias(self) -> Any | None:
        return own_bias(self.blocks.kernel)

    def assign(self, weights: np.ndarray, by: np.ndarray | None) -> Any:
        """Sets the copy's weights and shifts its outputs.

        Args:
            weights: Array (inputs, outputs).
            by: What to add to the outputs, `None` for nothing.

        Returns:
            Function that undoes it.
        """
        before = self.blocks.weights()
        self.blocks.assign(weights)
        back = shift(self._bias, self.norm, by) if by is not None else None

        def undo() -> None:
            self.blocks.assign(before)
            if back is not None:
                back()

        return undo


def in_order(sweep: Sweep, targets: Sequence[Target]) -> Iterator[Target]:
    """Yields kernels as they are called, the sweep standing before each.

    Args:
        sweep: The models, before the first target's step.
        targets: Kernels, in order of the steps.

    Yields:
        The targets; those of one step in the order of its inner calls.
    """
    for step, group in itertools.groupby(targets, lambda target: target.step):
        sweep.advance(step)
        members = list(group)
        if len(members) > 1:
            owners = [each.blocks.kernel.owner for each in members]
            order = sweep.called(owners)
            rest = [i for i in range(len(members)) if i not in order]
            members = [members[i] for i in order + rest]
        yield from members


class Seen(NamedTuple):
    """What data show of a kernel.

    Attributes:
        problem: The least squares problem.
        places: At how many places of a sample the kernel is multiplied.
    """

    problem: Problem | RowProblem
    places: int


def problem_of(
    sweep: Sweep,
    target: Target,
    weights: np.ndarray,
    settings: Settings,
    wanted_by: np.ndarray | None = None,
    held_out: Sequence[int] = (),
    joined: bool = True,
) -> Seen | None:
    """Sums up what a kernel reads and is wanted to give.

    The sweep stands before the target's step. The last of its models is the one
    that is pruned, the first the one whose outputs are wanted; with one model
    these are the same.

    Args:
        sweep: The models.
        target: The kernel.
        weights: The original's weights.
        settings: How many rows, and the ridge.
        wanted_by: The original's weights where it has other inputs than the
            copy, `weights` being the copy's. Defaults to `None`: `weights`.
        held_out: Batches that are held out to choose the ridge by; for kernels
            of more inputs than the settings' `most_inputs` it isn't chosen.
            Defaults to none.
        joined: Whether these are fitted to as well, once it is chosen.

    Returns:
        The least squares problem; `None` if the layer can't be seen.

    Raises:
        ValueError: If a value isn't finite.
    """
    owners = [target.original, target.blocks.kernel.owner][
        -len(sweep.programs) :
    ]
    rng = np.random.default_rng([settings.seed, target.step])
    most = settings.rows
    wanted_by = weights if wanted_by is None else wanted_by
    is_wide = len(weights) > settings.most_inputs
    batches = list(range(sweep.batches))
    if is_wide:
        most = min(most, most_rows(len(weights)))
        if not joined:
            batches = [batch for batch in batches if batch not in held_out]
        held_out = ()
    offered = sum(sweep.sizes[batch] for batch in batches)
    sums: GramSums | RowStack | None = None
    aside = GramSums(*weights.shape) if held_out else None
    for batch in batches:
        reads = sweep.inputs_of(owners, batch)
        if reads is None:
            return None
        inputs = reads.values
        places = places_of(target.blocks.kernel, inputs[0].shape)
        each = min(-(-most // offered), places.count)
        if sums is None:
            sums = (
                RowStack(len(weights), each * offered)
                if is_wide
                else GramSums(*weights.shape)
            )
        visible = None if reads.mask is None else places.visible(reads.mask)
        samples = len(inputs[0])
        at = spread_places(places.count, each, samples, rng, visible)
        rows = [places.rows(value, at) for value in inputs]
        wanted = rows[0] @ wanted_by
        if len(rows) > 1:
            wanted += _lost(sweep, target, batch, places, at)
        if visible is not None:
            # What is filled up to a common length is no data.
            shown = visible[np.arange(samples)[:, None], at].ravel()
            rows, wanted = [value[shown] for value in rows], wanted[shown]
        if not (np.isfinite(wanted).all() and np.isfinite(rows[-1]).all()):
            raise ValueError(
                "`data` must give finite values throughout the model. Received:"
                f" NaN or infinity at the layer `{target.label}`."
            )
        own = aside if aside is not None and batch in held_out else sums
        own.add(rows[-1], wanted)
    ridge = settings.ridge
    if isinstance(sums, GramSums) and aside is not None:
        if settings.compensate and sums.count and aside.count:
            free = settings.correct_biases and target.has_free_bias
            ridge = _best_ridge(sums, aside, target, weights, free)
        if joined or not sums.count:
            sums.join(aside)
    if sums is None or not sums.count:
        return None
    free_bias = settings.correct_biases and target.has_free_bias
    problem = sums.problem(ridge, weights, free_bias)
    return Seen(problem, places.count)


def _best_ridge(
    sums: GramSums,
    aside: GramSums,
    target: Target,
    weights: np.ndarray,
    free_bias: bool,
) -> float:
    """Returns the ridge that does best on rows that were not fitted to.

    Every other row group stands for those that will be left.
    """
    rows, columns = target.blocks.row_groups, target.blocks.column_groups
    kept = np.zeros(target.blocks.shape, bool)
    kept[::2] = True
    scale = 1.0 if target.scale is None else target.scale
    errors = []
    for ridge in _RIDGES:
        problem = sums.problem(ridge, weights, free_bias)
        solved = problem.refit(kept, rows, columns)
        squares = aside.errors(solved, problem.bias(solved))
        errors.append(float(np.sum(squares * np.square(scale))))
    return _RIDGES[int(np.argmin(errors))]


def _lost(
    sweep: Sweep, target: Target, batch: int, places: Any, at: np.ndarray
) -> np.ndarray:
    """What is added behind the layer has lost, for the layer to make up for."""
    total = np.zeros((1, 1), np.float32)
    for place in target.around.added:
        lost = sweep.value(0, batch, place) - sweep.value(1, batch, place)
        total = total + places.outputs(lost, at)
    if target.scale is not None:
        # Where the batch norm lets nothing through, nothing can be made up.
        slope = target.scale
        passing = np.abs(slope) > 1e-6
        total = total * np.where(passing, 1 / np.where(passing, slope, 1), 0)
    return total.astype(np.float32)


def orders(
    problem: Problem | RowProblem, target: Target, settings: Settings
) -> list[Removal]:
    """Returns the order of removal within each block of columns."""
    blocks = target.blocks
    groups = blocks.row_groups, blocks.column_groups
    if not settings.compensate:
        return problem.removals_without_refit(*groups, target.scale)
    return problem.removals(*groups, target.scale)


def kept_after(found: list[Removal], count: int) -> np.ndarray:
    """Returns which blocks are left when the cheapest so many are gone.

    Args:
        found: The order of removal within each block of columns.
        count: How many go, over all columns.

    Returns:
        Boolean array (row groups, blocks of columns).
    """
    kept = np.ones((len(found[0].order), len(found)), bool)
    gone = cheapest_first([removal.cost for removal in found], count)
    for column, (removal, number) in enumerate(zip(found, gone)):
        kept[removal.order[:number], column] = False
    return kept


def fitted(
    problem: Problem | RowProblem,
    target: Target,
    weights: np.ndarray,
    kept: np.ndarray,
    settings: Settings,
) -> tuple[np.ndarray, np.ndarray | None]:
    """Returns the weights for the blocks that are left, and a shift of outputs.

    Args:
        problem: The least squares problem.
        target: The kernel.
        weights: The original's weights.
        kept: Boolean array (row groups, blocks of columns).
        settings: Whether the weights are solved for.
    """
    rows, columns = target.blocks.row_groups, target.blocks.column_groups
    if settings.compensate:
        left = problem.refit(kept, rows, columns)
    else:
        left = weights * kept[np.ix_(rows, columns)]
    return left, problem.bias(left)
