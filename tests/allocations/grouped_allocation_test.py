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
"""Groups: a block diagonal after reordering, found again as a ramp goes on."""

import itertools

import numpy as np
import pytest

import tfmot_sapp as sapp
from tfmot_sapp.allocations.grouping import (
    capacity,
    group_sizes,
    groups_of_blocks,
    number_of_groups,
)
from tfmot_sapp.blocks.selection import kept_blocks

RAMP = [0.875 * (1 - (1 - i / 12) ** 3) for i in range(1, 13)]


def most_that_groups_keep(value, groups):
    """By brute force: every assignment of both sides."""
    sides = [
        set(itertools.permutations(np.repeat(range(groups), sizes)))
        for sizes in (group_sizes(n, groups) for n in value.shape)
    ]
    return max(
        value[np.array(rows)[:, None] == np.array(columns)].sum()
        for rows, columns in itertools.product(*sides)
    )


@pytest.mark.parametrize(
    "shape, groups", [((6, 4), 2), ((4, 4), 4), ((5, 4), 2)]
)
def test_groups_keep_about_the_most(shape, groups):
    ratios = []
    for seed in range(8):
        value = np.random.default_rng(seed).gamma(1.0, size=shape)
        rows, columns = groups_of_blocks(value, np.ones(shape), groups)
        for labels, blocks in ((rows, shape[0]), (columns, shape[1])):
            sizes = np.bincount(labels, minlength=groups)
            np.testing.assert_array_equal(sizes, group_sizes(blocks, groups))
        kept = value[rows[:, None] == columns].sum()
        ratios.append(kept / most_that_groups_keep(value, groups))
    assert min(ratios) > 0.9 and np.mean(ratios) > 0.98
    assert max(ratios) <= 1 + 1e-12


def test_planted_groups_are_found():
    rng = np.random.default_rng(0)
    rows, columns = (rng.permutation(np.repeat(range(8), n)) for n in (4, 6))
    planted = rows[:, None] == columns
    scores = {"a": rng.random((32, 48)) + planted}

    masks = sapp.GroupedAllocation().allocate(
        scores, {"a": np.ones((32, 48), bool)}, 1 - 1 / 8
    )

    np.testing.assert_array_equal(masks["a"], planted)


