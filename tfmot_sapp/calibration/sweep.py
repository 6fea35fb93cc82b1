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
"""Runs one or two models over held data, a stretch of calls at a time."""

import copy
import os
import tempfile
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from tfmot_sapp.base.temporary_paths import no_room
from tfmot_sapp.calibration.programs import Program, observed
from tfmot_sapp.frameworks.private.layers import mask_of, put_mask


class Store:
    """Holds tensors, in memory up to a limit and in files beyond it.

    The files are there for as long as it is entered as a context.

    Args:
        limit: Bytes to hold in memory.
    """

    def __init__(self, limit: float = 1e9):
        self._left = limit
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._files = 0

    def __enter__(self) -> "Store":
        return self

    def __exit__(self, *error: object) -> None:
        if self._folder is not None:
            self._folder.cleanup()

    def hold(self, value: "Held") -> None:
        """Counts a value that stays, and writes it to a file if need be."""
        if value.store is not None:
            return
        value.store = self
        if value.size <= self._left:
            self._left -= value.size
            return
        if self._folder is None:
            self._folder = tempfile.TemporaryDirectory()
        self._files += 1
        path = os.path.join(self._folder.name, f"{self._files}.npy")
        try:
            value.move_to(path)
        except OSError as error:
            raise no_room(self._folder.name, error) from error

    def release(self, value: "Held") -> None:
        """Gives back what a value took."""
        self._left += value.size


class Held:
    """A tensor that may lie in a file."""

    def __init__(self, tensor: Any):
        self._tensor = tensor
        self.mask = mask_of(tensor)
        self._path: str | None = None
        self.store: Store | None = None
        self.samples = int(tensor.shape[0]) if tensor.shape.rank else 1
        self.size = tensor.dtype.size * int(np.prod(tensor.shape))

    def get(self) -> Any:
        """Returns the tensor."""
        if self._path is None:
            return self._tensor
        return tf.constant(np.load(self._path))

    def move_to(self, path: str) -> None:
        """Writes the tensor to a file and lets go of it."""
        np.save(path, self._tensor.numpy())
        self._path, self._tensor = path, None

    def __del__(self) -> None:
        if self._path is not None:
            if os.path.exists(self._path):
                os.remove(self._path)
        elif self.store is not None:
            self.store.release(self)


class Values:
    """What a model's calls have given so far for a batch.

    An attention of Keras 3 takes the masks off the tensors that it reads, for
    whatever reads them after it. It is to find them however often it is run,
    so a mask goes when the sweep has passed what takes it off.

    Args:
        held: Values by place.
    """

    def __init__(self, held: Mapping[int, Held]):
        self._held = dict(held)
        self._masks = {place: each.mask for place, each in held.items()}

    def copy(self) -> "Values":
        """Returns another one of the same values."""
        other = Values(self._held)
        other._masks = dict(self._masks)
        return other

    def held(self, place: int) -> Held:
        """Returns a value as it is held."""
        return self._held[place]

    def put(self, places: Sequence[int], values: Sequence[Held]) -> None:
        """Adds values."""
        self._held.update(zip(places, values))
        self._masks.update(zip(places, [each.mask for each in values]))

    def read(self, places: Sequence[int]) -> list[Any]:
        """Returns tensors, with Keras's masks on those that have one."""
        found = []
        for place in places:
            tensor, mask = self._held[place].get(), self._masks[place]
            if mask_of(tensor) is not mask:
                put_mask(tensor, mask)
            found.append(tensor)
        return found

    def passed(self, places: Sequence[int], tensors: Sequence[Any]) -> None:
        """Notes what has become of the masks of tensors that were read."""
        self._masks.update(zip(places, map(mask_of, tensors)))

    def forget(self, step: int, last_use: Mapping[int, int]) -> None:
        """Lets go of what no step after one reads."""
        for place in list(self._held):
            if last_use.get(place, -1) <= step:
                del self._held[place], self._masks[place]

    def hold(self, store: Store) -> None:
        """Has all values held by a store."""
        for value in self._held.values():
            store.hold(value)


class Reads(NamedTuple):
    """What a layer reads of a batch.

    Attributes:
        values: One array a model.
        mask: Which of its positions are data, over its first axes: Keras's
            mask, or what has an effect; `None` for all.
    """

    values: list[np.ndarray]
    mask: np.ndarray | None


