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
"""Asking whether a copy computes what its original computes, cheaply.

One sample of random inputs goes through both. What is found is an error of the
copy: the two run the same operations on the same values.
"""

import contextlib
import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorflow as tf

from tfmot_sapp.frameworks.calls import holds_graph, is_graph
from tfmot_sapp.frameworks.layer_state import states_of, variables_of
from tfmot_sapp.frameworks.private import keras3, tf_keras2
from tfmot_sapp.frameworks.private.layers import all_layers, functional_of
from tfmot_sapp.frameworks.run_calls import run_calls
from tfmot_sapp.frameworks.which_keras import host_value, keras_of

# Tried one after the other for extents that a model leaves open.
_EXTENTS = (8, 32, 64, 1)
# Rounding of the outputs' type that is no error, of an output's scale.
_ROUNDINGS = 1e3


def check_same_outputs(original: Any, copy: Any) -> None:
    """Checks that a copy computes what its original computes.

    Neither changes: what they would keep, as the states of recurrent layers, is
    forgotten. Nothing is checked where the inputs are not known, where the
    original takes none of those drawn, or gives others at every call.

    Args:
        original: A built model of either Keras.
        copy: A copy of it.

    Raises:
        ValueError: If it computes something else, or with weights of the
            original.
    """
    for extent in _EXTENTS:
        inputs = _draw(original, extent)
        if inputs is None:
            return
        try:
            expected = _outputs(original, inputs)
        except Exception:
            # It may not take that extent, or those values.
            continue
        _compare(original, copy, inputs, expected)
        return


def _compare(
    original: Any, copy: Any, inputs: Any, expected: list[Any]
) -> None:
    with tf.GradientTape() as tape:
        found = _outputs(copy, inputs)
    theirs = {}
    for variable in variables_of(original):
        is_keras_3 = getattr(keras_of(variable), "__name__", "") == "keras"
        inner = keras3.unrounded_value(variable) if is_keras_3 else variable
        theirs[id(inner)] = variable
    taken = [
        theirs[id(variable)]
        for variable in tape.watched_variables()
        if id(variable) in theirs
    ]
    if taken:
        raise ValueError(
            f"The copy of the model `{original.name}` computes with the "
            f"original's weight `{taken[0].name}`, which a function or an "
            "object that is no layer holds. Hold it in a layer, and return "
            "the layer in its `get_config()`."
        )
    error = _error(expected, found)
    if error <= 0 or _error(expected, _outputs(original, inputs)) > 0:
        return
    raise ValueError(
        f"The copy of the model `{original.name}` does not compute what the "
        f"model computes: outputs differ by {error:.2g} of their scale"
        f"{_first_difference(original, copy, inputs)}. The `get_config()` of "
        "each layer must return everything that it computes with."
    )


def _first_difference(original: Any, copy: Any, inputs: Any) -> str:
    """Says which layer is the first to give something else."""
    if not is_graph(original) or not is_graph(copy):
        return ""
    records: list[list[tuple[Any, list[Any]]]] = [[], []]
    for model, record in zip((original, copy), records):

        def call(
            layer: Any, args: Any, kwargs: Any, record: list[Any] = record
        ) -> Any:
            results = layer(*args, **kwargs)
            record.append((layer, tf.nest.flatten(results)))
            return results

        with _untouched(model):
            run_calls(model, inputs, call)
    for (layer, expected), (_, found) in zip(*records):
        if _error(expected, found) > 0:
            return f", first behind the layer `{layer.name}`"
    return ""


