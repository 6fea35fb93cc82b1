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
"""The least squares that criteria weigh units by, and its ridge."""

import numpy as np

# Share of the mean square that is added to every feature's own.
EPSILON = 1e-2


def stabilised(gram: np.ndarray) -> np.ndarray:
    """Returns `G + eps I`, eps being a share of G's mean diagonal."""
    mean = float(np.mean(np.diag(gram)))
    return gram + (EPSILON * mean or 1.0) * np.eye(len(gram))


def solve(
    gram: np.ndarray, weights: np.ndarray, inside: np.ndarray
) -> np.ndarray:
    """Solves for weights of some features that give the output of all.

    That is `W' = (G_SS + eps I)^-1 G_S W`, the least squares of the output
    over the data.

    Args:
        gram: Array (features, features): products of features over the data.
        weights: Array (features, outputs).
        inside: Boolean array (features,): the features to use.

    Returns:
        Array like `weights`, zero outside.
    """
    solved = np.zeros_like(weights)
    if np.any(inside):
        solved[inside] = np.linalg.solve(
            stabilised(gram)[np.ix_(inside, inside)], gram[inside] @ weights
        )
    return solved
