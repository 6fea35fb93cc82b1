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
"""A file is the old one or the new one, whatever happens in between."""

import os
import pathlib
import resource
import stat
import threading

import pytest

from tfmot_sapp.base import files, paths, temporary_paths


def mode_of(path):
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture(name="umask")
def set_umask(monkeypatch):
    """A umask that nobody changes."""
    before = os.umask(0o027)
    change = os.umask

    def refuse(mask):
        raise AssertionError(f"umask({mask}) changes the whole process")

    monkeypatch.setattr(os, "umask", refuse)
    yield
    change(before)


def test_a_file_takes_its_place(tmp_path):
    target = tmp_path / "new" / "below" / "file"

    files.write_file(target, b"first")
    files.write_file(os.fspath(target), b"second")

    assert target.read_bytes() == b"second"
    assert os.listdir(target.parent) == ["file"]


def test_paths_are_relative_to_the_current_and_the_home_directory(
    tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", os.fspath(tmp_path / "home"))

    files.write_file("here", b"1")
    files.write_file("~/there", b"2")

    assert (tmp_path / "here").read_bytes() == b"1"
    assert (tmp_path / "home" / "there").read_bytes() == b"2"


def test_libraries_may_write_to_a_path_of_the_same_ending(tmp_path):
    target = tmp_path / "weights.h5"
    with files.written_path(target) as partial:
        assert partial.parent == tmp_path and partial.suffix == ".h5"
        other = partial.with_name("other")
        other.write_bytes(b"by a library that renames a file of its own")
        other.rename(partial)
        assert not target.exists()

    assert target.read_bytes().startswith(b"by a library")
    assert os.listdir(tmp_path) == ["weights.h5"]


def test_new_files_obey_the_umask(tmp_path, umask):
    files.write_file(tmp_path / "file", b"")
    with files.written_path(tmp_path / "other") as partial:
        partial.write_bytes(b"")

    assert mode_of(tmp_path / "file") == 0o640
    assert mode_of(tmp_path / "other") == 0o640


@pytest.mark.parametrize("mode", [0o600, 0o644, 0o666, 0o755])
def test_the_mode_of_a_replaced_file_is_kept(tmp_path, umask, mode):
    target = tmp_path / "file"
    target.touch()
    target.chmod(mode)

    with files.written_path(target) as partial:
        assert mode_of(partial) == 0o600
        partial.write_bytes(b"new")

    assert target.read_bytes() == b"new" and mode_of(target) == mode


@pytest.mark.skipif(os.getuid() != 0, reason="only root gives files away")
def test_the_owner_of_a_replaced_file_is_kept(tmp_path):
    target = tmp_path / "file"
    target.touch()
    os.chown(target, 12345, 23456)

    files.write_file(target, b"new")

    assert (target.stat().st_uid, target.stat().st_gid) == (12345, 23456)


def test_a_link_is_followed(tmp_path):
    (tmp_path / "folder").mkdir()
    real = tmp_path / "folder" / "real"
    for content in (b"first", b"second"):  # It dangles at first.
        link = tmp_path / "link"
        if not link.is_symlink():
            link.symlink_to("folder/real")

        files.write_file(link, content)

        assert link.is_symlink() and real.read_bytes() == content
    assert sorted(os.listdir(tmp_path)) == ["folder", "link"]
    assert os.listdir(tmp_path / "folder") == ["real"]


def test_a_link_in_place_of_the_temporary_file_is_not_followed(
    tmp_path, monkeypatch
):
    victim = tmp_path / "victim"
    victim.write_bytes(b"precious")
    trap = tmp_path / ".file.trap"
    trap.symlink_to(victim)
    monkeypatch.setattr(files, "temporary_path", lambda *_: trap)

    with pytest.raises(ValueError, match="`path` can't be written"):
        files.write_file(tmp_path / "file", b"new")

    assert victim.read_bytes() == b"precious"
    assert not (tmp_path / "file").exists()


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, SystemExit])
def test_what_fails_half_way_leaves_nothing_behind(tmp_path, error):
    target = tmp_path / "file"
    target.write_bytes(b"old")

    with pytest.raises(error), files.written_file(target) as file:
        file.write(b"half")
        raise error
    with pytest.raises(error), files.written_file(tmp_path / "a" / "b" / "c"):
        raise error

    assert target.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["file"]


@pytest.mark.parametrize("step", ["open", "close", "fsync", "chmod", "replace"])
@pytest.mark.parametrize(
    "error", [OSError(28, "disk full"), KeyboardInterrupt()]
)
def test_every_step_may_fail(tmp_path, monkeypatch, step, error):
    target = tmp_path / "file"
    target.write_bytes(b"old")
    kind = ValueError if isinstance(error, OSError) else KeyboardInterrupt

    def fail(*_, **__):
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(os, step, fail)
        with pytest.raises(kind) as caught:
            files.write_file(target, b"new")

    if kind is ValueError:
        assert "`path` can't be written: [Errno 28] disk full" in str(
            caught.value
        )
        assert f"Received: path={str(target)!r}" in str(caught.value)
    assert target.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["file"]


