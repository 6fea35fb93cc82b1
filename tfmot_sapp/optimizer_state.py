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
"""

from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow as tf

from tfmot_sapp.frameworks import host_value, keras_of
from tfmot_sapp.pruned_kernel import PrunedKernel


def inner_optimizer(optimizer: Any) -> Any:
    """Returns the optimizer inside a loss-scaling one, or the optimizer."""
    return getattr(optimizer, "inner_optimizer", optimizer)


def iterations(optimizer: Any) -> int:
    """Returns how many steps an optimizer has made since its last reset."""
    return int(host_value(inner_optimizer(optimizer).iterations))


def slots_of(optimizer: Any, kernel: PrunedKernel) -> Mapping[str, Any]:
    """Returns an optimizer's variables for a kernel, by name.

    Args:
        optimizer: An optimizer of either Keras, or `None`.
        kernel: The kernel.

    Returns:
        Variables shaped like the kernel, by the name that the optimizer has
        for them without underscores: "momentums" and "velocities" for Adam in
        both Keras. Empty if the optimizer has none yet.
    """
    if optimizer is None:
        return {}
    optimizer = inner_optimizer(optimizer)
    indices = getattr(optimizer, "_trainable_variables_indices", None)
    if indices is None:
        indices = getattr(optimizer, "_index_dict", {})
    index = indices.get(optimizer._var_key(kernel.variable))
    if index is None:
        return {}
    slots = {}
    for name, values in vars(optimizer).items():
        if name == "_trainable_variables" or not isinstance(values, list):
            continue
        if len(values) == len(indices):
            variable = values[index]
            if tuple(getattr(variable, "shape", ())) == kernel.kernel.shape:
                slots[name.strip("_")] = variable
    return slots


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
    if done == 0:
        return 0
    fresh = type(optimizer).from_config(optimizer.get_config())
    fresh.build(list(trainable))
    counter = getattr(optimizer, "_iterations", optimizer.iterations)
    keep = {id(counter), id(optimizer._learning_rate)}
    for variable, initial in zip(_variables(optimizer), _variables(fresh)):
        if id(variable) not in keep:
            variable.assign(tf.convert_to_tensor(initial))
    schedule = optimizer._learning_rate
    if hasattr(schedule, "add_offset"):
        schedule.add_offset(done)
    counter.assign(0)
    return done


def continue_schedule(optimizer: Any) -> None:
    """Makes an optimizer's learning-rate schedule survive resets.

    Does nothing if the optimizer has a plain learning rate.

    Args:
        optimizer: An optimizer of either Keras.
    """
    optimizer = inner_optimizer(optimizer)
    keras = keras_of(optimizer)
    schedule = getattr(optimizer, "_learning_rate", None)
    if not isinstance(
        schedule, keras.optimizers.schedules.LearningRateSchedule
    ) or hasattr(schedule, "add_offset"):
        return
    if keras.__name__ == "keras":
        from tfmot_sapp.keras_offset_schedule import OffsetSchedule
    else:
        from tfmot_sapp.tf_keras_offset_schedule import OffsetSchedule
    optimizer._learning_rate = OffsetSchedule(schedule)


def _variables(optimizer: Any) -> list[Any]:
    variables = optimizer.variables
    return list(variables() if callable(variables) else variables)
