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
"""Where something may be written, asked before any work is done."""

import contextlib
import os
import pathlib
import stat
import tempfile
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from tfmot_sapp.base.checks import check_pathlike

_PATTERNS = frozenset("[]*?\\")


def check_path(
    path: Any,
    what: str,
    name: str = "path",
    is_ours: Callable[[Mapping[str, bool]], bool] | None = None,
) -> pathlib.Path:
    """Checks, before any work is done, that a path can be written.

    Args:
        path: Where something is to be written. Missing folders are allowed.
        what: `"file"` or `"directory"`: what is to stand at the path.
        name: Name of the argument, for the error.
        is_ours: Whether a directory that stands there may be replaced, as
            `placed_directory` takes it; `None` asks later.

    Returns:
        The absolute path.

    Raises:
        TypeError: If `path` is no path.
        ValueError: If it can't be written, or a directory there is not to be
            replaced.
    """
    text = check_pathlike(path, name, f"the {what} to write")
    try:
        target = pathlib.Path(os.path.abspath(os.path.expanduser(text)))
        fault = _fault(resolved(target), what)
    except OSError as error:
        raise ValueError(
            f"`{name}` can't be written: {error}. Received: {name}={text!r}."
        ) from error
    if fault:
        raise ValueError(f"`{name}` {fault}. Received: {name}={text!r}.")
    if is_ours is not None:
        check_replaceable(target, is_ours, name)
    return target


def readable_path(
    path: Any, name: str, what: str, or_directory: bool = False
) -> pathlib.Path:
    """Checks that a path can be read to its end, before anything is read.

    A device gives bytes for ever, and a pipe may never give any.

    Args:
        path: What is to be read. `~` is the home directory.
        name: Name of the argument, for the error.
        what: What is right, with its article: "a `.tflite` file".
        or_directory: Whether it may be a directory as well.

    Returns:
        The path.

    Raises:
        TypeError: If `path` is no path.
        ValueError: If there is no file that this user can read.
    """
    text = check_pathlike(path, name, what)
    found = pathlib.Path(os.path.expanduser(text))
    fault = ""
    try:
        mode = os.stat(found).st_mode
        if stat.S_ISDIR(mode) and not or_directory:
            fault = "there is a directory"
        elif not stat.S_ISDIR(mode) and not stat.S_ISREG(mode):
            fault = "there is a device or a pipe"
        elif not os.access(found, os.R_OK):
            fault = "this user may not read it"
    except FileNotFoundError:
        fault = "it doesn't exist"
    except OSError as error:
        fault = error.strerror or str(error)
    if fault:
        raise ValueError(
            f"`{name}` must be {what} that can be read. "
            f"Received: {name}={text!r}: {fault}."
        )
    return found


def check_replaceable(
    target: pathlib.Path,
    is_ours: Callable[[Mapping[str, bool]], bool],
    name: str = "path",
) -> None:
    """Checks that a directory may be replaced by another.

    Args:
        target: Where the directory stands, if it does.
        is_ours: Recognises what this project wrote, as `placed_directory`
            takes it.
        name: Name of the argument, for the error.

    Raises:
        ValueError: If it is the current directory, the home directory, a
            folder that holds one of them or a file system's root, or holds
            what is not recognised.
    """
    final = resolved(target)
    place = _protected(final)
    if place:
        raise ValueError(
            f"`{name}` must name a directory of its own, which is replaced as "
            f"a whole; this one is {place}. Received: {name}={str(target)!r}."
        )
    if _holds_something_else(final, is_ours):
        raise ValueError(
            f"`{name}` must name a new or empty directory, or one that was "
            "written here before; this one holds something else, which would "
            "be lost. Remove it or choose another path. "
            f"Received: {name}={str(target)!r}."
        )


def _holds_something_else(
    folder: pathlib.Path, is_ours: Callable[[Mapping[str, bool]], bool]
) -> bool:
    # Another process may be putting a new directory in its place meanwhile and
    # removing this one: what is refused must still stand there after it was
    # looked through.
    while folder.is_dir():
        with contextlib.suppress(FileNotFoundError), _opened(folder) as opened:
            with os.scandir(opened) as entries:
                files = {entry.name: entry.is_file() for entry in entries}
            if not files or is_ours(files):
                return False
            # While it is open, its number is nobody else's.
            if os.path.samestat(os.stat(opened), os.stat(folder)):
                return True
    return False


