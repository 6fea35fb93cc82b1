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
"""`PackedLayer` for tf_keras. Imported only for a model of tf_keras."""

from collections.abc import Sequence
from typing import Any

import tensorflow as tf
import tf_keras

from tfmot_sapp.compiler.emit.packed_computation import PackedComputation
from tfmot_sapp.targets.operators import Operators


@tf_keras.saving.register_keras_serializable(package="tfmot_sapp")
class PackedLayer(PackedComputation, tf_keras.layers.Layer):
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
        self._set_up(lowering, steps, core_inputs, row, tf_keras)

    def build(self, input_shape: Any) -> None:
        """Makes the weights; their shapes don't depend on the input."""
        self._build_for(input_shape)
        super().build(input_shape)

    def call(
        self, inputs: Any, operators: Operators | None = None
    ) -> list[Any]:
        """Takes a list of pieces, gives a list of pieces.

        Args:
            inputs: The pieces.
            operators: How to compute for another runtime; an exporter's.
        """
        return self.compute(inputs, operators)

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        """Every output piece has the mask of the first input."""
        del inputs
        if isinstance(mask, list | tuple):
            return next((each for each in mask if each is not None), None)
        return mask

    def _tensor(self, weight: Any) -> Any:
        return tf.convert_to_tensor(weight)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments of the constructor."""
        return {**super().get_config(), **self._config()}
