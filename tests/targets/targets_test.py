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
"""Targets: equal by value, saved, and right about threads."""

import pytest

import tfmot_sapp as sapp
from tfmot_sapp.base.registry import deserialize, serialize
from tfmot_sapp.targets.cpu_target import target_for

TARGETS = [
    sapp.CpuTarget(),
    sapp.CpuTarget(threads=4),
    sapp.GpuTarget(),
    sapp.NpuTarget("qualcomm"),
]


@pytest.mark.parametrize("target", TARGETS, ids=str)
def test_equal_by_value_and_restored(target):
    again = deserialize(serialize(target))
    assert again == target and hash(again) == hash(target)
    assert sum(target == other for other in TARGETS) == 1


@pytest.mark.parametrize("threads", [1, 2, 4, 8])
def test_sharing_pays_for_long_operations_only(threads):
    one, several = (sapp.CpuTarget(n).costs() for n in (1, threads))
    long = 196, 9, 256, 256
    gain = one.product(*long) / several.product(*long)
    assert gain == 1 if threads == 1 else 0.5 * threads < gain <= threads
    if threads > 1:
        short = 49, 1, 32, 32
        assert several.product(*short) > one.product(*short) / 1.5
        # What leaves the delegate isn't shared.
        assert several.copy(196, 32, 4) == one.copy(196, 32, 4)
        assert several.outside >= one.outside


def test_threads_and_target_must_agree():
    assert target_for(None, 4) == sapp.CpuTarget(4)
    assert target_for(sapp.CpuTarget(4), 1) == sapp.CpuTarget(4)
    assert target_for(sapp.CpuTarget(4), 4) == sapp.CpuTarget(4)
    assert target_for(sapp.GpuTarget(), 1) == sapp.GpuTarget()
    with pytest.raises(ValueError, match="`threads` must be left out"):
        target_for(sapp.CpuTarget(4), 2)


def test_block_sizes():
    assert sapp.CpuTarget().block_size(512, 1024) == (32, 128)
    assert sapp.CpuTarget().block_size(64, 64) is None
    assert sapp.GpuTarget().block_size(1024, 512) == (128, 64)
    assert sapp.GpuTarget().block_size(256, 2048) is None