@contextlib.contextmanager
def _opened(folder: pathlib.Path) -> Iterator[int | pathlib.Path]:
    """Gives what stays the same directory, whatever happens to its name."""
    if os.scandir not in os.supports_fd:
        # Windows opens no directories, and so none is exchanged in use.
        yield folder
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def without_patterns(path: pathlib.Path) -> Iterator[pathlib.Path]:
    """Gives a name of a directory that holds no patterns.

    TensorFlow takes brackets, asterisks and question marks in the path of a
    SavedModel for patterns, and doesn't find it.

    Args:
        path: A directory.

    Yields:
        Its own path, or that of a link to it for as long as the block lasts.
    """
    if not _PATTERNS.intersection(str(path)):
        yield path
        return
    with tempfile.TemporaryDirectory() as folder:
        link = pathlib.Path(folder, "link")
        link.symlink_to(os.path.abspath(path), target_is_directory=True)
        yield link


def status(path: pathlib.Path) -> os.stat_result | None:
    """Returns what stands at a path; `None` if there is nothing."""
    try:
        return os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None


def resolved(target: pathlib.Path) -> pathlib.Path:
    """Returns the path that a path leads to, all links followed."""
    return pathlib.Path(os.path.realpath(target))


@contextlib.contextmanager
def as_value_error(target: pathlib.Path) -> Iterator[None]:
    """Turns the operating system's errors about a path into a `ValueError`.

    Args:
        target: The path. Errors about files elsewhere are left as they are.
    """
    try:
        yield
    except OSError as error:
        if not _concerns(error.filename, target):
            raise
        raise ValueError(
            f"`path` can't be written: {error}. Received: path={str(target)!r}."
        ) from error


@contextlib.contextmanager
def made_folders(folder: pathlib.Path) -> Iterator[None]:
    """Makes a folder and those above it, and takes them back on failure.

    Args:
        folder: The folder that is needed inside the block.
    """
    missing = []
    while not os.path.lexists(folder):
        missing.append(folder)
        folder = folder.parent
    try:
        for each in reversed(missing):
            each.mkdir(exist_ok=True)
        yield
    except BaseException:
        for each in missing:
            with contextlib.suppress(OSError):
                each.rmdir()
        raise


def _fault(final: pathlib.Path, what: str) -> str:
    """Returns what is wrong with a path, or an empty string."""
    if final.is_symlink():
        return "can't be written: it is a link that leads to itself"
    # Looked at once: what stands there may be exchanged at any moment.
    there = status(final)
    mode = 0 if there is None else there.st_mode
    if what == "file":
        if stat.S_ISDIR(mode):
            return "must name a file, but there is a directory"
        if mode and not stat.S_ISREG(mode):
            return "must name a file, but there is a device or a pipe"
        if mode and not os.access(final, os.W_OK) and final.exists():
            return "can't be written: the file there is read-only"
    elif mode and not stat.S_ISDIR(mode):
        return "must name a directory, but there is a file"
    else:
        place = _protected(final)
        if place:
            return (
                "must name a directory of its own, which is replaced as a "
                f"whole; this one is {place}"
            )
    folder = final.parent
    while not folder.exists():
        folder = folder.parent
    if not folder.is_dir() or not os.access(folder, os.W_OK | os.X_OK):
        return (
            f"can't be written: {str(folder)!r} is no folder that this user "
            "may write to"
        )
    return ""


def _protected(final: pathlib.Path) -> str:
    """Returns which directory it is that is never replaced, or ""."""
    if os.path.ismount(final):
        return "the root of a file system"
    places = [("the home directory", os.path.expanduser("~"))]
    # A process may stand in a directory that was removed.
    with contextlib.suppress(OSError):
        places.append(("the current directory", os.getcwd()))
    for name, path in places:
        place = pathlib.Path(os.path.realpath(path))
        if final == place:
            return name
        if final in place.parents:
            return f"a folder that holds {name}"
    return ""


def _concerns(filename: Any, target: pathlib.Path) -> bool:
    if not isinstance(filename, (str, bytes, os.PathLike)):
        return True
    path = pathlib.Path(os.fsdecode(filename))
    for wanted in (target, resolved(target)):
        if path in wanted.parents or wanted.parent in path.parents:
            return True
    return False