def _error(expected: list[Any], found: list[Any]) -> float:
    """Returns the largest error that is no rounding, of the output's scale."""
    worst = 0.0
    for wanted, given in zip(expected, found):
        dtype = tf.as_dtype(wanted.dtype)
        if wanted.shape != given.shape:
            return np.inf
        if not dtype.is_floating:
            same = bool(tf.reduce_all(tf.equal(wanted, given)))
            worst = max(worst, 0.0 if same else 1.0)
            continue
        a, b = (tf.cast(x, tf.float64).numpy() for x in (wanted, given))
        if not np.array_equal(np.isfinite(a), np.isfinite(b)):
            return np.inf
        a, b = a[np.isfinite(a)], b[np.isfinite(b)]
        scale = float(np.max(np.abs(a), initial=0.0))
        error = float(np.max(np.abs(a - b), initial=0.0))
        rounding = _epsilon(dtype) * _ROUNDINGS
        if error > rounding * max(scale, 1e-30):
            worst = max(worst, error / scale if scale else np.inf)
    return worst


def _epsilon(dtype: Any) -> float:
    """The machine epsilon of a floating type."""
    if dtype == tf.bfloat16:
        # NumPy doesn't know it.
        return 2.0**-7
    return float(np.finfo(dtype.as_numpy_dtype).eps)


def _outputs(model: Any, inputs: Any) -> list[Any]:
    with _untouched(model):
        if isinstance(inputs, _Arguments):
            outputs = model(**inputs, training=False)
        else:
            outputs = model(inputs, training=False)
    return [
        tf.convert_to_tensor(value)
        for value in tf.nest.flatten(outputs)
        if value is not None
    ]


@contextlib.contextmanager
def _untouched(model: Any) -> Iterator[None]:
    """Makes calls of a model leave its variables as they are."""
    keras: Any = keras_of(model)
    if keras.__name__ == "keras":
        with keras.StatelessScope(collect_losses=True):
            yield
        return
    kept = [
        (variable, host_value(variable))
        for variable in [*model.non_trainable_variables, *states_of(model)]
        if hasattr(variable, "assign")
    ]
    try:
        yield
    finally:
        for variable, value in kept:
            variable.assign(value)


class _Arguments(dict):
    """Inputs that a model takes by the names of its arguments."""


def _draw(model: Any, extent: int) -> Any | None:
    """Draws inputs of one sample, or `None` if a model does not tell."""
    rng = np.random.default_rng(0)

    def draw(spec: Any) -> Any:
        shape = [extent if n is None else n for n in spec.shape]
        if shape and spec.shape[0] is None:
            shape[0] = 1
        dtype = tf.as_dtype(spec.dtype)
        if dtype == tf.string:
            return tf.constant(rng.choice(_words(model), shape))
        if dtype.is_floating:
            return tf.cast(rng.standard_normal(shape), dtype)
        # Every vocabulary has two words.
        return tf.cast(rng.integers(0, 2, shape), dtype)

    specs = _specs(model)
    if specs is None:
        return None
    try:
        drawn = tf.nest.map_structure(draw, specs)
    except (TypeError, ValueError, AttributeError):
        # Ragged and sparse inputs, and those of an unknown number of axes.
        return None
    return _Arguments(drawn) if isinstance(specs, _Arguments) else drawn


def _specs(model: Any) -> Any | None:
    """Returns the inputs' shapes and types, in the structure that is taken."""
    if holds_graph(model):
        # One with a `call` of its own too: it takes what its graph takes.
        return getattr(functional_of(model), "input", None)
    if keras_of(model).__name__ == "tf_keras":
        spec = tf_keras2.call_spec_of(model)
        return None if spec is None or not spec[0] else spec[0][0]
    shapes = keras3.build_shapes_of(model)
    specs = {
        name.removesuffix("_shape"): keras3.symbolic(shape, "float32")
        for name, shape in shapes.items()
    }
    if len(specs) == 1:
        return next(iter(specs.values()))
    return _Arguments(specs) if specs else None


def _words(model: Any) -> list[str]:
    words = ["a", "b"]
    for layer in all_layers(model):
        if hasattr(layer, "get_vocabulary"):
            # Tokenizers, which no graph holds, may have none or a dictionary.
            with contextlib.suppress(NotImplementedError, ValueError):
                known = itertools.islice(layer.get_vocabulary(), 8)
                words += [str(word) for word in known]
    return words
