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
"""Chatter is held back, and told when something fails."""

import os

import pytest

from tfmot_sapp.base.silence import quiet


def test_standard_error_is_held_back_and_comes_back(capfd):
    with quiet():
        os.write(2, b"held\n")
    os.write(2, b"shown\n")

    assert capfd.readouterr().err == "shown\n"


def test_an_error_tells_what_was_held_back():
    with pytest.raises(RuntimeError) as error, quiet():
        os.write(2, b"the reason\n")
        raise RuntimeError("failed")

    assert "the reason" in "".join(error.value.__notes__)
