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
"""The updates of a schedule as a sequence that is computed when asked for."""

import tracemalloc

import numpy as np
import pytest
import tensorflow as tf

import tfmot_sapp as sapp
from tfmot_sapp.schedules.due_updates import DueUpdates
from tfmot_sapp.schedules.updates import (
    Stretch,
    Update,
    Updates,
    one_update,
)

MANY = 10**9
LONG = [
    sapp.SequentialAttentionSchedule(0.9, MANY),
    sapp.SequentialAttentionSchedule(0.9, MANY, frequency=7, cycles=2),
    sapp.ACDCSchedule(0.9, MANY),
    sapp.EarlyRamp(0.9, MANY),
    sapp.OneShot(0.9, MANY),
    sapp.BlockSwaps(sapp.EarlyRamp(0.9, MANY), frequency=10),
]


def name_of(schedule):
    return type(schedule).__name__


def random_stretches(rng):
    """Returns stretches, and naively the updates that they stand for."""
    stretches, expected, start = [], {}, 0
    for phase in range(rng.integers(1, 8)):
        stop = start + int(rng.integers(0, 12))
        steps = range(start, stop, int(rng.integers(1, 4)))
        if rng.integers(2):
            steps = range(start, start + 1)

        def at(step, phase=phase):
            return Update(step, step / 1000, str(phase))

        stretches.append(Stretch(steps, at))
        # What comes later takes the place of what it overlaps with.
        if steps:
            expected = {s: u for s, u in expected.items() if s < start}
        expected.update({step: at(step) for step in steps})
        start = stop
    return stretches, [expected[step] for step in sorted(expected)]


@pytest.mark.parametrize("seed", range(50))
def test_they_are_what_a_list_of_all_would_be(seed):
    stretches, expected = random_stretches(np.random.default_rng(seed))

    updates = Updates(stretches)

    assert list(updates) == expected
    assert updates == expected and updates == tuple(expected)
    assert updates != [*expected, Update(10**6, 0.0, "dense")]
    assert len(updates) == len(expected)
    for place in range(-len(expected), len(expected)):
        assert updates[place] == expected[place]
    assert updates[1:-1:2] == expected[1:-1:2]
    for step in range(-1, 100):
        count = sum(update.step <= step for update in expected)
        assert updates.count_upto(step) == count
    with pytest.raises(IndexError):
        updates[len(expected)]


@pytest.mark.parametrize("schedule", LONG, ids=name_of)
def test_a_long_training_lists_nothing(schedule):
    tracemalloc.start()

    for step in (0, 1, MANY // 3, MANY // 2, MANY - 1, MANY):
        schedule.phase(step)
        schedule(step)
    due = DueUpdates(schedule).between(MANY // 5, MANY // 5 + 100)

    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1 << 20
    assert schedule(MANY)[1] == 0.9
    for update in due:
        assert schedule(update.step) == (True, update.sparsity)


@pytest.mark.parametrize("schedule", LONG, ids=name_of)
def test_tensors_get_the_same_answers_in_a_long_training(schedule):
    steps = [0, 20, 21, MANY // 5, MANY // 2 + 3, MANY]

    @tf.function
    def graph(steps):
        return schedule(steps)

    for answer in (schedule, graph):
        should_prune, sparsity = answer(tf.constant(steps))
        for index, step in enumerate(steps):
            expected = schedule(step)
            assert bool(should_prune[index]) == expected[0]
            assert float(sparsity[index]) == pytest.approx(expected[1])


def test_a_long_training_is_drawn(tmp_path):
    LONG[0].plot(tmp_path / "schedule.png")

    assert (tmp_path / "schedule.png").stat().st_size > 0


class Steps(sapp.SteppedSchedule):
    """As a user writes it, with a constructor of its own."""

    def __init__(self, target_sparsity, end_step, updates):
        super().__init__(target_sparsity, end_step)
        self.given = [Update(*update) for update in updates]

    def _make_updates(self):
        return self.given

    def _arguments(self):
        return {
            "target_sparsity": self.target_sparsity,
            "end_step": self.end_step,
            "updates": [list(update) for update in self.given],
        }


def test_schedules_of_ones_own_are_lists():
    schedule = Steps(0.9, 10, [(2, 0.3, "sparsification"), (5, 0.9, "sparse")])

    assert [schedule(step) for step in (1, 2, 3, 5)] == [
        (False, 0.0),
        (True, 0.3),
        (False, 0.3),
        (True, 0.9),
    ]
    again = Steps.from_config(schedule.get_config()["config"])
    assert again == schedule and again.updates == schedule.updates
    assert schedule != Steps(0.9, 10, [(5, 0.9, "sparse")])


@pytest.mark.parametrize(
    "updates, message",
    [
        ([(5, 0.3, "dense"), (2, 0.9, "sparse")], "order of their steps"),
        ([(5, 0.3, "dense"), (5, 0.9, "sparse")], "order of their steps"),
        ([(-1, 0.3, "dense")], "order of their steps"),
        ([(1, 2.0, "dense")], "`sparsity`"),
        ([(1, -1.0, "dense")], "`sparsity`"),
        ([(1, float("nan"), "dense")], "`sparsity`"),
        ([(1.5, 0.5, "dense")], "`step`"),
    ],
)
def test_lists_that_are_no_updates_are_refused(updates, message):
    with pytest.raises((TypeError, ValueError), match=message):
        list(Steps(0.9, 10, updates).updates)


@pytest.mark.parametrize("sparsity", [2.0, -1.0, float("nan"), 1.0])
def test_sparsities_that_are_none_are_refused(sparsity):
    def later(step):
        return True, 0.0 if step < 3 else sparsity

    due = DueUpdates(later)

    assert len(due.between(-1, 2)) == 3
    with pytest.raises(ValueError, match=r"sparsity in \[0, 1\).*Received"):
        due.between(2, 3)


def test_one_update_is_a_stretch():
    update = Update(3, 0.5, "sparse")

    assert list(Updates([one_update(update)])) == [update]
