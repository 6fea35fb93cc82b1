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
"""`plan_pruning`: blocks and sparsities for a deadline, before training."""

import pathlib
from typing import Any

import numpy as np

from tfmot_sapp.base.checks import (
    check_count,
    check_flag,
    check_instance,
    check_pathlike,
    check_sparsity,
)
from tfmot_sapp.base.wording import received
from tfmot_sapp.frameworks.calls import is_graph
from tfmot_sapp.frameworks.which_keras import check_model
from tfmot_sapp.planning.layer_times import LayerTimes, MeasuredTimes
from tfmot_sapp.planning.moments import input_moments
from tfmot_sapp.planning.planned_model import PlannedModel
from tfmot_sapp.planning.planner import Planner
from tfmot_sapp.planning.pruning_plan import PruningPlan
from tfmot_sapp.planning.units import shares_of_units
from tfmot_sapp.targets.budgets import Budget, LatencyBudget, SizeBudget
from tfmot_sapp.targets.cpu_target import CpuTarget
from tfmot_sapp.targets.target import Target, check_target
from tfmot_sapp.training.pruning_group import pruned_layers

__all__ = ["PruningPlan", "plan_pruning"]


def plan_pruning(
    model: Any,
    budget: Budget,
    target: Target | None = None,
    batch_size: int = 1,
    data: Any = None,
    most_sparsity: float = 0.95,
    measure: bool = False,
    cache: Any = None,
) -> PruningPlan:
    """Plans which blocks each layer gets and how many of them go.

    Before training: from the shapes of the model's layers and the costs of the
    target, block shape and sparsity of every layer are chosen so that the
    packed model meets the budget with the least that is expected to be lost.
    Layers that gain nothing stay dense. What a layer is expected to lose is the
    energy of the blocks that are worth least: of its weights, which tells more
    if they are trained; with `data` of its weights times what it reads.

    Layers that are made of others, such as the blocks of a transformer, get one
    block shape each, and a sparsity for each kernel inside of them. What isn't
    pruned in any plan, such as layer norms and a softmax, is counted as it is.

    Estimates are those of the processor that a target's figures were fitted
    on. With `measure=True` each distinct layer is timed in LiteRT on this
    machine, dense and packed, for some seconds each.

    Args:
        model: A built Functional or Sequential model of either Keras, not being
            pruned. It stays as it is. A length that its inputs leave open is
            taken to be 14: give it inputs of the length that it will run with.
        budget: A `LatencyBudget`, of time, or a `SizeBudget`, of the file.
        target: Where the model will run. Defaults to `CpuTarget()`.
        batch_size: Samples in a call, at least 1.
        data: Inputs to weigh layers with, as for `export_tflite`; a few hundred
            samples. Defaults to none.
        most_sparsity: Highest sparsity of a layer, in [0, 1).
        measure: Whether layers are timed on this machine, for a `CpuTarget`.
        cache: With `measure`: a file of times, read and written. One that was
            written on the machine where the model is to run serves on any
            other.

    Returns:
        A `PruningPlan`. It prints as a table, goes into `prune_blocks(model,
        schedule, **plan)`, and has shares of units that meet the same budget in
        `prune_structured(model, data, keep=plan.keep)`.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If an argument is out of range, the model's graph can't be
            read, the budget can't be met, or the dense model meets it.

    Example:

    >>> import keras
    >>> from tfmot_sapp import LatencyBudget
    >>> model = keras.Sequential(
    ...     [keras.Input((768,)), keras.layers.Dense(3072, "relu", name="up"),
    ...      keras.layers.Dense(768, name="down")])
    >>> plan = plan_pruning(model, LatencyBudget(speedup=4.0))
    >>> sorted(plan["block_size"]), 3.6 < plan.speedup < 5.0
    (['down', 'up'], True)
    """
    check_model(model)
    check_instance(
        budget,
        "budget",
        (LatencyBudget, SizeBudget),
        "a budget, such as `tfmot_sapp.LatencyBudget(speedup=3.0)` or "
        "`tfmot_sapp.SizeBudget(megabytes=4)`",
    )
    where = CpuTarget() if target is None else check_target(target)
    batch_size = check_count(batch_size, "batch_size")
    most_sparsity = check_sparsity(most_sparsity, "most_sparsity")
    measure = check_flag(measure, "measure")
    path = None
    if cache is not None:
        path = pathlib.Path(check_pathlike(cache, "cache", "a file of times"))
    _check_measuring(where, measure, path)
    _check_graph(model)
    times = LayerTimes(where)
    if measure:
        times = MeasuredTimes(where, path)
    moments: dict[str, np.ndarray] = {}
    if data is not None:
        moments = input_moments(model, data)
    size = isinstance(budget, SizeBudget)
    planned = PlannedModel(model, where, batch_size, times, with_tables=size)
    planner = Planner(planned, most_sparsity, moments)
    return planner.plan(
        budget,
        lambda share: shares_of_units(model, share, where, batch_size, size),
    )


def _check_measuring(
    target: Target, measure: bool, path: pathlib.Path | None
) -> None:
    if measure and not isinstance(target, CpuTarget):
        raise ValueError(
            "`measure` must be left out for a target that layers aren't timed "
            f"on: a `CpuTarget` only. Received: measure=True, target={target}."
        )
    if path is not None and not measure:
        raise ValueError(
            "`cache` is for times that are measured: give `measure=True`, too. "
            f"{received('cache', str(path))}"
        )


def _check_graph(model: Any) -> None:
    wrapped = [layer.name for layer in pruned_layers(model)]
    if wrapped:
        raise ValueError(
            "`model` must not be pruned yet: a plan comes first. "
            f"Received: a model whose layers {wrapped} are being pruned."
        )
    if not is_graph(model):
        raise ValueError(
            "`model` must be a built Functional or Sequential model, whose "
            f"graph can be read. Received: {type(model).__name__} "
            f"`{model.name}`."
        )
