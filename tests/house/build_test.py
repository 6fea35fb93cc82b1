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
"""`BUILD` has a target for every module, with the module's own imports.

`python tests/house/build_test.py` writes it anew.
"""

import ast
import pathlib
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[2]
FOLDERS = ("tfmot_sapp", "examples", "benchmarks")
HEADER = """# Bazel targets, one for each module.
# Written by `python tests/house/build_test.py`, which is also the test of it.

load("@rules_python//python:defs.bzl", "py_binary", "py_library", "py_test")

package(default_visibility = ["//visibility:public"])

licenses(["notice"])

exports_files(["LICENSE"])
"""


def tracked():
    """Returns the Python files of the project, in the order of their paths."""
    listed = subprocess.run(
        ["git", "ls-files", "*.py"], cwd=ROOT, capture_output=True, text=True
    )
    if listed.returncode == 0:
        return sorted(ROOT / line for line in listed.stdout.splitlines())
    # Outside of a git checkout, as in an unpacked archive.
    return sorted(
        path
        for folder in (*FOLDERS, "tests")
        for path in (ROOT / folder).rglob("*.py")
    )


def modules():
    return [p for p in tracked() if p.relative_to(ROOT).parts[0] in FOLDERS]


def suites():
    return [p for p in tracked() if p.relative_to(ROOT).parts[0] == "tests"]


def target_name(path):
    parts = path.relative_to(ROOT).with_suffix("").parts
    if parts[-1] == "__init__":
        parts = parts[:-1]
    if parts[0] == "tfmot_sapp":
        parts = parts[1:] or ("tfmot_sapp",)
    return "_".join(parts)


def dependencies(path):
    """Returns the targets of the project's modules that a module imports."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module]
            names += [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        else:
            continue
        for name in names:
            if name.partition(".")[0] not in FOLDERS:
                continue
            file = ROOT.joinpath(*name.split(".")).with_suffix(".py")
            package = ROOT.joinpath(*name.split(".")) / "__init__.py"
            for candidate in (file, package):
                if candidate.exists() and candidate != path:
                    found.add(target_name(candidate))
    return sorted(found)


def target(rule, name, source, deps):
    lines = [f'    name = "{name}",', f'    srcs = ["{source}"],']
    if rule == "py_binary":
        lines.append(f'    main = "{source}",')
    if len(deps) == 1:
        lines.append(f'    deps = [":{deps[0]}"],')
    elif deps:
        listed = "".join(f'        ":{dep}",\n' for dep in deps)
        lines.append(f"    deps = [\n{listed}    ],")
    return f"\n{rule}(\n" + "\n".join(lines) + "\n)\n"


def expected():
    text = HEADER
    for path in modules():
        source = path.relative_to(ROOT).as_posix()
        runs = 'if __name__ == "__main__"' in path.read_text()
        rule = "py_binary" if runs else "py_library"
        text += target(rule, target_name(path), source, dependencies(path))
    for path in suites():
        source = path.relative_to(ROOT).as_posix()
        name = "_".join(path.relative_to(ROOT).with_suffix("").parts)
        text += target("py_test", name, source, dependencies(path))
    return text


def test_build_has_a_target_for_every_module():
    assert (ROOT / "BUILD").read_text() == expected()


def test_target_names_are_unique():
    names = [target_name(path) for path in modules()]

    assert len(names) == len(set(names))


if __name__ == "__main__":
    (ROOT / "BUILD").write_text(expected())
