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
"""What each layer's loss of blocks does to a network's output.

The order of removal gives the error of a layer's own output for any number of
blocks. How much of it reaches the network's output differs between layers by
orders of magnitude: in a residual branch most of it is drowned. So the error is
made at a few levels, the rest of the network run on a few batches, and the
change of its output noted; between the levels it is interpolated. These batches
are not fitted to: what a layer of many inputs has learned of few samples would
make its loss seem small.
"""

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np

from tfmot_sapp.calibration.block_obs import Removal
from tfmot_sapp.calibration.budgets import knapsack, marginal_costs
from tfmot_sapp.calibration.fitting import (
    Settings,
    Target,
    fitted,
    in_order,
    kept_after,
    orders,
    problem_of,
)
from tfmot_sapp.calibration.held_out import held_out_batches
from tfmot_sapp.calibration.sweep import Sweep

# At which shares of a layer's blocks the rest of the network is run.
LEVELS = (0.25, 0.5, 0.75)
# Into how many options a layer's blocks are divided for the choice.
_OPTIONS = 64


@dataclasses.dataclass(frozen=True)
class Sensitivity:
    """What one kernel's loss of blocks does.

    Attributes:
        name: The kernel's name.
        removals: The order of removal within each block of columns.
        damage: Array: the change of the network's output when so many of the
            kernel's blocks are gone, from none to all.
        places: At how many places of a sample the kernel is multiplied.
    """

    name: str
    removals: list[Removal]
    damage: np.ndarray
    places: int = 1

    @property
    def num_blocks(self) -> int:
        """Number of the kernel's blocks."""
        return len(self.damage) - 1


def sensitivities(
    sweep: Sweep,
    targets: Sequence[Target],
    settings: Settings,
    probes: int,
    logits: bool,
    done: Callable[..., None],
) -> tuple[list[Sensitivity], list[Target]]:
    """Measures kernels one by one, the others left whole.

    Args:
        sweep: A copy of the model, which is changed on the way and changed
            back.
        targets: The kernels, in order of execution.
        settings: How they are fitted.
        probes: On how many samples the rest of the network is run, rounded up
            to batches, of those that the kernels aren't fitted to if some are
            held out; with none, a layer's own error stands for the change of
            the output.
        logits: Whether the model's outputs are logits of classes.
        done: Called after each kernel.

    Returns:
        The kernels' sensitivities, and those that can't be seen.
    """
    held_out = held_out_batches(sweep.sizes)
    probed = _first(held_out or range(sweep.batches), sweep.sizes, probes)
    wanted = [sweep.outputs(0, batch) for batch in probed]
    found, unseen = [], []
    for target in in_order(sweep, targets):
        weights = target.blocks.weights()
        seen = problem_of(
            sweep, target, weights, settings, None, held_out, joined=False
        )
        if seen is None:
            unseen.append(target)
            done()
            continue
        problem = seen.problem
        order = orders(problem, target, settings)
        errors = error_curve(order)
        levels, changes = [], []
        for level in LEVELS if probes else ():
            count = round(level * (len(errors) - 1))
            kept = kept_after(order, count)
            solved, by = fitted(problem, target, weights, kept, settings)
            undo = target.assign(solved, by)
            given = [sweep.outputs(0, batch) for batch in probed]
            undo()
            levels.append(errors[count])
            changes.append(change_of_outputs(wanted, given, logits))
        change = damage(errors, levels, changes) if probes else errors
        found.append(Sensitivity(target.name, order, change, seen.places))
        done()
    return found, unseen


def _first(
    batches: Sequence[int], sizes: Sequence[int], samples: int
) -> list[int]:
    """Returns the first batches that have so many samples together."""
    found: list[int] = []
    for batch in batches:
        if sum(sizes[each] for each in found) >= samples:
            break
        found.append(batch)
    return found


def error_curve(order: Sequence[Removal]) -> np.ndarray:
    """Returns a layer's error over the number of blocks gone, from 0 to all."""
    costs = [marginal_costs(removal.cost) for removal in order]
    rising = np.sort(np.concatenate(costs))
    return np.concatenate([[0.0], np.cumsum(rising)])


def block_scores(order: Sequence[Removal]) -> np.ndarray:
    """Returns what each block is worth, to go by in an allocation.

    Args:
        order: The order of removal within each block of columns.

    Returns:
        Array (row groups, blocks of columns): what its removal costs, and a
        little more for each one that goes before it.
    """
    scores = np.empty((len(order[0].order), len(order)))
    for column, removal in enumerate(order):
        costs = marginal_costs(removal.cost)
        rank = 1e-9 * max(float(costs[-1]), 1e-300) * np.arange(len(costs))
        scores[removal.order, column] = costs + rank
    return scores


