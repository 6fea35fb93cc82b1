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
"""Building layers of tf_keras.

tf_keras builds a layer from the shape of its first input, which is not enough
for a layer that takes several, and what some of its layers note as their own
input shape is that of a layer inside them. A layer that is called once in a
graph of its own has all the weights it will ever have, without a node that ties
it to a model. Imported only for objects of tf_keras.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow as tf

from tfmot_sapp.frameworks.private.tf_keras2 import call_spec_of


def build_by_call(
    layer: Any, args: Sequence[Any], kwargs: Mapping[str, Any]
) -> None:
    """Builds a layer as a call with these arguments would.

    Args:
        layer: A layer.
        args: Its positional arguments; tensors are only asked for shapes and
            dtypes, and `tf.TensorSpec`s will do.
        kwargs: Its arguments by name, likewise.
    """
    flat = tf.nest.flatten((list(args), dict(kwargs)))
    specs = {
        str(index): tf.TensorSpec(value.shape, value.dtype)
        for index, value in enumerate(flat)
        if hasattr(value, "shape") and hasattr(value, "dtype")
    }

    def call(tensors: Mapping[str, tf.Tensor]) -> tf.Tensor:
        values = [
            tensors.get(str(index), value) for index, value in enumerate(flat)
        ]
        positional, named = tf.nest.pack_sequence_as(
            (list(args), dict(kwargs)), values
        )
        layer(*positional, **named)
        return tf.constant(0)

    tf.function(call, autograph=False).get_concrete_function(specs)


def build_like(original: Any, copy: Any) -> None:
    """Builds a copy of a layer as the layer was built.

    Args:
        original: A built layer.
        copy: A layer made from its config. It stays unbuilt if the original
            tells nothing of its inputs.
    """
    if not original.weights:
        return
    if copy.built and len(copy.weights) == len(original.weights):
        return
    spec = call_spec_of(original)
    # Arguments that are no tensors are missing in it.
    if spec is not None and None not in tf.nest.flatten(spec):
        build_by_call(copy, *spec)
        return
    config = original.get_build_config()
    if config:
        # Two layers' variables of one name do not go into one h5 file.
        with tf.name_scope(copy.name):
            copy.build_from_config(config)
