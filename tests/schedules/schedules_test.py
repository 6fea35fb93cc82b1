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
"""Schedules, step by step."""

import numpy as np
import pytest
import tensorflow as tf

import tfmot_sapp as sapp

SCHEDULES = [
    sapp.SequentialAttentionSchedule(0.9, 1000),
    sapp.SequentialAttentionSchedule.imagenet(0.9, 1000),
    sapp.SequentialAttentionSchedule.criteo(0.9, 1000),
    sapp.ACDCSchedule(0.9, 1000),
    sapp.ACDCSchedule.official(0.9, 1000),
    sapp.EarlyRamp(0.9, 1000),
    sapp.OneShot(0.9, 1000),
]


def name_of(schedule):
    return type(schedule).__name__


def phases(schedule):
    """Returns each phase with the first step of it."""
    found = []
    for step in range(schedule.end_step + 1):
        phase = schedule.phase(step)
        if not found or found[-1][0] != phase:
            found.append((phase, step))
    return found


def test_acdc_has_the_papers_phases():
    # 10 % dense, 6 x (5 % sparse, 5 % dense), 5 % sparse, 10 % dense, sparse.
    expected = [("dense", 0)]
    for cycle in range(6):
        expected += [
            ("sparse", 100 + 100 * cycle),
            ("dense", 150 + 100 * cycle),
        ]
    expected += [("sparse", 700), ("dense", 750), ("sparse", 850)]

    assert phases(sapp.ACDCSchedule(0.9, 1000)) == expected
    assert sapp.ACDCSchedule(0.9, 1000).reset_optimizer
    assert not sapp.ACDCSchedule.official(0.9, 1000).reset_optimizer


def test_the_early_ramp_is_the_polynomial():
    schedule = sapp.EarlyRamp(0.9, 1000, frequency=1)

    for step in range(50, 400):
        left = 1 - (step - 50) / 350
        prune, sparsity = schedule(step)
        assert prune
        assert sparsity == pytest.approx(0.9 * (1 - left**6))
    assert schedule(400) == (True, 0.9)
    assert not any(schedule(step)[0] for step in range(401, 1001))


def test_the_early_ramp_is_tfmots_polynomial_too():
    ours = sapp.EarlyRamp(0.9, 1000, frequency=1)
    theirs = sapp.PolynomialDecay(0.0, 0.9, 50, 400, power=6, frequency=1)

    for step in range(50, 400, 7):
        assert ours(step)[1] == pytest.approx(
            float(theirs(tf.constant(step))[1]), abs=1e-6
        )


def test_one_shot_prunes_once():
    schedule = sapp.OneShot(0.9, 1000, begin_step=200, dense_fraction=0.25)

    pruned = [step for step in range(1001) if schedule(step)[0]]

    assert pruned == [200, 400]
    assert schedule(200)[1] == 0.0
    assert schedule(400)[1] == 0.9


@pytest.mark.parametrize("schedule", SCHEDULES, ids=name_of)
def test_tensors_and_numbers_get_the_same_answers(schedule):
    steps = np.arange(1001)

    should_prune, sparsity = schedule(tf.constant(steps))

    for step in steps:
        expected = schedule(int(step))
        assert bool(should_prune[step]) == expected[0]
        assert float(sparsity[step]) == pytest.approx(expected[1], abs=1e-7)


@pytest.mark.parametrize("schedule", SCHEDULES, ids=name_of)
def test_the_end_is_sparse_at_the_target(schedule):
    assert schedule.phase(1000) == "sparse"
    assert schedule(1000)[1] == 0.9
    assert schedule(5000)[1] == 0.9


@pytest.mark.parametrize("schedule", SCHEDULES, ids=name_of)
@pytest.mark.parametrize("end", [1, 2, 3, 5, 10, 37])
def test_short_trainings_end_at_the_target(schedule, end):
    config = dict(schedule.get_config()["config"], end_step=end)

    short = type(schedule)(**config)

    assert short.last_update(end).sparsity == 0.9
    steps = [update.step for update in short.updates]
    assert steps == sorted(set(steps)) and steps[-1] <= end


@pytest.mark.parametrize("schedule", SCHEDULES, ids=name_of)
def test_configs_make_equal_schedules(schedule):
    config = schedule.get_config()

    again = type(schedule).from_config(config["config"])

    assert config["class_name"] == type(schedule).__name__
    assert again.updates == schedule.updates
    assert again.get_config() == config


@pytest.mark.parametrize("schedule", SCHEDULES, ids=name_of)
def test_plots_are_written(schedule, tmp_path):
    schedule.plot(tmp_path / "schedule.png")

    assert (tmp_path / "schedule.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    "make, name",
    [
        (lambda: sapp.ACDCSchedule(1.0, 10), "target_sparsity"),
        (lambda: sapp.ACDCSchedule(0.5, 10, cycles=-1), "cycles"),
        (lambda: sapp.ACDCSchedule(0.5, 10, cycles_fraction=2), "cycles_frac"),
        (lambda: sapp.ACDCSchedule(0.5, 10, dense_fraction=0.9), "add up"),
        (lambda: sapp.EarlyRamp(0.5, 10, ramp_begin=0.5), "ramp_end"),
        (lambda: sapp.EarlyRamp(0.5, 10, power=0), "power"),
        (lambda: sapp.EarlyRamp(0.5, 10, frequency=0), "frequency"),
        (lambda: sapp.OneShot(float("nan"), 10), "target_sparsity"),
        (lambda: sapp.OneShot(0.5, 0), "end_step"),
        (lambda: sapp.OneShot(0.5, 10, dense_fraction=-1), "dense_fraction"),
        (lambda: sapp.LearnedSparsity(0), "end_step"),
    ],
)
def test_bad_arguments_are_named(make, name):
    with pytest.raises(ValueError, match=f"{name}.*Received"):
        make()
