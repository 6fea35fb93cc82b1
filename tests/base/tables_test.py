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
"""Tables are text, and nothing in a cell is taken for markup."""

import subprocess
import sys

from tfmot_sapp.base import tables


def test_columns_are_aligned():
    drawn = tables.render(
        ["layer", "kept"], [["dense", "1"], ["a", "1,234"]], numeric=[1]
    )

    assert drawn.split("\n") == [
        " layer    kept",
        "───────────────",
        " dense       1",
        " a       1,234",
    ]


def test_title_and_footer_stand_around_the_rows():
    lines = tables.render(
        ["layer", "kept"], [["dense", "33"]], ["total", "33"], title="All"
    ).split("\n")

    assert lines[0] == "All"
    assert [line.split() for line in lines[1:]] == [
        ["layer", "kept"],
        ["──────────────"],
        ["dense", "33"],
        [],
        ["total", "33"],
    ]


def test_names_are_printed_as_they_are():
    names = ["block[0]", "[red]x[/red]", "[/]", "a:car:b", "名前", "x" * 300]

    lines = tables.render(["layer"], [[n] for n in names]).split("\n")

    assert [line.strip() for line in lines[2:]] == names


def test_wide_characters_take_two_columns():
    lines = tables.render(["a", "b"], [["名前", "1"], ["x", "2"]]).split("\n")

    assert lines[2:] == [" 名前   1", " x      2"]


def test_drawing_alone_loads_rich(fresh_environment):
    program = (
        "import importlib.util, sys\n"
        f"path = {tables.__file__!r}\n"
        "spec = importlib.util.spec_from_file_location('t', path)\n"
        "module = importlib.util.module_from_spec(spec)\n"
        "spec.loader.exec_module(module)\n"
        "before = 'rich' in sys.modules\n"
        "module.render(['a'], [['b']])\n"
        "print(before, 'rich' in sys.modules)\n"
    )
    found = subprocess.run(
        [sys.executable, "-c", program],
        env=fresh_environment,
        capture_output=True,
        text=True,
    )
    assert found.stdout == "False True\n", found.stderr
