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
"""Runs recipes as their users do, in processes of their own.

`run` is the cheap way; those that run beside each other are started.
"""

import os
import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]

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


def _start(name, *flags, before="", environment=None):
    """Starts a recipe on mock data, after some other code."""
    return subprocess.Popen(
        [sys.executable, "-c", before + PROGRAM, name, *SMALL, *flags],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **(environment or {})},
    )


def _finish(process, code=0):
    """Waits for a recipe, and returns what it printed."""
    output, errors = process.communicate(timeout=900)
    assert process.returncode == code, errors[-3000:]
    return output


@pytest.fixture
def start():
    return _start


@pytest.fixture
def finish():
    return _finish


@pytest.fixture
def run(forks):
    """Runs a recipe on mock data, after some other code; returns its output."""

    def run(name, *flags, before=""):
        done = forks.run(before + PROGRAM, name, *SMALL, *flags)
        assert done.returncode == 0, done.stderr[-3000:]
        return done.stdout

    return run
