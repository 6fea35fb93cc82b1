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
"""Looks up what is known about a layer.

A layer is of the kind of the first class among its own and those it inherits
from that has an entry. What depends on what a layer computes asks for the kind
of its own class alone, since a subclass may compute something else.
"""

from typing import Any

from tfmot_sapp.frameworks.layers.activations import ACTIVATIONS
from tfmot_sapp.frameworks.layers.attention import ATTENTIONS
from tfmot_sapp.frameworks.layers.convolutions import CONVOLUTIONS
from tfmot_sapp.frameworks.layers.kind import Effect, LayerKind
from tfmot_sapp.frameworks.layers.merging import MERGING
from tfmot_sapp.frameworks.layers.normalization import NORMALIZATION
from tfmot_sapp.frameworks.layers.products import PRODUCTS
from tfmot_sapp.frameworks.layers.recurrent import RECURRENT
from tfmot_sapp.frameworks.layers.windows import WINDOWS
from tfmot_sapp.frameworks.layers.without_kernels import WITHOUT_KERNELS
from tfmot_sapp.frameworks.which_keras import is_layer

KINDS = (
    *PRODUCTS,
    *CONVOLUTIONS,
    *RECURRENT,
    *ATTENTIONS,
    *NORMALIZATION,
    *ACTIVATIONS,
    *WINDOWS,
    *MERGING,
    *WITHOUT_KERNELS,
)
_BY_NAME = {name: kind for kind in KINDS for name in kind.names}
# Whose classes are meant by the names.
_LIBRARIES = ("keras", "tf_keras", "keras_hub", "keras_nlp")


def kind_of(layer: Any) -> LayerKind | None:
    """Returns the kind that a layer is of or inherits from.

    Args:
        layer: A layer of either Keras.

    Returns:
        Its entry, or `None` if there is none.

    Example:

    >>> import keras
    >>> kind_of(keras.layers.Conv2D(8, 3)).size
    'filters'
    """
    for cls in type(layer).__mro__ if is_layer(layer) else ():
        kind = _entry(cls)
        if kind is not None:
            return kind
    return None


def exact_kind_of(layer: Any) -> LayerKind | None:
    """Returns the kind of a layer's own class.

    Args:
        layer: A layer of either Keras, or an operation.

    Returns:
        Its entry, or `None` if its class has none, as a user's subclass of one
        that has.
    """
    # Keras 3 has operations whose classes are named as layers are.
    return _entry(type(layer)) if is_layer(layer) else None


def effect_of(layer: Any) -> Effect | None:
    """Returns what a layer's own class does to channels, if it is known."""
    kind = exact_kind_of(layer)
    return kind.effect if kind else None


def computes_as_known(layer: Any) -> bool:
    """Returns whether a layer computes what the class of its kind computes.

    Args:
        layer: A layer of either Keras, of a class that has an entry or inherits
            from one. A class that says otherwise what it computes does not.
    """
    for cls in type(layer).__mro__:
        if _entry(cls) is not None:
            return True
        if {"call", "convolution_op", "kernel"} & vars(cls).keys():
            return False
    return False


def may_have_kernels(layer: Any) -> bool:
    """Returns whether a layer that is not built yet may come to have kernels.

    Args:
        layer: A layer of either Keras. One that isn't known may.
    """
    kind = exact_kind_of(layer)
    return kind is None or kind.kernels is not None or kind.holds_layers


def _entry(cls: type) -> LayerKind | None:
    if cls.__module__.partition(".")[0] not in _LIBRARIES:
        return None
    return _BY_NAME.get(cls.__name__)
