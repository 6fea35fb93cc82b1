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
"""Runs a `.tflite` file for the first time, in a process of its own.

The runtime trusts what a file says, and one that is whole but makes no sense
can end the process or never return. So a file from outside is run by another
process first, on the inputs that this one would draw. That process loads the
runtime and not TensorFlow, and works while this one packs, so that it takes
next to no time.
"""

import contextlib
import os
import subprocess
import sys
import time
from types import TracebackType

from tfmot_sapp.compiler.readers.tflite import read_tflite
from tfmot_sapp.export import runtime
from tfmot_sapp.export.tflite.entries import entries_of, run_random

# What a file may take: a loop that a damaged one never leaves must end, and a
# large model on a slow machine must not.
_SECONDS = 120.0
_SECONDS_PER_BYTE = 5e-6
_REFUSED = 3  # Status of a process that could not run it.
_PROGRAM = (
    "import sys; sys.path[:] = sys.argv[2:]; "
    f"from {__name__} import run_all; run_all(sys.argv[1])"
)


class Trial:
    """A file that is run by another process while this one goes on.

    Leaving the block ends the process.

    Args:
        path: The file.

    Example:

    ```python
    with Trial(path) as trial:
        packed = pack(path)
        trial.wait()  # Raises if the file can't be run here safely.
    ```
    """

    def __init__(self, path: str | os.PathLike) -> None:
        self._path = os.fspath(path)
        size = os.path.getsize(path)
        self._allowed = _SECONDS + _SECONDS_PER_BYTE * size
        self._end = time.monotonic() + self._allowed
        self._process = subprocess.Popen(
            [sys.executable, "-c", _PROGRAM, self._path, *sys.path],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )

    def __enter__(self) -> "Trial":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if error is not None and not isinstance(error, ValueError):
                # What can't be run may well not be packed.
                self.wait()
        finally:
            self._process.kill()
            self._process.communicate()

    def wait(self) -> None:
        """Waits until the file has been run.

        Raises:
            ValueError: If the runtime refuses it, if it ended the process, or
                if it ran for too long.
        """
        try:
            said, _ = self._process.communicate(
                timeout=max(0.0, self._end - time.monotonic())
            )
        except subprocess.TimeoutExpired as error:
            raise self._refusal(
                f"which ran for more than {self._allowed:.0f} s"
            ) from error
        status = self._process.returncode
        if status == _REFUSED:
            reason = " ".join(said.decode(errors="replace").split())[-300:]
            raise self._refusal(f"which doesn't run ({reason})")
        # A process that could not begin, with status 1, says nothing.
        if status not in (0, 1):
            raise self._refusal(
                f"which ended the process that tried it (status {status})"
            )

    def _refusal(self, reason: str) -> ValueError:
        return ValueError(
            f"`source` must be a file that {runtime.runtime_name()} runs, so "
            "that the packed one can be compared with it. Received: "
            f"{self._path!r}, {reason} on random inputs."
        )


def run_all(path: str) -> None:
    """Runs every entry of a file, as it is compared later.

    Ends the process with the reason on standard output where one can't be run.

    Args:
        path: The file.
    """
    with contextlib.suppress(ImportError):  # Not on Windows.
        import resource

        # No core file where the runtime ends this process.
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with open(path, "rb") as file:
        content = file.read()
    for entry in entries_of(read_tflite(content)):
        try:
            run_random(content, entry)
        except (MemoryError, RuntimeError, ValueError) as error:
            print(error)
            sys.exit(_REFUSED)
