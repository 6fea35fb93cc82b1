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
"""Copies that compute in float32, of models that compute in something else.

Models are trained in half precision, and run in float32 by runtimes that have
no half precision to offer. The copy holds the same weights, each exactly but
for those of float64.
"""

import contextlib
from collections.abc import Iterator
from typing import Any

from tfmot_sapp.frameworks.building import built_like
from tfmot_sapp.frameworks.calls import holds_graph
from tfmot_sapp.frameworks.copying import Cloner, Copy
from tfmot_sapp.frameworks.layer_state import copy_state
from tfmot_sapp.frameworks.private import keras3, tf_keras2
from tfmot_sapp.frameworks.private.layers import all_layers
from tfmot_sapp.frameworks.which_keras import is_model, keras_of

_OTHERS = ("float16", "bfloat16", "float64")
_POLICIES = frozenset({*_OTHERS, "mixed_float16", "mixed_bfloat16"})


def computes_in_float32(model: Any) -> bool:
    """Returns whether all layers of a model compute and take float32.

    Args:
        model: A model of either Keras.
    """
    types = [
        getattr(layer, "compute_dtype", None) for layer in all_layers(model)
    ]
    types += map(_dtype_name, getattr(model, "inputs", None) or ())
    return not any(dtype in _OTHERS for dtype in types)


def float32_copy(model: Any) -> Any:
    """Copies a model so that it computes in float32.

    Args:
        model: A model of either Keras, of any precision.

    Returns:
        A model of the same class with weights of its own.

    Raises:
        ValueError: If a layer can't be made again from its config.
    """
    keras = keras_of(model)
    made: list[tuple[Any, Any]] = []

    def in_float32(layer: Any, copy: Copy) -> Any:
        if is_model(layer):
            return copy(layer)
        config = _rewritten(layer.get_config())

        def make() -> Any:
            new = type(layer).from_config(config)
            _set_float32(new, keras)
            return new

        try:
            new = built_like(layer, make) if layer.built else make()
        except Exception as error:
            raise ValueError(
                f"The layer `{layer.name}` of type {type(layer).__name__} "
                "can't be made again for float32. Define `get_config()` in its "
                "class, with the `dtype` that its base class has in its config."
                f" Received the error: {error}"
            ) from error
        made.append((layer, new))
        return new

    known = {type(layer).__name__: type(layer) for layer in all_layers(model)}
    # What a layer makes inside of itself goes by the policy that is set.
    with keras.utils.custom_object_scope(known), _float32_policy(keras):
        clone = Cloner(in_float32).clone(model)
        for old, new in made:
            copy_state(old, new)
        _set_float32(clone, keras)
        return _with_float32_inputs(clone, keras)


def _rewritten(part: Any) -> Any:
    """A config with every policy and type of it in float32."""
    if isinstance(part, dict):
        return {
            key: "float32"
            if key in ("dtype", "dtype_policy") and _is_other(value)
            else _rewritten(value)
            for key, value in part.items()
        }
    if isinstance(part, tuple):
        return tuple(map(_rewritten, part))
    return list(map(_rewritten, part)) if isinstance(part, list) else part


def _is_other(dtype: Any) -> bool:
    if isinstance(dtype, dict):
        dtype = (dtype.get("config") or {}).get("name")
    return getattr(dtype, "name", dtype) in _POLICIES


def _set_float32(layer: Any, keras: Any) -> None:
    for inner in all_layers(layer):
        if getattr(inner, "compute_dtype", None) not in _OTHERS:
            continue
        if keras.__name__ == "keras":
            inner.dtype_policy = "float32"
        else:
            tf_keras2.set_policy(inner, "float32")


@contextlib.contextmanager
def _float32_policy(keras: Any) -> Iterator[None]:
    if keras.__name__ == "keras":
        get, put = keras.config.dtype_policy, keras.config.set_dtype_policy
    else:
        mixed = keras.mixed_precision
        get, put = mixed.global_policy, mixed.set_global_policy
    before = get()
    put("float32")
    try:
        yield
    finally:
        put(before)


def _with_float32_inputs(model: Any, keras: Any) -> Any:
    """The same layers on inputs that are float32 where they weren't."""
    inputs = getattr(model, "inputs", None) or ()
    if not any(_dtype_name(tensor) in _OTHERS for tensor in inputs):
        return model
    if isinstance(model, keras.Sequential):
        first = _input_like(keras, next(iter(inputs)))
        return keras.Sequential([first, *model.layers], name=model.name)
    if not holds_graph(model):
        return model
    own = keras.__name__ == "keras"
    given = (
        keras.tree.map_structure(lambda t: _input_like(keras, t), model.input)
        if own
        else [_input_like(keras, tensor) for tensor in inputs]
    )
    return keras.models.clone_model(
        model, input_tensors=given, clone_function=lambda layer: layer
    )


def _input_like(keras: Any, tensor: Any) -> Any:
    dtype, name = _dtype_name(tensor), tensor.name
    if keras.__name__ == "keras":
        name = keras3.operation_behind(tensor).name
    return keras.Input(
        batch_shape=tuple(tensor.shape),
        dtype="float32" if dtype in _OTHERS else dtype,
        name=name,
    )


def _dtype_name(tensor: Any) -> str:
    return str(getattr(tensor.dtype, "name", tensor.dtype))
