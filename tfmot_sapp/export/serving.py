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
"""What a model takes and gives, as one function of named tensors.

Every exporter starts from a `Serving`: the model's inputs as specs with names,
and a function from named tensors to named tensors that runs the model for
inference. It serves both Keras, and models of one or several inputs and outputs
in any nesting.
"""

import dataclasses
import errno
import math
import os
import re
from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from tfmot_sapp.base.silence import quiet
from tfmot_sapp.base.wording import brief, received
from tfmot_sapp.compiler.emit.call_packed import call_packed
from tfmot_sapp.compiler.emit.packed_computation import PackedComputation
from tfmot_sapp.frameworks import which_keras
from tfmot_sapp.frameworks.private.layers import all_layers
from tfmot_sapp.frameworks.private.tensorflow import (
    is_resource,
    names_for_graphs,
)
from tfmot_sapp.frameworks.training_wrappers import check_unwrapped
from tfmot_sapp.targets.operators import Operators

SIGNATURE = "serving_default"

# A graph can't hold more than 2 GiB.
_MOST_CONSTANT_BYTES = 1 << 30

# What a model raises for inputs that aren't its own.
_CALL_ERRORS = (
    AttributeError,
    LookupError,
    TypeError,
    ValueError,
    tf.errors.InvalidArgumentError,
)


@dataclasses.dataclass(frozen=True)
class Serving:
    """A model as a function of named tensors.

    Attributes:
        model: The Keras model.
        specs: `tf.TensorSpec` of every input by name, in the model's order.
        call: Function from a dictionary of tensors, and how packed layers are
            written or `None` to call the model as it is, to a dictionary of
            tensors.
    """

    model: Any
    specs: dict[str, tf.TensorSpec]
    call: Callable[[dict[str, Any], Operators | None], dict[str, Any]]

    def named_as(self, other: "Serving") -> "Serving":
        """Returns the same function, its inputs named as another's are."""
        theirs = dict(zip(other.specs, self.specs))
        specs = {
            name: tf.TensorSpec(spec.shape, spec.dtype, name)
            for name, spec in zip(theirs, self.specs.values())
        }

        def call(inputs: dict[str, Any], operators: Operators | None) -> Any:
            given = {own: inputs[name] for name, own in theirs.items()}
            return self.call(given, operators)

        return Serving(self.model, specs, call)

    def trace(self, operators: Operators, **options: Any) -> Any:
        """Returns the concrete `tf.function` of the model.

        Args:
            operators: How packed layers are written.
            **options: Arguments of `tf.function`, such as `jit_compile`.
        """

        @tf.function(autograph=False, **options)
        def serve(**inputs: Any) -> Any:
            return self.call(inputs, operators)

        return serve.get_concrete_function(**self.specs)


def check_model(model: Any) -> None:
    """Checks that a model can be exported.

    Args:
        model: What the user passed.

    Raises:
        TypeError: If it is no model of either Keras.
        ValueError: If it has layers that are still wrapped for pruning, or
            its Keras runs on another backend than TensorFlow.
    """
    which_keras.check_model(model)
    keras = which_keras.keras_of(model)
    assert keras is not None
    if keras.__name__ == "keras" and keras.backend.backend() != "tensorflow":
        raise ValueError(
            "`model` must run on Keras's TensorFlow backend. Received: a model "
            f"on the {keras.backend.backend()!r} backend. Set "
            "KERAS_BACKEND=tensorflow before importing keras."
        )
    check_unwrapped(model)


def serving_of(
    model: Any, batch_size: int | None, input_signature: Any = None
) -> Serving:
    """Returns the function that a model serves.

    Args:
        model: A model that `check_model` accepts.
        batch_size: The batch size to fix, or `None` to leave it open.
        input_signature: Structure of specs (anything with `shape` and `dtype`)
            like the model's input; needed only for a subclassed model.

    Returns:
        A `Serving`.

    Raises:
        ValueError: If the model's inputs aren't known.
    """
    structure = input_signature
    if structure is None:
        structure = _known_inputs(model)
    flat = tf.nest.flatten(structure)
    for spec in flat:
        _check_spec(spec)
    if not flat:
        raise ValueError(
            "`input_signature` must hold at least one spec. "
            f"{received('input_signature', input_signature)}"
        )
    if input_signature is not None:
        _check_count(model, input_signature, len(flat))
    names = _unique(_input_names(model, structure, flat))
    specs = {
        name: tf.TensorSpec(_shape(spec, batch_size), _dtype(spec), name)
        for name, spec in zip(names, flat)
    }

    def call(
        inputs: dict[str, Any], operators: Operators | None
    ) -> dict[str, Any]:
        arguments = tf.nest.pack_sequence_as(
            structure, [inputs[name] for name in names]
        )
        try:
            if operators is None:
                outputs = model(arguments, training=False)
            else:
                outputs = call_packed(model, arguments, operators)
        except _CALL_ERRORS as error:
            if input_signature is None:
                raise
            raise ValueError(
                "`input_signature` must hold the specs of what `model` takes, "
                f"which can't be called on {brief(flat)}: {brief(error)}. "
                f"{received('input_signature', input_signature)}"
            ) from error
        return _named_outputs(model, outputs)

    return Serving(model, specs, call)


