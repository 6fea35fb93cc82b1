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
"""What happens at a training step: `UpdatePruningStep`."""

import warnings
from typing import Any

from tfmot_sapp.base.checks import check_methods
from tfmot_sapp.frameworks.optimizers import (
    continue_schedule,
    iterations,
    keep_finite,
    reset_optimizer,
    restore_attributes,
    restore_schedule,
    set_offset,
    slots_of,
)
from tfmot_sapp.frameworks.which_keras import host_value, is_model
from tfmot_sapp.training.callback import TrainingCallback
from tfmot_sapp.training.pruned_kernel import PrunedKernel
from tfmot_sapp.training.pruning_group import (
    PruningGroup,
    forgotten_steps,
    pruned_layers,
    pruning_groups,
)
from tfmot_sapp.training.pruning_rows import blocked_note
from tfmot_sapp.units.passage import Passage


class UpdatePruningStep(TrainingCallback):
    """Updates the masks of a pruned model while it is trained.

    After every training batch it asks the schedules of the model's pruned
    layers what has become due, all on the host. The step is the optimizer's
    number of iterations, so it agrees with `steps_per_execution` and goes on
    after a restart. When training ends, early or late, the masks are at the
    target; if the schedule has not come to its end, training that goes on later
    starts from the schedule's own masks. When masks are such that nothing
    passes through the model any more, there is a warning.

    It serves `fit` of Keras 3 and of tf_keras, and training loops of one's own:

    ```python
    pruning = tfmot_sapp.UpdatePruningStep()
    pruning.set_model(model)
    pruning.on_train_begin()
    for epoch in range(epochs):
        for batch, (x, y) in enumerate(data):
            train_step(x, y)
            pruning.on_train_batch_end(batch)
        pruning.on_epoch_end(epoch)
    pruning.on_train_end()
    ```

    There the steps are those of `model.optimizer` if the model is compiled, of
    `optimizer` if one is given, and are counted by the callback if neither.

    Args:
        optimizer: The optimizer of a training loop of one's own. Defaults to
            `None`: the model's.

    Raises:
        TypeError: If `optimizer` is none.
        ValueError: When training begins and the model has no pruned layer.

    Example:

    >>> import keras, numpy as np, tfmot_sapp as sapp
    >>> model = keras.Sequential([keras.Input((8,)), keras.layers.Dense(8)])
    >>> schedule = sapp.SequentialAttentionSchedule(0.75, end_step=4)
    >>> model = sapp.prune_blocks(
    ...     model, schedule, (2, 2), pruning_policy=sapp.MinimumBlocks(1))
    >>> model.compile("sgd", "mse")
    >>> x = np.ones((16, 8))
    >>> _ = model.fit(x, x, batch_size=4, verbose=0,
    ...               callbacks=[sapp.UpdatePruningStep()])
    >>> int(np.sum(np.asarray(model.layers[0].pruned_kernels[0].mask)))
    4
    """

    def __init__(self, optimizer: Any = None):
        super().__init__()
        if optimizer is not None:
            check_methods(
                optimizer,
                "optimizer",
                ["apply_gradients", "get_config"],
                "be an optimizer of Keras 3 or tf_keras, such as "
                "`keras.optimizers.Adam()`",
            )
        self._given_optimizer = optimizer
        self._changed: dict[str, float] = {}
        self._told = False
        self._groups: list[PruningGroup] | None = None
        self._passage: Passage | None = None
        self._own_step = 0
        self._offset = 0
        self._begun = False

    def set_model(self, model: Any) -> None:
        """Sets the model whose masks are updated.

        Args:
            model: A model of either Keras with pruned layers.
        """
        super().set_model(model)
        self._groups = None
        self._passage, self._told = None, False
        for layer in pruned_layers(model):
            layer.drive()

    def on_train_begin(self, logs: Any = None) -> None:
        """Makes the updates that are due before the first batch."""
        if not pruned_layers(self._trained):
            raise ValueError(
                "`UpdatePruningStep` needs a model with pruned layers. "
                f"Received: {_describe(self._trained)}. Call "
                "`tfmot_sapp.prune_blocks(model, ...)` first and compile and "
                "fit what it returns."
            )
        self._groups = None
        if self._optimizer is not None:
            # A training that was broken off has left them changed.
            self._changed = self._changed or keep_finite(self._optimizer)
            if self._resets():
                continue_schedule(self._optimizer, self._restored_steps())
        self._begun = False
        if not self._built():
            # A model without an input shape gets its layers at the first batch.
            return
        self._resume()
        self._save_step()

    def _resume(self) -> None:
        for group in self._find_groups():
            group.resume()
            self._own_step = max(self._own_step, group.step)
        self._advance(self._step())

    def on_epoch_begin(
        self, epoch: int | None = None, logs: Any = None
    ) -> None:
        """Starts from what another callback has restored, if one has.

        A `BackupAndRestore` behind this callback restores the model when
        training begins, after this one has looked at it.
        """
        if self._begun or self._groups is None:
            return
        self._begun = True
        steps = [
            (group.step, int(host_value(layer.pruning_step)))
            for group in self._groups
            for layer in group.layers
        ]
        if all(known == found for known, found in steps):
            return
        self._groups = None
        if self._optimizer is not None and self._resets():
            set_offset(self._optimizer, self._restored_steps())
        self._resume()

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Makes the updates that have become due."""
        if self._groups is None:
            # The first batch has just built the model's layers.
            self._find_groups()
        self._own_step += 1
        self._advance(self._step())
        if self._optimizer is None:
            # Nothing but these variables knows the step then.
            self._save_step()

    def on_epoch_end(self, epoch: int | None = None, logs: Any = None) -> None:
        """Sets the weights of masked blocks to zero in the kernels as well."""
        for group in self._find_groups():
            for kernel in group.kernels.values():
                kernel.zero_masked()
        self._save_step()

    def on_train_end(self, logs: Any = None) -> None:
        """Leaves the masks at the target."""
        for group in self._find_groups():
            group.finalise(self._slots_of)
            self._warn_if_blocked()
            if group.finished:
                for kernel in group.kernels.values():
                    kernel.zero_masked()
        self._save_step()
        if self._optimizer is not None:
            restore_schedule(self._optimizer)
            restore_attributes(self._optimizer, self._changed)
            self._changed = {}

    def _save_step(self) -> None:
        for group in self._find_groups():
            group.save_step()

    def _find_groups(self) -> list[PruningGroup]:
        if self._groups is None:
            layers = pruned_layers(self._trained)
            self._groups = pruning_groups(self._trained)
            for layer in layers:
                layer.drive()
            self._offset = forgotten_steps(layers)
        return self._groups

    def _built(self) -> bool:
        return all(layer.built for layer in pruned_layers(self._trained))

    @property
    def _optimizer(self) -> Any:
        if self._given_optimizer is not None:
            return self._given_optimizer
        return getattr(self._trained, "optimizer", None)

    def _resets(self) -> bool:
        return any(
            getattr(layer.pruning_schedule, "reset_optimizer", False)
            for layer in pruned_layers(self._trained)
        )

    def _restored_steps(self) -> int:
        """Returns how many steps a restored optimizer does not count.

        A checkpoint of weights holds the layers' variables and the optimizer's,
        and nothing of its learning-rate schedule.
        """
        layers = [x for x in pruned_layers(self._trained) if x.built]
        offset = forgotten_steps(layers)
        step = max((int(host_value(x.pruning_step)) for x in layers), default=0)
        if iterations(self._optimizer) == 0 and step != offset:
            # Not restored right behind a reset, but new: it forgot nothing.
            return 0
        return offset

    def _step(self) -> int:
        if self._optimizer is None:
            return self._own_step
        return iterations(self._optimizer) + self._offset

    def _advance(self, step: int) -> None:
        for group in self._find_groups():
            before = _phase(group)
            updates = group.advance(step, self._slots_of)
            crossed = [update for update in updates if update.phase != before]
            if any(update.sparsity for update in updates):
                self._warn_if_blocked()
            if crossed and getattr(group.schedule, "reset_optimizer", False):
                self._reset()

    def _warn_if_blocked(self) -> None:
        """Warns once that nothing passes through the model, if that is so."""
        if self._told or not is_model(self._trained):
            return
        if self._passage is None:
            self._passage = Passage(self._trained)
        note = blocked_note(self._trained, self._passage)
        if note is not None:
            self._told = True
            warnings.warn(f"`{self._trained.name}`: {note}", stacklevel=2)

    def _reset(self) -> None:
        if self._optimizer is None:
            return
        done = reset_optimizer(
            self._optimizer, self._trained.trainable_variables
        )
        self._offset += done
        for layer in pruned_layers(self._trained):
            layer.step_offset.assign(self._offset)

    def _slots_of(self, kernel: PrunedKernel) -> Any:
        return slots_of(self._optimizer, kernel.variable)


def _phase(group: PruningGroup) -> str | None:
    phase = getattr(group.schedule, "phase", None)
    if phase is None:
        return None
    return phase(group.step)


def _describe(model: Any) -> str:
    if is_model(model):
        return f"model `{model.name}` without any"
    return repr(model)
