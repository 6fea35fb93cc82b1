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
"""Bundles of output blocks that read the same input blocks."""

import math

import numpy as np
import pytest

import tfmot_sapp as sapp
from tfmot_sapp.blocks.selection import kept_blocks


def naive(score, sparsity, bundle):
    """Row by row: the best rows of each bundle, then the best of the rest."""
    rows, outputs = score.shape
    count = kept_blocks(score.size, sparsity)
    each, extra = divmod(count, outputs)
    mask, rest = np.zeros(score.shape, bool), []
    for first in range(0, outputs, bundle):
        part = score[:, first : first + bundle]
        order = sorted(range(rows), key=lambda r: -part[r].sum())
        for row in order[:each]:
            mask[row, first : first + bundle] = True
        if each < rows:
            rest.append((-part[order[each]].mean(), first, order[each]))
    for _, first, row in sorted(rest):
        place = range(first, min(first + bundle, outputs))
        if len(place) <= extra:
            mask[row, place] = True
            extra -= len(place)
        elif extra:
            best = sorted(place, key=lambda j: -score[row, j])[:extra]
            mask[row, best] = True
            extra = 0
    return mask


@pytest.mark.parametrize("sparsity", [0.0, 0.3, 0.7, 0.9])
@pytest.mark.parametrize(
    "shape, bundle", [((10, 12), 4), ((7, 8), 2), ((6, 5), 1)]
)
def test_as_row_by_row(shape, bundle, sparsity):
    score = np.random.default_rng(0).gamma(1.0, size=shape)

    mask = sapp.BundledAllocation(bundle=bundle).allocate(
        {"a": score}, {"a": np.ones(shape, bool)}, sparsity
    )["a"]

    np.testing.assert_array_equal(mask, naive(score, sparsity, bundle))
    if bundle == 1:
        balanced = sapp.BalancedAllocation().allocate(
            {"a": score}, {"a": np.ones(shape, bool)}, sparsity
        )
        np.testing.assert_array_equal(mask, balanced["a"])


@pytest.mark.parametrize("outputs", [12, 14])
@pytest.mark.parametrize("seed", range(5))
def test_a_ramp_drops_and_never_brings_back(outputs, seed):
    allocation = sapp.BundledAllocation(bundle=4)
    rng = np.random.default_rng(seed)
    alive = {"a": np.ones((9, outputs), bool)}
    for sparsity in (0.1, 0.2, 0.5, 0.55, 0.6, 0.83, 0.9):
        scores = {"a": rng.normal(size=(9, outputs))}
        masks = allocation.allocate(scores, alive, sparsity)
        assert masks["a"].sum() == kept_blocks(9 * outputs, sparsity)
        assert not np.any(masks["a"] & ~alive["a"])
        alive = masks
        starts = range(0, outputs, 4)
        parts = [masks["a"][:, first : first + 4] for first in starts]
        broken = sum(
            int((part.any(axis=1) & ~part.all(axis=1)).sum()) for part in parts
        )
        counts = [part.any(axis=1).sum() for part in parts]
        assert broken <= 1 and max(counts) - min(counts) <= 1


def test_swaps_exchange_whole_rows():
    rng = np.random.default_rng(0)
    allocation = sapp.BundledAllocation(bundle=4)
    scores = {"a": rng.gamma(1.0, size=(10, 12))}
    masks = allocation.allocate(scores, {"a": np.ones((10, 12), bool)}, 0.7)
    growth = {"a": rng.gamma(1.0, size=(10, 12))}

    swapped = allocation.swap(scores, masks, growth, 0.5)["a"]

    assert swapped.sum() == masks["a"].sum()
    exchanged = swapped & ~masks["a"]
    # Half of 36 blocks, in rows of 4.
    assert exchanged.sum() == 4 * math.floor(18 / 4)
    for first in range(0, 12, 4):
        part = swapped[:, first : first + 4]
        assert np.all(part.all(axis=1) == part.any(axis=1))
