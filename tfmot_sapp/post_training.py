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
"""`prune_post_training`: blocks of a trained model removed without training.

The model is copied and its kernels are dealt with in order of execution. Each
is fitted to the outputs that the original has at its place, by least squares on
what the pruned copy gives it to read, so that it makes up for what was lost
before it as well as for its own blocks.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from rich.progress import Progress

from tfmot_sapp.allocation import Allocation, validate_allocation
from tfmot_sapp.block_size import (
    BlockSizeLike,
    match_name,
    validate_block_size,
)
from tfmot_sapp.calibration.data import held_batches
from tfmot_sapp.calibration.fitting import (
    Settings,
    Target,
    fitted,
    in_order,
    kept_after,
    orders,
    problem_of,
)
from tfmot_sapp.calibration.programs import Program, program_of
from tfmot_sapp.calibration.sensitivity import (
    block_scores,
    sensitivities,
    spread,
)
from tfmot_sapp.calibration.sweep import Held, Store, Sweep
from tfmot_sapp.calibration.targets import find_targets, nothing_to_prune
from tfmot_sapp.clone import Cloner
from tfmot_sapp.distillation import Distillation, distill_to
from tfmot_sapp.frameworks import is_model
from tfmot_sapp.policy import MinimumBlocks, validate_policy
from tfmot_sapp.report import remember_skipped
from tfmot_sapp.schedule import validate_sparsity, validate_step
from tfmot_sapp.selection import kept_blocks

# How many samples the rest of the network is run on to weigh the layers.
_PROBED_SAMPLES = 64


def prune_post_training(
    model: Any,
    data: Any,
    sparsity: float | Mapping[str, float] | None = None,
    block_size: BlockSizeLike | None = None,
    compensate: bool = True,
    *,
    allocation: Allocation | None = None,
    pruning_policy: Any = None,
    distill: Distillation | None = None,
    logits: bool = False,
    batch_size: int = 32,
    rows: int = 20_000,
    verbose: bool = True,
) -> Any:
    """Removes blocks of a trained model, without labels and without training.

    A few hundred samples are enough. Kernels of Dense, convolutions and
    EinsumDense are pruned, those inside of attention, nested and subclassed
    models included. Blocks go by what their loss costs after the weights that
    are left have made up for it (block OBS; "ZipLM", arXiv 2302.04089), layers
    are weighed against each other by what their errors do to the model's
    output, and what is left is fitted to the outputs of the original. A batch
    norm behind a layer takes the place of a bias that it lacks; the sum behind
    a residual branch is what is fitted there.

    The data are read once. Values between layers are held, in memory up to a
    gigabyte and in temporary files beyond it.

    Args:
        model: A built model of either Keras. It stays as it is.
        data: Inputs: an array; a tuple or dictionary of arrays for a model of
            several inputs; a `tf.data.Dataset`, a generator or any iterable of
            batches. Of batches that are tuples the first member is taken as the
            input, as `fit` does.
        sparsity: Fraction of the blocks to remove, over all kernels that are
            pruned; or fractions by layer name or pattern, other layers staying
            whole. May be left out where `allocation` has `targets`.
        block_size: As for `tfmot_sapp.prune_blocks`. Defaults to `(32, 32)`.
        compensate: Whether the weights that are left make up for those that
            go. Otherwise they stay as they are, and blocks go by what their
            loss costs then.
        allocation: How many blocks each kernel keeps, and where, such as
            `UniformAllocation()`. Defaults to weighing the layers against each
            other.
        pruning_policy: Which layers are pruned, an object with TF-MOT's
            `PruningPolicy` protocol. Defaults to `MinimumBlocks(100)`.
        distill: Training towards the original's outputs that follows. Defaults
            to none.
        logits: Whether the model's outputs are logits of classes. Layers are
            then weighed by the divergence of the classes' probabilities, as
            they are for a model that ends in a softmax; otherwise by the
            squared change of the outputs, which tells less of a classifier.
        batch_size: Samples a batch, where `data` is arrays.
        rows: About how many rows of what a layer reads are used, taken at
            random places of all samples.
        verbose: Whether progress is shown.

    Returns:
        A model of the same Keras, not compiled, with exact zeros in removed
        blocks. `tfmot_sapp.report` tells which layers were left alone and why.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If an argument is out of range, nothing can be pruned, or
            the data have no sample or don't fit the model.

    Example:

    >>> import keras, numpy as np
    >>> model = keras.Sequential(
    ...     [keras.Input((32,)), keras.layers.Dense(64, "relu", name="hidden"),
    ...      keras.layers.Dense(4)])
    >>> data = np.random.default_rng(0).normal(size=(100, 32))
    >>> pruned = prune_post_training(
    ...     model, data, sparsity=0.5, block_size=(4, 4), verbose=False)
    >>> kernel = pruned.get_layer("hidden").kernel.numpy()
    >>> int(np.count_nonzero(kernel)), kernel.size
    (1024, 2048)
    """
    _validate_model(model)
    aims = _Aims.of(sparsity, allocation)
    policy = (
        MinimumBlocks()
        if pruning_policy is None
        else validate_policy(pruning_policy)
    )
    policy.ensure_model_supports_pruning(model)
    size = validate_block_size((32, 32) if block_size is None else block_size)
    batch_size = validate_step(batch_size, "batch_size", least=1)
    rows = validate_step(rows, "rows", least=1)
    if distill is not None and not isinstance(distill, Distillation):
        raise TypeError(
            "`distill` must be a `tfmot_sapp.Distillation`. "
            f"Received: distill={distill!r} of type {type(distill).__name__}."
        )
    copy = Cloner(lambda layer, copied: copied(layer)).clone(model)
    with (
        Store() as store,
        Progress(disable=not verbose, transient=True) as progress,
    ):
        batches, structure = held_batches(model, data, batch_size, store)
        job = _Job(
            [program_of(model, structure), program_of(copy, structure)],
            batches,
            store,
            Settings(rows=rows, compensate=bool(compensate)),
            bool(logits),
        )
        targets, reasons = find_targets(job.programs, policy, size, aims.wants)
        job.prune(targets, aims, reasons, progress)
        if distill is not None:
            inputs = [[value.get() for value in batch] for batch in batches]
            distill_to(model, copy, inputs, distill, progress)
    remember_skipped(copy, reasons)
    return copy


@dataclasses.dataclass(frozen=True)
class _Aims:
    """How many blocks are to go."""

    sparsity: float
    by_name: Mapping[str, float] | None
    allocation: Allocation | None

    @classmethod
    def of(cls, sparsity: Any, allocation: Any) -> "_Aims":
        if allocation is not None:
            validate_allocation(allocation)
        targets = getattr(allocation, "targets", None)
        if sparsity is None:
            if not targets:
                raise ValueError(
                    "`sparsity` must be a fraction of the blocks, or fractions "
                    "by layer name, unless `allocation` has `targets`. "
                    f"Received: sparsity=None, allocation={allocation!r}."
                )
            sparsity = dict(targets)
        if isinstance(sparsity, Mapping):
            by_name = {
                str(name): validate_sparsity(value, f"sparsity[{name!r}]")
                for name, value in sparsity.items()
            }
            return cls(0.0, by_name, allocation)
        return cls(validate_sparsity(sparsity, "sparsity"), None, allocation)

    def own(self, name: str, layer_name: str) -> float | None:
        """Returns the sparsity that is given for a kernel."""
        if self.by_name is None:
            return None
        found = match_name(self.by_name, name)
        return match_name(self.by_name, layer_name) if found is None else found

    def wants(self, name: str, layer_name: str) -> bool:
        """Returns whether a kernel is to lose blocks at all."""
        return self.by_name is None or bool(self.own(name, layer_name))


def _validate_model(model: Any) -> None:
    if not is_model(model):
        raise TypeError(
            "`model` must be a model of Keras 3 or tf_keras. "
            f"Received: {model!r} of type {type(model).__name__}."
        )
    if not model.built:
        raise ValueError(
            "`model` must be built, since it is pruned as it was trained. "
            f"Received: `{model.name}`, not built. Call it on data once."
        )


@dataclasses.dataclass
class _Job:
    """One call of `prune_post_training`."""

    programs: list[Program]
    batches: Sequence[Sequence[Held]]
    store: Store
    settings: Settings
    logits: bool

    def prune(
        self,
        targets: list[Target],
        aims: _Aims,
        reasons: dict[str, str],
        progress: Progress,
    ) -> None:
        """Prunes the copy."""
        counts = self._counts(targets, aims, reasons, progress)
        if not counts:
            raise ValueError(nothing_to_prune(reasons))
        task = progress.add_task("fitting layers", total=len(counts))
        sweep = Sweep(self.programs, self.batches, self.store)
        for target in in_order(sweep, targets):
            if target.name not in counts:
                continue
            self._fit(sweep, target, counts[target.name], aims, reasons)
            progress.advance(task)

    def _counts(
        self,
        targets: list[Target],
        aims: _Aims,
        reasons: dict[str, str],
        progress: Progress,
    ) -> dict[str, int]:
        """Returns how many blocks of each kernel go."""
        blocks = {each.name: each.blocks.grid.num_blocks for each in targets}
        if aims.by_name is not None:
            return {
                name: n
                - kept_blocks(n, aims.own(name, name.split("/")[0]) or 0)
                for name, n in blocks.items()
            }
        probes = 0 if aims.allocation else self._probes
        task = progress.add_task("weighing layers", total=len(targets))
        found, unseen = sensitivities(
            Sweep(self.programs[1:], self.batches, self.store),
            targets,
            self.settings,
            probes,
            self.logits,
            lambda: progress.advance(task),
        )
        reasons.update(dict.fromkeys(unseen, _UNSEEN))
        if aims.allocation is None:
            total = sum(each.num_blocks for each in found)
            remove = total - kept_blocks(total, aims.sparsity)
            chosen = spread(found, remove) if found else []
            return {each.name: n for each, n in zip(found, chosen)}
        shapes = {each.name: each.blocks for each in targets}
        scores = {
            each.name: shapes[each.name].over_grid(block_scores(each.removals))
            for each in found
        }
        masks = aims.allocation.allocate(
            scores,
            {
                name: np.ones(score.shape, bool)
                for name, score in scores.items()
            },
            aims.sparsity,
            aims.sparsity,
        )
        return {name: int(np.sum(~mask)) for name, mask in masks.items()}

    @property
    def _probes(self) -> int:
        """Number of batches that the layers are weighed on."""
        return -(-_PROBED_SAMPLES // self.batches[0][0].samples)

    def _fit(
        self,
        sweep: Sweep,
        target: Target,
        count: int,
        aims: _Aims,
        reasons: dict[str, str],
    ) -> None:
        """Removes blocks of one kernel and fits the others."""
        weights = target.blocks.weights()
        problem = problem_of(sweep, target, weights, self.settings)
        if problem is None:
            reasons[target.name] = _UNSEEN
            return
        order = orders(problem, target, weights, self.settings)
        kept = kept_after(order, count)
        if aims.allocation is not None and count:
            scores = target.blocks.over_grid(block_scores(order))
            mask = aims.allocation.allocate(
                {target.name: scores},
                {target.name: np.ones(scores.shape, bool)},
                count / target.blocks.grid.num_blocks,
            )[target.name]
            kept = target.blocks.from_grid(mask)
        target.assign(*fitted(problem, target, weights, kept, self.settings))
        sweep.changed.add(target.step)
        if target.around.norm is not None:
            sweep.changed.add(target.around.norm)


_UNSEEN = (
    "what it reads can't be seen: it is not called, more than once, or inside "
    "a compiled function"
)
