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
"""`prune_blocks`: wrap with one call."""

import contextlib
import functools
import sys
from typing import Any

import keras

from tfmot_sapp.allocations.allocation import Allocation, validate_allocation
from tfmot_sapp.blocks.block_size import (
    BlockSizeLike,
    resolve_block_size,
    validate_block_size,
)
from tfmot_sapp.frameworks.copying import Cloner, Copy
from tfmot_sapp.frameworks.kernels import (
    find_kernels,
    has_matrices,
    kernel_name,
    why_no_kernels,
)
from tfmot_sapp.frameworks.layers.table import may_have_kernels
from tfmot_sapp.frameworks.pruning_record import record_skipped
from tfmot_sapp.frameworks.which_keras import is_layer, is_model, keras_of
from tfmot_sapp.schedules.schedule import validate_schedule
from tfmot_sapp.scorers.scorer import Scorer, validate_scorer
from tfmot_sapp.training.block_regularizers import (
    GroupLasso,
    GroupLog,
    GroupPower,
)
from tfmot_sapp.training.keras_wrapper import PruneBlocks, refuse_to_quantize
from tfmot_sapp.training.policy import MinimumBlocks, validate_policy
from tfmot_sapp.training.pruning_group import pruned_layers
from tfmot_sapp.training.wrapper import PruneBlocksMixin, why_skip


def prune_blocks(
    to_prune: Any,
    pruning_schedule: Any,
    block_size: BlockSizeLike = (32, 32),
    scorer: Scorer | None = None,
    allocation: Allocation | None = None,
    pruning_policy: Any = None,
) -> Any:
    """Wraps a layer, a list of layers or a model so that training prunes it.

    A model is copied, weights included, so the original stays as it is; a layer
    or the layers of a list are wrapped themselves. Compile and fit what is
    returned with `callbacks=[tfmot_sapp.UpdatePruningStep()]`, then call
    `tfmot_sapp.strip_pruning`.

    Args:
        to_prune: A layer, a list of layers, or a Sequential, Functional or
            subclassed model, of Keras 3 or tf_keras. A subclassed model needs a
            `get_config` that Keras can make it again from; while it is wrapped
            it is saved by `save_weights`, since its class does not know of the
            wrappers.
        pruning_schedule: When masks change and to which sparsity: a
            `SequentialAttentionSchedule`, one of TF-MOT's, or any object that
            maps a step to `(should_prune, sparsity)`.
        block_size: `(in, out)`: extent of a block along input and output
            channels, all taps of a convolution together; or one extent per axis
            of the kernel. A dictionary from layer names or patterns to block
            sizes, or a function from a layer to one (or to `None`), prunes what
            it has a size for. Blocks at the edges may be smaller.
        scorer: How much each block is worth. Defaults to
            `SequentialAttention()`.
        allocation: How many blocks each kernel keeps. Defaults to
            `UniformAllocation()`.
        pruning_policy: Which layers of a model are pruned, an object with
            TF-MOT's `PruningPolicy` protocol. Defaults to `MinimumBlocks(100)`
            for a model; layers given by themselves or in a list are all
            wanted.

    Returns:
        The wrapped layer, the list with its layers wrapped, or a new model. A
        model is not compiled.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If an argument is out of range, nothing in `to_prune` can be
            pruned, it is pruned already, or Keras runs on another backend than
            TensorFlow.

    Example:

    >>> import keras, tfmot_sapp as sapp
    >>> model = keras.Sequential(
    ...     [keras.Input((64,)), keras.layers.Dense(100, name="hidden")])
    >>> schedule = sapp.SequentialAttentionSchedule(0.9, end_step=1000)
    >>> pruned = prune_blocks(model, schedule, block_size=(4, 4))
    >>> pruned.layers[0].name
    'prune_blocks_hidden'
    """
    settings = _Settings(
        pruning_schedule=validate_schedule(pruning_schedule),
        block_size=validate_block_size(block_size),
        scorer=None if scorer is None else validate_scorer(scorer),
        allocation=(
            None if allocation is None else validate_allocation(allocation)
        ),
        pruning_policy=(
            None if pruning_policy is None else validate_policy(pruning_policy)
        ),
    )
    _validate_to_prune(to_prune)
    if isinstance(to_prune, (list, tuple)):
        return _prune_list(to_prune, settings)
    if is_model(to_prune):
        return _prune_model(to_prune, settings)
    wrapped, reasons = _wrap(to_prune, to_prune, settings)
    if wrapped is to_prune:
        raise ValueError(_nothing_to_prune(reasons))
    return wrapped


def prune_scope() -> contextlib.AbstractContextManager:
    """Returns a scope in which pruned models load.

    It is not needed: the wrappers are registered with Keras when `tfmot_sapp`
    is imported. It is here for code written for TF-MOT, and serves models of
    both Keras.

    Example:

    >>> with prune_scope():
    ...     pass
    """
    scope = contextlib.ExitStack()
    for name in ("keras", "tf_keras"):
        if name in sys.modules:
            known = {
                "PruneBlocks": wrapper_class(sys.modules[name]),
                **{
                    f"tfmot_sapp>{cls.__name__}": cls
                    for cls in (GroupLasso, GroupLog, GroupPower)
                },
            }
            saving = sys.modules[name].saving
            scope.enter_context(saving.custom_object_scope(known))
    return scope


