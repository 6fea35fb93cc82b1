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
"""What the tests of files and directories share."""

import os
import pathlib
import subprocess
import sys
import textwrap
from collections.abc import Callable

import pytest


@pytest.fixture
def run_killed(
    fresh_environment: dict[str, str], tmp_path: pathlib.Path
) -> Callable[[str], None]:
    """Runs a program in a process that ends itself by `os._exit(7)`."""
    root = pathlib.Path(__file__).resolve().parents[2]

    def run(program: str) -> None:
        found = subprocess.run(
            [sys.executable, "-c", textwrap.dedent(program)],
            cwd=tmp_path,
            env={**fresh_environment, "PYTHONPATH": os.fspath(root)},
            capture_output=True,
            text=True,
        )
        assert found.returncode == 7, found.stderr

    return run
