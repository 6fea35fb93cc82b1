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
"""Exact counts, ties by index, against naive selection."""

import fractions

import numpy as np
import pytest

from tfmot_sapp.allocations.balanced_allocation import BalancedAllocation
from tfmot_sapp.allocations.global_allocation import GlobalAllocation
from tfmot_sapp.allocations.uniform_allocation import UniformAllocation
from tfmot_sapp.blocks.selection import (
    kept_blocks,
    readers,
    swap_blocks,
    top_blocks,
)


@pytest.mark.parametrize("blocks", [1, 2, 5, 25, 100, 325, 1024])
@pytest.mark.parametrize(
    "sparsity", ["0", "0.1", "0.5", "0.7", "0.85", "0.9", "0.95", "0.99", "1"]
)
def test_counts_are_exact_fractions_rounded(blocks, sparsity):
    exact = (1 - fractions.Fraction(sparsity)) * blocks
    expected = max(1, int(exact + fractions.Fraction(1, 2)))

    assert kept_blocks(blocks, float(sparsity)) == expected


@pytest.mark.parametrize("count", [0, 1, 7, 12])
def test_selection_matches_a_sort_with_ties_by_index(count):
    scores = np.random.default_rng(0).integers(0, 3, (3, 4)).astype(float)
    flat = scores.ravel()
    order = sorted(range(12), key=lambda i: (-flat[i], i))

    mask = top_blocks(scores, count)

    assert sorted(np.flatnonzero(mask)) == sorted(order[:count])


def test_equal_scores_are_pruned_to_the_count():
    assert top_blocks(np.ones((10, 10)), 13).sum() == 13


def test_blocks_that_are_alive_stay_before_others():
    scores = np.array([1.0, 9.0, 2.0, 8.0])
    alive = np.array([True, False, True, False])

    np.testing.assert_array_equal(
        top_blocks(scores, 1, alive), [False, False, True, False]
    )
    np.testing.assert_array_equal(
        top_blocks(scores, 3, alive), [True, True, True, False]
    )


def test_nan_scores_go_first():
    np.testing.assert_array_equal(
        top_blocks(np.array([np.nan, -5.0, np.nan]), 1), [False, True, False]
    )


def alive_like(scores):
    return {name: np.ones(score.shape, bool) for name, score in scores.items()}


def random_scores():
    rng = np.random.default_rng(0)
    return {
        "a": rng.random((6, 5)),
        "b": rng.random((4, 10)),
        "c": rng.random((1, 1, 7, 3)),
    }


@pytest.mark.parametrize("sparsity", [0.0, 0.5, 0.9, 0.99])
@pytest.mark.parametrize(
    "allocation", [UniformAllocation(), BalancedAllocation()]
)
def test_every_kernel_keeps_its_exact_count(allocation, sparsity):
    scores = random_scores()

    masks = allocation.allocate(scores, alive_like(scores), sparsity)

    for name, score in scores.items():
        assert masks[name].shape == score.shape
        assert masks[name].sum() == kept_blocks(score.size, sparsity)


@pytest.mark.parametrize("sparsity", [0.3, 0.5, 0.9])
def test_balanced_counts_differ_by_one_at_most(sparsity):
    scores = random_scores()

    masks = BalancedAllocation().allocate(scores, alive_like(scores), sparsity)

    for mask in masks.values():
        counts = mask.reshape(-1, mask.shape[-1]).sum(axis=0)
        assert counts.max() - counts.min() <= 1


@pytest.mark.parametrize("min_density", [0.0, 0.05, 0.3])
def test_global_allocation_reaches_the_total_and_lets_none_die(min_density):
    scores = random_scores()
    scores["b"] = scores["b"] * 1e-6
    total = sum(score.size for score in scores.values())

    masks = GlobalAllocation(min_density).allocate(
        scores, alive_like(scores), 0.6
    )

    assert sum(m.sum() for m in masks.values()) == kept_blocks(total, 0.6)
    for mask in masks.values():
        assert mask.sum() >= kept_blocks(mask.size, 1 - min_density)


