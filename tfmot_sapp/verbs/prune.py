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
import dataclasses
import sys
import warnings
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from tfmot_sapp.allocations.allocation import Allocation, check_allocation
from tfmot_sapp.base.patterns import check_patterns
from tfmot_sapp.base.wording import received
from tfmot_sapp.blocks.block_size import BlockSizeLike, check_block_size
from tfmot_sapp.frameworks.comparing import check_same_outputs
from tfmot_sapp.frameworks.copying import Cloner, Copy
from tfmot_sapp.frameworks.kernels import find_kernels
from tfmot_sapp.frameworks.sharing import find_sharing
from tfmot_sapp.frameworks.which_keras import (
    host_value,
    is_layer,
    is_model,
    keras_of,
)
from tfmot_sapp.schedules.schedule import check_schedule
from tfmot_sapp.scorers.scorer import Scorer, check_scorer
from tfmot_sapp.training.block_regularizers import REGULARIZERS
from tfmot_sapp.training.plan_layer import Plan, plan_layer
from tfmot_sapp.training.policy import MinimumBlocks, check_policy
from tfmot_sapp.training.pruning_group import pruned_layers
from tfmot_sapp.training.pruning_rows import coverage_note, pruning_rows
from tfmot_sapp.training.wrapped_models import finish_wrapped, plain_config
from tfmot_sapp.training.wrapper import without_factors


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
    or the layers of a list are wrapped themselves. Compile what is returned,
    if it isn't, and fit it with `callbacks=[tfmot_sapp.UpdatePruningStep()]`,
    then call `tfmot_sapp.strip_pruning`.

    A compiled model gives a compiled one: the same losses, new metrics and a
    new optimizer of the same configuration that has not been used, its learning
    rate as it is now. The wrapped model stays uncompiled where an optimizer or
    a metric can't be made again from its config, where a loss computes with
    layers of the model, and where a class has a `compile` of its own without
    `get_compile_config` and `compile_from_config`. Outputs of wrapped layers
    are named after the wrappers, `prune_blocks_` before the layer's name, and
    losses and metrics that go by name follow them: see `output_names`.

    Args:
        to_prune: A layer, a list of layers, or a Sequential, Functional or
            subclassed model, of Keras 3 or tf_keras. A subclassed model is made
            again from its `get_config`; one that has none that works is copied
            attribute by attribute, and saved by `save_weights` only. Any other
            wrapped model of a class of one's own is saved by its own `save`, to
            a `.keras` file, too.
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
        The wrapped layer, the list with its layers wrapped, or a new model.

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
        pruning_schedule=check_schedule(pruning_schedule),
        block_size=check_block_size(block_size),
        scorer=None if scorer is None else check_scorer(scorer),
        allocation=(
            None if allocation is None else check_allocation(allocation)
        ),
        pruning_policy=(
            None if pruning_policy is None else check_policy(pruning_policy)
        ),
    )
    _check_to_prune(to_prune)
    if isinstance(to_prune, (list, tuple)):
        return _prune_layers(to_prune, settings)
    if is_model(to_prune):
        return _prune_model(to_prune, settings)
    return _prune_layers([to_prune], settings)[0]


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
                **{f"tfmot_sapp>{cls.__name__}": cls for cls in REGULARIZERS},
            }
            saving = sys.modules[name].saving
            scope.enter_context(saving.custom_object_scope(known))
    return scope


def wrapper_class(owner: Any) -> Any:
    """Returns the `PruneBlocks` of a Keras, with what its files name known.

    Args:
        owner: The module `keras` or `tf_keras`.
    """
    if owner.__name__ == "tf_keras":
        from tfmot_sapp.training import tf_keras_wrapped_model

        return tf_keras_wrapped_model.PruneBlocks
    from tfmot_sapp.training import keras_wrapped_model

    return keras_wrapped_model.PruneBlocks