class Sweep:
    """Models of one architecture run side by side over the same batches.

    What a stretch of calls needs of those before it is held, the rest is let
    go. Calls that read the same values with the same weights are made once.

    Args:
        programs: The models' calls.
        batches: The batches, each with a tensor for each input.
        store: Where values are held.
        effective: For each batch which positions of sequences of a length have
            an effect, boolean arrays (samples, length), to take for a mask
            where Keras has none. Defaults to nothing known.
    """

    def __init__(
        self,
        programs: Sequence[Program],
        batches: Sequence[Sequence[Held]],
        store: Store,
        effective: Sequence[Mapping[int, np.ndarray]] | None = None,
    ):
        self.programs = programs
        self.position = 0
        self.changed: set[int] = set()
        self._store = store
        self._effective = effective
        self._last_use = programs[0].last_use()
        inputs = programs[0].inputs
        self.sizes = [batch[0].samples for batch in batches]
        self.samples = sum(self.sizes)
        self._values: list[list[Values]] = [
            [Values(dict(zip(inputs, batch))) for _ in programs]
            for batch in batches
        ]

    @property
    def batches(self) -> int:
        """Number of batches."""
        return len(self._values)

    def fork(self) -> "Sweep":
        """Returns another one that goes on from here by itself."""
        other = copy.copy(self)
        other.changed = set(self.changed)
        other._values = [
            [values.copy() for values in sides] for sides in self._values
        ]
        return other

    def replace(self, program: Program, first: int) -> None:
        """Puts another model in the last one's place.

        Args:
            program: Its calls. Up to where the sweep stands they give what the
                last model's give.
            first: The first step that may differ from the first model's.
        """
        self.programs = [*self.programs[:-1], program]
        self.changed.update(range(first, len(program.steps)))

    def advance(self, stop: int) -> None:
        """Runs all batches up to a step, which is not run yet."""
        if stop <= self.position:
            return
        for sides in self._values:
            for step in range(self.position, stop):
                self._run(sides, step)
                for values in sides:
                    values.forget(step, self._last_use)
            for values in sides:
                values.hold(self._store)
        self.position = stop

    def _run(self, sides: list[Values], index: int) -> None:
        first: list[Held] = []
        for side, values in enumerate(sides):
            step = self.programs[side].steps[index]
            same = side > 0 and index not in self.changed
            if same and all(
                values.held(place) is sides[0].held(place)
                for place in step.reads
            ):
                outputs = first
                read = sides[0].read(step.reads)
            else:
                read = values.read(step.reads)
                outputs = [Held(tensor) for tensor in step.run(read)]
            values.passed(step.reads, read)
            first = first or outputs
            values.put(step.writes, outputs)

    def inputs_of(self, owners: Sequence[Any], batch: int) -> Reads | None:
        """Returns what a layer in the next step reads, in each model.

        Args:
            owners: The layer, in each model.
            batch: Index of the batch.

        Returns:
            The arrays, or `None` if the layer was not called, or called within
            a compiled function, where values can't be seen.
        """
        found, mask = [], None
        for side, owner in enumerate(owners):
            step = self.programs[side].steps[self.position]
            reads = self._values[batch][side].read(step.reads)
            mask = mask_of(reads[0])
            if owner is step.layer:
                found.append(np.asarray(reads[0], np.float32))
                continue
            seen: list[Any] = []

            def note(owner: Any, inputs: Any, seen: list[Any] = seen) -> None:
                seen.append(inputs)

            with observed([owner], note):
                step.run(reads)
            if len(seen) != 1 or not hasattr(seen[0], "numpy"):
                return None
            # What is made within a layer has no mask of its own.
            own = mask_of(seen[0])
            mask = mask if own is None else own
            found.append(np.asarray(seen[0], np.float32))
        if mask is None and self._effective is not None and found[0].ndim > 2:
            mask = self._effective[batch].get(found[0].shape[1])
        return Reads(found, None if mask is None else np.asarray(mask, bool))

    def called(self, owners: Sequence[Any]) -> list[int]:
        """Returns which layers the last model's next step calls, in order.

        Args:
            owners: Layers inside of the step's.

        Returns:
            Indices of `owners`; the first calls count.
        """
        step = self.programs[-1].steps[self.position]
        values = self._values[0][-1]
        order: list[int] = []
        index = {id(owner): i for i, owner in enumerate(owners)}

        def seen(owner: Any, inputs: Any) -> None:
            order.append(index[id(owner)])

        with observed(list(owners), seen):
            step.run(values.read(step.reads))
        return list(dict.fromkeys(order))

    def value(self, side: int, batch: int, place: int) -> np.ndarray:
        """Returns a value that is held."""
        return np.asarray(
            self._values[batch][side].held(place).get(), np.float32
        )

    def outputs(self, side: int, batch: int) -> list[np.ndarray]:
        """Runs one model on to its end, and lets its values go again."""
        program = self.programs[side]
        values = self._values[batch][side].copy()
        for index in range(self.position, len(program.steps)):
            step = program.steps[index]
            read = values.read(step.reads)
            values.put(step.writes, [Held(made) for made in step.run(read)])
            values.passed(step.reads, read)
            values.forget(index, self._last_use)
        return [
            np.asarray(values.held(place).get(), np.float32)
            for place in program.outputs
        ]


def spread_places(
    count: int,
    wanted: int,
    samples: int,
    rng: np.random.Generator,
    visible: np.ndarray | None = None,
) -> np.ndarray:
    """Chooses places of each sample at random.

    Args:
        count: Number of places of a sample.
        wanted: How many of each sample to choose; all if there are no more.
        samples: Number of samples.
        rng: Generator of random numbers.
        visible: Boolean array (samples, count): places to choose first.
            Defaults to all.

    Returns:
        Integer array (samples, places).
    """
    if wanted >= count:
        return np.tile(np.arange(count), (samples, 1))
    if visible is not None:
        keys = rng.random((samples, count)) + ~visible
        return np.sort(np.argsort(keys, axis=1)[:, :wanted], axis=1)
    return np.stack(
        [
            np.sort(rng.choice(count, wanted, replace=False))
            for _ in range(samples)
        ]
    )