def test_a_full_disk_leaves_the_old_file(tmp_path):
    target = tmp_path / "file"
    target.write_bytes(b"old")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
    try:
        with pytest.raises(ValueError, match="`path` can't be written.*large"):
            files.write_file(target, bytes(100_000))
        with (
            pytest.raises(ValueError, match="`path` can't be written.*large"),
            files.written_path(target) as partial,
        ):
            partial.write_bytes(bytes(100_000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)

    assert target.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["file"]


def test_errors_about_files_elsewhere_are_left_as_they_are(tmp_path):
    with (
        pytest.raises(FileNotFoundError),
        files.written_file(tmp_path / "new" / "file"),
    ):
        pathlib.Path("/nowhere/at/all").read_bytes()


@pytest.mark.parametrize(
    "step", ["files.sync", "os.replace", "after", "os.write"]
)
def test_kills_leave_a_whole_file_and_the_next_write_cleans_up(
    tmp_path, run_killed, step
):
    target = tmp_path / "file.txt"
    target.write_bytes(b"old")
    run_killed(f"""
        import os
        from tfmot_sapp.base import files
        end = lambda *_: os._exit(7)
        if {step!r} == "files.sync":
            files.sync = end
        elif {step!r} == "os.replace":
            os.replace = end
        elif {step!r} == "after":
            files.remove = end
        with files.written_file("file.txt") as file:
            file.write(b"new")
            if {step!r} == "os.write":
                end()
    """)

    assert target.read_bytes() == (b"new" if step == "after" else b"old")
    assert len(os.listdir(tmp_path)) == (1 if step == "after" else 2)

    files.write_file(target, b"newest")

    assert os.listdir(tmp_path) == ["file.txt"]


def test_only_leftovers_of_the_same_name_and_of_dead_processes_go(
    tmp_path, run_killed
):
    for name in ("file.txt", "file", "file.txt.txt", "x.file.txt"):
        run_killed(f"""
            import os
            from tfmot_sapp.base import files
            with files.written_file({name!r}):
                os._exit(7)
        """)
    left = set(os.listdir(tmp_path))
    tag = f"{'0' * 8}-1-{'0' * 8}"
    others = {
        f".file.txt.{tag}.txt",  # Of another host.
        ".file.txt.abcdefgh",
        ".file.txt",
        "file.txt.partial",
    }
    for name in others:
        (tmp_path / name).touch()

    with files.written_file(tmp_path / "file.txt") as outer:
        outer.write(b"outer")
        files.write_file(tmp_path / "file.txt", b"inner")

    gone = (left | others | {"file.txt"}) - set(os.listdir(tmp_path))
    assert len(gone) == 1 and next(iter(gone)).startswith(".file.txt.")
    assert (tmp_path / "file.txt").read_bytes() == b"outer"


def test_readers_never_see_half_a_file(tmp_path):
    target = tmp_path / "file"
    contents = [bytes([i]) * 100_000 for i in range(4)]
    files.write_file(target, contents[0])
    stop, seen, wrong = threading.Event(), set(), []

    def read():
        while not stop.is_set():
            found = target.read_bytes()
            if found in contents:
                seen.add(found[0])
            else:
                wrong.append(len(found))

    def write():
        for i in range(60):
            files.write_file(target, contents[i % 4])

    reader = threading.Thread(target=read)
    writers = [threading.Thread(target=write) for _ in range(2)]
    for thread in (reader, *writers):
        thread.start()
    for thread in writers:
        thread.join()
    stop.set()
    reader.join()

    assert not wrong and seen
    assert os.listdir(tmp_path) == ["file"]


@pytest.mark.parametrize("name", ["x" * 255, "ä" * 127, "a" * 251 + ".png"])
def test_names_may_be_as_long_as_the_system_allows(tmp_path, name):
    files.write_file(tmp_path / name, b"1")

    assert os.listdir(tmp_path) == [name]


def test_long_names_that_begin_alike_are_told_apart(tmp_path):
    one, other = (
        temporary_paths.temporary_path(tmp_path / f"{'x' * 200}{i}")
        for i in "ab"
    )

    assert one.name.rpartition(".")[0] != other.name.rpartition(".")[0]


@pytest.mark.parametrize(
    "path, kind",
    [
        (None, TypeError),
        (3, TypeError),
        (b"bytes", TypeError),
        (pathlib.Path, TypeError),
        ("", ValueError),
        ("a\0b", ValueError),
        ("\ud800", ValueError),
    ],
)
@pytest.mark.parametrize("what", ["file", "directory"])
def test_what_is_no_path_is_refused(path, kind, what):
    with pytest.raises(kind, match="`output`.*Received: output="):
        paths.check_path(path, what, "output")


def test_paths_that_can_not_be_written_are_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to("loop")

    for path, words in (
        (tmp_path, "there is a directory"),
        (".", "there is a directory"),
        (pathlib.Path(""), "there is a directory"),
        (tmp_path / "pipe", "device or a pipe"),
        ("/dev/null", "device or a pipe"),
        (tmp_path / "file" / "below", "`path` can't be written"),
        (tmp_path / "loop", "leads to itself"),
        ("x" * 300, "`path` can't be written.*too long"),
    ):
        with pytest.raises(ValueError, match=f"{words}.*Received"):
            paths.check_path(path, "file")
        with pytest.raises(ValueError, match=f"{words}.*Received"):
            files.write_file(path, b"")
    with pytest.raises(ValueError, match="there is a file"):
        paths.check_path(tmp_path / "file", "directory")


def test_read_only_files_and_folders_are_refused(tmp_path, monkeypatch):
    # Root may write anywhere, so the system's answer is given for it.
    monkeypatch.setattr(
        os, "access", lambda path, _: "protected" not in os.fspath(path)
    )
    (tmp_path / "protected").mkdir()
    (tmp_path / "protected.txt").touch()

    with pytest.raises(ValueError, match="no folder that this user may"):
        paths.check_path(tmp_path / "protected" / "a" / "b", "directory")
    with pytest.raises(ValueError, match="read-only"):
        paths.check_path(tmp_path / "protected.txt", "file")


def test_a_current_directory_that_is_gone_is_told(tmp_path, monkeypatch):
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()

    with pytest.raises(ValueError, match="`path` can't be written"):
        paths.check_path("file", "file")
    files.write_file(tmp_path / "file", b"1")
