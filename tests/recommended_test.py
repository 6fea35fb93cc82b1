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
"""`recommended`: what it returns trains, with and without second moments."""

import numpy as np
import pytest

import tfmot_sapp as sapp
from tfmot_sapp.blocks.selection import kept_blocks


@pytest.mark.parametrize("optimizer", ["Adam", "SGD"])
def test_what_it_returns_prunes_exactly(keras, optimizer):
    layers = keras.layers
    model = keras.Sequential(
        [keras.Input((12,)), layers.Dense(16, "relu"), layers.Dense(8)]
    )
    model = sapp.prune_blocks(
        model,
        block_size=(4, 4),
        pruning_policy=sapp.MinimumBlocks(1),
        **sapp.recommended(0.7, 12, second_moments=optimizer == "Adam"),
    )
    made = getattr(keras.optimizers, optimizer)(0.01)
    model.compile(made, "mse", run_eagerly=True)
    x = np.random.default_rng(0).normal(size=(16, 12)).astype(np.float32)

    model.fit(
        x,
        x[:, :8],
        batch_size=4,
        epochs=3,
        verbose=0,
        callbacks=[sapp.UpdatePruningStep()],
    )

    first, second = sapp.report(model).pruned
    assert (first.kept, second.kept) == (
        kept_blocks(first.blocks, 0.7),
        kept_blocks(second.blocks, 0.7),
    )
    # What the second reads, the first makes.
    made, read = np.any(first.mask, axis=0), np.any(second.mask, axis=1)
    assert not np.any(read & ~made)


@pytest.mark.parametrize(
    "arguments, name",
    [((1.0, 10), "target_sparsity"), ((0.5, 0), "end_step")],
)
def test_bad_arguments_are_named(arguments, name):
    with pytest.raises(ValueError, match=name):
        sapp.recommended(*arguments)
