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
"""A directory appears whole or not at all, and never in another one's place.

It is made beside it and exchanges names with what stood at the
path. Only what is empty or recognised is replaced.
"""

import contextlib
import ctypes
import errno
import os
import pathlib
import sys
from collections.abc import Callable, Iterator, Mapping

from tfmot_sapp.base.files import keep_owner, sync
from tfmot_sapp.base.paths import (
    as_value_error,
    check_path,
    check_replaceable,
    made_folders,
    resolved,
    status,
)
from tfmot_sapp.base.temporary_paths import leftovers, remove, temporary_path

_AT_FDCWD, _RENAME_EXCHANGE = -100, 2  # Linux's fcntl.h and fs.h.
_ASIDE = "-old"
# Another process placed a directory of its own in between.
_OVERTAKEN = {errno.ENOTEMPTY, errno.EEXIST, errno.ENOENT}
_TRIES = 100


@contextlib.contextmanager
def placed_directory(
    path: str | os.PathLike[str], is_ours: Callable[[Mapping[str, bool]], bool]
) -> Iterator[pathlib.Path]:
    """Gives a temporary directory that takes its place when the block ends.

    Args:
        path: Where the directory is to stand. Missing folders are made; a link
            is followed. A directory there is replaced if it is empty or
            recognised, and keeps its mode.
        is_ours: Recognises a directory that may be replaced with all that it
            holds by the names in it, such as `saved_model.pb`, and whether each
            is a file.

    Yields:
        The temporary directory to write into.

    Raises:
        TypeError: If `path` is no path.
        ValueError: If it can't be written, the disk is full, or what stands
            there is not to be replaced: what is not recognised, the current
            directory, the home directory, folders that hold them, and the
            roots of file systems.
    """
    target = check_path(path, "directory")
    final = resolved(target)

    def check() -> None:
        check_replaceable(target, is_ours)

    with as_value_error(target), made_folders(final.parent):
        _recover(final)
        check()
        fresh, aside = temporary_path(final), temporary_path(final, _ASIDE)
        try:
            old = status(final)
            os.mkdir(fresh, 0o777 if old is None else 0o700)
            yield fresh
            for folder, _, files in os.walk(fresh):
                for name in files:
                    if not os.path.islink(os.path.join(folder, name)):
                        sync(os.path.join(folder, name))
                sync(folder)
            if old is not None:
                keep_owner(fresh, old)
            _place(fresh, final, aside, check)
        finally:
            remove(fresh)
            _settle(aside, final)
        sync(final.parent)


def _place(
    fresh: pathlib.Path,
    final: pathlib.Path,
    aside: pathlib.Path,
    check: Callable[[], None],
) -> None:
    for tries_left in reversed(range(_TRIES)):
        check()
        if _exchange(fresh, final):
            return
        try:
            _replace_by_renames(fresh, final, aside)
        except OSError as error:
            if error.errno not in _OVERTAKEN or not tries_left:
                raise
            _settle(aside, final)
        else:
            remove(aside)
            return


def _exchange(one: pathlib.Path, other: pathlib.Path) -> bool:
    """Exchanges two names in one step, where the system can and both exist."""
    if sys.platform != "linux":
        return False
    renameat2 = getattr(ctypes.CDLL(None), "renameat2", None)
    if renameat2 is None:
        return False
    failed = renameat2(
        _AT_FDCWD,
        ctypes.c_char_p(os.fsencode(one)),
        _AT_FDCWD,
        ctypes.c_char_p(os.fsencode(other)),
        ctypes.c_uint(_RENAME_EXCHANGE),
    )
    return not failed


def _replace_by_renames(
    fresh: pathlib.Path, final: pathlib.Path, aside: pathlib.Path
) -> None:
    # The old one steps aside first, and comes back if the new one can't take
    # its place. After a kill in between, `_recover` brings it back.
    try:
        if os.path.lexists(final):
            os.rename(final, aside)
        os.rename(fresh, final)
    except BaseException:
        if os.path.lexists(aside) and not os.path.lexists(final):
            os.rename(aside, final)
        raise


def _settle(aside: pathlib.Path, final: pathlib.Path) -> None:
    """Brings back what stepped aside, unless another one has come meanwhile."""
    for _ in range(_TRIES):
        if not os.path.lexists(aside):
            return
        if os.path.lexists(final):
            remove(aside)
        else:
            # Another one may come at this moment.
            with contextlib.suppress(OSError):
                os.rename(aside, final)


def _recover(final: pathlib.Path) -> None:
    """Brings back what a process that was killed had moved aside."""
    asides = leftovers(final, _ASIDE)
    if asides and not os.path.lexists(final):
        # Another process may do the same at this moment.
        with contextlib.suppress(OSError):
            os.rename(max(asides, key=os.path.getmtime), final)
    for left in [*asides, *leftovers(final)]:
        remove(left)
