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
"""Running a model's graph call by call, with a say in how each is made.

It serves both Keras. Masks travel on the tensors, as Keras puts them there.
"""

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from tfmot_sapp.frameworks.calls import (
    calls_of,
    is_graph,
    is_nested,
    replace_tensors,
)
from tfmot_sapp.frameworks.private.layers import functional_of, structure_of
from tfmot_sapp.frameworks.which_keras import keras_of

Caller = Callable[[Any, tuple[Any, ...], dict[str, Any]], Any]


def run_for_inference(
    model: Any, inputs: Any, call: Callable[[Any], Any]
) -> Any:
    """Calls a function as a model is called with `training=False`.

    Args:
        model: A model; it decides which Keras is told.
        inputs: Tensors in the structure of the model's inputs.
        call: Function of them. Layers that it calls compute for inference,
            however deep they call others.

    Returns:
        What the function returns.
    """
    keras: Any = keras_of(model)

    class Inference(keras.layers.Layer):
        def call(self, inputs: Any, training: Any = None) -> Any:
            del training
            return call(inputs)

    layer = Inference(name=model.name, autocast=False)
    return layer(inputs, training=False)


def run_calls(model: Any, inputs: Any, call: Caller) -> Any:
    """Runs a graph's calls one by one.

    Args:
        model: A Functional or Sequential model of either Keras.
        inputs: Tensors that `fits` the model.
        call: Makes one call, given the layer, its arguments and its keyword
            arguments; whatever else it decides, it returns their result.

    Returns:
        Tensors in the structure of the model's outputs.
    """
    functional = functional_of(model)
    keras = keras_of(model)
    given = tf.nest.flatten(inputs)
    values = {
        id(symbolic): _cast(tensor, symbolic.dtype)
        for symbolic, tensor in zip(functional.inputs, given)
    }
    for each in calls_of(functional):
        args, kwargs = replace_tensors((each.args, each.kwargs), values)
        results = call(each.layer, tuple(args), kwargs)
        values.update(paired(each.structure, results, keras))
    outputs = [values[id(symbolic)] for symbolic in functional.outputs]
    return structured(functional, "outputs", functional.outputs, outputs)


def fits(model: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    """Whether a nested model's call is one that `run_calls` can make.

    Args:
        model: A layer, perhaps a model.
        args: What it is called with.
        kwargs: Likewise.
    """
    told = any(map(is_told, kwargs.values()))
    if not is_nested(model) or not is_graph(model) or len(args) != 1 or told:
        return False
    functional = functional_of(model)
    structure = structure_of(functional, "inputs")
    if isinstance(structure, dict) or isinstance(args[0], dict):
        if not isinstance(structure, dict) or not isinstance(args[0], dict):
            return False
        if set(structure) != set(args[0]):
            return False
    given = tf.nest.flatten(args[0])
    # Keras adds and drops axes of length 1.
    return len(given) == len(functional.inputs) and all(
        len(tensor.shape) == len(symbolic.shape)
        for symbolic, tensor in zip(functional.inputs, given)
    )


def is_told(value: Any) -> bool:
    """Whether an argument says anything.

    Keras 3 records those that were left out, too, the masks of several tensors
    in their structure.

    Args:
        value: An argument of a call by name.
    """
    return any(
        each is not None and each is not False
        for each in tf.nest.flatten(value)
    )


def structured(
    functional: Any, which: str, old: list[Any], new: list[Any]
) -> Any:
    """Puts tensors in the structure of a graph's inputs or outputs.

    Args:
        functional: What `functional_of` returned.
        which: "inputs" or "outputs".
        old: The symbolic tensors, flat.
        new: What takes their places.
    """
    table = dict(zip(map(id, old), new))

    def replaced(part: Any) -> Any:
        if isinstance(part, dict):
            return {key: replaced(item) for key, item in part.items()}
        if isinstance(part, list | tuple):
            return [replaced(item) for item in part]
        return table[id(part)]

    return replaced(structure_of(functional, which))


def _cast(tensor: Any, dtype: Any) -> Any:
    wanted = tf.as_dtype(dtype)
    return tensor if tensor.dtype == wanted else tf.cast(tensor, wanted)


def paired(symbolic: Any, results: Any, keras: Any) -> dict[int, Any]:
    """Finds which result of a call stands for which of its symbolic tensors.

    Args:
        symbolic: `Call.structure`: what the call returned in the graph, flat in
            Keras 3.
        results: What it returns when it is called again, in its own structure.
        keras: The Keras that the graph is of.

    Returns:
        The results by the identity of the symbolic tensors.
    """
    if isinstance(symbolic, dict) and isinstance(results, dict):
        return {
            key: value
            for name in symbolic
            for key, value in paired(
                symbolic[name], results[name], keras
            ).items()
        }
    if isinstance(symbolic, list | tuple):
        flat = results
        if not isinstance(results, list | tuple) or len(results) != len(
            symbolic
        ):
            # Keras 3 keeps the outputs of a call flat, in an order of its own.
            own = keras.__name__ == "keras"
            flatten = keras.tree.flatten if own else tf.nest.flatten
            flat = flatten(results)
        return {
            key: value
            for part, result in zip(symbolic, flat)
            for key, value in paired(part, result, keras).items()
        }
    return {id(symbolic): results}
