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
"""How many blocks each kernel keeps, and under which constraint.

An allocation gets the scores of all kernels that are pruned together, the masks
in force and the sparsity asked for, and returns the new masks. It is a pure
function of NumPy arrays, in which input blocks lie on the last axis but one and
output blocks on the last.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tfmot_sapp.block_size import match_name
from tfmot_sapp.connections import Connection
from tfmot_sapp.schedule import validate_fraction, validate_sparsity
from tfmot_sapp.selection import (
    kept_blocks,
    readers,
    swap_blocks,
    top_blocks,
)
from tfmot_sapp.serialization import Registered


class Allocation(Registered):
    """Base class of the allocations.

    Attributes:
        uses_connections: Whether `connect` must be called.
    """

    uses_connections: bool = False

    def allocate(
        self,
        scores: Mapping[str, np.ndarray],
        alive: Mapping[str, np.ndarray],
        sparsity: float,
        target_sparsity: float | None = None,
    ) -> dict[str, np.ndarray]:
        """Returns the new masks.

        Args:
            scores: One array of scores per kernel, by the kernel's name, shaped
                as its grid. Higher scores are kept.
            alive: The boolean masks in force, likewise. A mask that shrinks
                only drops blocks that are alive.
            sparsity: Fraction of the blocks to remove, in [0, 1).
            target_sparsity: Sparsity the schedule ends at, if it tells.

        Returns:
            Boolean masks, by the kernel's name.
        """
        raise TypeError(
            f"{type(self).__qualname__} must define `allocate(scores, alive, "
            "sparsity, target_sparsity)`, which returns one mask per kernel."
        )

    def swap(
        self,
        scores: Mapping[str, np.ndarray],
        masks: Mapping[str, np.ndarray],
        growth: Mapping[str, np.ndarray],
        fraction: float,
    ) -> dict[str, np.ndarray]:
        """Returns masks with the worst kept blocks exchanged for dropped ones.

        Args:
            scores: One array of scores per kernel, by name: the lowest of the
                kept blocks go.
            masks: The boolean masks in force, likewise.
            growth: What a dropped block promises, likewise: the highest come.
            fraction: Fraction of each kernel's kept blocks to exchange.

        Returns:
            Boolean masks with as many blocks kept, by the kernel's name.
        """
        return {
            name: self._swap(
                score,
                masks[name],
                growth[name],
                math.floor(fraction * masks[name].sum() + 0.5),
            )
            for name, score in scores.items()
        }

    def _swap(
        self,
        score: np.ndarray,
        mask: np.ndarray,
        growth: np.ndarray,
        count: int,
    ) -> np.ndarray:
        return swap_blocks(
            score, growth, mask, count, self._unswappable(score, mask)
        )

    def _unswappable(
        self, score: np.ndarray, mask: np.ndarray
    ) -> np.ndarray | None:
        """Returns which kept blocks must stay, `None` if none must."""
        return None

    def connect(
        self,
        masks: Mapping[str, np.ndarray],
        scores: Mapping[str, np.ndarray],
        alive: Mapping[str, np.ndarray],
        connections: Sequence[Connection],
    ) -> dict[str, np.ndarray]:
        """Returns the masks, changed with a view to who reads whom.

        Called after `allocate` and `swap` where `uses_connections` is set.

        Args:
            masks: What they returned.
            scores: One array of scores per kernel, by the kernel's name.
            alive: The boolean masks in force before, likewise.
            connections: Which kernels' outputs which kernels read.
        """
        return dict(masks)


class UniformAllocation(Allocation):
    """Prunes every kernel to the same sparsity, as in arXiv 2402.17902.

    Args:
        targets: Dictionary from layer names or `fnmatch` patterns to target
            sparsities of their own, in [0, 1). On the way there these layers
            follow the schedule in proportion.
        keep_readers: Whether every input block keeps at least one block, the
            best that reads it, as far as the count allows.

    Example:

    >>> allocation = UniformAllocation()
    >>> scores = {"dense": np.array([[1.0, 4.0], [3.0, 2.0]])}
    >>> alive = {"dense": np.ones((2, 2), bool)}
    >>> allocation.allocate(scores, alive, 0.5)["dense"]
    array([[False,  True],
           [ True, False]])
    """

    def __init__(
        self,
        targets: Mapping[str, float] | None = None,
        keep_readers: bool = False,
    ):
        self.keep_readers = bool(keep_readers)
        self.targets = {
            str(name): validate_sparsity(value, f"targets[{name!r}]")
            for name, value in (targets or {}).items()
        }

    def sparsity_of(
        self, name: str, sparsity: float, target_sparsity: float | None
    ) -> float:
        """Returns the sparsity of one kernel at a sparsity of the schedule."""
        own = match_name(self.targets, name)
        if own is None or not target_sparsity:
            return sparsity
        return own * min(1.0, sparsity / target_sparsity)

    def allocate(
        self,
        scores: Mapping[str, np.ndarray],
        alive: Mapping[str, np.ndarray],
        sparsity: float,
        target_sparsity: float | None = None,
    ) -> dict[str, np.ndarray]:
        """Returns masks that keep the highest scores of each kernel."""
        return {
            name: self._select(
                score,
                alive[name],
                self.sparsity_of(name, sparsity, target_sparsity),
            )
            for name, score in scores.items()
        }

    def _select(
        self, score: np.ndarray, alive: np.ndarray, sparsity: float
    ) -> np.ndarray:
        count = kept_blocks(score.size, sparsity)
        return top_blocks(*self._ranked(score, count, alive))

    def _ranked(
        self,
        score: np.ndarray,
        count: int,
        alive: np.ndarray,
        most: float = math.inf,
        spare: int = 0,
    ) -> tuple[np.ndarray, int, np.ndarray]:
        """Puts the blocks first that the rule about readers wants."""
        if not self.keep_readers or score.ndim < 2:
            return score, count, alive
        reserved = readers(score, alive, most, spare)
        finite = score[np.isfinite(score)]
        span = 1.0 + float(np.ptp(finite)) if finite.size else 1.0
        return score + span * reserved, count, alive | reserved

    def _unswappable(
        self, score: np.ndarray, mask: np.ndarray
    ) -> np.ndarray | None:
        if not self.keep_readers or score.ndim < 2:
            return None
        return readers(score, mask) & mask

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments that make an equal allocation."""
        return {
            "targets": dict(self.targets),
            "keep_readers": self.keep_readers,
        }


