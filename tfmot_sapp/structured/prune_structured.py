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

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
import tensorflow as tf
from rich.progress import track

from tfmot_sapp.base.checks import (
    check_callable,
    check_flag,
    check_instance,
    check_steps,
    check_whole,
)
from tfmot_sapp.base.wording import received
from tfmot_sapp.frameworks.kernels import find_kernels, kernel_name
from tfmot_sapp.frameworks.pruning_record import record_skipped
from tfmot_sapp.frameworks.walking import flatten_layers
from tfmot_sapp.structured.collect import collect
from tfmot_sapp.structured.criteria import (
    Criterion,
    ISpaSP,
    check_criterion,
    check_selected,
)
from tfmot_sapp.structured.keep import counts_of, kept_units
from tfmot_sapp.structured.reconstruct import Reconstruct, reconstructed
from tfmot_sapp.structured.refit import aimed, refitted
from tfmot_sapp.structured.shrink import shrink
from tfmot_sapp.units.groups import Group, find_groups


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
    weights are copied, unless `refit` solves for the outgoing ones.

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
            makes up for those before it, which reads the data once for each.
            With a `Reconstruct` the incoming weights are fitted as well.
        rounds: Number of rounds in which the units go.
        fine_tune: Called with the model after each round; returns the model, or
            `None` for the one it was given.
        batch_size: Samples a batch, where `data` is arrays.
        verbose: Whether progress is shown.

    Returns:
        A model of the same Keras. `tfmot_sapp.report` tells which layers were
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
    batch_size = check_whole(batch_size, "batch_size", least=1)
    verbose = check_flag(verbose, "verbose")
    if fine_tune is not None:
        check_callable(fine_tune, "fine_tune", "a function of a model")
    check_instance(
        refit,
        "refit",
        (bool, Reconstruct),
        "a bool or a `tfmot_sapp.Reconstruct`",
    )
    found = find_groups(model)
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
    _check_data(data)
    sizes = {name: named[name].units for name in targets}
    if (rounds > 1 or refit) and iter(data) is data:
        raise ValueError(
            "`data` must be there for every round, and for every layer that is "
            "refitted. Received: an iterator, which is used up after the "
            f"first, with rounds={rounds} and refit={refit}."
        )
    original = model
    for turn in range(1, rounds + 1):
        groups = {g.name: g for g in find_groups(model).groups}
        counts = {
            name: targets[name]
            if turn == rounds
            else kept_units(
                sizes[name], (targets[name] / sizes[name]) ** (turn / rounds)
            )
            for name in targets
        }
        # Refitting mends what the layers before have lost, too: one at a time.
        names = [name for name in groups if name in counts]
        steps = [[name] for name in names] if refit or not names else [names]
        model = _one_round(
            model,
            groups,
            counts,
            steps,
            lambda: _batches(data, batch_size),
            criterion,
            refit,
            f"round {turn} of {rounds}" if verbose else None,
        )
        if fine_tune is not None:
            model = fine_tune(model) or model
    if model is original:
        # Every unit stays; what is returned is a model of its own all the same.
        model = shrink(model, {}, {})
    record_skipped(model, _reasons_by_kernel(model, found.left_alone))
    return model


def _reasons_by_kernel(model: Any, reasons: dict[str, str]) -> dict[str, str]:
    """Returns reasons by the names that reports have for kernels."""
    found = {}
    for layer in flatten_layers(model):
        if layer.name in reasons:
            kernels = find_kernels(layer)
            for kernel in kernels:
                name = kernel_name(layer.name, kernel, kernels)
                found[name] = reasons[layer.name]
    return found


def _one_round(
    model: Any,
    groups: dict[str, Group],
    counts: dict[str, int],
    steps: list[list[str]],
    batches: Callable[[], Iterable[Any]],
    criterion: Criterion,
    refit: bool | Reconstruct,
    label: str | None,
) -> Any:
    """Removes units, the groups of one step together."""
    original = (model, groups) if refit else None
    for index, names in enumerate(steps, start=1):
        here = {g.name: g for g in find_groups(model).groups}
        data = batches()
        if label is not None:
            text = f"{label}, {index} of {len(steps)}"
            data = track(data, description=text, transient=True)
        statistics = collect(
            model,
            [here[name] for name in names],
            data,
            criterion.needs_gram or bool(refit),
            original,
        )
        if refit and criterion.needs_gram:
            # Losses are then those of the refit, not of copied weights.
            statistics = {
                name: aimed(here[name], found)
                for name, found in statistics.items()
            }
        kept = {
            name: check_selected(
                criterion.select(statistics[name], counts[name]),
                here[name].units,
                counts[name],
            )
            for name in names
        }
        weights = {}
        if refit:
            for name in names:
                weights.update(
                    refitted(here[name], statistics[name], kept[name])
                )
        model = shrink(model, here, kept, weights)
        if isinstance(refit, Reconstruct) and original:
            for name in names:
                reconstructed(model, name, original, batches(), refit)
    return model


def _batches(data: Any, batch_size: int) -> Iterator[Any]:
    """Yields batches of inputs."""
    if isinstance(data, (np.ndarray, tf.Tensor)):
        for start in range(0, len(data), batch_size):
            yield _finite(data[start : start + batch_size])
        return
    if isinstance(data, tuple) and data:
        for start in range(0, len(data[0]), batch_size):
            yield _finite([array[start : start + batch_size] for array in data])
        return
    for batch in data:
        yield _finite(batch[0] if isinstance(batch, tuple) else batch)


def _check_data(data: Any) -> None:
    if isinstance(data, (str, bytes)) or not hasattr(data, "__iter__"):
        raise TypeError(
            "`data` must be arrays, a `tf.data.Dataset` or an iterable of "
            f"batches. {received('data', data)}"
        )
    if isinstance(data, tuple) and not data:
        raise ValueError(
            "`data` must hold an array for each input of the model. "
            f"{received('data', data)}"
        )


def _finite(batch: Any) -> Any:
    """Returns a batch as tensors after checking that its values are finite."""
    tensors = tf.nest.map_structure(tf.convert_to_tensor, batch)
    for tensor in tf.nest.flatten(tensors):
        if tensor.dtype.is_floating and not bool(
            tf.reduce_all(tf.math.is_finite(tensor))
        ):
            raise ValueError(
                "`data` must hold finite values. Received: a batch of shape "
                f"{tuple(tensor.shape)} with NaN or infinite ones."
            )
    return tensors
