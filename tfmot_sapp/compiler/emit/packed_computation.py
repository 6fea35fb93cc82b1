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
"""What a packed layer computes, whichever Keras it is a layer of.

`PackedComputation` holds a lowering and the steps that follow it, and takes and
gives lists of pieces. `keras_packed_layer.py` and `tf_keras_packed_layer.py`
make layers of it; this file imports neither Keras.
"""

from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from tfmot_sapp.compiler.emit.tensorflow_operations import (
    TensorFlowOperations,
)
from tfmot_sapp.compiler.lowerings.by_name import lowering_from_config
from tfmot_sapp.targets.operators import Operators
from tfmot_sapp.targets.tensorflow_target import TensorFlowTarget

# What a packed Keras model is computed with, unless something else is asked.
_IN_KERAS = TensorFlowTarget().operators()


class PackedComputation:
    """What both PackedLayers compute, as a mixin of a Keras layer.

    Attributes:
        lowering: A `Lowering`.
        steps: For each step a dictionary of `kind`, `layer` (a Keras layer, or
            `None` for an addition) and `operands`: for each operand and
            output, the position of the tensor among all inputs, or `None`
            where there is nothing to add.
        core_inputs: How many of the inputs the lowering takes.
        row: What a report says about the layer.
    """

    # What the layer of its Keras gives it.
    __call__: Callable[..., Any]
    name: str
    compute_dtype: str
    weights: list[Any]
    _step_layers: list[Any]

    def _set_up(
        self,
        lowering: dict[str, Any],
        steps: Sequence[dict[str, Any]],
        core_inputs: int,
        row: dict[str, Any] | None,
        keras_module: Any,
    ) -> None:
        self._lowering_config = dict(lowering)
        self.lowering = lowering_from_config(dict(lowering))
        self.core_inputs = core_inputs
        self.row = row
        self._step_configs = [dict(step) for step in steps]
        self._step_layers = [
            None
            if step["layer"] is None
            else keras_module.layers.deserialize(step["layer"])
            for step in steps
        ]
        self.supports_masking = True

    def _build_for(self, input_shape: Any) -> None:
        """Makes the weights; their shapes don't depend on the input."""
        kinds = (list, tuple, tf.TensorShape)
        # Files of older versions don't say what a layer was built for.
        shapes = list(input_shape or [])
        if shapes and not isinstance(shapes[0], kinds):
            shapes = [shapes]
        self._widths = [shape[-1] for shape in shapes]
        self._weight_list = [
            self.add_weight(  # type: ignore[attr-defined]
                name=name, shape=shape, initializer="zeros"
            )
            for name, shape in self.lowering.weights()
        ]

    def compute(
        self, inputs: Any, operators: Operators | None = None
    ) -> list[Any]:
        """Computes the output pieces.

        Args:
            inputs: A list of pieces, or the only one.
            operators: How to write it; `None` for a Keras model in TensorFlow.

        Returns:
            The output pieces.
        """
        operators = operators or _IN_KERAS
        # tf_keras hands over a list of one tensor as the tensor.
        several = isinstance(inputs, list | tuple)
        tensors = [
            self._taken(x, i)
            for i, x in enumerate(inputs if several else [inputs])
        ]
        weights: list[Any]
        if operators.constant_weights:
            # Outside of the graph that is being traced, where they have values.
            with tf.init_scope():
                weights = [self._tensor(w).numpy() for w in self._weight_list]
        else:
            weights = [self._tensor(w) for w in self._weight_list]
        pieces = tensors[: self.core_inputs]
        write = TensorFlowOperations(operators)
        made = self.lowering.outputs(weights, pieces, write)
        return [self._follow(j, y, tensors) for j, y in enumerate(made)]

    def _follow(self, j: int, y: Any, tensors: list[Any]) -> Any:
        """Applies the steps to output piece `j`."""
        for step, layer in zip(self._step_configs, self._step_layers):
            places = [operand[j] for operand in step["operands"]]
            others = [tensors[i] for i in places if i is not None]
            if step["kind"] == "add":
                for other in others:
                    y = y + other
            elif others:
                y = layer([y, *others])
            else:
                y = layer(y)
        return y

    def _taken(self, x: Any, number: int) -> Any:
        """A tensor as the layer computes with it."""
        if isinstance(x, tf.SparseTensor):
            # Keras 3 takes the product of a tensor and a number for sparse.
            x = tf.sparse.to_dense(x)
            # A graph doesn't know how many channels a sparse tensor has.
            if self._widths:
                width = self._widths[number]
                x = tf.ensure_shape(x, [*x.shape[:-1], width])
        return x if x.dtype.is_floating else tf.cast(x, self.compute_dtype)

    def _tensor(self, weight: Any) -> Any:
        raise TypeError(f"{type(self).__name__} doesn't define `_tensor`.")

    def _config(self) -> dict[str, Any]:
        return {
            "lowering": self._lowering_config,
            "steps": self._step_configs,
            "core_inputs": self.core_inputs,
            "row": self.row,
        }
