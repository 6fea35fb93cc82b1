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
"""What layers read on average: mean squares of their input channels."""

from typing import Any

import numpy as np
import tensorflow as tf

from tfmot_sapp.export.representative_data import batches
from tfmot_sapp.export.serving import serving_of
from tfmot_sapp.frameworks.run_calls import functional_of
from tfmot_sapp.frameworks.which_keras import keras_of
from tfmot_sapp.planning.taken_apart import taken_apart

_BATCH, _MOST_SAMPLES = 8, 256


def input_moments(model: Any, data: Any) -> dict[str, np.ndarray]:
    """Returns the mean square of each channel that kernels read.

    Args:
        model: A model whose graph can be read.
        data: Inputs, as for `export_tflite`.

    Returns:
        Arrays by the kernels' names; none for kernels inside of layers that
        can't be taken apart.

    Raises:
        TypeError: If `data` is no data.
        ValueError: If it doesn't fit the model.
    """
    copy = taken_apart(model, _BATCH)
    functional = functional_of(copy.model)
    known = {id(tensor) for tensor in _tensors(functional)}
    sources = {
        name: kernel.source
        for name, kernel in copy.kernels.items()
        if kernel.steps and id(kernel.source) in known
    }
    serving = serving_of(model, _BATCH)
    if not sources:
        # The data must fit all the same.
        for _ in _named_data(data, serving):
            pass
        return {}
    probe = keras_of(model).Model(functional.inputs, [*sources.values()])
    sums = [0.0] * len(sources)
    count = 0
    for arrays in _named_data(data, serving):
        inputs = [tf.constant(arrays[name]) for name in serving.specs]
        found = tf.nest.flatten(probe(inputs, training=False))
        for i, value in enumerate(found):
            squares = np.square(np.asarray(value, np.float64))
            sums[i] += squares.reshape(-1, squares.shape[-1]).mean(axis=0)
        count += 1
    return {
        name: np.asarray(total) / count for name, total in zip(sources, sums)
    }


def _named_data(data: Any, serving: Any) -> Any:
    try:
        yield from batches(data, serving, _BATCH, _MOST_SAMPLES)
    except (TypeError, ValueError) as error:
        # It was given by another name here.
        text = str(error).replace("representative_data", "data")
        raise type(error)(text) from error


def _tensors(functional: Any) -> list[Any]:
    from tfmot_sapp.frameworks.calls import calls_of

    return [
        *functional.inputs,
        *(tensor for call in calls_of(functional) for tensor in call.outputs),
    ]
