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
"""Which of the two Keras an object belongs to.

Keras 3 (`keras`) and Keras 2 (`tf_keras`, the Keras of TF-MOT) live in one
process. The object that is passed decides, never the environment, and neither
package is imported before somebody has handed over one of its objects.
"""

import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from tfmot_sapp.base.wording import received

_ROOTS = ("keras", "tf_keras")


def keras_of(obj: Any) -> Any:
    """Returns the Keras that the object's class comes from.

    Args:
        obj: Anything; a layer, a model, an optimizer, a callback.

    Returns:
        The module `keras` or `tf_keras`, or `None` if the object belongs to
        neither.

    Example:

    >>> import keras
    >>> keras_of(keras.layers.Dense(1)).__name__
    'keras'
    """
    for cls in type(obj).__mro__:
        root = cls.__module__.partition(".")[0]
        if root in _ROOTS:
            return sys.modules[root]
    return None


def host_value(variable: Any) -> np.ndarray:
    """Returns a variable's value, whatever kind of variable it is.

    Args:
        variable: A variable of either Keras or of TensorFlow; one that is
            mirrored on several devices gives the first one's value.
    """
    return tf.convert_to_tensor(variable).numpy()


def is_layer(obj: Any) -> bool:
    """Returns whether the object is a layer (or a model) of either Keras.

    The metrics of tf_keras, which are layers there, are not counted as such.
    """
    keras = keras_of(obj)
    return (
        keras is not None
        and isinstance(obj, keras.layers.Layer)
        and not isinstance(obj, keras.metrics.Metric)
    )


def is_model(obj: Any) -> bool:
    """Returns whether the object is a model of either Keras."""
    keras = keras_of(obj)
    return keras is not None and isinstance(obj, keras.Model)


def check_model(model: Any, name: str = "model") -> Any:
    """Returns a model of either Keras.

    Args:
        model: What was received.
        name: Name of the argument, for the error.

    Raises:
        TypeError: If it is no model.
    """
    return _checked(model, name, "a model", is_model)


def check_layer(layer: Any, name: str = "layer", keras: Any = None) -> Any:
    """Returns a layer of either Keras, or of one.

    Args:
        layer: What was received.
        name: Name of the argument, for the error.
        keras: The Keras it must be of; `None` for either.

    Raises:
        TypeError: If it is no layer, or one of the other Keras.
    """
    _checked(layer, name, "a layer", is_layer)
    if keras is not None and not isinstance(layer, keras.layers.Layer):
        raise TypeError(
            f"`{name}` must be a layer of `{keras.__name__}`, as its wrapper "
            "is; `tfmot_sapp.prune_blocks` takes the wrapper of a layer's own "
            f"Keras. {received(name, layer)}"
        )
    return layer


def _checked(
    value: Any, name: str, what: str, is_one: Callable[[Any], bool]
) -> Any:
    if not is_one(value):
        raise TypeError(
            f"`{name}` must be {what} of Keras 3 or tf_keras. "
            f"{received(name, value)}"
        )
    return value
