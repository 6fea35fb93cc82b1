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
"""A directory is the old one or the new one, and nobody's is lost."""

import os
import pathlib
import stat
import threading

import pytest

from tfmot_sapp.base import directories, paths
from tfmot_sapp.base.directories import placed_directory


def is_ours(names):
    return "mark" in names


def fill(folder, content):
    folder.mkdir(exist_ok=True, parents=True)
    (folder / "mark").write_text(content)
    (folder / "below").mkdir()
    (folder / "below" / "file").write_text(content)


def content_of(folder):
    assert sorted(os.listdir(folder)) == ["below", "mark"]
    found = {
        (folder / "mark").read_text(),
        (folder / "below" / "file").read_text(),
    }
    assert len(found) == 1
    return found.pop()


def place(target, content):
    with placed_directory(target, is_ours) as folder:
        (folder / "mark").write_text(content)
        (folder / "below").mkdir()
        (folder / "below" / "file").write_text(content)


@pytest.fixture(name="step", params=["exchange", "renames"], autouse=True)
def both_ways(request, monkeypatch):
    """With and without a system that exchanges two names."""
    if request.param == "renames":
        monkeypatch.setattr(directories, "_exchange", lambda *_: False)
    return request.param


def test_a_directory_takes_its_place(tmp_path):
    target = tmp_path / "new" / "model"
    for content in ("first", "second"):
        place(target, content)

        assert content_of(target) == content
    assert os.listdir(target.parent) == ["model"]


def test_names_are_exchanged_where_the_system_can(tmp_path, step):
    if step == "exchange":
        fill(tmp_path / "a", "a")
        fill(tmp_path / "b", "b")

        assert directories._exchange(tmp_path / "a", tmp_path / "b")

        assert content_of(tmp_path / "a") == "b"
        assert not directories._exchange(tmp_path / "a", tmp_path / "c")


def test_an_empty_directory_is_replaced(tmp_path):
    (tmp_path / "model").mkdir()

    place(tmp_path / "model", "new")

    assert content_of(tmp_path / "model") == "new"


def test_modes_are_kept_and_new_directories_obey_the_umask(tmp_path):
    before = os.umask(0o027)
    try:
        place(tmp_path / "new", "new")
        fill(tmp_path / "old", "old")
        (tmp_path / "old").chmod(0o700)
        place(tmp_path / "old", "new")
    finally:
        os.umask(before)

    modes = [
        stat.S_IMODE((tmp_path / n).stat().st_mode) for n in ("new", "old")
    ]
    assert modes == [0o750, 0o700]


def test_a_link_is_followed(tmp_path):
    fill(tmp_path / "real", "old")
    (tmp_path / "link").symlink_to("real")

    place(tmp_path / "link", "new")

    assert (tmp_path / "link").is_symlink()
    assert content_of(tmp_path / "real") == "new"
    assert sorted(os.listdir(tmp_path)) == ["link", "real"]


def test_what_is_not_recognised_is_refused_before_any_work(tmp_path):
    folder = tmp_path / "thesis"
    folder.mkdir()
    (folder / "chapter").write_text("one")

    for refuse in (
        lambda: place(folder, "new"),
        lambda: paths.check_path(folder, "directory", is_ours=is_ours),
    ):
        with pytest.raises(ValueError, match="would be lost.*Received"):
            refuse()

    assert (folder / "chapter").read_text() == "one"
    assert os.listdir(tmp_path) == ["thesis"]


def test_what_becomes_somebody_elses_meanwhile_is_not_replaced(tmp_path):
    target = tmp_path / "model"

    with (
        pytest.raises(ValueError, match="would be lost"),
        placed_directory(target, is_ours) as folder,
    ):
        (folder / "mark").touch()
        target.mkdir()
        (target / "chapter").write_text("one")

    assert (target / "chapter").read_text() == "one"
    assert os.listdir(tmp_path) == ["model"]