def change_of_outputs(
    wanted: Sequence[Sequence[np.ndarray]],
    given: Sequence[Sequence[np.ndarray]],
    logits: bool = False,
) -> float:
    """Returns by how much a network's outputs have changed.

    Args:
        wanted: The outputs of each batch, as they were.
        given: The outputs as they are.
        logits: Whether they are logits of classes.

    Returns:
        For probabilities or logits the mean divergence of Kullback and
        Leibler, for any other the squared change over the variance; the sum
        over outputs.
    """
    total = 0.0
    for before, after in zip(zip(*wanted), zip(*given)):
        old = np.concatenate(before).astype(np.float64)
        new = np.concatenate(after).astype(np.float64)
        if logits and old.shape[-1] > 1:
            old, new = _softmax(old), _softmax(new)
        if are_probabilities(old):
            ratio = np.log(np.maximum(old, 1e-12) / np.maximum(new, 1e-12))
            total += float(np.sum(old * ratio, axis=-1).mean())
        else:
            spread = np.square(old - old.mean(axis=0)).sum()
            spread = spread or np.square(old).sum() or 1.0
            total += float(np.square(old - new).sum() / spread)
    return total


def _softmax(values: np.ndarray) -> np.ndarray:
    powers = np.exp(values - values.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def are_probabilities(values: np.ndarray) -> bool:
    """Returns whether a network's outputs are probabilities of classes."""
    return (
        values.shape[-1] > 1
        and bool(np.all(values >= 0))
        and bool(np.allclose(values.sum(axis=-1), 1, atol=1e-3))
    )


def damage(
    errors: np.ndarray, levels: Sequence[float], changes: Sequence[float]
) -> np.ndarray:
    """Interpolates the change of the network's output, as a power of the error.

    Args:
        errors: Array: a layer's error over the number of blocks gone.
        levels: Errors at which the change was measured.
        changes: The changes.

    Returns:
        Array like `errors`, rising: below the first level in proportion to the
        error.
    """
    tiny = 1e-30
    known = np.log(np.maximum(levels, tiny))
    rising = np.log(np.maximum(np.maximum.accumulate(changes), tiny))
    at = np.log(np.maximum(errors, tiny))
    result = np.interp(at, known, rising)
    result = np.where(at < known[0], rising[0] + at - known[0], result)
    run = known[-1] - known[-2]
    slope = max((rising[-1] - rising[-2]) / run, 1.0) if run > 0 else 1.0
    beyond = rising[-1] + slope * (at - known[-1])
    result = np.where(at > known[-1], beyond, result)
    return np.where(errors > 0, np.exp(np.minimum(result, 600.0)), 0.0)


def spread(
    found: Sequence[Sensitivity],
    remove: float,
    savings: Sequence[np.ndarray] | None = None,
    most: float = 0.95,
) -> list[int]:
    """Chooses how many blocks each kernel loses.

    Args:
        found: The kernels' sensitivities.
        remove: How much is to be saved in all, in the units of `savings`.
        savings: For each kernel what is saved when so many blocks are gone,
            from none to all: multiply-adds or milliseconds, as measured.
            Defaults to the number of blocks.
        most: Largest share of a kernel's blocks that goes.

    Returns:
        The number of blocks of each kernel that go: together they save
        `remove` at the least change of the network's output.

    Raises:
        ValueError: If so much can't be saved.
    """
    in_blocks = savings is None
    if savings is None:
        savings = [np.arange(each.num_blocks + 1.0) for each in found]
    options, errors, prices = [], [], []
    for each, saved in zip(found, savings):
        top = max(min(round(most * each.num_blocks), each.num_blocks - 1), 0)
        gone = np.unique(np.round(np.linspace(0, top, _OPTIONS)).astype(int))
        options.append(gone)
        errors.append(each.damage[gone])
        prices.append(np.max(saved) - saved[gone])
    budget = sum(float(price[0]) for price in prices) - remove
    chosen = knapsack(errors, prices, budget, steps=8000)
    counts = [int(o[c]) for o, c in zip(options, chosen)]
    if in_blocks:
        _to_the_block(found, counts, round(remove), [o[-1] for o in options])
    return counts


def _to_the_block(
    found: Sequence[Sensitivity],
    counts: list[int],
    remove: int,
    most: Sequence[int],
) -> None:
    """Takes back, or adds, the few blocks that the options leave."""
    over = sum(counts) - remove
    while over:
        step = -1 if over > 0 else 1
        changes = [
            each.damage[count + step] - each.damage[count]
            if 0 <= count + step <= top
            else np.inf
            for each, count, top in zip(found, counts, most)
        ]
        counts[int(np.argmin(changes))] += step
        over += step
