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
"""Optimizers and metrics made again: of the same configuration, without state.

Both hold variables, so that a copy of a model needs ones of its own. Those that
an optimizer keeps for each weight are made when it takes its first step.
"""

from collections.abc import Callable, Sequence
from typing import Any

from tfmot_sapp.frameworks.optimizers import (
    lasting_rate_of,
    without_schedule,
)
from tfmot_sapp.frameworks.private import compiling
from tfmot_sapp.frameworks.private import optimizers as private

# From a variable of a model to the one in its place in another, if any.
Counterpart = Callable[[Any], Any | None]


def optimizer_again(
    optimizer: Any, variables: Sequence[Any], counterpart: Counterpart
) -> Any:
    """Returns an optimizer like another that has not been used yet.

    Learning-rate schedules are shared, since they hold no state; a rate that is
    a variable is the one that it is now.

    Args:
        optimizer: An optimizer of either Keras.
        variables: Those of the model that it trains.
        counterpart: Function from one of these to the one that the new
            optimizer will train in its place.

    Raises:
        Exception: Of any kind, if it can't be made again from its config.
    """
    inner = getattr(optimizer, "inner_optimizer", None)
    with without_schedule(optimizer if inner is None else inner):
        config = dict(optimizer.get_config())
    if inner is not None:
        del config["inner_optimizer"]
        again = optimizer_again(inner, variables, counterpart)
        return type(optimizer)(again, **config)
    rate = lasting_rate_of(optimizer)
    if "learning_rate" in config and callable(rate):
        config["learning_rate"] = rate
    if getattr(optimizer, "gradient_transformers", None):
        # Of legacy optimizers, which leave them out of their configs.
        config["gradient_transformers"] = optimizer.gradient_transformers
        config["gradient_aggregator"] = optimizer.gradient_aggregator
    made = type(optimizer).from_config(config)
    _exclude(optimizer, made, variables, counterpart)
    return made


def _exclude(
    optimizer: Any,
    made: Any,
    variables: Sequence[Any],
    counterpart: Counterpart,
) -> None:
    """Leaves the same variables out of weight decay."""
    keys, names = private.without_decay(optimizer)
    if not keys and not names:
        return
    found = [
        counterpart(variable)
        for variable in variables
        if private.key_of(optimizer, variable) in keys
    ]
    made.exclude_from_weight_decay(
        var_list=[variable for variable in found if variable is not None],
        var_names=names,
    )


def metric_again(metric: Any, name: str | None = None) -> Any:
    """Returns a metric like another that has seen nothing yet.

    Args:
        metric: A metric of either Keras.
        name: Its name. Defaults to `None`: that of the other.

    Raises:
        Exception: Of any kind, if it can't be made again from its config.
    """
    config = dict(metric.get_config())
    if name is not None:
        config["name"] = name
    if "fn" in config:
        # In a config it may have become a name that nobody knows.
        function, options = compiling.function_of(metric)
        return type(metric)(**{**config, **options, "fn": function})
    return type(metric).from_config(config)
