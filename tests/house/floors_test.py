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
"""The floors: what a package imports stands below it, and nothing in a circle.

The floors are drawn in `pyproject.toml`, under `[tool.importlinter]`.
"""

import ast
import pathlib
import subprocess
import sys

import pytest

import tfmot_sapp

ROOT = pathlib.Path(__file__).resolve().parents[2]
PACKAGE = pathlib.Path(tfmot_sapp.__file__).parent


CHECK = """
import sys
from importlinter.cli import lint_imports
sys.exit(lint_imports(config_filename="pyproject.toml", no_cache=True))
"""


def test_every_import_goes_down():
    # In a process of its own, since it writes to the terminal as it likes.
    done = subprocess.run(
        [sys.executable, "-c", CHECK], cwd=ROOT, capture_output=True, text=True
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert "Contracts: 1 kept, 0 broken." in done.stdout


def test_the_contract_makes_no_exceptions():
    text = (ROOT / "pyproject.toml").read_text()

    assert "exhaustive = true" in text
    for word in ("ignore_imports", "exclude_type", "exhaustive_ignores"):
        assert word not in text


def module_imports() -> dict[str, set[str]]:
    """Returns the modules that each module imports, in functions as well."""
    modules = {
        ".".join(
            ("tfmot_sapp", *path.relative_to(PACKAGE).with_suffix("").parts)
        ): path
        for path in PACKAGE.rglob("*.py")
    }
    found = {}
    for name, path in modules.items():
        named = set()
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                named |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                named.add(node.module or "")
                named |= {f"{node.module}.{a.name}" for a in node.names}
        found[name] = (named & modules.keys()) - {name}
    return found


def circle(graph: dict[str, set[str]]) -> set[str]:
    """Returns what is left when ends of a graph go, again and again.

    An end imports nothing that is left, or nothing that is left imports it.
    """
    left = dict(graph)
    while True:
        imported = set().union(*left.values())
        ends = {
            name
            for name, others in left.items()
            if not others & left.keys() or name not in imported
        }
        if not ends:
            return set(left)
        for name in ends:
            del left[name]


def test_no_modules_import_each_other():
    graph = module_imports()

    assert len(graph) > 100
    assert sum(map(len, graph.values())) > 200
    assert circle(graph) == set()


@pytest.mark.parametrize("back, expected", [("a", {"a", "b"}), ("d", set())])
def test_a_circle_would_be_found(back, expected):
    graph = {"a": {"b"}, "b": {back}, "c": {"a"}, "d": set()}

    assert circle(graph) == expected
