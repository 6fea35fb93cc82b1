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
"""The updates of a schedule, computed when they are asked for.

A training of a thousand million steps has fifty million updates; they are kept
as a few stretches of steps at equal distances.
"""

import bisect
import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple, overload

DENSE, SPARSIFICATION, SPARSE = "dense", "sparsification", "sparse"


class Update(NamedTuple):
    """One change of the masks.

    Attributes:
        step: Number of optimizer steps done when the masks change.
        sparsity: Fraction of the blocks removed from then on, in [0, 1).
        phase: "dense", "sparsification" or "sparse".
        swap: Fraction of the kept blocks to exchange for dropped ones instead,
            the sparsity being in force already.
    """

    step: int
    sparsity: float
    phase: str
    swap: float = 0.0


class Stretch(NamedTuple):
    """Updates of one phase at equal distances.

    Attributes:
        steps: The steps of the updates.
        at: Returns the update at a step.
    """

    steps: range
    at: Callable[[int], Update]


def one_update(update: Update) -> Stretch:
    """Returns a stretch of a single update."""
    return Stretch(range(update.step, update.step + 1), lambda step: update)


class Updates(Sequence[Update]):
    """Updates in the order of their steps, one a step, as a sequence.

    Args:
        stretches: Stretches in the order of their first steps. Where one begins
            before the one before it has ended, as after a phase that is too
            short to have a step of its own, it takes its place.

    Example:

    >>> ramp = Stretch(range(0, 9, 3), lambda s: Update(s, s / 10, "dense"))
    >>> updates = Updates([ramp, one_update(Update(6, 0.9, "sparse"))])
    >>> [(update.step, update.sparsity) for update in updates]
    [(0, 0.0), (3, 0.3), (6, 0.9)]
    """

    def __init__(self, stretches: Iterable[Stretch]):
        kept: list[Stretch] = []
        for stretch in stretches:
            if not stretch.steps:
                continue
            first = stretch.steps[0]
            while kept and kept[-1].steps[-1] >= first:
                before = kept.pop()
                rest = before.steps[: bisect.bisect_left(before.steps, first)]
                if rest:
                    kept.append(before._replace(steps=rest))
            kept.append(stretch)
        self.stretches = tuple(kept)
        lengths = (len(stretch.steps) for stretch in kept)
        self._starts = list(itertools.accumulate(lengths, initial=0))

    def __len__(self) -> int:
        return self._starts[-1]

    @overload
    def __getitem__(self, index: int) -> Update: ...

    @overload
    def __getitem__(self, index: slice) -> "list[Update]": ...

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        place = range(len(self))[index]
        number = bisect.bisect_right(self._starts, place) - 1
        steps, at = self.stretches[number]
        return at(steps[place - self._starts[number]])

    def __iter__(self) -> Iterator[Update]:
        for steps, at in self.stretches:
            yield from map(at, steps)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, (Updates, list, tuple)):
            return NotImplemented
        return len(self) == len(other) and all(
            one == two for one, two in zip(self, other)
        )

    __hash__ = None  # type: ignore[assignment]

    def count_upto(self, step: int) -> int:
        """Returns how many updates are at a step or before it."""
        number = bisect.bisect_right(
            self.stretches, step, key=lambda stretch: stretch.steps[0]
        )
        if number == 0:
            return 0
        steps = self.stretches[number - 1].steps
        inside = bisect.bisect_right(steps, step)
        return self._starts[number - 1] + inside
