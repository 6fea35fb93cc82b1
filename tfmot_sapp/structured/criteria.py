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
"""Which units to keep: i-SpaSP and the simplest rules.

A criterion is one class with one method, which sees a group's `Statistics`.
"""

import abc
import dataclasses
from typing import Any

import numpy as np

from tfmot_sapp.base.checks import check_instance, check_steps
from tfmot_sapp.base.wording import received
from tfmot_sapp.structured.statistics import Statistics


class Criterion(abc.ABC):
    """Base class of the criteria.

    Attributes:
        needs_gram: Whether `Statistics` must have products of features.
    """

    # No annotation, which would make it an argument of dataclasses.
    needs_gram = False

    @abc.abstractmethod
    def select(self, statistics: Statistics, keep: int) -> np.ndarray:
        """Returns the units to keep.

        Args:
            statistics: What is known of the group.
            keep: How many to keep.

        Returns:
            Their indices, in rising order.
        """


@dataclasses.dataclass(frozen=True)
class ISpaSP(Criterion):
    """Keeps what sparse signal recovery finds (arXiv 2112.04905, Algorithm 1).

    In each iteration the `2 s` units with the largest importance for what the
    kept ones do not explain are joined to them, and the `s` most active of all
    stay. Importance is the consumer's transpose times the residual, summed
    over the data with its sign. Since all of it is linear in the hidden units,
    sums over the data are all that is needed, and the data is read once.

    At a keep ratio of one half and above all units are candidates, and this is
    `TopActivation`.

    Args:
        iterations: Number of iterations, at least 1.

    Raises:
        ValueError: If `iterations` is less than 1.
    """

    iterations: int = 20

    def __post_init__(self) -> None:
        """Checks the arguments."""
        iterations = check_steps(self.iterations, "iterations", least=1)
        object.__setattr__(self, "iterations", iterations)

    def select(self, statistics: Statistics, keep: int) -> np.ndarray:
        """Returns the units to keep, in rising order."""
        kept = np.zeros(0, int)
        for _ in range(self.iterations):
            importance = residual_importance(statistics, kept)
            candidates = top(importance, min(2 * keep, statistics.units))
            merged = np.union1d(candidates, kept)
            best = top(statistics.activation[merged], keep)
            after = np.sort(merged[best])
            if np.array_equal(after, kept):
                break
            kept = after
        return kept


@dataclasses.dataclass(frozen=True)
class TopActivation(Criterion):
    """Keeps the units with the largest sum over the data."""

    def select(self, statistics: Statistics, keep: int) -> np.ndarray:
        """Returns the units to keep, in rising order."""
        return np.sort(top(statistics.activation, keep))


@dataclasses.dataclass(frozen=True)
class UnitMagnitude(Criterion):
    """Keeps the units whose weights are largest, in and out.

    The score is the norm of the weights that make a unit times the norm of
    those that read it.
    """

    def select(self, statistics: Statistics, keep: int) -> np.ndarray:
        """Returns the units to keep, in rising order."""
        squares = np.zeros(statistics.units)
        for part in statistics.parts:
            rows = np.sum(np.square(part.weights), axis=1)
            np.add.at(squares, part.unit_of, rows)
        score = statistics.producer_norm * np.sqrt(squares)
        return np.sort(top(score, keep))


def top(scores: np.ndarray, count: int) -> np.ndarray:
    """Returns the indices of the largest scores, ties by index."""
    return np.argsort(-scores, kind="stable")[:count]


def residual_importance(statistics: Statistics, kept: np.ndarray) -> np.ndarray:
    """Returns the importance of each unit for what is not explained yet.

    That is `mu(W^T (U - W_S H_S))` (arXiv 2112.04905, Section 3).

    Args:
        statistics: What is known of the group.
        kept: Indices of the units that are kept.
    """
    is_kept = np.zeros(statistics.units, bool)
    is_kept[kept] = True
    importance = np.zeros(statistics.units)
    for part in statistics.parts:
        rest = np.where(is_kept[part.unit_of], 0.0, part.summed)
        back = (rest @ part.weights) @ part.weights.T
        np.add.at(
            importance,
            part.unit_of,
            np.sum(np.where(part.valid, back, 0.0), axis=0),
        )
    return importance


def check_criterion(criterion: Any) -> Criterion:
    """Returns the criterion if it is one.

    Raises:
        TypeError: If it is no `Criterion`.
    """
    return check_instance(
        criterion,
        "criterion",
        Criterion,
        "a criterion, such as `tfmot_sapp.ISpaSP()`",
    )


def check_selected(selected: Any, units: int, keep: int) -> np.ndarray:
    """Returns what a criterion selected, if it is what it was asked for.

    Args:
        selected: What `select` returned.
        units: Number of units of the group.
        keep: How many were to be kept.

    Raises:
        TypeError: If it is no array of whole numbers.
        ValueError: If it is not `keep` different units in rising order.
    """
    wrong = (
        f"`criterion` must select {keep} of {units} units, different ones in "
        f"rising order. {received('selected', selected)}"
    )
    try:
        indices = np.asarray(selected)
    except ValueError as error:  # Rows of different lengths.
        raise TypeError(wrong) from error
    if indices.ndim != 1 or indices.dtype.kind not in "iu":
        raise TypeError(wrong)
    inside = np.all((indices >= 0) & (indices < units))
    if len(indices) != keep or not inside or np.any(np.diff(indices) <= 0):
        raise ValueError(wrong)
    return indices
