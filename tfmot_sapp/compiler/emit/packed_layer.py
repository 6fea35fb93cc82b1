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
"""The layer that a packed model is made of.

`PackedLayer` holds a lowering and the steps that follow it, and takes and gives
lists of pieces. What it computes is in `PackedComputation`, which knows neither
Keras; here is the class for Keras 3, in `packed_layers_tf_keras.py` the one for
tf_keras.
"""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from tfmot_sapp.compiler.emission import current_emission
from tfmot_sapp.compiler.lowerings.by_name import lowering_from_config
from tfmot_sapp.frameworks.private.layers import call_count


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

    name: str
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
            else keras_module.saving.deserialize_keras_object(step["layer"])
            for step in steps
        ]
        self.supports_masking = True

    def _make_weights(self) -> None:
        self._weight_list = [
            self.add_weight(  # type: ignore[attr-defined]
                name=name, shape=shape, initializer="zeros"
            )
            for name, shape in self.lowering.weights()
        ]

    def _run(self, inputs: Any) -> list[Any]:
        # tf_keras hands over a list of one tensor as the tensor.
        several = isinstance(inputs, list | tuple)
        tensors = list(inputs) if several else [inputs]
        weights: list[Any]
        # One that is called several times keeps one set of weights.
        several = call_count(self) > 1
        if current_emission().constants and not several:
            # Outside of the graph that is being traced, where they have values.
            with tf.init_scope():
                weights = [self._tensor(w).numpy() for w in self._weight_list]
        else:
            weights = [self._tensor(w) for w in self._weight_list]
        outputs = []
        pieces = tensors[: self.core_inputs]
        for j, y in enumerate(self.lowering.outputs(weights, pieces)):
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
            outputs.append(y)
        return outputs

    def _tensor(self, weight: Any) -> Any:
        raise TypeError(f"{type(self).__name__} doesn't define `_tensor`.")

    def _config(self) -> dict[str, Any]:
        return {
            "lowering": self._lowering_config,
            "steps": self._step_configs,
            "core_inputs": self.core_inputs,
            "row": self.row,
        }


@keras.saving.register_keras_serializable(package="tfmot_sapp")
class PackedLayer(PackedComputation, keras.layers.Layer):
    """Computes a layer from the blocks that were kept.

    Made by `pack_blocks`; there is no need to make one by hand.

    Args:
        lowering: Config of a `Lowering`.
        steps: What follows, each a dictionary of `kind`, `layer` (serialised)
            and `operands`.
        core_inputs: How many of the input tensors the lowering takes.
        row: What a report says about the layer.
        **kwargs: Name and dtype policy, as for every layer.
    """

    def __init__(
        self,
        lowering: dict[str, Any],
        steps: Sequence[dict[str, Any]] = (),
        core_inputs: int = 1,
        row: dict[str, Any] | None = None,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self._set_up(lowering, steps, core_inputs, row, keras)

    def build(self, input_shape: Any) -> None:
        """Makes the weights; their shapes don't depend on the input."""
        del input_shape
        self._make_weights()
        self.built = True

    def call(self, inputs: Any) -> list[Any]:
        """Takes a list of pieces, gives a list of pieces."""
        return self._run(inputs)

    def compute_mask(self, inputs: Any, previous_mask: Any) -> Any:
        """Every output piece has the mask of the first input."""
        del inputs
        masks = previous_mask
        if isinstance(masks, list | tuple):
            masks = next((mask for mask in masks if mask is not None), None)
        return masks

    def _tensor(self, weight: Any) -> Any:
        return keras.ops.convert_to_tensor(weight, dtype=self.compute_dtype)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments of the constructor."""
        return {**super().get_config(), **self._config()}


def packed_layer_class(keras_module: Any) -> Any:
    """The class of packed layers of a Keras."""
    if keras_module is keras:
        return PackedLayer
    from tfmot_sapp.compiler.emit import (
        packed_layer_tf_keras as packed_layers_tf_keras,
    )

    return packed_layers_tf_keras.PackedLayer
