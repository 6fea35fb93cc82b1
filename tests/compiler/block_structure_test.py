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
"""Blocks are found from zeros, chance zeros and ragged edges included."""

import numpy as np
import pytest

from tfmot_sapp.compiler.analysis.block_structure import (
    block_mask,
    block_structure,
)


def _pattern(rows, columns, block, density, seed=0):
    rng = np.random.default_rng(seed)
    grid = (-(-rows // block[0]), -(-columns // block[1]))
    mask = rng.random(grid) < density
    full = np.kron(mask, np.ones(block, bool))[:rows, :columns]
    return mask, full[np.newaxis]


@pytest.mark.parametrize("shape", [(128, 256), (390, 400), (70, 129)])
@pytest.mark.parametrize("block", [(8, 8), (20, 20), (32, 32), (16, 64)])
def test_edges_are_those_of_blocks(shape, block):
    _, nonzero = _pattern(*shape, block, 0.3)
    structure = block_structure(nonzero)
    assert all(edge % block[0] == 0 for edge in structure.in_edges[:-1])
    assert all(edge % block[1] == 0 for edge in structure.out_edges[:-1])
    assert (structure.in_edges[-1], structure.out_edges[-1]) == shape


def test_taps_of_more_rows_than_are_looked_at_at_a_time():
    _, first = _pattern(700, 90, (100, 45), 0.5, 1)
    _, second = _pattern(700, 90, (140, 30), 0.5, 2)
    both = np.concatenate([first, second])
    differ = both[:, 1:] != both[:, :-1]
    rows = np.flatnonzero(differ.any(axis=(0, 2))) + 1
    columns = np.flatnonzero((both[..., 1:] != both[..., :-1]).any((0, 1))) + 1

    structure = block_structure(both)

    assert structure.in_edges == (0, *rows.tolist(), 700)
    assert structure.out_edges == (0, *columns.tolist(), 90)


@pytest.mark.parametrize("rate", [0.001, 0.01, 0.03])
def test_chance_zeros_do_not_cut(rate):
    _, clean = _pattern(600, 500, (32, 32), 0.2)
    chance = np.random.default_rng(1).random(clean.shape) < rate
    noisy = clean & ~chance
    assert block_structure(noisy) == block_structure(clean)


def test_everything_nonzero_is_a_block():
    structure = block_structure(np.ones((9, 30, 40), bool))
    assert structure.in_edges == (0, 30)
    assert structure.out_edges == (0, 40)


def test_all_zero_is_a_block():
    structure = block_structure(np.zeros((1, 30, 40), bool))
    assert structure.in_edges == (0, 30)
    assert not block_mask(np.zeros((1, 30, 40), bool), structure).any()


def test_unstructured_zeros_are_dense():
    nonzero = np.random.default_rng(2).random((1, 128, 128)) < 0.7
    structure = block_structure(nonzero)
    assert structure.block_shape == (128, 128)


@pytest.mark.parametrize("seed", range(5))
def test_mask_covers_every_nonzero_weight(seed):
    _, nonzero = _pattern(97, 61, (16, 8), 0.2, seed)
    structure = block_structure(nonzero)
    mask = block_mask(nonzero, structure)[0]
    rows, columns = np.diff(structure.in_edges), np.diff(structure.out_edges)
    covered = np.repeat(np.repeat(mask, rows, 0), columns, 1)
    assert np.array_equal(covered, nonzero[0])
