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
"""Runs recipes as their users do, in processes of their own."""

import pytest

PROGRAM = """
import runpy, sys
import numpy as np
import tensorflow_datasets as tfds
name = sys.argv[1]
sys.argv = sys.argv[1:]
with tfds.testing.mock_data(num_examples=16):
    runpy.run_module(f"examples.{name}", run_name="__main__", alter_sys=True)
"""

SMALL = ["--epochs=2", "--batch_size=8"]


@pytest.fixture(scope="session")
def run(forks):
    """Runs a recipe on mock data, after some other code; returns its output."""

    def run(name, *flags, before="", code=0):
        done = forks.run(before + PROGRAM, name, *SMALL, *flags)
        assert done.returncode == code, done.stderr[-3000:]
        return done.stdout

    return run
