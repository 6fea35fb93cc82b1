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
"""Every input block keeps a reader, as far as there are blocks enough."""

import numpy as np
import pytest

import tfmot_sapp as sapp


@pytest.mark.parametrize("kind", ["Uniform", "Balanced"])
@pytest.mark.parametrize("shape", [(6, 3), (2, 6, 3)])
@pytest.mark.parametrize("seed", range(20))
def test_no_dropped_block_takes_the_place_of_a_kept_one(kind, shape, seed):
    """Where fewer blocks stay than there are input blocks."""
    allocation = getattr(sapp, f"{kind}Allocation")(keep_readers=True)
    rng = np.random.default_rng(seed)
    alive = {"a": np.ones(shape, bool)}
    blocks = alive["a"].size

    for sparsity in (0.3, 1 - 5 / blocks, 1 - 3 / blocks, 1 - 3 / blocks):
        scores = {"a": rng.normal(size=shape)}
        masks = allocation.allocate(scores, alive, sparsity)
        assert masks["a"].sum() == round((1 - sparsity) * blocks)
        if kind == "Uniform" or sparsity == 1 - 3 / blocks:
            assert not np.any(masks["a"] & ~alive["a"])
        alive = masks


@pytest.mark.parametrize("seed", range(20))
def test_every_input_block_keeps_one_where_they_are_enough(seed):
    rng = np.random.default_rng(seed)
    scores = {"a": rng.normal(size=(6, 5))}
    alive = {"a": np.ones((6, 5), bool)}

    masks = sapp.UniformAllocation(keep_readers=True).allocate(
        scores, alive, 0.8
    )

    assert masks["a"].sum() == 6
    assert np.all(masks["a"].any(axis=1))
