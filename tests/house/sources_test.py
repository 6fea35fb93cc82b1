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
"""Every source is short, licensed, and named by its subject."""

import itertools
import os
import pathlib
import re

import pytest

import tfmot_sapp

ROOT = pathlib.Path(__file__).resolve().parents[2]
FOLDERS = (
    pathlib.Path(tfmot_sapp.__file__).parent,
    *(ROOT / name for name in ("benchmarks", "examples", "tests")),
)
SOURCES = [
    path
    for folder in FOLDERS
    for path in sorted(folder.rglob("*.py*"))
    if path.suffix in (".py", ".pyi")
]
LICENSE = "\n".join(pathlib.Path(__file__).read_text().splitlines()[:14])

# What makes another word of the same root, as in `emit` and `emission`.
ENDINGS = {
    *("", "s", "e", "es", "ed", "er", "ers", "or", "ors", "ing", "ings"),
    *("t", "te", "ted", "ts", "ion", "ions", "ssion", "ssions", "at", "ats"),
    *("ate", "ates", "ation", "ations", "ment", "ments", "able", "ables"),
}


@pytest.mark.parametrize(
    "path", SOURCES, ids=lambda path: "/".join(path.parts[-3:])
)
def test_a_source_is_licensed_and_short(path):
    text = path.read_text()

    assert text.startswith(LICENSE)
    assert text.count("\n") < 400


def same_root(one: str, other: str) -> bool:
    """Returns whether two names differ by the ending of one word only."""
    shared = os.path.commonprefix([one, other])
    longest = max(len(one), len(other)) - len(shared)
    return any(
        {one[cut:], other[cut:]} <= ENDINGS
        for cut in range(3, len(shared) + 1)
        if longest + len(shared) - cut <= max(map(len, ENDINGS))
    )


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_no_two_names_in_a_folder_differ_by_an_ending(folder):
    pairs = []
    for inner in (folder, *(p for p in folder.rglob("*") if p.is_dir())):
        names = {p.stem for p in inner.iterdir() if not p.stem.startswith("_")}
        pairs += [
            (str(inner.relative_to(folder)), *pair)
            for pair in itertools.combinations(sorted(names), 2)
            if same_root(*pair)
        ]

    assert pairs == []


@pytest.mark.parametrize(
    "one, other",
    [
        ("emit", "emission"),
        ("lowering", "lowerings"),
        ("form", "formats"),
        ("measure", "measuring"),
        ("calibrate", "calibration"),
        ("pack_block", "pack_blocks"),
    ],
)
def test_such_a_pair_would_be_found(one, other):
    assert same_root(one, other)


@pytest.mark.parametrize(
    "one, other",
    [("layers", "layers_report"), ("cost", "choose"), ("grid", "grids_old")],
)
def test_other_pairs_are_left_alone(one, other):
    assert not same_root(one, other)


@pytest.mark.parametrize(
    "name", [path.relative_to(ROOT).as_posix() for path in ROOT.glob("*.md")]
)
def test_paths_in_a_document_are_there(name):
    text = (ROOT / name).read_text()
    # Where the changelog says where things have gone, both are named.
    text = "\n".join(
        line.split("|")[-2] if name == "CHANGELOG.md" and "|" in line else line
        for line in text.splitlines()
    )

    named = re.findall(
        r"(?<![/\w])(?:benchmarks|examples|tests|docs|tfmot_sapp)/[\w/.]*\w",
        text,
    )
    modules = re.findall(r"-m ((?:benchmarks|examples|tfmot_sapp)[\w.]*)", text)

    # Within the package, where a document says so.
    inside = re.findall(r"`(\w+/[\w/]+\.py)`", text)

    named += [module.replace(".", "/") + ".py" for module in modules]
    # The package may lie elsewhere, where it is installed.
    package = FOLDERS[0]
    missing = [
        path
        for path in named + inside
        if not (ROOT / path).exists()
        and not (package / path).exists()
        and not (package.parent / path).exists()
    ]
    assert missing == []