@dataclasses.dataclass(frozen=True)
class _Settings:
    """The checked arguments of one call of `prune_blocks`."""

    pruning_schedule: Any
    block_size: BlockSizeLike
    scorer: Scorer | None
    allocation: Allocation | None
    pruning_policy: Any

    @property
    def min_blocks(self) -> int:
        return getattr(self.pruning_policy, "min_blocks", 1)

    def check_layers(self, names: Collection[str]) -> None:
        """Checks that block sizes by name are those of some layers."""
        if isinstance(self.block_size, Mapping):
            check_patterns(self.block_size, names, "block_size")

    def check_kernels(
        self, wrappers: Sequence[Any], others: Collection[str]
    ) -> None:
        """Checks that what the allocation says by name is of some kernels.

        Args:
            wrappers: The pruned layers.
            others: The names of kernels that are not pruned.
        """
        if self.allocation is None or not all(w.built for w in wrappers):
            # The kernels of layers without weights have no names yet.
            return
        kernels = [k.name for w in wrappers for k in w.pruned_kernels]
        skipped = [name for w in wrappers for name, _ in w.skipped_kernels]
        self.allocation.check_names({*kernels, *skipped, *others})


def _prune_layers(layers: Sequence[Any], settings: _Settings) -> list[Any]:
    """Wraps layers themselves, all of them or, on an error, none."""
    settings.check_layers([layer.name for layer in layers])
    plans = {id(layer): plan_layer(layer, settings) for layer in layers}
    before = [
        (kernel.variable, host_value(kernel.variable))
        for layer in layers
        if layer.built and plans[id(layer)].block_size is not None
        for kernel in find_kernels(layer)
    ]
    made: dict[int, Any] = {}
    try:
        for layer in layers:
            plan = plans[id(layer)]
            if plan.block_size is not None and id(layer) not in made:
                made[id(layer)] = _wrapped(layer, plan, settings)
        reasons = {
            name: why
            for plan in plans.values()
            for name, why in plan.skipped.items()
        }
        if not made:
            raise ValueError(_nothing_to_prune(reasons))
        settings.check_kernels(list(made.values()), reasons)
    except BaseException:
        for wrapper in made.values():
            wrapper.release()
        for variable, value in before:
            variable.assign(value)
        raise
    return [made.get(id(layer), layer) for layer in layers]


def _prune_model(model: Any, settings: _Settings) -> Any:
    if settings.pruning_policy is None:
        settings = dataclasses.replace(settings, pruning_policy=MinimumBlocks())
    settings.pruning_policy.ensure_model_supports_pruning(model)
    reasons: dict[str, str] = {}
    names: list[str] = []

    parts: list[Any] = []
    sharing = find_sharing(model)

    def replace(layer: Any, copy: Copy) -> Any:
        plan = plan_layer(layer, settings, sharing)
        names.append(layer.name)
        reasons.update(plan.skipped)
        part = copy(layer)
        if plan.block_size is not None:
            part = _wrapped(part, plan, settings)
        parts.append(part)
        return part

    cloner = Cloner(replace)
    pruned = cloner.clone(model, sharing)
    wrappers = pruned_layers(pruned)
    settings.check_layers(names)
    if not wrappers:
        raise ValueError(_nothing_to_prune(reasons))
    settings.check_kernels(wrappers, reasons)
    with without_factors(wrappers):
        check_same_outputs(model, pruned)
    for layer in wrappers:
        # The weights have been copied since the wrappers were built.
        for kernel in layer.pruned_kernels:
            kernel.prepare()
        if layer.built:
            layer.freeze_with_layer()
    wrappers[0].note_left_alone(reasons)
    cloner.compile()
    finish_wrapped(pruned, plain_config(model), parts)
    if all(wrapper.built for wrapper in wrappers):
        note = coverage_note(pruning_rows(pruned))
        if note:
            warnings.warn(f"`{model.name}`: {note}", stacklevel=3)
    return pruned


def _wrapped(layer: Any, plan: Plan, settings: _Settings) -> Any:
    wrapper = wrapper_class(keras_of(layer))(
        layer,
        pruning_schedule=settings.pruning_schedule,
        block_size=plan.block_size,
        scorer=settings.scorer,
        allocation=settings.allocation,
        min_blocks=settings.min_blocks,
    )
    wrapper.set_aside(plan.aside)
    if layer.built:
        try:
            wrapper.build(None)
        except BaseException:
            wrapper.release()
            raise
        wrapper.built = True
    return wrapper


def _check_to_prune(to_prune: Any) -> None:
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
                f"{received('to_prune', member)}"
            )
        _check_backend(keras_of(member))
    if pruned_layers(list(members)):
        raise ValueError(
            "`to_prune` is pruned already. Received: "
            f"{[layer.name for layer in pruned_layers(list(members))]}. Call "
            "`tfmot_sapp.strip_pruning` first to prune it once more."
        )


def _check_backend(owner: Any) -> None:
    if owner.__name__ == "tf_keras":
        return
    backend = owner.backend.backend()
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
