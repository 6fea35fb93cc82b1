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
"""What optimizers of both Kerases keep private: slots, counts, rates."""

import contextlib
from collections.abc import Collection, Iterator, Sequence
from typing import Any


def learning_rate_of(optimizer: Any) -> Any:
    """Returns a modern optimizer's rate: a variable or a schedule."""
    return getattr(optimizer, "_learning_rate", None)


def set_learning_rate(optimizer: Any, schedule: Any) -> None:
    """Gives a modern optimizer another schedule, in place of one it has."""
    optimizer._learning_rate = schedule


@contextlib.contextmanager
def without_learning_rate(optimizer: Any) -> Iterator[None]:
    """Within it an optimizer has a number for its rate, whatever it has."""
    kept, name = vars(optimizer), "_learning_rate"
    if name not in kept:
        kept, name = optimizer._hyper, "learning_rate"
    # Past the tracking of attributes in either Keras.
    rate, kept[name] = kept[name], 0.0
    try:
        yield
    finally:
        kept[name] = rate


def without_decay(optimizer: Any) -> tuple[Collection[Any], list[str]]:
    """Returns what an optimizer leaves out of weight decay.

    Args:
        optimizer: An optimizer of either Keras.

    Returns:
        The variables' keys, as `key_of` returns them, and patterns of names.
    """
    keys = getattr(optimizer, "_exclude_from_weight_decay", ())
    names = getattr(optimizer, "_exclude_from_weight_decay_names", ())
    pattern = getattr(optimizer, "_exclude_from_weight_decay_pattern", None)
    return keys, [*names, *([pattern.pattern] if pattern else [])]


def is_built(optimizer: Any) -> bool:
    """Returns whether a modern optimizer has made its slots."""
    return bool(getattr(optimizer, "built", getattr(optimizer, "_built", 0)))


def legacy_learning_rate_of(optimizer: Any) -> Any:
    """Returns the rate or schedule of a legacy optimizer of tf_keras."""
    return optimizer._hyper.get("learning_rate")


def make_legacy_slots(optimizer: Any, variables: Sequence[Any]) -> None:
    """Makes all slots of a legacy optimizer of tf_keras."""
    optimizer._create_all_weights(list(variables))


def counter_of(optimizer: Any) -> Any:
    """Returns the variable in which a modern optimizer counts its steps.

    With gradient accumulation `iterations` is a quotient of it.
    """
    return getattr(optimizer, "_iterations", optimizer.iterations)


def weight_averages(optimizer: Any) -> Sequence[Any]:
    """The averages of the weights that `use_ema` keeps, if it does."""
    return getattr(optimizer, "_model_variables_moving_average", None) or ()


def indices_of(optimizer: Any) -> dict[Any, int]:
    """Returns a modern optimizer's table of the variables that it trains.

    Returns:
        Their positions by `key_of`; empty before the optimizer is built.
    """
    indices = getattr(optimizer, "_trainable_variables_indices", None)
    if indices is None:
        indices = getattr(optimizer, "_index_dict", {})
    return indices


def key_of(optimizer: Any, variable: Any) -> Any:
    """Returns the key of a variable in `indices_of`."""
    return optimizer._var_key(variable)


def slot_lists(optimizer: Any) -> dict[str, list[Any]]:
    """Returns the lists in which a modern optimizer keeps its slots.

    Returns:
        Lists with a slot per trained variable by name, without underscores.
    """
    return {
        name.strip("_"): values
        for name, values in vars(optimizer).items()
        if name != "_trainable_variables" and isinstance(values, list)
    }