def test_targets_by_pattern_follow_the_schedule_in_proportion():
    scores = {"conv_1": np.arange(100.0), "dense": np.arange(100.0)}
    allocation = UniformAllocation({"conv*": 0.4})

    half = allocation.allocate(scores, alive_like(scores), 0.4, 0.8)
    full = allocation.allocate(scores, alive_like(scores), 0.8, 0.8)

    assert (half["conv_1"].sum(), full["conv_1"].sum()) == (80, 60)
    assert (half["dense"].sum(), full["dense"].sum()) == (60, 20)


@pytest.mark.parametrize("count", [0, 1, 3, 5, 99])
def test_swaps_exchange_the_worst_for_the_most_promising(count):
    rng = np.random.default_rng(count)
    scores, growth = rng.integers(0, 4, (2, 3, 4)).astype(float)
    mask = rng.random((3, 4)) < 0.5
    kept, dropped = np.flatnonzero(mask), np.flatnonzero(~mask)
    number = min(count, len(kept), len(dropped))
    stay = sorted(kept, key=lambda i: (-scores.ravel()[i], i))
    come = sorted(dropped, key=lambda i: (-growth.ravel()[i], i))
    expected = stay[: len(kept) - number] + come[:number]

    swapped = swap_blocks(scores, growth, mask, count)

    assert sorted(np.flatnonzero(swapped)) == sorted(expected)


def test_blocks_to_keep_are_not_swapped():
    mask = np.array([True, True, False])

    swapped = swap_blocks(
        np.array([0.0, 1.0, 0.0]), np.ones(3), mask, 2, np.array([1, 0, 0]) > 0
    )

    np.testing.assert_array_equal(swapped, [True, False, True])


@pytest.mark.parametrize("shape", [(5, 4), (3, 5, 4), (1, 1)])
@pytest.mark.parametrize("kind", [UniformAllocation, BalancedAllocation])
def test_every_input_block_keeps_a_reader(shape, kind):
    rng = np.random.default_rng(3)
    # All the worth is in the first input block.
    scores = rng.random(shape)
    scores[..., 0, :] += 10
    free, ruled = kind(), kind(keep_readers=True)
    for sparsity in (0.0, 0.4, 0.75):
        alive = {"dense": np.ones(shape, bool)}
        before = free.allocate({"dense": scores}, alive, sparsity)["dense"]
        mask = ruled.allocate({"dense": scores}, alive, sparsity)["dense"]
        read = mask.any(
            axis=tuple(a for a in range(len(shape)) if a != len(shape) - 2)
        )

        assert mask.sum() == before.sum() == kept_blocks(mask.size, sparsity)
        assert read.sum() == min(mask.sum(), shape[-2])
        if kind is BalancedAllocation:
            columns = mask.reshape(-1, shape[-1]).sum(0)
            assert columns.max() - columns.min() <= 1

        swapped = ruled.swap(
            {"dense": scores}, {"dense": mask}, {"dense": -scores}, 0.9
        )["dense"]
        assert swapped.sum() == mask.sum()
        if kind is UniformAllocation:
            assert (
                swapped.any(
                    axis=tuple(
                        a for a in range(len(shape)) if a != len(shape) - 2
                    )
                ).sum()
                == read.sum()
            )


def test_readers_are_the_best_of_their_input_blocks():
    scores = np.array([[1.0, 5.0], [2.0, 4.0], [3.0, 0.0]])

    np.testing.assert_array_equal(
        readers(scores, np.ones((3, 2), bool)), [[0, 1], [0, 1], [1, 0]]
    )
    np.testing.assert_array_equal(
        readers(scores, np.ones((3, 2), bool), most=2),
        [[0, 1], [0, 1], [1, 0]],
    )
    np.testing.assert_array_equal(
        readers(scores, np.array([[1, 0], [1, 1], [1, 1]]) > 0),
        [[1, 0], [0, 1], [1, 0]],
    )


def test_balanced_swaps_stay_balanced():
    rng = np.random.default_rng(0)
    scores, growth = rng.random((2, 8, 6))
    allocation = BalancedAllocation()
    alive = {"dense": np.ones((8, 6), bool)}
    masks = allocation.allocate({"dense": scores}, alive, 0.6)

    swapped = allocation.swap({"dense": scores}, masks, {"dense": growth}, 0.5)

    assert np.any(swapped["dense"] != masks["dense"])
    np.testing.assert_array_equal(
        swapped["dense"].sum(0), masks["dense"].sum(0)
    )