@pytest.mark.parametrize(
    "path", [".", pathlib.Path(""), "..", "../..", "~", "~/..", "/", "link"]
)
def test_the_current_and_the_home_directory_are_never_replaced(
    tmp_path, monkeypatch, path
):
    home, here = tmp_path / "users" / "me", tmp_path / "a" / "b"
    home.mkdir(parents=True)
    here.mkdir(parents=True)
    monkeypatch.setenv("HOME", os.fspath(home))
    monkeypatch.chdir(here)
    (here / "link").symlink_to(tmp_path / "a")

    for refuse in (
        lambda: place(path, "new"),
        lambda: paths.check_path(path, "directory"),
    ):
        with pytest.raises(ValueError, match="directory of its own.*Received"):
            refuse()

    assert home.is_dir() and os.listdir(here) == ["link"]


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, SystemExit])
def test_what_fails_half_way_leaves_the_old_one(tmp_path, error):
    fill(tmp_path / "model", "old")
    for target in (tmp_path / "model", tmp_path / "a" / "b" / "model"):
        with pytest.raises(error), placed_directory(target, is_ours) as folder:
            (folder / "mark").touch()
            raise error

    assert os.listdir(tmp_path) == ["model"]
    assert content_of(tmp_path / "model") == "old"


@pytest.mark.parametrize("error", [OSError(28, "no luck"), KeyboardInterrupt()])
def test_what_can_not_take_its_place_leaves_the_old_one(
    tmp_path, monkeypatch, error
):
    fill(tmp_path / "model", "old")
    rename = os.rename

    def fail_on_new(source, destination):
        if os.fspath(destination) == os.fspath(tmp_path / "model") and (
            not os.fspath(source).endswith("-old")
        ):
            raise error
        rename(source, destination)

    monkeypatch.setattr(os, "rename", fail_on_new)
    monkeypatch.setattr(directories, "_exchange", lambda *_: False)

    with pytest.raises((ValueError, KeyboardInterrupt)) as caught:
        place(tmp_path / "model", "new")

    if isinstance(error, OSError):
        assert "`path` can't be written: [Errno 28] no luck" in str(
            caught.value
        )
    assert os.listdir(tmp_path) == ["model"]
    assert content_of(tmp_path / "model") == "old"


KILLS = {
    "while it is written": ("exit_in_body = True", "old"),
    "before the exchange": ("directories._exchange = end", "old"),
    "after the exchange": ("directories.remove = end", "new"),
    "between the renames": (
        "directories._exchange = lambda *_: False; os.rename = then_end",
        None,
    ),
    "after the renames": (
        "directories._exchange = lambda *_: False; directories.remove = end",
        "new",
    ),
}


@pytest.mark.parametrize("kill", KILLS)
def test_kills_lose_nothing_and_the_next_export_cleans_up(
    tmp_path, run_killed, kill
):
    change, left = KILLS[kill]
    fill(tmp_path / "model", "old")
    run_killed(f"""
        import os, pathlib
        from tfmot_sapp.base import directories
        end = lambda *_: os._exit(7)
        rename = os.rename
        def then_end(*names):
            rename(*names)
            end()
        exit_in_body = False
        {change}
        is_ours = lambda names: "mark" in names
        with directories.placed_directory("model", is_ours) as folder:
            (folder / "mark").write_text("new")
            if exit_in_body:
                end()
            (folder / "below").mkdir()
            (folder / "below" / "file").write_text("new")
    """)
    target = tmp_path / "model"
    assert target.exists() == (left is not None)
    assert len(os.listdir(tmp_path)) == 2

    # The old one is back even if the next export fails.
    with (
        pytest.raises(RuntimeError),
        placed_directory(target, is_ours),
    ):
        raise RuntimeError
    assert content_of(target) == (left or "old")
    assert os.listdir(tmp_path) == ["model"]

    place(target, "newest")
    assert content_of(target) == "newest"
    assert os.listdir(tmp_path) == ["model"]


def test_several_may_write_while_one_reads(tmp_path, step):
    target = tmp_path / "model"
    place(target, "0")
    stop, missing, errors = threading.Event(), [], []

    def read():
        while not stop.is_set():
            if not target.is_dir():
                missing.append(1)

    def write(name):
        try:
            for i in range(20):
                place(target, f"{name} {i}")
        except Exception as error:
            errors.append(error)

    reader = threading.Thread(target=read)
    writers = [threading.Thread(target=write, args=(n,)) for n in "abc"]
    for thread in (reader, *writers):
        thread.start()
    for thread in writers:
        thread.join()
    stop.set()
    reader.join()

    assert not errors
    if step == "exchange":
        # Two renames leave a moment without the name.
        assert not missing
    assert content_of(target)
    assert os.listdir(tmp_path) == ["model"]
