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
"""Changing the masks of a model, on the host, between training steps.

Layers that share a schedule and an allocation are pruned together
(`PruningGroup`): the allocation sees all their scores at once.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from tfmot_sapp.base.container_checks import as_array
from tfmot_sapp.base.settings import value_key
from tfmot_sapp.base.wording import brief
from tfmot_sapp.frameworks.walking import flatten_layers
from tfmot_sapp.frameworks.which_keras import host_value
from tfmot_sapp.schedules.due_updates import DueUpdates
from tfmot_sapp.schedules.schedule import end_step, target_sparsity
from tfmot_sapp.schedules.updates import Update
from tfmot_sapp.training.pruned_kernel import PrunedKernel
from tfmot_sapp.training.wrapper import PruneBlocksMixin
from tfmot_sapp.units.connections import Connection, find_connections

# Returns the optimizer's variables that belong to a kernel, by name.
SlotLookup = Callable[[PrunedKernel], Mapping[str, Any]]


def pruned_layers(model: Any) -> list[PruneBlocksMixin]:
    """Returns the pruned layers of a model, a layer or a list of layers.

    Layers inside nested and subclassed models and inside other layers are
    found too; each is returned once.
    """
    found: dict[int, PruneBlocksMixin] = {}
    for layer in flatten_layers(model):
        if isinstance(layer, PruneBlocksMixin):
            found.setdefault(id(layer), layer)
    return list(found.values())


def forgotten_steps(layers: Iterable[PruneBlocksMixin]) -> int:
    """Returns how many steps the optimizer has made but does not count.

    A schedule that resets the optimizer sets its iterations back, and the
    layers remember by how much.

    Args:
        layers: Built pruned layers.
    """
    return max((int(host_value(x.step_offset)) for x in layers), default=0)


class PruningGroup:
    """Pruned layers with one schedule and one allocation.

    Args:
        layers: Built pruned layers.
        connections: Which kernels' outputs which kernels read; those of other
            groups too.

    Attributes:
        step: The last step whose updates have been made; -1 for none.
    """

    def __init__(
        self,
        layers: Sequence[PruneBlocksMixin],
        connections: Iterable[Connection] = (),
    ):
        self.layers = tuple(layers)
        self.schedule = layers[0].pruning_schedule
        self._due = DueUpdates(self.schedule)
        self.allocation = layers[0].allocation
        self.kernels = _by_unique_name(
            [kernel for layer in layers for kernel in layer.pruned_kernels]
        )
        self.connections = [
            part
            for connection in connections
            if (part := connection.among(self.kernels))
        ]
        self.step = max(int(host_value(layer.pruning_step)) for layer in layers)

    @property
    def finished(self) -> bool:
        """Whether the masks in force are at the target and stay there."""
        last = end_step(self.schedule)
        return last is not None and self.step >= last

    def advance(self, step: int, slots_of: SlotLookup) -> list[Update]:
        """Makes all updates that the schedule has up to a step.

        Args:
            step: Number of optimizer steps done.
            slots_of: Looks up the optimizer's variables of a kernel.

        Returns:
            The updates that were made.
        """
        updates = self._due.between(self.step, step)
        for update in updates:
            self.apply(update, slots_of)
        self.step = max(self.step, step)
        if updates:
            self.save_step()
        return updates

    def save_step(self) -> None:
        """Writes the step into the layers' variables.

        Between two updates the variables may lag behind, which a checkpoint
        does not notice: no update lies in the steps that are missing.
        """
        for layer in self.layers:
            layer.pruning_step.assign(self.step)

    def apply(self, update: Update, slots_of: SlotLookup) -> None:
        """Changes the masks to what one update asks for."""
        self._anneal(update.step)
        if update.swap:
            masks = self._swap(update.swap, slots_of)
        else:
            masks = self._select(update.sparsity, slots_of)
        for name, kernel in self.kernels.items():
            before = kernel.mask_array()
            if np.any(masks[name] & ~before):
                # A block that comes back starts from zero, with no momentum
                # left from the time before (AC/DC, arXiv 2106.12379).
                kernel.zero_masked(*_moving(slots_of(kernel)))
            if np.any(masks[name] != before):
                kernel.set_mask(masks[name])

    def finalise(self, slots_of: SlotLookup) -> None:
        """Puts masks at the schedule's target in force, wherever training is.

        A schedule that has not come to its end keeps its own masks beside
        these, so training can go on as if it had not stopped.
        """
        masks = self.final_masks(slots_of)
        for name, kernel in self.kernels.items():
            if np.any(masks[name] != kernel.mask_array()):
                kernel.set_final_mask(masks[name])

    def final_masks(self, slots_of: SlotLookup) -> dict[str, np.ndarray]:
        """Returns masks at the schedule's target, wherever training is.

        Args:
            slots_of: Looks up the optimizer's variables of a kernel.
        """
        target = target_sparsity(self.schedule)
        if target is not None:
            return self._select(target, slots_of)
        return {
            name: kernel.mask_array() if own is None else own
            for name, kernel in self.kernels.items()
            for own in [kernel.own_mask()]
        }

    def resume(self) -> None:
        """Puts the schedule's own masks back in force."""
        for kernel in self.kernels.values():
            if np.any(kernel.scheduled_mask_array() != kernel.mask_array()):
                kernel.restore_scheduled_mask()

    def _anneal(self, step: int) -> None:
        last = end_step(self.schedule)
        progress = 1.0 if not last else min(1.0, step / last)
        for kernel in self.kernels.values():
            kernel.scorer.anneal(kernel.state, progress)

    def _select(
        self, sparsity: float, slots_of: SlotLookup
    ) -> dict[str, np.ndarray]:
        if sparsity == 0:
            return {
                name: np.ones(kernel.grid.cells, bool)
                for name, kernel in self.kernels.items()
            }
        scores, alive = self._scores(slots_of), self._masks()
        masks = self.allocation.allocate(
            scores, alive, sparsity, target_sparsity(self.schedule)
        )
        return self._settled(masks, scores, alive)

    def _swap(
        self, fraction: float, slots_of: SlotLookup
    ) -> dict[str, np.ndarray]:
        scores, alive = self._scores(slots_of), self._masks()
        growth = self._turned(
            {name: kernel.growth() for name, kernel in self.kernels.items()}
        )
        masks = self.allocation.swap(scores, alive, growth, fraction)
        return self._settled(masks, scores, alive)

    def _scores(self, slots_of: SlotLookup) -> dict[str, np.ndarray]:
        return self._turned(
            {
                name: kernel.score(slots_of(kernel))
                for name, kernel in self.kernels.items()
            }
        )

    def _masks(self) -> dict[str, np.ndarray]:
        return self._turned(
            {name: kernel.mask_array() for name, kernel in self.kernels.items()}
        )

    def _turned(
        self, arrays: Mapping[str, np.ndarray]
    ) -> dict[str, np.ndarray]:
        # Allocations know of a grid that its last two axes are input and
        # output, which they aren't in transposed convolutions.
        return {
            name: np.moveaxis(array, self.kernels[name].axes, _INPUT_OUTPUT)
            for name, array in arrays.items()
        }

    def _settled(
        self,
        masks: Mapping[str, np.ndarray],
        scores: Mapping[str, np.ndarray],
        alive: Mapping[str, np.ndarray],
    ) -> dict[str, np.ndarray]:
        if self.allocation.uses_connections:
            masks = self.allocation.connect(
                masks, scores, alive, self.connections
            )
        return {
            name: np.moveaxis(
                self._checked(masks, name, score.shape),
                _INPUT_OUTPUT,
                self.kernels[name].axes,
            )
            for name, score in scores.items()
        }

    def _checked(
        self, masks: Any, name: str, shape: tuple[int, ...]
    ) -> np.ndarray:
        made = type(self.allocation).__name__
        if not isinstance(masks, Mapping) or name not in masks:
            raise ValueError(
                f"`allocation` {made} must return a dictionary with one mask "
                f"per kernel. Received: {brief(repr(masks))}, without a mask "
                f"for `{name}`."
            )
        mask = as_array(masks[name])
        if mask.shape != shape or mask.dtype != bool:
            raise ValueError(
                f"`allocation` {made} must return boolean masks shaped like "
                f"the scores, {shape} for `{name}`. Received: an array of "
                f"shape {mask.shape} and type {mask.dtype}."
            )
        return mask