class BalancedAllocation(UniformAllocation):
    """Keeps equally many blocks in every column of output blocks.

    Runtimes like it: all output blocks cost the same. The exact count of the
    kernel is reached by giving one block more to the columns that hold the
    best of the blocks left over.

    Args:
        targets: As in `UniformAllocation`.
        keep_readers: As in `UniformAllocation`.

    Example:

    >>> scores = {"dense": np.array([[4.0, 1.0], [3.0, 2.0]])}
    >>> alive = {"dense": np.ones((2, 2), bool)}
    >>> BalancedAllocation().allocate(scores, alive, 0.5)["dense"]
    array([[ True, False],
           [False,  True]])
    """

    def _select(
        self, score: np.ndarray, alive: np.ndarray, sparsity: float
    ) -> np.ndarray:
        outputs = score.shape[-1]
        each, extra = divmod(kept_blocks(score.size, sparsity), outputs)
        score, _, alive = self._ranked(score, each, alive, each, extra)
        columns = np.reshape(score, (-1, outputs))
        living = np.reshape(alive, columns.shape)
        mask = np.stack(
            [
                top_blocks(columns[:, j], each, living[:, j])
                for j in range(columns.shape[1])
            ],
            axis=1,
        )
        if extra:
            # The next best block of each column competes for the rest.
            following = np.stack(
                [
                    top_blocks(columns[:, j], each + 1, living[:, j])
                    for j in range(columns.shape[1])
                ],
                axis=1,
            )
            candidates = following & ~mask
            lowest = np.where(candidates, columns, -np.inf)
            chosen = top_blocks(lowest, extra, living & candidates)
            mask |= chosen & candidates
        return mask.reshape(score.shape)

    def _swap(
        self,
        score: np.ndarray,
        mask: np.ndarray,
        growth: np.ndarray,
        count: int,
    ) -> np.ndarray:
        """Exchanges within columns, as many in each as a free swap drops."""
        swapped = mask.copy()
        dropped = mask & ~super()._swap(score, mask, growth, count)
        for j in range(score.shape[-1]):
            swapped[..., j] = swap_blocks(
                np.where(dropped[..., j], -np.inf, score[..., j]),
                growth[..., j],
                mask[..., j],
                int(dropped[..., j].sum()),
            )
        return swapped


class GlobalAllocation(Allocation):
    """Ranks the blocks of all kernels together.

    Scores are divided by their mean over the kernel, so that kernels whose
    scores have different scales can be compared.

    Args:
        min_density: Least fraction of its blocks that each kernel keeps, in
            [0, 1]; at least one block stays in any case.

    Example:

    >>> scores = {"a": np.array([1.0, 9.0]), "b": np.array([4.0, 6.0])}
    >>> alive = {name: np.ones(2, bool) for name in scores}
    >>> masks = GlobalAllocation().allocate(scores, alive, 0.5)
    >>> masks["a"], masks["b"]
    (array([False,  True]), array([False,  True]))
    """

    def __init__(self, min_density: float = 0.0):
        self.min_density = validate_fraction(min_density, "min_density")

    def allocate(
        self,
        scores: Mapping[str, np.ndarray],
        alive: Mapping[str, np.ndarray],
        sparsity: float,
        target_sparsity: float | None = None,
    ) -> dict[str, np.ndarray]:
        """Returns masks that keep the highest scores of all kernels."""
        names = list(scores)
        sizes = [scores[name].size for name in names]
        flat = np.concatenate([_normalized(scores[n]).ravel() for n in names])
        living = np.concatenate([np.ravel(alive[name]) for name in names])
        reserved = np.concatenate(
            [
                top_blocks(
                    _normalized(scores[name]),
                    kept_blocks(scores[name].size, 1.0 - self.min_density),
                    alive[name],
                ).ravel()
                for name in names
            ]
        )
        count = max(kept_blocks(flat.size, sparsity), int(reserved.sum()))
        # Reserved blocks come first, then the living, then the rest.
        rank = np.where(reserved, np.inf, flat)
        mask = top_blocks(rank, count, living | reserved)
        return {
            name: part.reshape(scores[name].shape)
            for name, part in zip(names, _split(mask, sizes))
        }

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments that make an equal allocation."""
        return {"min_density": self.min_density}


def _normalized(score: np.ndarray) -> np.ndarray:
    score = np.asarray(score, np.float64)
    mean = np.mean(np.abs(score))
    return score / mean if mean > 0 else score


def _split(flat: np.ndarray, sizes: Sequence[int]) -> list[np.ndarray]:
    return np.split(flat, np.cumsum(sizes)[:-1])


def validate_allocation(allocation: Any) -> Allocation:
    """Returns the allocation if it is one.

    Raises:
        TypeError: If it is no `Allocation`.
    """
    if not isinstance(allocation, Allocation):
        raise TypeError(
            "`allocation` must be a `tfmot_sapp.Allocation`, such as "
            "`tfmot_sapp.UniformAllocation()`. "
            f"Received: {allocation!r} of type {type(allocation).__name__}."
        )
    return allocation
