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
"""Names of temporary files and directories, which become others when whole.

Each stands in the folder of what it becomes, so that it can take its name in
one step, as `.name.host-process-random`. One whose process is gone is left over
from a kill, and is removed when the same name is written next.
"""

import contextlib
import functools
import hashlib
import os
import pathlib
import platform
import re
import secrets
import shutil
import tempfile
from collections.abc import Iterator

from tfmot_sapp.base.wording import brief

_LONGEST = 160  # Bytes of a name that are kept; systems allow 255.
_LONGEST_SUFFIX = 16


def temporary_path(target: pathlib.Path, ending: str = "") -> pathlib.Path:
    """Returns a new temporary path beside a target that nobody can guess.

    Args:
        target: What it is to become.
        ending: What the name ends in.
    """
    tag = f"{_host()}-{os.getpid()}-{secrets.token_hex(4)}"
    return target.parent / f".{_stem(target.name)}.{tag}{ending}"


@contextlib.contextmanager
def temporary_folder() -> Iterator[pathlib.Path]:
    """Gives a folder for temporary files, which goes when the block ends.

    Raises:
        ValueError: If there is no room for what is written there.
    """
    place = tempfile.gettempdir()
    try:
        with tempfile.TemporaryDirectory() as folder:
            place = folder
            yield pathlib.Path(folder)
    except OSError as error:
        name = error.filename
        if name is not None and not os.fsdecode(name).startswith(place):
            raise
        raise no_room(place, error) from error


def no_room(place: str | os.PathLike[str], error: Exception) -> ValueError:
    """Returns the error for a folder that temporary files don't fit in.

    Args:
        place: The folder.
        error: What was raised there.
    """
    return ValueError(
        f"Temporary files can't be written: {brief(error)}. Make room, or set "
        "the environment variable `TMPDIR` to a folder that has some. "
        f"Received: {os.fspath(place)!r}."
    )


def suffix(target: pathlib.Path) -> str:
    """Returns the ending by which libraries tell a file's format, or ""."""
    ending = target.suffix
    return ending if len(os.fsencode(ending)) <= _LONGEST_SUFFIX else ""


def leftovers(target: pathlib.Path, ending: str = "") -> list[pathlib.Path]:
    """Returns the temporary paths of this host's processes that are gone.

    Args:
        target: What they were to become.
        ending: What their names end in.
    """
    pattern = re.compile(
        rf"\.{re.escape(_stem(target.name))}\.{_host()}-(\d+)-[0-9a-f]{{8}}"
        + re.escape(ending),
        re.DOTALL,
    )
    found = []
    with os.scandir(target.parent) as entries:
        for entry in entries:
            match = pattern.fullmatch(entry.name)
            if match and not _runs(int(match[1])):
                found.append(pathlib.Path(entry.path))
    return found


def remove(path: pathlib.Path) -> None:
    """Removes a temporary path, also when it is interrupted once."""
    try:
        _remove(path)
    except BaseException:
        _remove(path)
        raise


def _remove(path: pathlib.Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _stem(name: str) -> str:
    if len(os.fsencode(name)) <= _LONGEST:
        return name
    digest = hashlib.sha256(os.fsencode(name)).hexdigest()[:8]
    while len(os.fsencode(name)) > _LONGEST:
        name = name[:-1]
    return f"{name}~{digest}"


@functools.lru_cache(maxsize=1)
def _host() -> str:
    """Returns what tells this host's processes from those of others."""
    try:
        # Containers count their processes for themselves.
        space = os.readlink("/proc/self/ns/pid")
    except OSError:
        space = ""
    return hashlib.sha256(f"{platform.node()} {space}".encode()).hexdigest()[:8]


def _runs(process: int) -> bool:
    if os.name == "nt":  # There, signal 0 would end it.
        return True
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True