_INPUT_OUTPUT = (-2, -1)


def pruning_groups(model: Any) -> list[PruningGroup]:
    """Sorts pruned layers by schedule and allocation.

    Args:
        model: A model, a layer or a list of layers. Pruned layers that are not
            built yet or have no pruned kernel are left out.
    """
    groups: dict[tuple[str, str], list[PruneBlocksMixin]] = {}
    for layer in pruned_layers(model):
        if layer.pruned_kernels:
            pieces = layer.pruning_schedule, layer.allocation
            key = value_key(pieces[0]), value_key(pieces[1])
            groups.setdefault(key, []).append(layer)
    connections = []
    if any(group[0].allocation.uses_connections for group in groups.values()):
        layers = [layer for group in groups.values() for layer in group]
        connections = find_connections(
            model,
            {k.name: k for layer in layers for k in layer.pruned_kernels},
        )
    return [PruningGroup(group, connections) for group in groups.values()]


def _by_unique_name(kernels: Sequence[PrunedKernel]) -> dict[str, PrunedKernel]:
    named: dict[str, PrunedKernel] = {}
    for kernel in kernels:
        name, number = kernel.name, 1
        while name in named:
            number += 1
            name = f"{kernel.name}#{number}"
        named[name] = kernel
    return named


# Slots that push weights on. The second moments stay, or the first steps of a
# block that comes back would be too large.
_MOVING = {"momentums", "m", "linears"}


def _moving(slots: Mapping[str, Any]) -> list[Any]:
    return [variable for name, variable in slots.items() if name in _MOVING]
