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
"""Compiling a copy of a model as the model was compiled.

Losses hold no state and are shared; metrics and the optimizer are made again.
The new optimizer is not built, so that the copy takes no more memory than its
weights until it is trained.
"""

import contextlib
import functools
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import tensorflow as tf

from tfmot_sapp.frameworks.layer_state import (
    own_variables_of,
    variables_of,
)
from tfmot_sapp.frameworks.made_again import (
    Counterpart,
    metric_again,
    optimizer_again,
)
from tfmot_sapp.frameworks.optimizers import is_used
from tfmot_sapp.frameworks.private import compiling
from tfmot_sapp.frameworks.private.layers import all_layers
from tfmot_sapp.frameworks.references import held_by, rebound
from tfmot_sapp.frameworks.walking import paired_layers
from tfmot_sapp.frameworks.which_keras import is_model, keras_of

# What short names of losses stand for is chosen by the shapes of outputs.
_CHOSEN_BY_SHAPE = ("crossentropy", "ce")


def compile_like(
    original: Any, copy: Any, counterpart: Counterpart | None = None
) -> None:
    """Compiles a copy of a model as the model is compiled.

    It stays uncompiled where the original is, where an optimizer or a metric
    can't be made again from its config, where a loss computes with layers of
    the original, and where the class has a `compile` of its own but not the
    `get_compile_config` and `compile_from_config` that Keras asks for then.

    Args:
        original: A model of either Keras, which stays as it is.
        copy: A copy of it, with all its layers. Its outputs may have other
            names; losses and metrics by name follow.
        counterpart: Function from a variable of the original to that of the
            copy in its place, or to `None`. Defaults to going by the places of
            the layers.
    """
    if not compiling.is_compiled(original):
        return
    # Whatever classes of the user's do.
    with contextlib.suppress(Exception), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        _compile(original, copy, counterpart or _Counterparts(original, copy))


def keep_out_of_files(model: Any) -> None:
    """Keeps compiling out of a copy's `.keras` files until it is trained.

    Keras makes the optimizer's slots as it loads such a file, which takes more
    memory than the weights, and warns that the file has none; and it asks for
    losses of the user's own, which a model that is only run has no use for.

    Args:
        model: A copy of a model. Nothing changes if it isn't compiled.
    """
    for each in filter(is_model, all_layers(model)):
        if compiling.is_compiled(each):
            compiling.note_when_trained(each, functools.partial(_is_used, each))


def _is_used(model: Any) -> bool:
    return any(
        optimizer is None or is_used(optimizer)
        for optimizer in tf.nest.flatten(model.optimizer)
    )


def _compile(original: Any, copy: Any, counterpart: Counterpart) -> None:
    keras = keras_of(original)
    own = compiling.own_steps(type(original), keras.Model)
    if own and type(copy) is not type(original):
        return
    if "compile" in own:
        _compile_by_config(original, copy, keras)
        return
    found = compiling.compiling_of(original)
    if found is None:
        return
    variables = original.variables if original.built else []
    function = _Rebinding(original, copy, variables)
    names = _Names(original, copy)
    loss = names.renamed(_mapped(found.loss, function))
    made: dict[int, Any] = {}

    def metric(given: Any) -> Any:
        if not isinstance(given, keras.metrics.Metric):
            return function(given)
        if id(given) not in made:
            made[id(given)] = metric_again(given, names.as_given(given))
        return made[id(given)]

    copy.compile(
        optimizer=tf.nest.map_structure(
            lambda each: each and optimizer_again(each, variables, counterpart),
            original.optimizer,
        ),
        loss=_mapped(loss, _readable) if _is_keras_3(copy) else loss,
        loss_weights=names.renamed(found.loss_weights),
        metrics=names.renamed(_mapped(found.metrics, metric)),
        weighted_metrics=names.renamed(_mapped(found.weighted_metrics, metric)),
        **found.flags,
    )
    copy.loss = loss


def _compile_by_config(original: Any, copy: Any, keras: Any) -> None:
    cls, base = type(original), keras.Model
    if (
        cls.get_compile_config is base.get_compile_config
        or cls.compile_from_config is base.compile_from_config
    ):
        return
    config = original.get_compile_config()
    copy.compile_from_config(keras.saving.serialize_keras_object(config))


def _mapped(value: Any, function: Callable[[Any], Any]) -> Any:
    """Applies a function to what lists and dictionaries hold."""
    if isinstance(value, Mapping):
        return {key: _mapped(item, function) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        items = [_mapped(item, function) for item in value]
        return tuple(items) if isinstance(value, tuple) else items
    return function(value)


class _Counterparts:
    """The variables of a copy in the places of those of its original."""

    def __init__(self, original: Any, copy: Any):
        self._original = original
        self._copy = copy
        self._found: dict[int, Any] | None = None

    def __call__(self, variable: Any) -> Any | None:
        if self._found is None:
            self._found = {}
            for old, new in paired_layers(self._original, self._copy):
                for ours in (variables_of, own_variables_of):
                    pairs = list(zip(ours(old), ours(new)))
                    if len(pairs) == len(ours(old)) == len(ours(new)):
                        self._found.update((id(a), b) for a, b in pairs)
        return self._found.get(id(variable))


class _Rebinding:
    """Gives functions of the original those of its copy.

    A method of the model becomes one of the copy. What else computes with the
    layers of the original would go on doing so.
    """

    def __init__(self, original: Any, copy: Any, variables: Sequence[Any]):
        self._original = original
        self._copy = copy
        self._theirs = set(map(id, (*all_layers(original), *variables)))

    def __call__(self, given: Any) -> Any:
        if isinstance(given, str) or given is None:
            return given
        found = rebound(given, self._counterpart)
        if any(id(item) in self._theirs for item in held_by(found)):
            raise ValueError("It computes with layers of the original.")
        return found

    def _counterpart(self, item: Any) -> Any:
        return self._copy if item is self._original else item


class _Names:
    """The names of a model's outputs and those of a copy."""

    def __init__(self, original: Any, copy: Any):
        before = getattr(original, "output_names", None) or []
        after = getattr(copy, "output_names", None) or []
        self._new: dict[str, str] = {}
        by_name = isinstance(getattr(original, "output", None), Mapping)
        if len(before) == len(after) and not by_name:
            self._new = dict(zip(before, after))
        self._prefixes = [f"{name}_" for name in before if len(before) > 1]
        if _is_keras_3(original):
            self._prefixes = []

    def renamed(self, value: Any) -> Any:
        """Returns what is given by output with the names of the copy."""
        if not isinstance(value, Mapping) or not set(value) <= set(self._new):
            return value
        return {self._new[name]: item for name, item in value.items()}

    def as_given(self, metric: Any) -> str:
        """Returns a metric's name without that of an output before it.

        tf_keras puts it there when a model of several outputs is evaluated.
        """
        for prefix in self._prefixes:
            if metric.name.startswith(prefix):
                return metric.name.removeprefix(prefix)
        return metric.name


def _readable(loss: Any) -> Any:
    """Returns a loss's full name: HDF5 files with short ones can't be read."""
    import keras

    if not isinstance(loss, str) or loss.lower() in _CHOSEN_BY_SHAPE:
        return loss
    return getattr(keras.losses.get(loss), "__name__", loss)


def _is_keras_3(model: Any) -> bool:
    return bool(keras_of(model).__name__ == "keras")