@pytest.mark.parametrize("shape", [(24, 32), (9, 16, 24)])
@pytest.mark.parametrize("noise", [0.0, 0.1])
def test_a_ramp_ends_in_groups_and_brings_nothing_back(shape, noise):
    allocation = sapp.GroupedAllocation()
    rng = np.random.default_rng(1)
    score, alive = rng.gamma(1.0, size=shape), {"a": np.ones(shape, bool)}
    for sparsity in RAMP:
        score = score * np.exp(noise * rng.normal(size=shape))
        masks = allocation.allocate({"a": score}, alive, sparsity, RAMP[-1])
        assert masks["a"].sum() == kept_blocks(score.size, sparsity)
        assert not np.any(masks["a"] & ~alive["a"])
        alive = masks

    mask = alive["a"].reshape(-1, *shape[-2:])
    assert np.all(mask == mask[0])
    patterns, counts = np.unique(mask[0], axis=1, return_counts=True)
    assert patterns.shape[1] == 8 and set(counts) == {shape[-1] // 8}
    # Every input block is read by one group.
    assert np.all(patterns.sum(axis=1) == 1)
    again = allocation.allocate({"a": -score}, alive, RAMP[-1], RAMP[-1])
    np.testing.assert_array_equal(again["a"], alive["a"])
    at_once = allocation.allocate(
        {"a": score}, {"a": np.ones(shape, bool)}, RAMP[-1], RAMP[-1]
    )
    assert score[alive["a"]].sum() > 0.7 * score[at_once["a"]].sum()


@pytest.mark.parametrize("sparsity", [0.0, 0.3, 0.83, 0.9, 0.99])
@pytest.mark.parametrize("shape", [(25, 13), (3, 40), (12,), (2, 2, 7, 5)])
@pytest.mark.parametrize("kind", ["Grouped", "Bundled"])
def test_counts_are_exact_and_masks_only_shrink(kind, shape, sparsity):
    allocation = getattr(sapp, f"{kind}Allocation")()
    if kind == "Bundled":
        assert allocation == sapp.BundledAllocation(bundle=4)
    rng = np.random.default_rng(0)
    scores = {"a": rng.normal(size=shape)}
    scores["a"].flat[3] = np.nan
    masks = allocation.allocate(
        scores, {"a": np.ones(shape, bool)}, sparsity, 0.99
    )
    assert masks["a"].sum() == kept_blocks(scores["a"].size, sparsity)
    again = allocation.allocate(
        {"a": rng.normal(size=shape)}, masks, sparsity, 0.99
    )
    np.testing.assert_array_equal(again["a"], masks["a"])
    back = allocation.allocate(scores, masks, 0.0, 0.99)
    assert np.all(back["a"])


def test_how_many_groups():
    for inputs, outputs, count in itertools.product(
        (3, 8, 24, 25), (4, 13, 96), (1, 7, 60)
    ):
        if count > inputs * outputs:
            continue
        groups = number_of_groups(inputs, outputs, count, 1000)
        assert capacity(inputs, outputs, groups) >= count
        assert number_of_groups(inputs, outputs, count, 2) <= 2
    assert number_of_groups(32, 32, 128, 100) == 8


def test_swaps_stay_inside_of_groups():
    rng = np.random.default_rng(0)
    scores = {"a": rng.gamma(1.0, size=(8, 8))}
    # 12 blocks in groups that have room for 16.
    allocation = sapp.GroupedAllocation(groups=4)
    masks = allocation.allocate(
        scores, {"a": np.ones((8, 8), bool)}, 1 - 12 / 64
    )
    growth = {"a": rng.gamma(1.0, size=(8, 8))}

    swapped = allocation.swap(scores, masks, growth, 0.3)["a"]

    assert swapped.sum() == 12 and np.any(swapped != masks["a"])
    assert len(np.unique(swapped.any(axis=1))) <= 2
    patterns = {tuple(column) for column in swapped.T if column.any()}
    joined = [set(np.flatnonzero(p)) for p in patterns]
    for one, other in itertools.combinations(joined, 2):
        assert one <= other or other <= one or not one & other


def test_saved_and_loaded():
    for allocation in (
        sapp.GroupedAllocation({"a": 0.5}, groups=8),
        sapp.BundledAllocation(bundle=3),
    ):
        again = type(allocation).from_config(allocation.get_config())
        assert again == allocation
        assert hash(again) == hash(allocation)


CHANNELS = {"up": ("stream", "hidden"), "down": ("hidden", "stream")}


def agrees(up, down):
    """Whether input blocks that a kernel keeps apart are made apart."""
    # From a block of the stream, through both, to no other group of it.
    reached = (up.astype(int) @ down.astype(int)) > 0
    return (
        len(np.unique(reached, axis=0)) == 4
        and (reached.sum(axis=1) == reached.shape[1] // 4).all()
    )


def test_kernels_agree_on_the_groups_of_shared_channels():
    allocation = sapp.GroupedAllocation(channels=CHANNELS)
    rng = np.random.default_rng(3)
    scores = {"up": rng.random((8, 16)), "down": rng.random((16, 8))}
    alive = {name: np.ones(s.shape, bool) for name, s in scores.items()}
    for sparsity in (0.3, 0.6, 0.75):
        masks = allocation.allocate(scores, alive, sparsity, 0.75)
        for name, mask in masks.items():
            assert mask.sum() == kept_blocks(mask.size, sparsity)
            assert not np.any(mask & ~alive[name])
        alive = masks

    assert agrees(**alive)
    own = sapp.GroupedAllocation().allocate(
        scores, {n: np.ones(s.shape, bool) for n, s in scores.items()}, 0.75
    )
    assert not agrees(**own)
    kept = [sum(s[m[n]].sum() for n, s in scores.items()) for m in (alive, own)]
    assert 0.9 * kept[1] < kept[0] <= kept[1] + 1e-9


def test_where_the_order_is_given_neighbours_are_groups():
    allocation = sapp.GroupedAllocation(
        channels={"up": (None, "hidden"), "down": ("hidden", None)}
    )
    rng = np.random.default_rng(5)
    scores = {"up": rng.random((8, 16)), "down": rng.random((16, 8))}
    alive = {name: np.ones(s.shape, bool) for name, s in scores.items()}
    for sparsity in (0.3, 0.6, 0.75):
        alive = allocation.allocate(scores, alive, sparsity, 0.75)

    outer = np.repeat(range(4), 2)
    # Every hidden block reads one pair of neighbours and feeds the same pair.
    read = np.array([outer[c].tolist() for c in alive["up"].T])
    assert read.shape == (16, 2) and (read[:, 0] == read[:, 1]).all()
    np.testing.assert_array_equal(alive["up"], outer[:, None] == read[:, 0])
    np.testing.assert_array_equal(alive["down"].T, alive["up"])
    assert len(sapp.GroupedAllocation(channels={"a": (None, None)}).channels)


@pytest.mark.parametrize("coarse, fine", [(2, 4), (4, 2), (2, 8), (1, 4)])
def test_groups_of_a_multiple_lie_within_the_others(coarse, fine):
    targets = {"up": 1 - 1 / coarse, "down": 1 - 1 / fine}
    allocation = sapp.GroupedAllocation(targets=targets, channels=CHANNELS)
    rng = np.random.default_rng(6)
    scores = {"up": rng.random((8, 16)), "down": rng.random((16, 8))}
    alive = {name: np.ones(s.shape, bool) for name, s in scores.items()}
    for sparsity in (0.4, 1.0):
        alive = allocation.allocate(scores, alive, sparsity, 1.0)

    # Hidden blocks of one group of many are made from the same inputs, and
    # the groups of the stream lie within each other as well.
    for made, read in (
        (alive["up"].T, alive["down"]),
        (alive["up"], alive["down"].T),
    ):
        assert len(np.unique(made, axis=0)) == coarse
        assert len(np.unique(read, axis=0)) == fine
        both = np.unique(np.concatenate([made, read], axis=1), axis=0)
        assert len(both) == max(coarse, fine)


def test_a_kernel_that_is_done_says_what_the_others_get():
    allocation = sapp.GroupedAllocation(channels=CHANNELS)
    rng = np.random.default_rng(4)
    hidden, stream = (rng.permutation(np.repeat(range(4), n)) for n in (4, 2))
    alive = {"up": stream[:, None] == hidden, "down": np.ones((16, 8), bool)}
    scores = {name: rng.random(mask.shape) for name, mask in alive.items()}

    masks = allocation.allocate(scores, alive, 0.75)

    np.testing.assert_array_equal(masks["up"], alive["up"])
    np.testing.assert_array_equal(masks["down"], hidden[:, None] == stream)


@pytest.mark.parametrize(
    "channels", [{"a": "b"}, {"a": ("b",)}, [], {"a": (1, 2)}]
)
def test_channels_are_two_names_of_each_kernel(channels):
    with pytest.raises((TypeError, ValueError), match="channels"):
        sapp.GroupedAllocation(channels=channels)


def test_channels_of_no_kernel_are_an_error():
    allocation = sapp.GroupedAllocation(channels=CHANNELS)
    with pytest.raises(ValueError, match="channels"):
        allocation.check_names(["up", "middle"])
