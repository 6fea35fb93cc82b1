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
"""The project builds into a wheel and a source archive that hold everything."""

import importlib.metadata
import importlib.util
import pathlib
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]

pytestmark = pytest.mark.skipif(
    not (ROOT / "tfmot_sapp").is_dir(),
    reason="runs beside an installed package, without its sources",
)


def metadata() -> str:
    return (ROOT / "pyproject.toml").read_text()


@pytest.mark.skipif(
    importlib.util.find_spec("build") is None
    or importlib.util.find_spec("setuptools") is None
    or int(importlib.metadata.version("setuptools").partition(".")[0]) < 77,
    reason="needs `build` and setuptools 77 or later; nothing is downloaded",
)
def test_wheel_and_archive_hold_what_they_must(tmp_path):
    clone = tmp_path / "clone"
    # A copy, so that nothing is written beside the sources.
    ignored = shutil.ignore_patterns(
        ".*", "__pycache__", "output", "*.egg-info"
    )
    shutil.copytree(ROOT, clone, ignore=ignored)
    shutil.copytree(ROOT / ".ci", clone / ".ci")

    done = subprocess.run(
        [sys.executable, "-m", "build", "--no-isolation", str(clone)],
        capture_output=True,
        text=True,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    (wheel,) = (clone / "dist").glob("*.whl")
    with zipfile.ZipFile(wheel) as file:
        inside = set(file.namelist())
    sources = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "tfmot_sapp").rglob("*.py*")
        if path.suffix != ".pyc"
    }
    assert sources | {"tfmot_sapp/py.typed"} <= inside
    assert {name.partition("/")[0] for name in inside} == {
        "tfmot_sapp",
        wheel.name.removesuffix("-py3-none-any.whl") + ".dist-info",
    }
    (archive,) = (clone / "dist").glob("*.tar.gz")
    with tarfile.open(archive) as file:
        names = {name.partition("/")[2] for name in file.getnames()}
    for name in ("LICENSE", "CHANGELOG.md", "BUILD", ".ci/run"):
        assert name in names
    for folder in ("tests", "examples", "benchmarks", "tfmot_sapp"):
        assert {
            path.relative_to(ROOT).as_posix()
            for path in (ROOT / folder).rglob("*.py")
        } <= names


def test_every_dependency_has_both_bounds():
    listed = re.search(r"^dependencies = \[\n(.*?)^\]", metadata(), re.M | re.S)

    for line in listed.group(1).splitlines():
        assert re.fullmatch(r'  "[\w-]+>=[\d.]+,<\d+",', line), line


def test_every_library_that_is_imported_is_a_dependency():
    distributions = {
        "absl": "absl-py",
        "ai_edge_litert": "ai-edge-litert",
        "litert_quantizer": "litert-quantizer",
        "tensorflow_model_optimization": "tensorflow-model-optimization",
    }
    imported = {
        name
        for path in (ROOT / "tfmot_sapp").rglob("*.py")
        for name in re.findall(
            r"^\s*(?:import|from) (\w+)", path.read_text(), re.M
        )
        if importlib.util.find_spec(name) is not None
        and name not in sys.stdlib_module_names
    }

    for name in imported - {"tfmot_sapp"}:
        assert f'"{distributions.get(name, name)}>=' in metadata(), name


def test_the_changelog_tells_of_this_version():
    version = re.search(
        r'^__version__ = "(.+)"$',
        (ROOT / "tfmot_sapp" / "__init__.py").read_text(),
        re.M,
    ).group(1)

    assert f"## [{version}]" in (ROOT / "CHANGELOG.md").read_text()
