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
"""A model as a list of calls, which several models can be run by side by side.

`program_of` reads a Functional or Sequential model, those nested in it
included, as calls of layers in order of execution. Any other model is one call.
Two models of one architecture give the same calls, so that values of one can be
put beside those of the other, and what is the same is computed once.
"""

import contextlib
import dataclasses
from collections.abc import Callable, Iterator
from typing import Any

import tensorflow as tf

from tfmot_sapp.frameworks.calls import (
    Call,
    calls_of,
    is_graph,
    replace_tensors,
    tensors_of,
)
from tfmot_sapp.frameworks.private.layers import functional_of
from tfmot_sapp.frameworks.run_calls import fits
from tfmot_sapp.frameworks.which_keras import is_layer


@dataclasses.dataclass
class Step:
    """One call of a layer.

    Attributes:
        layer: The layer, or an operation without weights.
        reads: Places of the values that it takes.
        writes: Places of the values that it gives.
        run: Function from the values it takes to those it gives.
    """

    layer: Any
    reads: list[int]
    writes: list[int]
    run: Callable[[list[Any]], list[Any]]


@dataclasses.dataclass
class Program:
    """A model as calls on numbered values.

    Attributes:
        steps: The calls, in order of execution.
        inputs: Places of the model's inputs.
        outputs: Places of its outputs.
    """

    steps: list[Step]
    inputs: list[int]
    outputs: list[int]

    def last_use(self) -> dict[int, int]:
        """Returns the last step that reads each value."""
        last = {}
        for index, step in enumerate(self.steps):
            last.update(dict.fromkeys(step.reads, index))
        last.update(dict.fromkeys(self.outputs, len(self.steps)))
        return last

    def readers(self, place: int) -> list[int]:
        """Returns the steps that read a value."""
        return [i for i, step in enumerate(self.steps) if place in step.reads]


def program_of(model: Any, example: Any = None) -> Program:
    """Reads a built model.

    Args:
        model: A model of either Keras.
        example: A batch of inputs in the structure that the model takes, if
            its graph can't be read. Defaults to one array.

    Returns:
        Its `Program`.
    """
    if not is_graph(model):
        return _single_call(model, example)
    reader = _Reader()
    functional = functional_of(model)
    inputs = [reader.place() for _ in functional.inputs]
    outputs = reader.read(functional, inputs)
    return Program(reader.steps, inputs, outputs)


def _single_call(model: Any, example: Any) -> Program:
    reads = list(range(len(tf.nest.flatten(example))))

    def run(values: list[Any]) -> list[Any]:
        outputs = model(tf.nest.pack_sequence_as(example, values))
        return list(tf.nest.flatten(outputs))

    with_outputs = [len(reads)]
    step = Step(model, reads, with_outputs, run)
    return Program([step], reads, with_outputs)


class _Reader:
    def __init__(self) -> None:
        self.steps: list[Step] = []
        self._count = 0

    def place(self) -> int:
        self._count += 1
        return self._count - 1

    def read(self, functional: Any, inputs: list[int]) -> list[int]:
        places = dict(zip(map(id, functional.inputs), inputs))
        for call in calls_of(functional):
            tensors = tensors_of((call.args, call.kwargs))
            reads = [places[id(tensor)] for tensor in tensors]
            layer = call.layer
            if _is_inlined(call):
                inner = functional_of(layer)
                writes = self.read(inner, reads)
            else:
                writes = [self.place() for _ in call.outputs]
                run = _runner(call, tensors)
                self.steps.append(Step(layer, reads, writes, run))
            places.update(zip(map(id, call.outputs), writes))
        return [places[id(tensor)] for tensor in functional.outputs]


def _is_inlined(call: Call) -> bool:
    # By name the inputs may come in another order.
    return (
        is_layer(call.layer)
        and fits(call.layer, call.args, call.kwargs)
        and not isinstance(call.args[0], dict)
    )


def _runner(call: Call, tensors: list[Any]) -> Callable[[list[Any]], list[Any]]:
    def run(values: list[Any]) -> list[Any]:
        new = dict(zip(map(id, tensors), values))
        args, kwargs = replace_tensors((call.args, call.kwargs), new)
        outputs = call.layer(*args, **kwargs)
        if len(call.outputs) == 1 and not isinstance(
            outputs, (list, tuple, dict)
        ):
            return [outputs]
        return list(tf.nest.flatten(outputs))

    return run


@contextlib.contextmanager
def observed(
    owners: list[Any], seen: Callable[[Any, Any], Any]
) -> Iterator[None]:
    """Lets a function see what layers read, within other layers too.

    Neither Keras has hooks, and a layer inside of another, such as the
    projections of an attention, has no value in the model's graph. So the
    layers' `call` is covered for as long as the block lasts.

    Args:
        owners: The layers.
        seen: Called with a layer and the first value that it read.

    Yields:
        Nothing.
    """

    def cover(owner: Any, call: Callable[..., Any]) -> Callable[..., Any]:
        def covered(inputs: Any, *args: Any, **kwargs: Any) -> Any:
            seen(owner, inputs)
            return call(inputs, *args, **kwargs)

        return covered

    # Past the layers' own `__setattr__`, which keeps books of what it is given.
    try:
        for owner in owners:
            object.__setattr__(owner, "call", cover(owner, owner.call))
        yield
    finally:
        for owner in owners:
            if "call" in vars(owner):
                object.__delattr__(owner, "call")
