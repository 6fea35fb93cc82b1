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
"""Looking into an optimizer of either Keras, and resetting it.

AC/DC and SequentialAttention++ reset the optimizer between phases (arXiv
2402.17902, Section 3.3). For Adam that takes zero moments and a bias correction
that restarts, or the first steps are about three times too large. The bias
correction counts from `optimizer.iterations`, and so does a learning-rate
schedule, which must go on: it is wrapped in a schedule with an offset.

The legacy optimizers of tf_keras keep their state by other names: a slot for a
variable and a name, and the learning rate among their hyperparameters.
"""

import contextlib
from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow as tf

from tfmot_sapp.frameworks.private import optimizers as private
from tfmot_sapp.frameworks.which_keras import host_value, keras_of

_MODERN_NAMES = {
    "m": "momentums",
    "v": "velocities",
    "momentum": "momentums",
}

# Its square is a float32 number yet.
_LEAST_SQUARE = 1e-16

# Attribute of an optimizer: the schedule it has in trainings that reset it.
_LASTING = "tfmot_sapp_schedule"


def inner_optimizer(optimizer: Any) -> Any:
    """Returns the optimizer inside a loss-scaling one, or the optimizer."""
    return getattr(optimizer, "inner_optimizer", optimizer)


def lasting_rate_of(optimizer: Any) -> Any:
    """Returns the learning rate or schedule that the user gave an optimizer.

    Args:
        optimizer: An optimizer of either Keras, perhaps one in whose schedule's
            place `continue_schedule` has put another.
    """
    rate = _learning_rate(optimizer)
    return rate.schedule if hasattr(rate, "add_offset") else rate


def without_schedule(optimizer: Any) -> contextlib.AbstractContextManager:
    """Returns a scope in which an optimizer has no learning-rate schedule.

    Its config can be asked for there, though the schedule may have none.
    """
    if callable(_learning_rate(optimizer)):
        return private.without_learning_rate(optimizer)
    return contextlib.nullcontext()


def is_used(optimizer: Any) -> bool:
    """Returns whether an optimizer of either Keras has made a step."""
    optimizer = inner_optimizer(optimizer)
    if _is_legacy(optimizer):
        return iterations(optimizer) > 0
    return private.is_built(optimizer)


def iterations(optimizer: Any) -> int:
    """Returns how many steps an optimizer has made since its last reset."""
    return int(host_value(inner_optimizer(optimizer).iterations))


def slots_of(optimizer: Any, variable: Any) -> Mapping[str, Any]:
    """Returns what an optimizer keeps for a variable, by name.

    Args:
        optimizer: An optimizer of either Keras, or `None`.
        variable: The variable, of the same Keras.

    Returns:
        Variables of the same shape, by the name that the optimizer has
        for them without underscores: "momentums" and "velocities" for Adam in
        both Keras. Empty if the optimizer has none yet.
    """
    if optimizer is None:
        return {}
    optimizer = inner_optimizer(optimizer)
    if _is_legacy(optimizer):
        return _legacy_slots(optimizer, variable)
    indices = private.indices_of(optimizer)
    index = indices.get(private.key_of(optimizer, variable))
    if index is None:
        return {}
    return {
        name: slots[index]
        for name, slots in private.slot_lists(optimizer).items()
        if len(slots) == len(indices)
        and tuple(getattr(slots[index], "shape", ())) == tuple(variable.shape)
    }


def reset_optimizer(optimizer: Any, trainable: Sequence[Any]) -> int:
    """Puts an optimizer back to where it was before its first step.

    Its variables get their initial values and its iterations restart, while its
    learning-rate schedule goes on; `continue_schedule` must have been called
    before the training function was traced.

    Args:
        optimizer: An optimizer of either Keras.
        trainable: The variables that it trains.

    Returns:
        The number of steps that the optimizer counted before.
    """
    optimizer = inner_optimizer(optimizer)
    done = iterations(optimizer)
    if done == 0 or type(optimizer).__name__ == "Ftrl":
        # FTRL computes the weights from what it keeps of all gradients, so
        # that without it they would be lost.
        return 0
    fresh = type(optimizer).from_config(optimizer.get_config())
    if _is_legacy(optimizer):
        private.make_legacy_slots(fresh, trainable)
        for variable in trainable:
            initial = _legacy_slots(fresh, variable)
            for name, slot in _legacy_slots(optimizer, variable).items():
                slot.assign(tf.convert_to_tensor(initial[name]))
        _restart_count(optimizer, optimizer.iterations, done)
        return done
    fresh.build(list(trainable))
    counter = private.counter_of(optimizer)
    # The average of the weights is no moment: it is what the weights become
    # when training ends.
    keep = {
        id(counter),
        id(private.learning_rate_of(optimizer)),
        *map(id, private.weight_averages(optimizer)),
    }
    for variable, initial in zip(_variables(optimizer), _variables(fresh)):
        if id(variable) not in keep:
            variable.assign(tf.convert_to_tensor(initial))
    _restart_count(optimizer, counter, done)
    return done


