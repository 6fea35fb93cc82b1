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
"""`prune_structured`: removes whole units."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from tfmot_sapp.base.checks import (
    check_callable,
    check_count,
    check_flag,
    check_instance,
    check_steps,
)
from tfmot_sapp.base.progress import Progress
from tfmot_sapp.calibration.data import held_batches, inputs_of
from tfmot_sapp.calibration.sweep import Held, Store
from tfmot_sapp.frameworks.kernels import find_kernels, kernel_name
from tfmot_sapp.frameworks.pruning_record import record_skipped
from tfmot_sapp.frameworks.training_wrappers import check_unwrapped
from tfmot_sapp.frameworks.walking import flatten_layers
from tfmot_sapp.frameworks.which_keras import check_model, is_model
from tfmot_sapp.structured.collect import collect
from tfmot_sapp.structured.criteria import (
    Criterion,
    ISpaSP,
    check_criterion,
    check_selected,
)
from tfmot_sapp.structured.in_order import removed_in_order
from tfmot_sapp.structured.keep import counts_of, kept_units
from tfmot_sapp.structured.opening import opened_for, reasons_by_layer
from tfmot_sapp.structured.reconstruct import Reconstruct
from tfmot_sapp.structured.shrink import shrink
from tfmot_sapp.units.groups import find_groups

# Two models are run side by side then, and what lies between layers is held.
_REFIT_BATCH = 16


def prune_structured(
    model: Any,
    data: Any,
    keep: Any,
    criterion: Criterion | None = None,
    refit: bool | Reconstruct = False,
    rounds: int = 1,
    fine_tune: Callable[[Any], Any] | None = None,
    batch_size: int = 64,
    verbose: bool = True,
) -> Any:
    """Removes whole units: neurons, filters and attention heads.

    What is returned is a smaller dense model, faster on any runtime. Surviving
    weights are copied, unless `refit` solves for the outgoing ones. Units that
    are multiplied with each other, as a channel and its gate of squeeze and
    excitation, go together. Nested models, and layers of Keras 3 that are made
    of others, as the blocks of a transformer, come apart where units inside of
    them go: their layers are then in the smaller model's own graph.

    Args:
        model: A built Sequential or Functional model of either Keras.
        data: Calibration inputs: an array, a tuple of arrays for a model of
            several inputs, a `tf.data.Dataset` or any iterable of batches. Of
            batches that are tuples the first member is taken as the input, as
            `fit` does.
        keep: Share of the units to keep, in (0, 1]; shares by layer name or
            pattern, other layers staying whole; a `FlopsBudget` or a
            `ParameterBudget` for the whole model.
        criterion: What chooses the units. Defaults to `ISpaSP()`.
        refit: Whether the kept outgoing weights and their biases are solved by
            least squares, so that what they give, added to the shortcut of a
            residual block where there is one, is closest to what it was on the
            data. Layers are then dealt with one after the other, so that each
            makes up for those before it, from up to about 20,000 places of the
            data.
            With a `Reconstruct` the incoming weights are fitted as well.
        rounds: Number of rounds in which the units go.
        fine_tune: Called with the model after each round; returns the model, or
            `None` for the one it was given.
        batch_size: Samples a batch, where `data` is arrays.
        verbose: Whether progress is shown.

    Returns:
        A model of the same Keras, compiled as `model` is, by the rules of
        `tfmot_sapp.strip_pruning`. `tfmot_sapp.report` tells which layers were
        left alone and why.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If an argument is out of range, the model's graph can't be
            read, it has no removable units, or there is no data.

    Example:

    >>> import keras, numpy as np
    >>> model = keras.Sequential(
    ...     [keras.Input((4,)), keras.layers.Dense(8, "relu", name="hidden"),
    ...      keras.layers.Dense(2)])
    >>> smaller = prune_structured(
    ...     model, np.ones((16, 4), "float32"), keep=0.5, verbose=False)
    >>> smaller.get_layer("hidden").units
    4
    """
    criterion = check_criterion(ISpaSP() if criterion is None else criterion)
    rounds = check_steps(rounds, "rounds", least=1)
    batch_size = check_count(batch_size, "batch_size")
    verbose = check_flag(verbose, "verbose")
    if fine_tune is not None:
        check_callable(fine_tune, "fine_tune", "a function of a model", 1)
    check_instance(
        refit,
        "refit",
        (bool, Reconstruct),
        "a bool or a `tfmot_sapp.Reconstruct`",
    )
    names = list(keep) if isinstance(keep, Mapping) else None
    check_unwrapped(check_model(model))
    model, found = opened_for(model, find_groups(model), names)
    if not found.groups:
        reasons = "; ".join(
            f"{name}: {why}" for name, why in found.left_alone.items()
        )
        raise ValueError(
            "`model` has no units that can be removed. Received: "
            f"`{model.name}` ({reasons})."
        )
    named = {group.name: group for group in found.groups}
    targets = counts_of(model, named, keep)
    sizes = {name: named[name].units for name in targets}
    original = model
    with Store() as store, Progress(verbose) as progress:
        size = min(batch_size, _REFIT_BATCH) if refit else batch_size
        batches, _ = held_batches(model, data, size, store)
        for turn in range(1, rounds + 1):
            counts = {
                name: targets[name]
                if turn == rounds
                else kept_units(
                    sizes[name],
                    (targets[name] / sizes[name]) ** (turn / rounds),
                )
                for name in targets
            }
            label = f"removing units, round {turn} of {rounds}"
            if refit:
                model = removed_in_order(
                    model,
                    counts,
                    criterion,
                    batches,
                    store,
                    refit,
                    progress,
                    label,
                )
            else:
                model = _removed(
                    model, counts, criterion, batches, progress, label
                )
            if fine_tune is not None:
                model = _tuned(model, fine_tune)
    if model is original:
        # Every unit stays; what is returned is a model of its own all the same.
        model = shrink(model, {}, {})
    record_skipped(model, _reasons_by_kernel(model, found.left_alone))
    return model


def _tuned(model: Any, fine_tune: Callable[[Any], Any]) -> Any:
    tuned = fine_tune(model)
    if tuned is None:
        return model
    check_model(tuned, "fine_tune(model)")
    shapes, found = (
        [tuple(weight.shape) for weight in each.weights]
        for each in (model, tuned)
    )
    if found != shapes:
        raise ValueError(
            "`fine_tune(model)` must be the model that it was given, trained, "
            f"with weights of shapes {shapes}. Received: {found}."
        )
    return tuned


def _reasons_by_kernel(model: Any, reasons: dict[str, str]) -> dict[str, str]:
    """Returns reasons by the names that reports have for kernels."""
    found: dict[str, str] = {}
    by_layer, seen = reasons_by_layer(model, reasons), set()
    for layer in flatten_layers(model):
        if is_model(layer):
            continue
        kernels = find_kernels(layer)
        for kernel in kernels:
            reason = by_layer.get(id(layer), by_layer.get(id(kernel.owner)))
            # A layer comes before those inside of it, which reports name by it.
            if reason is not None and id(kernel.variable) not in seen:
                seen.add(id(kernel.variable))
                found[kernel_name(layer.name, kernel, kernels)] = reason
    return found


def _removed(
    model: Any,
    counts: Mapping[str, int],
    criterion: Criterion,
    batches: Sequence[Sequence[Held]],
    progress: Progress,
    label: str,
) -> Any:
    """Removes units of all groups at once, the other weights as they are."""
    if not counts:
        return model
    groups = {group.name: group for group in find_groups(model).groups}
    step = progress.start(label, len(batches))

    def read() -> Iterator[Any]:
        for batch in batches:
            yield inputs_of(batch)
            step()

    chosen = [groups[name] for name in groups if name in counts]
    statistics = collect(model, chosen, read(), criterion.needs_gram)
    kept = {
        name: check_selected(
            criterion.select(found, counts[name]),
            groups[name].units,
            counts[name],
        )
        for name, found in statistics.items()
    }
    return shrink(model, groups, kept)
