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
"""`BUILD` has a target for every folder, and no target depends on itself.

A package of `tfmot_sapp` is a target with all its subfolders, and so is each
subject of `examples` and `benchmarks` and each folder of tests. What a target
depends on is read from the imports, those within functions and those of
`tfmot_sapp/__init__.pyi` included.

`python tests/house/build_test.py` writes `BUILD` anew.
"""

import ast
import pathlib
from collections.abc import Iterator, Mapping, Set

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
FOLDERS = ("tfmot_sapp", "examples", "benchmarks")
HEADER = """# Bazel targets: one for each folder, and one for each program.
# Written by `python tests/house/build_test.py`, which is also the test of it.

load("@rules_python//python:defs.bzl", "py_binary", "py_library", "py_test")

package(default_visibility = ["//visibility:public"])

licenses(["notice"])

exports_files(["LICENSE"])
"""

pytestmark = pytest.mark.skipif(
    not (ROOT / "tfmot_sapp").is_dir(),
    reason="runs beside an installed package, without its sources",
)


def sources(folder: str) -> list[pathlib.Path]:
    """Returns the sources below a folder, by their path from the root."""
    found = (ROOT / folder).rglob("*.py*")
    return sorted(
        path.relative_to(ROOT)
        for path in found
        if path.suffix in (".py", ".pyi")
    )


def target_of(path: pathlib.Path) -> str:
    """Returns the target that a source belongs to."""
    first, *rest = path.parts
    if len(rest) > 1:
        return rest[0] if first == "tfmot_sapp" else f"{first}_{rest[0]}"
    return "tests_top" if rest[0].endswith("_test.py") else first


def imports(path: pathlib.Path) -> Iterator[pathlib.Path]:
    """Yields the project's own sources that a source imports."""
    for node in ast.walk(ast.parse((ROOT / path).read_text())):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            parts = list(path.parts[: -node.level]) if node.level else []
            module = ".".join([*parts, *filter(None, [node.module])])
            names = [module]
            names += [f"{module}.{alias.name}" for alias in node.names]
        else:
            continue
        for name in names:
            if name.partition(".")[0] not in FOLDERS:
                continue
            place = pathlib.Path(*name.split("."))
            for file in (place.with_suffix(".py"), place / "__init__.py"):
                if (ROOT / file).exists():
                    yield file


def dependencies() -> dict[str, set[str]]:
    """Returns the targets that each target depends on."""
    found: dict[str, set[str]] = {}
    for folder in (*FOLDERS, "tests"):
        for path in sources(folder):
            target = target_of(path)
            found.setdefault(target, set()).update(
                target_of(file) for file in imports(path)
            )
    return {name: deps - {name} for name, deps in found.items()}


def cycle(graph: Mapping[str, Set[str]]) -> list[str]:
    """Returns the targets of a cycle, in order; none if there is none."""
    done: set[str] = set()

    def visit(name: str, above: list[str]) -> list[str]:
        if name in above:
            return [*above[above.index(name) :], name]
        if name not in done:
            for other in sorted(graph.get(name, ())):
                found = visit(other, [*above, name])
                if found:
                    return found
            done.add(name)
        return []

    for name in sorted(graph):
        found = visit(name, [])
        if found:
            return found
    return []


def attribute(name: str, values: list[str]) -> str:
    """Returns a line, or lines, with a list of strings."""
    if len(values) < 2:
        return f"    {name} = [" + "".join(f'"{v}"' for v in values) + "],\n"
    listed = "".join(f'        "{value}",\n' for value in values)
    return f"    {name} = [\n{listed}    ],\n"


def rule(kind: str, name: str, body: str, deps: Set[str]) -> str:
    """Returns a target."""
    text = f'\n{kind}(\n    name = "{name}",\n{body}'
    if deps:
        text += attribute("deps", sorted(f":{dep}" for dep in deps))
    return text + ")\n"


def folder_target(name: str, paths: list[pathlib.Path], deps: Set[str]) -> str:
    """Returns the target of a folder with the sources in it."""
    modules = [path.as_posix() for path in paths if path.suffix == ".py"]
    folder = "/".join(paths[0].parts[:2])
    if not folder.endswith(".py"):
        srcs = f'    srcs = glob(["{folder}/**/*.py"])'
        other = f'    data = glob(["{folder}/**"], exclude = ["**/*.py"]),\n'
        files = (ROOT / folder).rglob("*.*")
        data = other if any(data_file(file) for file in files) else ""
    else:
        srcs = attribute("srcs", modules).removesuffix(",\n")
        folder = paths[0].parts[0]
        files = (ROOT / folder).glob("*.*")
        named = [f"{folder}/{file.name}" for file in files if data_file(file)]
        data = attribute("data", sorted(named)) if named else ""
    if not any(path.endswith("_test.py") for path in modules):
        return rule("py_library", name, f"{srcs},\n{data}", deps)
    args = modules if name == "tests_top" else [folder]
    body = f'{srcs} + ["tests/run_folder.py"],\n{data}'
    body += attribute("args", args) + '    main = "tests/run_folder.py",\n'
    return rule("py_test", name, body, deps | {"tests", "tests_fixtures"})


def data_file(path: pathlib.Path) -> bool:
    """Returns whether a file belongs to a target without being Python."""
    return path.suffix not in (".py", ".pyc") and path.is_file()


def programs(
    name: str, paths: list[pathlib.Path]
) -> Iterator[tuple[str, pathlib.Path]]:
    """Yields the programs among the sources of a target, with their names."""
    for path in paths:
        if 'if __name__ == "__main__"' in (ROOT / path).read_text():
            yield f"{name}_{path.stem.removesuffix('_main')}_main", path


def expected() -> str:
    """Returns what must stand in `BUILD`."""
    graph = dependencies()
    text = HEADER
    for top in (*FOLDERS, "tests"):
        targets: dict[str, list[pathlib.Path]] = {}
        for path in sources(top):
            targets.setdefault(target_of(path), []).append(path)
        for name, paths in sorted(targets.items()):
            text += folder_target(name, paths, graph[name])
            if top == "tests":
                continue
            for program, path in programs(name, paths):
                body = attribute("srcs", [path.as_posix()])
                body += f'    main = "{path.as_posix()}",\n'
                text += rule("py_binary", program, body, {name})
    return text


def test_build_is_as_the_sources_are():
    assert (ROOT / "BUILD").read_text() == expected()


def test_no_target_depends_on_itself():
    found = cycle(dependencies())

    assert not found, " -> ".join(found)


def test_a_cycle_would_be_found():
    graph = {"a": {"b"}, "b": {"c", "d"}, "c": set(), "d": {"e"}, "e": {"b"}}

    assert cycle(graph) == ["b", "d", "e", "b"]
    assert cycle(graph | {"e": set()}) == []


def test_target_names_are_unique():
    names = [
        line
        for line in (ROOT / "BUILD").read_text().splitlines()
        if line.startswith("    name = ")
    ]

    assert len(names) == len(set(names))


if __name__ == "__main__":
    (ROOT / "BUILD").write_text(expected())
