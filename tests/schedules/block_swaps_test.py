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
"""Swaps: when they happen, and that they find blocks worth having."""

import numpy as np
import pytest

import tfmot_sapp as sapp
from tfmot_sapp.schedules.due_updates import DueUpdates
from tfmot_sapp.schedules.updates import Update


def test_swaps_come_in_sparse_phases_and_fade_like_a_cosine():
    base = sapp.SequentialAttentionSchedule(0.9, 1000, cycles=1)
    schedule = sapp.BlockSwaps(base, 0.4, frequency=30, last_swap=900)

    swaps = [update for update in schedule.updates if update.swap]

    assert [u for u in schedule.updates if not u.swap] == list(base.updates)
    assert all(base.phase(update.step) == "sparse" for update in swaps)
    assert all(update.sparsity == 0.9 for update in swaps)
    assert swaps[-1].step <= 900 < schedule.end_step
    for update in swaps:
        share = 0.2 * (1 + np.cos(np.pi * update.step / 901))
        assert update.swap == pytest.approx(share)


def test_swaps_of_tfmots_own_schedule():
    base = sapp.PolynomialDecay(0.0, 0.8, 0, 100, frequency=50)
    schedule = sapp.BlockSwaps(base, 0.5, frequency=40, last_swap=200)

    steps = [u.step for u in schedule.updates if u.swap]

    assert steps == [140, 180]
    assert DueUpdates(schedule).between(-1, 50)[0] == Update(0, 0.0, "dense")
    again = sapp.BlockSwaps.from_config(schedule.get_config()["config"])
    assert again.updates == schedule.updates


def test_swaps_find_the_blocks_that_matter(keras):
    """Magnitude keeps the wrong blocks at first; gradients tell."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(256, 16)).astype(np.float32)
    y = x[:, 8:12] @ rng.normal(size=(4, 4)).astype(np.float32)

    def train(schedule):
        keras.utils.set_random_seed(0)
        dense = keras.Sequential(
            [keras.Input((16,)), keras.layers.Dense(4, name="dense")]
        )
        kernel = np.full((16, 4), 0.01, np.float32)
        kernel[:4] = 0.2
        dense.layers[-1].kernel.assign(kernel)
        model = sapp.prune_blocks(
            dense,
            schedule,
            (4, 4),
            sapp.Magnitude(),
            pruning_policy=sapp.MinimumBlocks(1),
        )
        model.compile(keras.optimizers.SGD(0.05), "mse")
        model.fit(
            x,
            y,
            batch_size=32,
            epochs=10,
            verbose=0,
            callbacks=[sapp.UpdatePruningStep()],
        )
        (row,) = sapp.report(model).pruned
        return np.flatnonzero(row.mask), model.evaluate(x, y, verbose=0)

    at_once = sapp.OneShot(0.75, 80, dense_fraction=0.0)
    kept, loss = train(at_once)
    found, swapped_loss = train(
        sapp.BlockSwaps(at_once, 1.0, frequency=10, last_swap=19)
    )

    assert list(kept) == [0] and list(found) == [2]
    assert swapped_loss < 0.1 * loss


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"fraction": 1.5}, "fraction"),
        ({"frequency": 0}, "frequency"),
        ({"last_swap": 0}, "last_swap"),
        ({"pruning_schedule": 3}, "pruning_schedule"),
        (
            {"pruning_schedule": sapp.ConstantSparsity(0.5, 0)},
            "last_swap",
        ),
    ],
)
def test_bad_arguments_are_named(arguments, message):
    arguments = {"pruning_schedule": sapp.OneShot(0.5, 10), **arguments}
    with pytest.raises((ValueError, TypeError), match=message):
        sapp.BlockSwaps(**arguments)
