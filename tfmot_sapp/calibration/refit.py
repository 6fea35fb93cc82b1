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
"""The weights that are best for the blocks that are left."""

import numpy as np


def refit(
    gram: np.ndarray,
    target: np.ndarray,
    kept: np.ndarray,
    row_groups: np.ndarray,
    column_groups: np.ndarray,
) -> np.ndarray:
    """Solves for the kept blocks exactly: `W_S = (G_SS)^-1 B_S`.

    Args:
        gram: Array (inputs, inputs), positive definite.
        target: Array (inputs, outputs).
        kept: Boolean array (row groups, blocks of columns).
        row_groups: Group of each input.
        column_groups: Block of each output.

    Returns:
        Float64 array (inputs, outputs), zero in the blocks that are not kept.

    Example:

    >>> kept = np.array([[True], [False]])
    >>> refit(np.array([[2.0, 1.0], [1.0, 2.0]]), np.array([[4.0], [3.0]]),
    ...       kept, np.arange(2), np.zeros(1, int))
    array([[2.],
           [0.]])
    """
    weights = np.zeros(target.shape)
    # Blocks of columns that read the same rows are solved together.
    patterns, which = np.unique(kept, axis=1, return_inverse=True)
    which = np.ravel(which)
    for index, pattern in enumerate(patterns.T):
        rows = np.flatnonzero(pattern[row_groups])
        columns = np.flatnonzero(which[column_groups] == index)
        if len(rows) and len(columns):
            weights[np.ix_(rows, columns)] = np.linalg.solve(
                gram[np.ix_(rows, rows)], target[np.ix_(rows, columns)]
            )
    return weights


def error(
    gram: np.ndarray,
    best: np.ndarray,
    weights: np.ndarray,
    column_scale: np.ndarray | None = None,
) -> float:
    """Returns by how much weights do worse than the best ones.

    Args:
        gram: Array (inputs, inputs).
        best: Array (inputs, outputs): the solution without any pruning.
        weights: Array (inputs, outputs).
        column_scale: What an error in each output is multiplied by before it
            is squared. Defaults to ones.

    Returns:
        The mean over rows of the squared differences, summed over outputs.
    """
    difference = np.asarray(best, np.float64) - weights
    if column_scale is not None:
        difference = difference * column_scale
    return float(np.sum(difference * (gram @ difference)))


def free_bias(
    input_mean: np.ndarray | None,
    target_mean: np.ndarray | None,
    weights: np.ndarray,
) -> np.ndarray | None:
    """Returns the best bias beside some weights.

    Args:
        input_mean: Means of the inputs, `None` if no bias is free.
        target_mean: Means of the outputs wanted, likewise.
        weights: Array (inputs, outputs).

    Returns:
        Array (outputs,), or `None` if none is free.
    """
    if input_mean is None or target_mean is None:
        return None
    return target_mean - input_mean @ weights
