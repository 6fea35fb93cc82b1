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
"""What can't be written is named, and nothing half-written stays."""

import os

import pytest

from tfmot_sapp.base import files as placing


def test_a_file_takes_its_place(tmp_path):
    target = placing.check_path(tmp_path / "new" / "file", "file")

    placing.place_file(target, b"first")
    placing.place_file(target, b"second")

    assert target.read_bytes() == b"second"
    assert os.listdir(target.parent) == ["file"]


def test_a_file_that_fails_leaves_the_old_one(tmp_path, monkeypatch):
    target = tmp_path / "file"
    target.write_bytes(b"old")

    def fail(*_):
        raise OSError("disk full")

    monkeypatch.setattr(os, "replace", fail)

    with pytest.raises(ValueError, match="`path` can't be written: disk full"):
        placing.place_file(target, b"new")

    assert target.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["file"]


def test_a_directory_that_fails_leaves_the_old_one(tmp_path):
    target = tmp_path / "folder"
    target.mkdir()
    (target / "old").touch()

    with (
        pytest.raises(RuntimeError, match="half way"),
        placing.placed_directory(target) as folder,
    ):
        (folder / "new").touch()
        raise RuntimeError("half way")

    assert os.listdir(tmp_path) == ["folder"]
    assert os.listdir(target) == ["old"]


def test_a_directory_that_can_not_take_its_place_leaves_the_old_one(
    tmp_path, monkeypatch
):
    target = tmp_path / "folder"
    target.mkdir()
    (target / "old").touch()
    replace = os.replace

    def fail_on_new(source, destination):
        if os.path.basename(source) == "new":
            raise OSError("no luck")
        replace(source, destination)

    monkeypatch.setattr(os, "replace", fail_on_new)

    with (
        pytest.raises(ValueError, match="no luck"),
        placing.placed_directory(target) as folder,
    ):
        (folder / "new").touch()

    assert os.listdir(tmp_path) == ["folder"]
    assert os.listdir(target) == ["old"]


@pytest.mark.parametrize("path", [None, 3, "", b"bytes"])
def test_what_is_no_path_is_refused(path):
    with pytest.raises(TypeError, match="`path`.*Received"):
        placing.check_path(path, "file")


def test_paths_that_can_not_be_written_are_refused(tmp_path):
    (tmp_path / "file").touch()

    with pytest.raises(ValueError, match="there is a directory"):
        placing.check_path(tmp_path, "file")
    with pytest.raises(ValueError, match="there is a file"):
        placing.check_path(tmp_path / "file", "directory")
    with pytest.raises(ValueError, match="`path` can't be written"):
        placing.check_path(tmp_path / "file" / "below", "file")
