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
"""The sparse encoding is decoded, and checked."""

import numpy as np
import pytest

from tfmot_sapp.compiler.ir.sparsity import SparseDimension, Sparsity


def compress(rows):
    """Encodes the columns of non-zeros in each row of a matrix."""
    segments = np.cumsum([0, *[np.count_nonzero(row) for row in rows]])
    return SparseDimension(
        0, segments.astype(np.uint16), np.nonzero(rows)[1].astype(np.uint8)
    )


def random_blocks(generator, rows, columns, block):
    cells = generator.random((rows // block[0], columns // block[1])) < 0.4
    mask = np.kron(cells, np.ones(block))
    return cells, generator.normal(size=(rows, columns)) * mask


@pytest.mark.parametrize("block", [(1, 4), (2, 2), (4, 1), (3, 5)])
def test_blocks_are_put_in_their_places(block):
    generator = np.random.default_rng(0)
    rows, columns = 12, 20
    cells, dense = random_blocks(generator, rows, columns, block)
    tall, wide = block
    cut = dense.reshape(rows // tall, tall, columns // wide, wide)
    stored = cut.transpose(0, 2, 1, 3)[cells].reshape(-1)
    sparsity = Sparsity(
        traversal_order=(0, 1, 2, 3),
        block_map=(0, 1),
        dimensions=(
            SparseDimension(rows // tall),
            compress(cells),
            SparseDimension(tall),
            SparseDimension(wide),
        ),
    )

    assert sparsity.stored_elements((rows, columns)) == stored.size
    found = sparsity.to_dense(stored, (rows, columns))

    np.testing.assert_array_equal(found, dense)


def test_single_elements_by_columns():
    generator = np.random.default_rng(1)
    dense = generator.normal(size=(5, 7)) * (generator.random((5, 7)) < 0.3)
    sparsity = Sparsity(
        (1, 0), (), (SparseDimension(7), compress(dense.T != 0))
    )

    found = sparsity.to_dense(dense.T[dense.T != 0], (5, 7))

    np.testing.assert_array_equal(found, dense)


def test_wrong_number_of_elements_is_refused():
    sparsity = Sparsity((0,), (), (SparseDimension(3),))

    with pytest.raises(ValueError, match="must be 3 .* Received: 2"):
        sparsity.to_dense(np.ones(2), (3,))


@pytest.mark.parametrize(
    "change",
    [
        {"traversal_order": (0, 1, 1, 3)},
        {"block_map": (0, 7)},
        {"segments": np.array([0, 2, 1], np.uint8)},
        {"segments": np.array([0, 1], np.uint8)},
        {"indices": np.array([1, 2], np.uint16)},
    ],
)
def test_sparse_encoding_at_odds_with_itself_is_refused(change):
    compressed = SparseDimension(
        0,
        change.get("segments", np.array([0, 1, 2], np.uint8)),
        change.get("indices", np.array([1, 0], np.uint16)),
    )
    dense = SparseDimension(2)
    sparsity = Sparsity(
        change.get("traversal_order", (0, 1, 2, 3)),
        change.get("block_map", (0, 1)),
        (dense, compressed, dense, dense),
    )

    with pytest.raises(ValueError, match="must"):
        sparsity.stored_elements((4, 4))
