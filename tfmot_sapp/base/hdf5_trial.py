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
"""Reads an HDF5 file for the first time, in a process of its own.

The HDF5 library trusts what a file says, and one that is damaged can end the
process or never return. So weights from a file are read by another process
first, which loads h5py and neither Keras nor TensorFlow.
"""

import contextlib
import importlib
import io
import os
import subprocess
import sys
import zipfile
from typing import Any

# What a file may take, on a slow machine too.
_SECONDS = 30.0
_SECONDS_PER_BYTE = 1e-6
_PROGRAM = (
    "import sys; sys.path[:] = sys.argv[2:]; "
    f"from {__name__} import read_all; read_all(sys.argv[1])"
)


def check_readable(path: str | os.PathLike[str]) -> None:
    """Checks that the HDF5 files in a model's file can be read safely.

    Args:
        path: A `.keras` or `.h5` file.

    Raises:
        ValueError: If reading it ended the process that tried it, or took too
            long.
    """
    allowed = _SECONDS + _SECONDS_PER_BYTE * os.path.getsize(path)
    try:
        done = subprocess.run(
            [sys.executable, "-c", _PROGRAM, os.fspath(path), *sys.path],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=allowed,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise ValueError(
            f"reading its weights took more than {allowed:.0f} s"
        ) from error
    # One that could not begin, with status 1, says nothing.
    if done.returncode not in (0, 1):
        raise ValueError(
            "reading its weights ended the process that tried it (status "
            f"{done.returncode})"
        )


def read_all(path: str) -> None:
    """Reads all that is in a file, whatever fails of it.

    Args:
        path: A `.keras` or `.h5` file.
    """
    with contextlib.suppress(ImportError):  # Not on Windows.
        import resource

        # No core file where the library ends this process.
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if not zipfile.is_zipfile(path):
        _read(path)
        return
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            if name.endswith(".h5"):
                # What can't be unpacked is never read.
                with contextlib.suppress(Exception):
                    _read(io.BytesIO(archive.read(name)))


def _read(file: Any) -> None:
    # It has no types, and is Keras's own need.
    h5py: Any = importlib.import_module("h5py")

    with h5py.File(file) as opened:

        def look(name: str, item: Any) -> None:
            with contextlib.suppress(Exception):
                for key in item.attrs:
                    with contextlib.suppress(Exception):
                        item.attrs[key]
            if isinstance(item, h5py.Dataset):
                with contextlib.suppress(Exception):
                    item[()]

        look("", opened)
        opened.visititems(look)