def continue_schedule(optimizer: Any, offset: int = 0) -> None:
    """Makes an optimizer's learning-rate schedule survive resets.

    Until `restore_schedule` the optimizer has another one in its place. Does
    nothing if it has a plain learning rate, or a schedule that does survive
    already.

    Args:
        optimizer: An optimizer of either Keras.
        offset: Steps that the optimizer has made and does not count: those from
            before its last reset, if it has just been restored.
    """
    optimizer = inner_optimizer(optimizer)
    keras = keras_of(optimizer)
    schedule = _learning_rate(optimizer)
    if not isinstance(
        schedule, keras.optimizers.schedules.LearningRateSchedule
    ) or hasattr(schedule, "add_offset"):
        return
    if keras.__name__ == "keras":
        from tfmot_sapp.frameworks.keras_offset_schedule import OffsetSchedule
    else:
        from tfmot_sapp.frameworks.tf_keras_offset_schedule import (
            OffsetSchedule,
        )
    # A training function that was traced in an earlier training reads the
    # offset of that one's schedule.
    lasting = getattr(optimizer, _LASTING, None)
    if lasting is None or lasting.schedule is not schedule:
        lasting = OffsetSchedule(schedule, offset)
        setattr(optimizer, _LASTING, lasting)
    _set_learning_rate(optimizer, lasting)


def set_offset(optimizer: Any, offset: int) -> None:
    """Tells an optimizer's schedule which steps it does not count.

    Args:
        optimizer: An optimizer that `continue_schedule` was called with, whose
            variables have been restored since.
        offset: Steps from before its last reset.
    """
    schedule = _learning_rate(inner_optimizer(optimizer))
    if hasattr(schedule, "add_offset"):
        schedule.offset.assign(offset)


def restore_schedule(optimizer: Any) -> None:
    """Gives an optimizer the learning-rate schedule back that it had.

    Args:
        optimizer: An optimizer that `continue_schedule` was called with.
    """
    optimizer = inner_optimizer(optimizer)
    schedule = _learning_rate(optimizer)
    if hasattr(schedule, "add_offset"):
        setattr(optimizer, _LASTING, schedule)
        _set_learning_rate(optimizer, schedule.schedule)


def keep_finite(optimizer: Any) -> dict[str, float]:
    """Makes an optimizer leave weights alone that have no gradient at all.

    Adafactor divides by the root of a product of two means of squares, each
    with `epsilon_1` added; at its default of 1e-30 the product is zero in
    float32 where a row and a column of a kernel have no gradient, as those of
    removed blocks, and zero by zero is NaN.

    Args:
        optimizer: An optimizer of either Keras.

    Returns:
        The attributes that were changed with their values before, for
        `restore_attributes`.
    """
    optimizer = inner_optimizer(optimizer)
    before = getattr(optimizer, "epsilon_1", None)
    if before is None or before >= _LEAST_SQUARE:
        return {}
    optimizer.epsilon_1 = _LEAST_SQUARE
    return {"epsilon_1": before}


def restore_attributes(optimizer: Any, before: Mapping[str, float]) -> None:
    """Gives an optimizer what `keep_finite` changed back."""
    for name, value in before.items():
        setattr(inner_optimizer(optimizer), name, value)


def _set_learning_rate(optimizer: Any, schedule: Any) -> None:
    if _is_legacy(optimizer):
        optimizer.learning_rate = schedule
    else:
        private.set_learning_rate(optimizer, schedule)


def _is_legacy(optimizer: Any) -> bool:
    return hasattr(optimizer, "get_slot_names")


def _legacy_slots(optimizer: Any, variable: Any) -> dict[str, Any]:
    names = optimizer.get_slot_names()
    # Asking for a slot that was never made is an error there.
    made = {id(weight) for weight in optimizer.weights}
    slots = {}
    for name in names if len(made) > 1 else ():
        slot = optimizer.get_slot(variable, name)
        if id(slot) in made:
            slots[_MODERN_NAMES.get(name, name)] = slot
    return slots


def _learning_rate(optimizer: Any) -> Any:
    if _is_legacy(optimizer):
        return private.legacy_learning_rate_of(optimizer)
    return private.learning_rate_of(optimizer)


def _restart_count(optimizer: Any, counter: Any, done: int) -> None:
    schedule = _learning_rate(optimizer)
    if hasattr(schedule, "add_offset"):
        schedule.add_offset(done)
    counter.assign(0)


def _variables(optimizer: Any) -> list[Any]:
    variables = optimizer.variables
    return list(variables() if callable(variables) else variables)
