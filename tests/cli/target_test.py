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
"""The flags that say where a model will run."""

import pytest

import tfmot_sapp as sapp
from tfmot_sapp.cli.target import chosen_target


def test_flags_as_a_target():
    assert chosen_target("cpu", 1) == sapp.CpuTarget()
    assert chosen_target("cpu", 4) == sapp.CpuTarget(threads=4)
    assert chosen_target("gpu", 1) == sapp.GpuTarget()
    with pytest.raises(ValueError, match="`threads` must be left out"):
        chosen_target("gpu", 2)
    with pytest.raises(ValueError, match="`threads` must be at least 1"):
        chosen_target("cpu", 0)


@pytest.mark.parametrize(
    "program, flag",
    [
        ("export_main", "--representative_data"),
        ("compress_main", "--distill_steps"),
        ("benchmark_main", "--rounds"),
    ],
)
def test_help_shows_how_to_call_a_program_and_its_flags(forks, program, flag):
    done = forks.module(f"tfmot_sapp.{program}", "--help")

    assert f"python -m tfmot_sapp.{program}" in done.stdout
    assert f"{flag}:" in done.stdout
