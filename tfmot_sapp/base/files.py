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
"""A file appears whole or not at all.

What is written goes to a temporary file beside it and takes
its name in one step at the end: a reader finds the old file or the new one. If
anything fails before that, that one is removed and what stood at the path
stays as it was. Directories are in `directories.py`.

>>> import pathlib, tempfile
>>> path = pathlib.Path(tempfile.mkdtemp(), "numbers.csv")
>>> write_file(path, b"1,2")
>>> with written_file(path) as file:
...     _ = file.write(b"3,4")
>>> path.read_text()
'3,4'
"""

import contextlib
import os
import pathlib
import stat
from collections.abc import Iterator
from typing import BinaryIO

from tfmot_sapp.base.paths import (
    as_value_error,
    check_path,
    made_folders,
    resolved,
    status,
)
from tfmot_sapp.base.temporary_paths import (
    leftovers,
    remove,
    suffix,
    temporary_path,
)

_NO_LINKS = getattr(os, "O_NOFOLLOW", 0)


@contextlib.contextmanager
def written_path(path: str | os.PathLike[str]) -> Iterator[pathlib.Path]:
    """Gives the path of an empty file that takes its place when the block ends.

    For libraries that want a path; its ending is that of `path`.

    Args:
        path: Where the file is to stand. Missing folders are made; a link is
            followed. A file there is replaced and keeps its mode; a new one
            obeys the umask.

    Yields:
        The path to write to.

    Raises:
        TypeError: If `path` is no path.
        ValueError: If it can't be written, or the disk is full.
    """
    target = check_path(path, "file")
    final = resolved(target)
    ending = suffix(final)
    with as_value_error(target), made_folders(final.parent):
        for left in leftovers(final, ending):
            remove(left)
        partial = temporary_path(final, ending)
        try:
            old = status(final)
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | _NO_LINKS
            # What replaces a private file is private from the start.
            os.close(os.open(partial, flags, 0o666 if old is None else 0o600))
            yield partial
            _finish(partial, old)
            os.replace(partial, final)
        finally:
            remove(partial)
        sync(final.parent)


@contextlib.contextmanager
def written_file(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """Gives a binary file that takes its place when the block ends.

    Args:
        path: As in `written_path`.

    Yields:
        The file to write into.

    Raises:
        TypeError: If `path` is no path.
        ValueError: If it can't be written, or the disk is full.
    """
    with (
        written_path(path) as partial,
        open(partial, "r+b", opener=_open_no_link) as file,
    ):
        yield file


def write_file(path: str | os.PathLike[str], content: bytes) -> None:
    """Writes a file in one step.

    Args:
        path: As in `written_path`.
        content: The bytes.

    Raises:
        TypeError: If `path` is no path.
        ValueError: If it can't be written, or the disk is full.
    """
    with written_file(path) as file:
        file.write(content)


def sync(path: str | os.PathLike[str]) -> None:
    """Brings a file's content, or a folder's names, to the disk.

    Args:
        path: The file or folder. Where the system can't do it for a folder,
            nothing happens.
    """
    folder = os.path.isdir(path)
    with contextlib.suppress(OSError) if folder else contextlib.nullcontext():
        handle = os.open(path, os.O_RDONLY | _NO_LINKS)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _finish(partial: pathlib.Path, old: os.stat_result | None) -> None:
    sync(partial)
    if old is not None:
        keep_owner(partial, old)


def keep_owner(path: pathlib.Path, old: os.stat_result) -> None:
    """Gives a file or directory the owner and the mode of the one it replaces.

    Args:
        path: What is new.
        old: The status of what it replaces.
    """
    new = os.lstat(path)
    if (new.st_uid, new.st_gid) != (old.st_uid, old.st_gid):
        # Only root may give files away, and a user to groups of their own.
        with contextlib.suppress(PermissionError):
            os.chown(path, old.st_uid, old.st_gid, follow_symlinks=False)
    os.chmod(path, stat.S_IMODE(old.st_mode) & 0o777)


def _open_no_link(path: str, flags: int) -> int:
    return os.open(path, flags | _NO_LINKS)
