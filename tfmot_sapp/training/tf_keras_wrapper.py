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
"""`PruneBlocks` for tf_keras. Imported only once tf_keras is."""

import contextlib
import inspect
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

import tensorflow as tf
import tf_keras

from tfmot_sapp.allocations.allocation import Allocation
from tfmot_sapp.blocks.block_size import BlockSize
from tfmot_sapp.frameworks.kernels import Kernel
from tfmot_sapp.frameworks.private.tf_keras2 import (
    is_saving,
    stop_training,
    without_autocast,
)
from tfmot_sapp.frameworks.tf_keras_building import build_by_call
from tfmot_sapp.frameworks.thread_values import seen_as
from tfmot_sapp.frameworks.which_keras import check_layer
from tfmot_sapp.scorers.scorer import Scorer
from tfmot_sapp.training.pruned_kernel import PrunedKernel
from tfmot_sapp.training.wrapped_calls import call_like
from tfmot_sapp.training.wrapper import PruneBlocksMixin


@tf_keras.saving.register_keras_serializable(package="tfmot_sapp")
class PruneBlocks(PruneBlocksMixin, tf_keras.layers.Wrapper):
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
        **kwargs: Arguments of `tf_keras.layers.Layer`.

    Example:

    >>> from tfmot_sapp import SequentialAttentionSchedule
    >>> schedule = SequentialAttentionSchedule(0.5, end_step=100)
    >>> layer = PruneBlocks(tf_keras.layers.Dense(8), schedule, (2, 2))
    >>> layer.build((None, 4))
    >>> layer.pruned_kernels[0].grid.cells
    (2, 4)
    """

    _full_precision_variable: ClassVar[dict[str, bool]] = {
        "experimental_autocast": False
    }

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
        check_layer(layer, keras=tf_keras)
        kwargs.setdefault("name", f"prune_blocks_{layer.name}")
        kwargs.setdefault("dtype", layer.dtype_policy)
        # tf_keras reads the signature of `call` while it initializes, and puts
        # functions of its own there while it saves a SavedModel.
        self.call = call_like(layer, self._call)
        parameters = inspect.signature(layer.call).parameters
        self._takes_training = "training" in parameters
        self._named = tuple(
            name
            for name, parameter in parameters.items()
            if parameter.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD
        )
        super().__init__(layer, **kwargs)
        self.supports_masking = layer.supports_masking
        self._configure(
            pruning_schedule, block_size, scorer, allocation, min_blocks
        )

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Calls the layer, building it with all its inputs if need be."""
        if not self.layer.built:
            build_by_call(self.layer, args, kwargs)
        return super().__call__(*args, **kwargs)

    def build(self, input_shape: Any = None) -> None:
        """Builds the wrapped layer and makes the variables of its blocks."""
        # Variables of one name in two layers do not go into one h5 file.
        with tf.name_scope(self.name):
            super().build(input_shape)
            if not self.layer.weights:
                # Loading a SavedModel, tf_keras knows the first input's shape
                # only, and would go on without this layer's masks.
                raise ValueError(
                    f"The layer `{self.layer.name}` in `{self.name}` cannot be "
                    "built from the shape of its first input alone. Received: "
                    f"input_shape={input_shape}. Call it instead; to save a "
                    "wrapped model with such a layer use the `.keras` or the "
                    "`.h5` format, or `strip_pruning` first."
                )
            self._make_variables()

    def get_build_config(self) -> None:
        """Returns nothing: a model that is loaded builds it by a call."""

    def _call(self, *args: Any, **kwargs: Any) -> Any:
        # To save a SavedModel tf_keras hands everything over by position, which
        # not all layers take: the `__call__` of an RNN has another order.
        if len(args) <= len(self._named):
            kwargs.update(zip(self._named[1:], args[1:]))
            args = args[:1]
        training = kwargs.pop("training", None)
        if training:
            # To save a SavedModel is to trace training, and not to train.
            if not is_saving():
                self._require_driver()
            self._add_penalties()
        if self._takes_training:
            kwargs["training"] = training
        with without_autocast():
            kernels = self._effective_kernels(bool(training))
        with _replaced(kernels):
            return self.layer(*args, **kwargs)

    def _freeze(self, pruned: PrunedKernel) -> None:
        for variable in pruned.state.values():
            stop_training(self, variable)

    def _full_precision(self, pruned: PrunedKernel) -> tf.Tensor:
        return tf.convert_to_tensor(pruned.variable)

    def compute_output_shape(self, *args: Any, **kwargs: Any) -> Any:
        """Returns the wrapped layer's output shape."""
        return self.layer.compute_output_shape(*args, **kwargs)

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        """Returns the wrapped layer's output mask."""
        return self.layer.compute_mask(inputs, mask)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments that make an equal layer."""
        config = {**super().get_config(), **self._arguments()}
        # Some layers of several inputs note too little to be built from.
        config["layer"].pop("build_config", None)
        return config

    @classmethod
    def from_config(
        cls, config: dict[str, Any], custom_objects: Any = None
    ) -> "PruneBlocks":
        """Makes a layer from what `get_config` returned."""
        config, notes = cls._restored(config)
        # tf_keras's own `Wrapper` looks for the format in the wrong place, and
        # does not find registered layers then.
        inner = dict(config.pop("layer"))
        # By its own name tf_keras does not find it when it reads HDF5.
        if inner.get("registered_name"):
            inner["class_name"] = inner["registered_name"]
        layer = tf_keras.layers.deserialize(
            inner,
            custom_objects=custom_objects,
            use_legacy_format="module" not in inner,
        )
        wrapper = cls(layer, **config)
        wrapper._note(notes)
        return wrapper

    def get_own_config(self) -> dict[str, Any]:
        """Returns the arguments but for the layer, for `around`."""
        return {**tf_keras.layers.Layer.get_config(self), **self._arguments()}

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


@contextlib.contextmanager
def _replaced(kernels: Sequence[tuple[Kernel, tf.Tensor]]) -> Iterator[None]:
    """Puts tensors in place of kernels, for the thread that calls the layer."""
    with contextlib.ExitStack() as stack:
        for kernel, tensor in kernels:
            dtype = kernel.owner.compute_dtype or tensor.dtype
            value = tf.cast(tensor, dtype)
            stack.enter_context(seen_as(kernel.owner, kernel.attribute, value))
        yield
