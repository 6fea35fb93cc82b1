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
"""Pieces are frozen, equal by value, and restored from their config."""

import dataclasses
import json

import pytest

import tfmot_sapp as sapp
from tfmot_sapp.base.registry import deserialize, serialize
from tfmot_sapp.base.settings import Settings, value_key

PIECES = [
    lambda: sapp.SequentialAttentionSchedule(0.9, 100, cycle_shares=[1, 2, 3]),
    lambda: sapp.ACDCSchedule(0.9, 100),
    lambda: sapp.EarlyRamp(0.9, 100),
    lambda: sapp.OneShot(0.9, 100),
    lambda: sapp.LearnedSparsity(100),
    lambda: sapp.BlockSwaps(sapp.OneShot(0.9, 100)),
    lambda: sapp.Magnitude(float("inf")),
    lambda: sapp.Taylor(0.9),
    lambda: sapp.Movement(),
    lambda: sapp.SecondMoment(),
    lambda: sapp.PowerPropagation(3),
    lambda: sapp.HardConcrete(0.2),
    lambda: sapp.DiffPrune("sigmoid"),
    lambda: sapp.SequentialAttention(times=sapp.Taylor(0.5)),
    lambda: sapp.UniformAllocation({"a*": 0.5, "b": 0.25}),
    lambda: sapp.BalancedAllocation(keep_readers=True),
    lambda: sapp.GlobalAllocation(0.1),
    lambda: sapp.ConnectedAllocation(sapp.GlobalAllocation(0.1)),
    lambda: sapp.GroupPower(0.1, (4, 4)),
]
PLAIN = [
    lambda: sapp.ISpaSP(3),
    lambda: sapp.TopActivation(),
    lambda: sapp.UnitMagnitude(),
    lambda: sapp.GreedyForward(),
    lambda: sapp.ThiNet(),
    lambda: sapp.OSSCAR(0.5),
    lambda: sapp.CoSaMP(3),
    lambda: sapp.MinimumBlocks(3),
    lambda: sapp.FlopsBudget(0.5),
    lambda: sapp.ParameterBudget(0.5),
    lambda: sapp.Reconstruct(3),
]


def name_of(make):
    return type(make()).__name__


@pytest.mark.parametrize("make", PIECES + PLAIN, ids=name_of)
def test_pieces_are_equal_by_value(make):
    assert make() == make()
    assert hash(make()) == hash(make())
    assert len({make(), make()}) == 1
    assert all(make() != other() for other in PIECES + PLAIN if other != make)


@pytest.mark.parametrize("make", PIECES, ids=name_of)
def test_configs_are_plain_and_make_equal_pieces(make):
    written = json.loads(json.dumps(serialize(make())))

    assert written == serialize(make())
    assert deserialize(written) == make()


def test_other_values_are_other_pieces():
    assert sapp.Magnitude(1) != sapp.Magnitude(2)
    assert sapp.Magnitude(2) == sapp.Magnitude(2.0)
    assert sapp.EarlyRamp(0.9, 100) != sapp.EarlyRamp(0.9, 101)
    assert sapp.UniformAllocation({"a": 0.5}) != sapp.UniformAllocation()
    assert sapp.UniformAllocation() != sapp.BalancedAllocation()


def test_settings_can_not_be_changed():
    schedule = sapp.EarlyRamp(0.9, 100)

    with pytest.raises(dataclasses.FrozenInstanceError):
        schedule.power = 3.0
    assert dataclasses.replace(schedule, power=3).power == 3.0


class Described(Settings):
    def __init__(self, rate):
        self.rate = rate

    def get_config(self):
        return {"rate": self.rate}


class Undescribed(Settings):
    def __init__(self, rate):
        self.rate = rate


class SteeperRamp(sapp.EarlyRamp):
    """A class of a user, under a dataclass, with arguments of its own."""

    def __init__(self, target_sparsity, end_step, factor):
        super().__init__(target_sparsity, end_step, power=6.0 * factor)
        self.factor = factor


def test_classes_of_ones_own_may_have_constructors():
    assert Described(1) == Described(1) != Described(2)
    # Nothing says what makes two of these alike.
    assert Undescribed(1) != Undescribed(1)
    assert SteeperRamp(0.9, 100, 2) != SteeperRamp(0.9, 100, 2)
    assert SteeperRamp(0.9, 100, 2).power == 12.0
    one = Undescribed(1)
    assert one == one and hash(one) == hash(one)


def test_pieces_that_can_not_be_saved_are_themselves_alone():
    def schedule(step):
        return True, 0.5

    def other(step):
        return True, 0.5

    assert value_key(schedule) == value_key(schedule)
    assert value_key(schedule) != value_key(other)
    assert value_key(sapp.ConstantSparsity(0.5, 0)) == value_key(
        sapp.ConstantSparsity(0.5, 0)
    )
