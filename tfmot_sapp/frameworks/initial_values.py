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
"""New layers begin with the values of the layers that they are copies of.

Left to itself a copy draws random values that are thrown away as soon as it is
made. TensorFlow keeps the memory that this has taken, for a whole model as much
as its weights, while a value that is another variable's takes none until one of
the two changes.
"""

import contextlib
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import tensorflow as tf

from tfmot_sapp.frameworks.private.keras3 import initial_shape_of

# Smaller ones aren't worth it.
_LEAST = 1024


@contextlib.contextmanager
def begin_like(variables: Iterable[Any]) -> Iterator[None]:
    """Lets new variables have the values of others of their shape and type.

    Args:
        variables: Variables of either Keras.

    Yields:
        Nothing; it holds for this thread. Variables of other shapes, small ones
        and those whose values are given, not computed, are made as ever.
    """
    known = {
        _key(variable.shape, variable.dtype): variable
        for variable in variables
        if hasattr(variable, "assign") and _is_large(variable.shape)
    }

    def create(next_creator: Callable[..., Any], **kwargs: Any) -> Any:
        shape = _shape_of(kwargs)
        if shape is not None and kwargs.get("dtype") is not None:
            source = known.get(_key(shape, kwargs["dtype"]))
            if source is not None:
                kwargs["initial_value"] = lambda: tf.convert_to_tensor(source)
        return next_creator(**kwargs)

    if not known:
        yield
        return
    with tf.variable_creator_scope(create):
        yield


def _key(shape: Any, dtype: Any) -> tuple[tuple[int, ...], Any]:
    return tuple(int(extent) for extent in shape), tf.as_dtype(dtype)


def _is_large(shape: Any) -> bool:
    extents = tuple(shape)
    return None not in extents and math.prod(extents) >= _LEAST


def _shape_of(arguments: Mapping[str, Any]) -> Any | None:
    """Returns the shape of a new variable whose value is still computed."""
    value, shape = arguments.get("initial_value"), arguments.get("shape")
    if not callable(value):
        return None
    if shape is None:
        shape = initial_shape_of(value)
    return None if shape is None or None in tuple(shape) else shape
