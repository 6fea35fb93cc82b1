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
"""Whole layers pruned after training against block OBS step by step."""

import numpy as np
import pytest
from trained_models import normal, pruned, randomized, zero_blocks

from tfmot_sapp.frameworks.kernels import find_kernels


def naive(rows, wanted, weights, row_groups, column_groups, remove):
    """Block OBS with a bias, inverting anew at every removal."""
    count, inputs = rows.shape
    ones = np.concatenate([rows, np.ones((count, 1))], axis=1).astype(float)
    centred = rows - rows.mean(0, dtype=float)
    ridge = 3e-2 * np.sum(centred**2) / count / inputs
    penalty = np.diag([ridge] * inputs + [0.0])
    gram = ones.T @ ones / count + penalty
    old = np.concatenate([weights, np.zeros((1, weights.shape[1]))])
    target = ones.T @ wanted / count + penalty @ old
    best = np.linalg.inv(gram) @ target

    def solve(alive, columns):
        rows = np.append(np.isin(row_groups, alive), True)
        solved = np.zeros((inputs + 1, columns.sum()))
        inverse = np.linalg.inv(gram[np.ix_(rows, rows)])
        solved[rows] = inverse @ target[np.ix_(rows, columns)]
        gap = best[:, columns] - solved
        return np.trace(gap.T @ gram @ gap), solved

    series = []
    for column in range(column_groups.max() + 1):
        columns = column_groups == column
        alive, before, dearest = sorted(set(row_groups)), 0.0, 0.0
        while alive:
            losses = [
                solve([a for a in alive if a != group], columns)[0]
                for group in alive
            ]
            group = alive.pop(int(np.argmin(losses)))
            dearest = max(dearest, min(losses) - before)
            series.append((dearest, column, group))
            before = min(losses)
    series = sorted(series, key=lambda item: item[0])[:remove]
    result = np.zeros((inputs + 1, weights.shape[1]))
    for column in range(column_groups.max() + 1):
        columns = column_groups == column
        gone = [group for _, c, group in series if c == column]
        alive = [g for g in sorted(set(row_groups)) if g not in gone]
        result[:, columns] = solve(alive, columns)[1]
    return result


@pytest.mark.parametrize("samples", [60, 5])
@pytest.mark.parametrize("block", [(2, 2), (3, 4)])
def test_dense_equals_naive_block_obs(keras, samples, block):
    model = keras.Sequential([keras.Input((8,)), keras.layers.Dense(6)])
    randomized(model)
    data = normal(samples, 8)
    kernel, bias = (np.asarray(v) for v in model.weights)
    groups = np.arange(8) // block[0], np.arange(6) // block[1]
    blocks = np.prod([g.max() + 1 for g in groups])

    result = pruned(model, data, 0.5, block)

    wanted = naive(data, data @ kernel, kernel, *groups, blocks // 2)
    found, found_bias = (np.asarray(v) for v in result.weights)
    np.testing.assert_allclose(found, wanted[:-1], atol=1e-5)
    np.testing.assert_allclose(found_bias, bias + wanted[-1], atol=1e-5)
    (described,) = find_kernels(result.layers[-1])
    assert zero_blocks(described, block).sum() == blocks // 2


@pytest.mark.parametrize("block", [(2, 2), (1, 1, 2, 3)])
def test_convolution_equals_naive_block_obs(keras, block):
    layer = keras.layers.Conv2D(5, 2, name="conv")
    model = randomized(keras.Sequential([keras.Input((4, 4, 4)), layer]))
    data = normal(6, 4, 4, 4)
    kernel = np.asarray(layer.kernel)
    windows = np.stack(
        [data[:, i : i + 3, j : j + 3] for i in range(2) for j in range(2)],
        axis=3,
    ).reshape(-1, 16)
    taps, channels = np.divmod(np.arange(16), 4)
    rows = channels // 2 if len(block) == 2 else taps * 2 + channels // 2
    columns = np.arange(5) // block[-1]
    blocks = (rows.max() + 1) * (columns.max() + 1)
    matrix = kernel.reshape(16, 5)

    result = pruned(model, data, 0.5, block)

    wanted = naive(
        windows, windows @ matrix, matrix, rows, columns, blocks // 2
    )
    found = np.asarray(result.get_layer("conv").kernel).reshape(16, 5)
    np.testing.assert_allclose(found, wanted[:-1], atol=1e-5)
