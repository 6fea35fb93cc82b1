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
"""`PruneBlocks` for Keras 3."""

import functools
from collections.abc import Callable
from typing import Any, ClassVar

import keras
import tensorflow as tf

from tfmot_sapp.allocations.allocation import Allocation
from tfmot_sapp.blocks.block_size import BlockSize
from tfmot_sapp.frameworks.building import build_as_noted
from tfmot_sapp.frameworks.layer_state import states_of
from tfmot_sapp.frameworks.private.keras3 import (
    is_built_by_call,
    stateless_scope,
    unrounded_value,
)
from tfmot_sapp.frameworks.which_keras import check_layer
from tfmot_sapp.scorers.scorer import Scorer
from tfmot_sapp.training.pruned_kernel import PrunedKernel
from tfmot_sapp.training.wrapped_calls import call_like, refuse_to_quantize
from tfmot_sapp.training.wrapper import PruneBlocksMixin


@keras.saving.register_keras_serializable(package="tfmot_sapp")
class PruneBlocks(PruneBlocksMixin, keras.layers.Wrapper):
    """Calls a layer with its kernels multiplied by factor and mask.

    `tfmot_sapp.prune_blocks` makes these; there is seldom a reason to make one
    by hand.

    Args:
        layer: The layer to prune. Its variables stay its own.
        pruning_schedule: A schedule.
        block_size: `(in, out)`, or one extent per axis of the kernel.
        scorer: A `Scorer`. Defaults to `SequentialAttention()`.
        allocation: An `Allocation`. Defaults to `UniformAllocation()`.
        min_blocks: Kernels with fewer blocks than this are left alone.
        **kwargs: Arguments of `keras.layers.Layer`.

    Example:

    >>> from tfmot_sapp import SequentialAttentionSchedule
    >>> schedule = SequentialAttentionSchedule(0.5, end_step=100)
    >>> layer = PruneBlocks(keras.layers.Dense(8), schedule, (2, 2))
    >>> layer.build((None, 4))
    >>> layer.pruned_kernels[0].grid.cells
    (2, 4)
    """

    _full_precision_variable: ClassVar[dict[str, bool]] = {"autocast": False}

    def __init__(
        self,
        layer: Any,
        pruning_schedule: Any,
        block_size: BlockSize = (32, 32),
        scorer: Scorer | None = None,
        allocation: Allocation | None = None,
        min_blocks: int = 1,
        **kwargs: Any,
    ):
        check_layer(layer, keras=keras)
        # Keras reads the signature of `call`, which is the wrapped layer's,
        # while it initializes.
        self.__dict__["_wrapped"] = layer
        kwargs.setdefault("name", f"prune_blocks_{layer.name}")
        kwargs.setdefault("dtype", layer.dtype_policy)
        super().__init__(layer, **kwargs)
        self.supports_masking = layer.supports_masking
        self._configure(
            pruning_schedule, block_size, scorer, allocation, min_blocks
        )
        # A model's `quantize` passes wrappers by and quantizes what is inside.
        self.__dict__["_own_quantize"] = vars(layer).get("quantize")
        layer.quantize = functools.partial(refuse_to_quantize, layer.name)

    @property
    def call(self) -> Callable[..., Any]:
        """Calls the wrapped layer; takes the same arguments."""
        return call_like(self.__dict__["_wrapped"], self._call)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Calls the layer, building it with all its inputs if need be."""
        if not self.built and (
            not self.layer.built or is_built_by_call(self.layer)
        ):
            # Keras builds from the shape of the first input alone where a
            # wrapper does not name the others.
            def symbolic(value: Any) -> Any:
                if not hasattr(value, "shape"):
                    return value
                return keras.KerasTensor(value.shape, value.dtype)

            self.layer(
                *keras.tree.map_structure(symbolic, args),
                **keras.tree.map_structure(symbolic, kwargs),
            )
        return super().__call__(*args, **kwargs)

    def build(self, input_shape: Any = None) -> None:
        """Builds the wrapped layer and makes the variables of its blocks."""
        super().build(input_shape)
        self._make_variables()

    def get_build_config(self) -> dict[str, Any]:
        """Returns what the wrapped layer needs to be built."""
        return {"layer": self.layer.get_build_config()}

    def build_from_config(self, config: dict[str, Any]) -> None:
        """Builds the wrapped layer as it was built, then this one."""
        # Keras takes one that only its call builds for built.
        is_built = self.layer.built and not is_built_by_call(self.layer)
        if config.get("layer") and not is_built:
            is_built = build_as_noted(self.layer, config["layer"])
        if is_built:
            self.build()
            self.built = True

    def _call(self, *args: Any, training: Any = None, **kwargs: Any) -> Any:
        if training:
            self._require_driver()
            self._add_penalties()
        if "training" in self.layer.call_signature_parameters:
            kwargs["training"] = training
        values = {
            id(kernel.variable): (kernel.variable, tensor)
            for kernel, tensor in self._effective_kernels(bool(training))
        }
        variables = [*self.layer.variables, *states_of(self.layer)]
        outer = stateless_scope()
        if outer is not None:
            for variable in variables:
                value = outer.get_current_value(variable)
                if value is not None:
                    values.setdefault(id(variable), (variable, value))
        with keras.StatelessScope(
            list(values.values()), collect_losses=True
        ) as scope:
            outputs = self.layer(*args, **kwargs)
        # Batch statistics, seeds and losses were kept back by the scope.
        pruned = {id(pruned.variable) for pruned in self._kernels}
        for variable in variables:
            value = scope.get_current_value(variable)
            before = values.get(id(variable), (None, None))[1]
            if id(variable) not in pruned and value is not before:
                variable.assign(value)
        for loss in scope.losses:
            self.add_loss(loss)
        return outputs

    def _freeze(self, pruned: PrunedKernel) -> None:
        for variable in pruned.state.values():
            variable.trainable = False

    def _full_precision(self, pruned: PrunedKernel) -> tf.Tensor:
        outer = stateless_scope()
        if outer is not None:
            value = outer.get_current_value(pruned.variable)
            if value is not None:
                return tf.convert_to_tensor(value)
        # Inside a mixed-precision layer `value` would be a rounded copy.
        return tf.convert_to_tensor(unrounded_value(pruned.variable))

    def compute_output_shape(self, *args: Any, **kwargs: Any) -> Any:
        """Returns the wrapped layer's output shape."""
        return self.layer.compute_output_shape(*args, **kwargs)

    def compute_output_spec(self, *args: Any, **kwargs: Any) -> Any:
        """Returns the wrapped layer's output specification."""
        if "training" not in self.layer.call_signature_parameters:
            kwargs.pop("training", None)
        return self.layer.compute_output_spec(*args, **kwargs)

    def compute_mask(self, inputs: Any, previous_mask: Any) -> Any:
        """Returns the wrapped layer's output mask."""
        return self.layer.compute_mask(inputs, previous_mask)

    def release(self) -> Any:
        """Gives the wrapped layer back."""
        if not self.released:
            del self.layer.quantize
            if self.__dict__["_own_quantize"] is not None:
                self.layer.quantize = self.__dict__["_own_quantize"]
        return super().release()

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments that make an equal layer."""
        return {**super().get_config(), **self._arguments()}

    @classmethod
    def from_config(
        cls, config: dict[str, Any], custom_objects: Any = None
    ) -> "PruneBlocks":
        """Makes a layer from what `get_config` returned."""
        config, notes = cls._restored(config)
        layer = super().from_config(config, custom_objects)
        layer._note(notes)
        return layer

    def get_own_config(self) -> dict[str, Any]:
        """Returns the arguments but for the layer, for `around`."""
        return {**keras.layers.Layer.get_config(self), **self._arguments()}

    @classmethod
    def around(cls, layer: Any, config: dict[str, Any]) -> "PruneBlocks":
        """Wraps a layer, given what `get_own_config` returned."""
        arguments, notes = cls._restored(config)
        wrapper = cls(layer, **arguments)
        wrapper._note(notes)
        if layer.built:
            wrapper.build()
            wrapper.built = True
        return wrapper
