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
"""`prune_post_training`: blocks of a trained model removed without labels."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tfmot_sapp.allocations.allocation import Allocation, check_allocation
from tfmot_sapp.base.checks import check_count, check_flag, check_instance
from tfmot_sapp.base.container_checks import check_tuple
from tfmot_sapp.base.progress import Progress
from tfmot_sapp.base.wording import received
from tfmot_sapp.blocks.block_size import BlockSizeLike, check_block_size
from tfmot_sapp.calibration.batch_statistics import reestimate
from tfmot_sapp.calibration.data import held_batches
from tfmot_sapp.calibration.fitting import Settings
from tfmot_sapp.calibration.held_out import in_parts, probed_samples
from tfmot_sapp.calibration.padding import effective_positions
from tfmot_sapp.calibration.programs import program_of
from tfmot_sapp.calibration.prune_kernels import (
    Calibration,
    prune_kernels,
    weigh,
)
from tfmot_sapp.calibration.savings import Saving, multiply_adds, parameters
from tfmot_sapp.calibration.sweep import Store
from tfmot_sapp.calibration.targets import find_targets
from tfmot_sapp.calibration.wanted_sparsity import WantedSparsity
from tfmot_sapp.frameworks.compiling import keep_out_of_files
from tfmot_sapp.frameworks.copying import same_layer
from tfmot_sapp.frameworks.pruning_record import record_rows
from tfmot_sapp.frameworks.which_keras import check_model
from tfmot_sapp.structured.keep import FlopsBudget, ParameterBudget
from tfmot_sapp.training.distillation import Distillation, distill_to
from tfmot_sapp.training.policy import MinimumBlocks, check_policy
from tfmot_sapp.training.pruning_group import pruned_layers
from tfmot_sapp.training.pruning_rows import zero_rows


def prune_post_training(
    model: Any,
    data: Any,
    sparsity: Any = None,
    block_size: BlockSizeLike | None = None,
    compensate: bool = True,
    **plan: Any,
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

    A ridge draws the weights towards the old ones. Of 64 samples or more a
    quarter is held out to choose it by and to weigh the layers, and is fitted
    to afterwards.

    The data are read once. Values between layers are held, in memory up to a
    gigabyte and in temporary files beyond it.

    Args:
        model: A built model of either Keras. It stays as it is.
        data: Inputs: an array; a tuple or dictionary of arrays for a model of
            several inputs; a `tf.data.Dataset`, a generator or any iterable of
            batches. Of batches that are tuples the first member is taken as the
            input, as `fit` does. Positions that a Keras mask leaves out, such
            as those an `Embedding(mask_zero=True)` makes of padding, are not
            fitted to, nor positions of sequences that have no effect on the
            model's outputs, such as padding that it is told of otherwise.
        sparsity: Fraction of the blocks to remove, over all kernels that are
            pruned; or fractions by layer name or pattern, other layers staying
            whole; or a `FlopsBudget` or a `ParameterBudget` for the whole model
            without its removed blocks, met by the best trade over layers. May
            be left out where `allocation` has `targets`.
        block_size: As for `tfmot_sapp.prune_blocks`: one for all layers, or a
            dictionary by layer name or pattern. Defaults to `(32, 32)`.
        compensate: Whether the weights that are left make up for those that
            go. Otherwise they stay as they are, and blocks go by what their
            loss costs then.
        **plan: Options, by name:

            * `allocation`: How many blocks each kernel keeps, and where, such
              as `UniformAllocation(targets={"hidden": 0.5})`. Defaults to
              weighing the layers against each other.
            * `pruning_policy`: Which layers are pruned, as for `prune_blocks`.
              Defaults to `MinimumBlocks(100)`.
            * `correct_biases`: Whether biases, or the means of batch norms
              where there are none, make up for the mean of what is lost.
              Defaults to `compensate`.
            * `reestimate_statistics`: Whether the means and variances of batch
              norms follow what has changed of them on the data. Defaults to
              `False`.
            * `distill`: A `Distillation`, training towards the original's
              outputs that follows. Defaults to none.
            * `logits`: Whether the model's outputs are logits of classes.
              Layers are then weighed by the divergence of the classes'
              probabilities, as they are for a model that ends in a softmax;
              otherwise by the squared change of the outputs, which tells less
              of a classifier. Defaults to `False`.
            * `batch_size`: Samples a batch, where `data` is arrays. Defaults to
              32.
            * `rows`: About how many rows of what a layer reads are used, taken
              at random places of all samples. Defaults to 20,000.
            * `verbose`: Whether progress is shown. Defaults to `True`.

    Returns:
        A model of the same Keras with exact zeros in removed blocks, compiled
        as `model` is, by the rules of `tfmot_sapp.strip_pruning`.
        `tfmot_sapp.report` tells which layers were left alone and why.

    Raises:
        TypeError: If an argument has the wrong type, or there is no such one.
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
    options = _options(plan)
    wanted = _wanted(sparsity, options.allocation)
    (pruned,) = pruned_models(
        model, data, [wanted], block_size, compensate, options
    )
    return pruned


def prune_family(
    model: Any,
    data: Any,
    sparsities: Sequence[Any],
    block_size: BlockSizeLike | None = None,
    compensate: bool = True,
    **plan: Any,
) -> list[Any]:
    """Removes more and more blocks of a trained model, from one calibration.

    As `prune_post_training` for each of several sparsities, but the data are
    read once and the layers weighed once, which takes most of the time.

    Args:
        model: As for `prune_post_training`.
        data: As for `prune_post_training`.
        sparsities: Fractions of the blocks to remove, or budgets, at least one.
        block_size: As for `prune_post_training`.
        compensate: As for `prune_post_training`.
        **plan: As for `prune_post_training`.

    Returns:
        A model for each sparsity.

    Raises:
        TypeError: As `prune_post_training`; or if `sparsities` is no list.
        ValueError: As `prune_post_training`; or if there is none.

    Example:

    >>> import keras, numpy as np
    >>> model = keras.Sequential(
    ...     [keras.Input((32,)), keras.layers.Dense(64), keras.layers.Dense(4)])
    >>> data = np.random.default_rng(0).normal(size=(100, 32))
    >>> family = prune_family(
    ...     model, data, [0.5, 0.75], (4, 4), verbose=False)
    >>> len(family)
    2
    """
    options = _options(plan)
    what = "a list of fractions of the blocks to remove, or of budgets"
    wanted = check_tuple(
        sparsities,
        "sparsities",
        lambda each, name: _wanted(each, options.allocation),
        what,
    )
    if not wanted:
        raise ValueError(
            f"`sparsities` must be {what}, at least one. "
            f"{received('sparsities', sparsities)}"
        )
    return pruned_models(model, data, wanted, block_size, compensate, options)


# What a copy of the model is to lose, which may depend on the copy.
Wanted = Callable[[Any], WantedSparsity]


def pruned_models(
    model: Any,
    data: Any,
    wanted: Sequence[Wanted],
    block_size: BlockSizeLike | None,
    compensate: bool,
    options: "Options",
) -> list[Any]:
    """Returns a pruned copy of a model for each wanted sparsity.

    Args:
        model: As for `prune_post_training`.
        data: As for `prune_post_training`.
        wanted: What each copy is to lose.
        block_size: As for `prune_post_training`.
        compensate: As for `prune_post_training`.
        options: The options.
    """
    _check_model(model)
    size = check_block_size((32, 32) if block_size is None else block_size)
    compensate = check_flag(compensate, "compensate")
    options.pruning_policy.ensure_model_supports_pruning(model)
    correct = options.correct_biases
    settings = Settings(
        rows=options.rows,
        compensate=compensate,
        correct_biases=compensate if correct is None else correct,
    )
    pruned, weighed, effective = [], None, None
    with Store() as store, Progress(options.verbose) as progress:
        batches, structure = held_batches(
            model, data, options.batch_size, store
        )
        original = program_of(model, structure)
        for each in wanted:
            copy = same_layer(model)
            sparsity = each(copy)
            programs = [original, program_of(copy, structure)]
            targets, reasons = find_targets(
                programs, options.pruning_policy, size, sparsity
            )
            if effective is None:
                few = probed_samples(len(targets))
                batches = in_parts(model, batches, store, few)
                owners = [target.original for target in targets]
                effective = effective_positions(
                    model, owners, batches, structure
                )
            calibration = Calibration(
                programs,
                batches,
                store,
                settings,
                options.logits,
                effective,
            )
            if weighed is None and sparsity.by_name is None:
                probed = options.allocation is None
                weighed = weigh(calibration, targets, progress, probed)
            done, unseen = prune_kernels(
                calibration, targets, sparsity, progress, weighed
            )
            if options.reestimate_statistics:
                reestimate(calibration.sweep(programs))
            if options.distill is not None:
                inputs = [[value.get() for value in batch] for batch in batches]
                distill_to(
                    model, copy, inputs, structure, options.distill, progress
                )
            grids = {
                id(one.blocks.kernel.variable): one.blocks.grid for one in done
            }
            keep_out_of_files(copy)
            rows = zero_rows(copy, {**reasons, **unseen}, grids)
            record_rows(copy, tuple(rows))
            pruned.append(copy)
    return pruned


def _wanted(sparsity: Any, allocation: Allocation | None) -> Wanted:
    if not isinstance(sparsity, (FlopsBudget, ParameterBudget)):
        found = WantedSparsity.of(sparsity, allocation)
        return lambda copy: found
    if allocation is not None:
        raise ValueError(
            "`allocation` must not be given with a budget, which is met by "
            f"weighing layers. {received('allocation', allocation)}"
        )
    saved = parameters
    if isinstance(sparsity, FlopsBudget):
        saved = multiply_adds

    def of(copy: Any) -> WantedSparsity:
        whole = sparsity.measure(copy)
        share = sparsity.budget
        limit = share * whole if share <= 1 else share
        return WantedSparsity(
            0.0, None, None, saving=Saving(max(whole - limit, 0.0), saved)
        )

    return of


@dataclasses.dataclass(frozen=True)
class Options:
    """What `prune_post_training` takes by name."""

    allocation: Allocation | None = None
    pruning_policy: Any = MinimumBlocks()
    correct_biases: bool | None = None
    reestimate_statistics: bool = False
    distill: Distillation | None = None
    logits: bool = False
    batch_size: int = 32
    rows: int = 20_000
    verbose: bool = True

    def __post_init__(self) -> None:
        if self.allocation is not None:
            check_allocation(self.allocation)
        check_policy(self.pruning_policy)
        if self.correct_biases is not None:
            check_flag(self.correct_biases, "correct_biases")
        check_flag(self.reestimate_statistics, "reestimate_statistics")
        if self.distill is not None:
            check_instance(
                self.distill,
                "distill",
                Distillation,
                "a `tfmot_sapp.Distillation`, such as "
                "`tfmot_sapp.Distillation(steps=100)`",
            )
        check_flag(self.logits, "logits")
        check_count(self.batch_size, "batch_size")
        check_count(self.rows, "rows")
        check_flag(self.verbose, "verbose")


def _options(plan: Mapping[str, Any]) -> Options:
    known = [field.name for field in dataclasses.fields(Options)]
    for name, value in plan.items():
        if name not in known:
            raise TypeError(
                f"`{name}` must not be given: `prune_post_training` takes "
                f"{', '.join(f'`{option}`' for option in known)} by name. "
                f"{received(name, value)}"
            )
    # None is the default of `prune_blocks`.
    given = {
        name: value
        for name, value in plan.items()
        if name != "pruning_policy" or value is not None
    }
    return Options(**given)


def _check_model(model: Any) -> None:
    check_model(model)
    if not model.built:
        raise ValueError(
            "`model` must be built, since it is pruned as it was trained. "
            f"Received: `{model.name}`, not built. Call it on data once."
        )
    wrapped = [layer.name for layer in pruned_layers(model)]
    if wrapped:
        raise ValueError(
            f"`model` is being pruned already. Received: {wrapped}. Call "
            "`tfmot_sapp.strip_pruning` first to prune it once more."
        )