def write_saved_model(
    serving: Serving,
    folder: str | os.PathLike,
    operators: Operators,
    **options: Any,
) -> None:
    """Writes a model as a SavedModel with the signature `serving_default`.

    Args:
        serving: The model.
        folder: An existing, empty directory.
        operators: How packed layers are written. Their weights are constants
            only if they fit into a graph.
        **options: Arguments of `tf.function`, such as `jit_compile`.

    Raises:
        OSError: If the folder can't be written, or the disk is full.
    """
    if _packed_bytes(serving.model) > _MOST_CONSTANT_BYTES:
        operators = dataclasses.replace(operators, constant_weights=False)
    with quiet():
        function = serving.trace(operators, **options)
    # What the function captured, and no more: the optimizer's and the
    # metrics' variables stay behind.
    save_function(function, function.variables, serving.model, folder)


def save_function(
    function: Any,
    variables: Sequence[Any],
    model: Any,
    folder: str | os.PathLike,
) -> None:
    """Writes a concrete function as a SavedModel's `serving_default`.

    Args:
        function: The concrete function.
        variables: The variables that it reads.
        model: The model that it runs, whose lookup tables come along.
        folder: An existing, empty directory.

    Raises:
        OSError: If the folder can't be written, or the disk is full.
    """
    module = tf.Module()
    module.variables_of_model = list(variables)
    module.resources = _resources(model)
    try:
        with quiet(), names_for_graphs(module.variables_of_model):
            tf.saved_model.save(
                module, os.fspath(folder), signatures={SIGNATURE: function}
            )
    except tf.errors.OpError as error:
        # TensorFlow's for a full disk; whoever made the folder knows why.
        raise OSError(errno.EIO, brief(error), os.fspath(folder)) from error


def _packed_bytes(model: Any) -> int:
    return sum(
        math.prod(weight.shape) * tf.as_dtype(weight.dtype).size
        for layer in all_layers(model)
        if isinstance(layer, PackedComputation)
        for weight in layer.weights
    )


def _resources(model: Any) -> list[Any]:
    """Returns what a model holds beside variables, such as lookup tables."""
    return [
        value
        for layer in all_layers(model)
        for value in vars(layer).values()
        if is_resource(value)
    ]


def _known_inputs(model: Any) -> Any:
    try:
        structure = model.input
    except (AttributeError, ValueError):
        # A Sequential of Keras 3 has no `input` until it is called.
        inputs = getattr(model, "inputs", None)
        structure = inputs[0] if inputs and len(inputs) == 1 else inputs
    if structure is None:
        raise ValueError(
            "`model` doesn't say what it takes: it is subclassed, or was never "
            "built. Pass `input_signature`, such as "
            "`[tf.TensorSpec((None, 28, 28), tf.float32)]`. "
            f"Received: model of type {type(model).__name__}."
        )
    return structure


def _check_count(model: Any, input_signature: Any, count: int) -> None:
    # Keras warns and drops what is too much.
    inputs = getattr(model, "inputs", None)
    if inputs and len(inputs) != count:
        raise ValueError(
            f"`input_signature` must hold {len(inputs)} specs, as `model` has "
            "inputs; for this model it can be left out. "
            f"{received('input_signature', input_signature)}"
        )


def _check_spec(spec: Any) -> None:
    if hasattr(spec, "shape") and hasattr(spec, "dtype"):
        return
    raise TypeError(
        "`input_signature` must hold specs, such as "
        "`[tf.TensorSpec((None, 28, 28), tf.float32)]`. "
        f"{received('input_signature', spec)}"
    )


def _shape(spec: Any, batch_size: int | None) -> list[int | None]:
    shape = tf.TensorShape(spec.shape)
    if shape.rank is None:
        raise ValueError(
            "`input_signature` must hold specs whose number of axes is known, "
            "such as `[tf.TensorSpec((None, 28, 28), tf.float32)]`. "
            f"{received('input_signature', spec)}"
        )
    return _batched(shape.as_list(), batch_size)


def _batched(
    shape: list[int | None], batch_size: int | None
) -> list[int | None]:
    if not shape:
        raise ValueError(
            "Every input of `model` must have a batch axis, also in "
            "`input_signature`. Received: an input of shape ()."
        )
    if batch_size is None or shape[0] not in (None, batch_size):
        return shape
    return [batch_size, *shape[1:]]


def _dtype(spec: Any) -> tf.DType:
    return tf.as_dtype(spec.dtype)


def _input_names(model: Any, structure: Any, flat: Sequence[Any]) -> list[str]:
    if isinstance(structure, dict):
        keys = tf.nest.flatten({key: key for key in structure})
        if len(keys) == len(flat):
            return keys
    names = getattr(model, "input_names", None) or []
    if len(names) == len(flat):
        return list(names)
    return [
        getattr(spec, "name", None) or f"input_{i}"
        for i, spec in enumerate(flat)
    ]


def _named_outputs(model: Any, structure: Any) -> dict[str, Any]:
    flat = tf.nest.flatten(structure)
    names = getattr(model, "output_names", None) or []
    if isinstance(structure, dict) and len(structure) == len(flat):
        names = tf.nest.flatten({key: key for key in structure})
    if len(names) != len(flat):
        names = [f"output_{i}" for i in range(len(flat))]
    return dict(zip(_unique(names), flat))


def _unique(names: Sequence[str]) -> list[str]:
    """Makes names that a signature can hold, each once."""
    found: list[str] = []
    for name in names:
        clean = re.sub(r"[^A-Za-z0-9_]", "_", str(name)) or "tensor"
        unique, i = clean, 1
        while unique in found:
            unique, i = f"{clean}_{i}", i + 1
        found.append(unique)
    return found
