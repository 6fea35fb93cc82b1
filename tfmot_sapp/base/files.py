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
"""A file or directory appears whole or not at all.

What is written goes to a temporary neighbour on the same file system and takes
its name in one step at the end. If anything fails before that, the neighbour is
removed and what stood at the path stays as it was.
"""

import contextlib
import os
import pathlib
import shutil
import tempfile
from collections.abc import Iterator


def check_path(path: str | os.PathLike, what: str) -> pathlib.Path:
    """Checks, before any work is done, that a path can be written.

    Args:
        path: Where something is to be written. Missing folders are allowed.
        what: `"file"` or `"directory"`: what is to stand at the path.

    Returns:
        The absolute path.

    Raises:
        TypeError: If `path` is no path.
        ValueError: If it can't be written.
    """
    if not isinstance(path, (str, os.PathLike)) or not str(path):
        raise TypeError(
            f"`path` must be a string or a path of the {what} to write. "
            f"Received: path={path!r} of type {type(path).__name__}."
        )
    target = pathlib.Path(os.path.abspath(os.path.expanduser(path)))
    if what == "file" and target.is_dir():
        raise ValueError(
            "`path` must name a file, but there is a directory. "
            f"Received: path={os.fspath(path)!r}."
        )
    if what == "directory" and target.exists() and not target.is_dir():
        raise ValueError(
            "`path` must name a directory, but there is a file. "
            f"Received: path={os.fspath(path)!r}."
        )
    folder = target.parent
    while not folder.exists():
        folder = folder.parent
    if not folder.is_dir() or not os.access(folder, os.W_OK | os.X_OK):
        raise ValueError(
            f"`path` can't be written: {str(folder)!r} is no folder that this "
            f"user may write to. Received: path={os.fspath(path)!r}."
        )
    return target


def place_file(target: pathlib.Path, content: bytes) -> None:
    """Writes a file in one step.

    Args:
        target: What `check_path` returned.
        content: The bytes.

    Raises:
        ValueError: If the path can't be written after all.
    """
    with _as_value_error(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(
            prefix=f".{target.name}.", dir=target.parent
        )
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
            # mkstemp makes it private; a new file would obey the umask.
            os.chmod(name, 0o666 & ~_umask())
            os.replace(name, target)
        except BaseException:
            os.unlink(name)
            raise


@contextlib.contextmanager
def placed_directory(target: pathlib.Path) -> Iterator[pathlib.Path]:
    """Gives a temporary directory that takes its place when the block ends.

    Args:
        target: What `check_path` returned. A directory there is replaced.

    Yields:
        The temporary directory to write into.

    Raises:
        ValueError: If the path can't be written after all.
    """
    with _as_value_error(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        home = pathlib.Path(
            tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent)
        )
    try:
        fresh, old = home / "new", home / "old"
        fresh.mkdir()
        yield fresh
        # A directory can't be replaced by another in one step, so the old one
        # steps aside first and comes back if the new one can't take its place.
        with _as_value_error(target):
            if target.exists():
                os.replace(target, old)
            try:
                os.replace(fresh, target)
            except OSError:
                if old.exists():
                    os.replace(old, target)
                raise
    finally:
        shutil.rmtree(home, ignore_errors=True)


@contextlib.contextmanager
def _as_value_error(target: pathlib.Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ValueError(
            f"`path` can't be written: {error}. Received: path={str(target)!r}."
        ) from error


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