def wrapper_class(owner: Any) -> type[PruneBlocksMixin]:
    """Returns the `PruneBlocks` of a Keras.

    Args:
        owner: The module `keras` or `tf_keras`.
    """
    if owner.__name__ == "tf_keras":
        from tfmot_sapp.training import tf_keras_wrapper

        return tf_keras_wrapper.PruneBlocks
    return PruneBlocks


class _Settings:
    """The validated arguments of one call of `prune_blocks`."""

    def __init__(self, **settings: Any):
        self.pruning_schedule = settings["pruning_schedule"]
        self.block_size = settings["block_size"]
        self.scorer = settings["scorer"]
        self.allocation = settings["allocation"]
        self.pruning_policy = settings["pruning_policy"]

    @property
    def min_blocks(self) -> int:
        return getattr(self.pruning_policy, "min_blocks", 1)


def _prune_list(layers: Any, settings: _Settings) -> list[Any]:
    wrapped = []
    reasons: dict[str, str] = {}
    for layer in layers:
        result, why = _wrap(layer, layer, settings)
        wrapped.append(result)
        reasons.update(why)
    if not any(isinstance(layer, PruneBlocksMixin) for layer in wrapped):
        raise ValueError(_nothing_to_prune(reasons))
    return wrapped


def _prune_model(model: Any, settings: _Settings) -> Any:
    if settings.pruning_policy is None:
        settings.pruning_policy = MinimumBlocks()
    settings.pruning_policy.ensure_model_supports_pruning(model)
    reasons: dict[str, str] = {}

    def replace(layer: Any, copy: Copy) -> Any:
        wrapped, why = _wrap(layer, copy(layer), settings)
        reasons.update(why)
        return wrapped

    pruned = Cloner(replace).clone(model)
    if not pruned_layers(pruned):
        raise ValueError(_nothing_to_prune(reasons))
    for layer in pruned_layers(pruned):
        # The weights have been copied since the wrappers were built.
        for kernel in layer.pruned_kernels:
            kernel.prepare()
    record_skipped(pruned, reasons)
    if hasattr(pruned, "quantize"):
        # Before any of its layers are.
        pruned.quantize = functools.partial(refuse_to_quantize, pruned.name)
    return pruned


def _wrap(
    original: Any, copy: Any, settings: _Settings
) -> tuple[Any, dict[str, str]]:
    """Wraps a layer's copy if the original is to be pruned.

    Returns:
        The wrapper, or the copy itself; and the kernels left alone, by name,
        each with the reason.
    """
    name = original.name
    owner = keras_of(original)
    if isinstance(original, owner.layers.InputLayer):
        return copy, {}
    policy = settings.pruning_policy
    block_size = resolve_block_size(settings.block_size, name, original)
    if original.built:
        kernels = find_kernels(original)
        if not kernels:
            if not has_matrices(original):
                return copy, {}
            return copy, {name: why_no_kernels(original)}
        if block_size is None:
            return copy, {name: "no block size given for it"}
        if policy is not None and not policy.allow_pruning(original):
            return copy, {name: f"not allowed by {type(policy).__name__}"}
        reasons = {
            kernel_name(name, kernel, kernels): why_skip(
                kernel, block_size, settings.min_blocks
            )
            for kernel in kernels
        }
        if all(reasons.values()):
            return copy, reasons
        skipped = {key: why for key, why in reasons.items() if why}
    else:
        if block_size is None or not may_have_kernels(original):
            return copy, {}
        if policy is not None and not policy.allow_pruning(original):
            return copy, {name: f"not allowed by {type(policy).__name__}"}
        skipped = {}
    wrapped = wrapper_class(owner)(
        copy,
        pruning_schedule=settings.pruning_schedule,
        block_size=block_size,
        scorer=settings.scorer,
        allocation=settings.allocation,
        min_blocks=settings.min_blocks,
    )
    if copy.built:
        wrapped.build(None)
        wrapped.built = True
    return wrapped, skipped


def _validate_to_prune(to_prune: Any) -> None:
    several = isinstance(to_prune, (list, tuple))
    members = to_prune if several else [to_prune]
    if not members:
        raise ValueError(
            "`to_prune` must hold at least one layer. Received: an empty list."
        )
    for member in members:
        if not is_layer(member):
            raise TypeError(
                "`to_prune` must be a layer, a list of layers or a model of "
                "Keras 3 or tf_keras. "
                f"Received: {member!r} of type {type(member).__name__}."
            )
        _validate_backend(keras_of(member))
    if pruned_layers(list(members)):
        raise ValueError(
            "`to_prune` is pruned already. Received: "
            f"{[layer.name for layer in pruned_layers(list(members))]}. Call "
            "`tfmot_sapp.strip_pruning` first to prune it once more."
        )


def _validate_backend(owner: Any) -> None:
    if owner.__name__ == "tf_keras":
        return
    backend = keras.backend.backend()
    if backend != "tensorflow":
        raise ValueError(
            "tfmot_sapp prunes Keras 3 models on the TensorFlow backend. "
            f"Received: `to_prune` on the {backend} backend. Set the "
            "environment variable KERAS_BACKEND=tensorflow before importing "
            "keras."
        )


def _nothing_to_prune(reasons: dict[str, str]) -> str:
    listed = "; ".join(f"`{name}`: {why}" for name, why in reasons.items())
    return (
        "`to_prune` has no layer that can be pruned. Received: "
        f"{listed or 'layers without weights'}. Choose a smaller `block_size`, "
        "or a `pruning_policy` that allows fewer blocks, such as "
        "`tfmot_sapp.MinimumBlocks(1)`."
    )
