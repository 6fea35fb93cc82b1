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
"""Functions of a kernel that XLA compiles, once for each shape.

Compiled, a product over blocks reads a large kernel once and stores nothing of
its size.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

# Far more than the kernels of one model, which would else be compiled again in
# every step; what belongs to models of the past gives way.
_MOST_PROGRAMS = 1024


def run_compiled(
    function: Callable[..., tf.Tensor],
    tensors: Sequence[Any],
    *settings: Any,
) -> tf.Tensor:
    """Calls a function compiled by XLA, eagerly or inside a graph.

    Args:
        function: A function of the module that calls this one, of tensors and
            settings.
        tensors: Tensors of one dtype whose shapes are known. Sparse gradients
            are made dense.
        *settings: What else the function takes, hashable.

    Returns:
        What the function returns.
    """
    dense = [tf.convert_to_tensor(tensor) for tensor in tensors]
    shapes = tuple(tuple(tensor.shape) for tensor in dense)
    return _program(function, shapes, dense[0].dtype, settings)(*dense)


@functools.lru_cache(maxsize=_MOST_PROGRAMS)
def _program(
    function: Callable[..., tf.Tensor],
    shapes: tuple[tuple[int, ...], ...],
    dtype: tf.DType,
    settings: tuple[Any, ...],
) -> Callable[..., tf.Tensor]:
    def call(*tensors: tf.Tensor) -> tf.Tensor:
        return function(*tensors, *settings)

    # Traced here for its one shape: TensorFlow counts what is traced when it is
    # called, and warns of a model with many kernels. Outside of any graph, so
    # that every graph may call it.
    with tf.init_scope():
        return tf.function(
            call, jit_compile=True, autograph=False
        ).get_concrete_function(*(tf.TensorSpec(s, dtype) for s in shapes))
