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
"""What a pruned layer does, in whichever Keras it lives.

`PruneBlocksMixin` holds everything the two `PruneBlocks` layers have in common:
their arguments, their variables and the kernels they prune. The rims add how
their Keras calls a layer with other weights than its own: `keras_wrapper.py`
for Keras 3, `tf_keras_wrapper.py` for tf_keras.
"""

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import tensorflow as tf

from tfmot_sapp.allocations.allocation import Allocation, check_allocation
from tfmot_sapp.allocations.uniform_allocation import UniformAllocation
from tfmot_sapp.base.checks import check_whole
from tfmot_sapp.base.registry import deserialize, serialize
from tfmot_sapp.blocks.block_size import BlockSize, check_extents
from tfmot_sapp.frameworks.kernels import (
    Kernel,
    find_kernels,
    kernel_name,
    why_no_kernels,
    why_skip,
)
from tfmot_sapp.schedules.schedule import check_schedule, target_sparsity
from tfmot_sapp.scorers.scorer import Scorer, StateSpec, check_scorer
from tfmot_sapp.scorers.sequential_attention import SequentialAttention
from tfmot_sapp.training.pruned_kernel import PrunedKernel

NOT_STARTED = -1


class PruneBlocksMixin:
    """The part of `PruneBlocks` that knows no Keras.

    Attributes:
        pruning_schedule: The schedule.
        block_size: `(in, out)`, or one extent per axis of the kernel.
        scorer: The scorer.
        allocation: The allocation.
        min_blocks: Kernels with fewer blocks are left alone.
        pruned_kernels: The kernels that are pruned; empty until built.
        skipped_kernels: Pairs of a kernel's name and the reason why it is not
            pruned.
        pruning_step: Variable: the last step whose updates have been made.
        step_offset: Variable: steps that the optimizer no longer counts, since
            its iterations restart when it is reset.
    """

    # Argument of this Keras's `add_weight` without which a layer of mixed
    # precision would read a rounded copy.
    _full_precision_variable: ClassVar[dict[str, bool]]

    # What the layer of its Keras gives it.
    name: Any
    built: Any
    layer: Any
    build: Callable[..., Any]
    add_weight: Callable[..., Any]
    add_loss: Callable[[Any], None]
    trainable: Any
    _freeze: Callable[[PrunedKernel], None]
    _full_precision: Callable[[PrunedKernel], Any]
    get_own_config: Callable[[], dict[str, Any]]

    def _configure(
        self,
        pruning_schedule: Any,
        block_size: BlockSize,
        scorer: Scorer | None,
        allocation: Allocation | None,
        min_blocks: int,
    ) -> None:
        self.pruning_schedule = check_schedule(pruning_schedule)
        self.block_size = check_extents(block_size)
        self.scorer = check_scorer(
            SequentialAttention() if scorer is None else scorer
        )
        self.allocation = check_allocation(
            UniformAllocation() if allocation is None else allocation
        )
        self.min_blocks = check_whole(min_blocks, "min_blocks", least=1)
        # Tuples, because Keras would turn a list into one that it tracks.
        self._kernels: tuple[PrunedKernel, ...] = ()
        self._skipped: tuple[tuple[str, str], ...] = ()
        self._left_alone: tuple[tuple[str, str], ...] = ()
        self._set_aside: tuple[tuple[str, str], ...] = ()
        self._driven = False
        self._released = False

    @property
    def pruned_kernels(self) -> tuple[PrunedKernel, ...]:
        """The kernels that are pruned; empty until the layer is built."""
        return self._kernels

    @property
    def skipped_kernels(self) -> tuple[tuple[str, str], ...]:
        """Names of kernels that are left alone, each with the reason."""
        return self._skipped

    @property
    def left_alone(self) -> dict[str, str]:
        """Names of other layers of the model, each with why it is not pruned.

        One of a model's wrappers notes them, so that they are saved with it.
        """
        return dict(self._left_alone)

    def note_left_alone(self, reasons: Mapping[str, str]) -> None:
        """Notes why other layers of the model are not pruned.

        Args:
            reasons: The reasons by name.
        """
        self._left_alone = tuple(reasons.items())

    def set_aside(self, reasons: Mapping[str, str]) -> None:
        """Notes which kernels of the layer are not this wrapper's to prune.

        Args:
            reasons: Why, by the kernels' paths; nothing for one that another
                wrapper takes care of.
        """
        self._set_aside = tuple(reasons.items())

    def __getattr__(self, name: str) -> Any:
        """Gives what the wrapped layer has and a wrapper has not.

        A kernel is given as the layer multiplies with it, for others that
        compute with it beside the layer.
        """
        layer = self.__dict__.get("layer")
        if layer is None or name.startswith("_"):
            raise AttributeError(
                f"'{type(self).__name__}' object has no attribute '{name}'"
            )
        for pruned in self.__dict__.get("_kernels", ()):
            kernel = pruned.kernel
            if kernel.owner is layer and kernel.attribute == name:
                value = pruned.effective(self._full_precision(pruned), False)
                return tf.cast(value, layer.compute_dtype)
        return getattr(layer, name)

    @property
    def target_sparsity(self) -> float | None:
        """Sparsity the schedule ends at, if it tells."""
        return target_sparsity(self.pruning_schedule)

    def _make_variables(self) -> None:
        """Makes the variables once the wrapped layer is built."""
        kernels = find_kernels(self.layer)
        pruned = []
        skipped = []
        aside = dict(self._set_aside)
        for kernel in kernels:
            name = kernel_name(self.layer.name, kernel, kernels)
            if kernel.path in aside:
                if aside[kernel.path]:
                    skipped.append((name, aside[kernel.path]))
                continue
            reason = why_skip(kernel, self.block_size, self.min_blocks)
            if reason:
                skipped.append((name, reason))
            else:
                pruned.append(self._make_kernel(name, kernel))
        if not kernels:
            skipped.append((self.layer.name, why_no_kernels(self.layer)))
        for each in pruned:
            each.prepare()
        self._kernels = tuple(pruned)
        self._skipped = tuple(skipped)
        self.pruning_step = self._counter("pruning_step", NOT_STARTED)
        self.step_offset = self._counter("step_offset", 0)
        self.freeze_with_layer()

    def freeze_with_layer(self) -> None:
        """Keeps what the scorer trains as it is where the layer is frozen."""
        if not self.layer.trainable:
            self.trainable = False
            return
        for kernel in self._kernels:
            if not (
                kernel.kernel.owner.trainable and kernel.variable.trainable
            ):
                self._freeze(kernel)

    def _make_kernel(self, name: str, kernel: Kernel) -> PrunedKernel:
        grid = kernel.grid(self.block_size)
        target = self._kernel_target(name)
        prefix = kernel.path.replace(".", "_")
        specs = {
            "mask": StateSpec(grid.cells, 1, dtype="bool"),
            "scheduled_mask": StateSpec(grid.cells, 1, dtype="bool"),
            **self.scorer.state_specs(grid, target),
        }
        if getattr(self.pruning_schedule, "swaps", False):
            specs["gradients"] = StateSpec(grid.cells)
        # A kernel that keeps every block is the dense kernel to the bit: it
        # has no factor, so nothing to train beside it.
        scorer = self.scorer
        if target == 0.0:
            specs = {
                key: spec
                for key, spec in specs.items()
                if key in ("mask", "scheduled_mask")
            }
            scorer = _Unpruned()
        variables = {
            key: self._state_variable(f"{prefix}_{key}", spec)
            for key, spec in specs.items()
        }
        return PrunedKernel(
            name=name,
            kernel=kernel,
            grid=grid,
            scorer=scorer,
            target_sparsity=target,
            mask=variables.pop("mask"),
            scheduled_mask=variables.pop("scheduled_mask"),
            gradients=variables.pop("gradients", None),
            state=variables,
        )

    def _kernel_target(self, name: str) -> float | None:
        target = self.target_sparsity
        sparsity_of = getattr(self.allocation, "sparsity_of", None)
        if target is None or sparsity_of is None:
            return target
        return sparsity_of(name, target, target)

    def _state_variable(self, name: str, spec: StateSpec) -> Any:
        initial = spec.initial

        def initializer(shape: Sequence[int], dtype: Any = None) -> tf.Tensor:
            value = initial(tuple(shape)) if callable(initial) else initial
            return tf.cast(
                tf.broadcast_to(np.asarray(value), shape), dtype or tf.float32
            )

        return self.add_weight(
            name=name,
            shape=spec.shape,
            dtype=spec.dtype,
            initializer=initializer,
            trainable=spec.trainable,
            **self._full_precision_variable,
        )

    def _counter(self, name: str, value: int) -> Any:
        return self.add_weight(
            name=name,
            shape=(),
            dtype="int64",
            initializer=lambda shape, dtype=None: tf.constant(value, tf.int64),
            trainable=False,
        )

    def _effective_kernels(
        self, training: bool
    ) -> list[tuple[Kernel, tf.Tensor]]:
        """Returns each pruned kernel with what the layer multiplies with."""
        return [
            (
                pruned.kernel,
                pruned.effective(self._full_precision(pruned), training),
            )
            for pruned in self._kernels
        ]

    def _add_penalties(self) -> None:
        for pruned in self._kernels:
            penalty = pruned.penalty()
            if penalty is not None:
                self.add_loss(penalty)

    @property
    def released(self) -> bool:
        """Whether the wrapped layer has been given back."""
        return self._released

    def release(self) -> Any:
        """Gives the wrapped layer back."""
        self._released = True
        return self.layer

    def drive(self) -> None:
        """Notes that an `UpdatePruningStep` takes care of the masks."""
        self._driven = True

    def _require_driver(self) -> None:
        if not self._driven:
            raise ValueError(
                f"The pruned layer `{self.name}` is trained but nothing "
                "updates its masks. Pass "
                "`callbacks=[tfmot_sapp.UpdatePruningStep()]` to `fit`; in a "
                "training loop of your own, call the callback's "
                "`set_model`, `on_train_begin` and `on_train_batch_end`."
            )

    def _arguments(self) -> dict[str, Any]:
        return {
            "pruning_schedule": serialize(self.pruning_schedule),
            "block_size": list(self.block_size),
            "scorer": serialize(self.scorer),
            "allocation": serialize(self.allocation),
            "min_blocks": self.min_blocks,
            **({"left_alone": self.left_alone} if self._left_alone else {}),
            **({"set_aside": dict(self._set_aside)} if self._set_aside else {}),
        }

    def _note(self, notes: Mapping[str, Mapping[str, str]]) -> None:
        """Notes what a config holds besides arguments."""
        self.note_left_alone(notes["left_alone"])
        self.set_aside(notes["set_aside"])

    @staticmethod
    def _restored(
        config: Mapping[str, Any],
    ) -> tuple[dict[str, Any], dict[str, dict[str, str]]]:
        """Returns a constructor's arguments, and what else a config holds.

        Raises:
            ValueError: If a piece is not one of a registered class.
        """
        config = dict(config)
        pieces: dict[str, Callable[[Any], Any]] = {
            "pruning_schedule": check_schedule,
            "scorer": check_scorer,
            "allocation": check_allocation,
        }
        for key, check in pieces.items():
            if config.get(key) is not None:
                piece = deserialize(config[key])
                try:
                    config[key] = check(piece)
                except TypeError as error:
                    raise ValueError(
                        f"The file of the pruned layer is damaged: {error}"
                    ) from error
        notes = {
            key: config.pop(key, {}) for key in ("left_alone", "set_aside")
        }
        return config, notes


class _Unpruned(Scorer):
    """The scorer of a kernel whose target is 0 %: nothing is ever dropped."""

    def score(self, view: Any) -> np.ndarray:
        return np.ones(view.grid.cells)

    def effective_kernel(
        self,
        kernel: tf.Tensor,
        mask: tf.Tensor,
        state: Any,
        grid: Any,
        target_sparsity: float | None,
        training: bool,
    ) -> tf.Tensor:
        return kernel


@contextlib.contextmanager
def without_factors(wrappers: Sequence[PruneBlocksMixin]) -> Iterator[None]:
    """Makes wrappers call their layers with the plain weights for a while."""
    kernels = [wrapper._kernels for wrapper in wrappers]
    for wrapper in wrappers:
        wrapper._kernels = ()
    try:
        yield
    finally:
        for wrapper, own in zip(wrappers, kernels):
            wrapper._kernels = own
