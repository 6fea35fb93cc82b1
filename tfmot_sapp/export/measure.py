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
"""How far outputs are from what they should be."""

import dataclasses
from collections.abc import Iterable

import numpy as np

# Largest error of a float32 export, as a fraction of the output scale.
EXACT = 1e-5
# What random inputs of a comparison are drawn from: (lowest or `None` for
# normal numbers, highest or standard deviation).
RANGES = ((None, 1.0), (None, 0.05), (0.0, 1.0), (0.0, 255.0))

Arrays = dict[str, np.ndarray]


@dataclasses.dataclass(frozen=True)
class Difference:
    """How far an exported model is from its source, over all samples.

    Attributes:
        max_error: Largest absolute error, as a fraction of the largest
            absolute value of the source's output; the worst output counts.
        rms_error: Root mean square of the error, as a fraction of that of the
            source's output; the worst output counts.
        tolerance: What the checked one of the two had to stay under.
    """

    max_error: float
    rms_error: float
    tolerance: float


def worst(differences: Iterable[Difference]) -> Difference:
    """Returns what holds for all of several comparisons."""
    found = list(differences)
    return Difference(
        max(each.max_error for each in found),
        max(each.rms_error for each in found),
        max(each.tolerance for each in found),
    )


def measure(expected: list[Arrays], found: list[Arrays]) -> tuple[float, float]:
    """Measures the relative error of outputs.

    Args:
        expected: Arrays by output name for every call.
        found: Likewise, to be compared with them.

    Returns:
        Largest and root mean square error, relative to the largest absolute
        value and to the root mean square of what is expected; the worst
        output counts. Infinite if shapes, names, or the places of
        values that aren't finite differ.

    Example:

    >>> measure([{"y": np.array([1.0, 2.0])}], [{"y": np.array([1.0, 1.5])}])[0]
    0.25
    """
    worst = (0.0, 0.0)
    for name in expected[0]:
        if not all(name in result for result in found):
            return np.inf, np.inf
        pairs = [(e[name], f[name]) for e, f in zip(expected, found)]
        if any(e.shape != f.shape for e, f in pairs):
            return np.inf, np.inf
        left = as_float(np.concatenate([e.ravel() for e, _ in pairs]))
        right = as_float(np.concatenate([f.ravel() for _, f in pairs]))
        finite = np.isfinite(left)
        if not np.array_equal(finite, np.isfinite(right)):
            return np.inf, np.inf
        left, right = left[finite], right[finite]
        if not left.size:
            continue
        error = np.abs(left - right)
        # An output of zeros has no scale; there the error counts as it is.
        largest, typical = (
            np.abs(left).max() or 1.0,
            root_mean_square(left) or 1.0,
        )
        worst = (
            max(worst[0], float(error.max() / largest)),
            max(worst[1], float(root_mean_square(error) / typical)),
        )
    return worst


def as_float(array: np.ndarray) -> np.ndarray:
    """An array in float64."""
    return np.asarray(array, np.float64)


def root_mean_square(values: np.ndarray) -> float:
    """The root of the mean of the squares, 0 of nothing."""
    return float(np.sqrt(np.mean(np.square(values)))) if values.size else 0.0
