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
"""Quiet calls of TensorFlow's converter and of the LiteRT runtime.

Both write to file descriptor 2 from C++, some of it by absl's logging, some by
plain printing, and neither can be told in a running process not to. A process
of their own would take longer to start than most exports take. So descriptor 2
leads to a file while such a call runs. It belongs to the whole process, hence:

- However many threads are in such calls, the descriptor is redirected once, and
  comes back when the last of them ends, fails or is interrupted.
- Lines that the libraries are not known to write are somebody else's, and are
  handed on to where the descriptor led before, when a call ends.
- Python's loggers and warnings are held back only where they come from these
  libraries, and loggers only in the calling thread.

When a call fails, what it wrote is added to the error, because the converter's
reason is often only there.
"""

import contextlib
import logging
import os
import re
import sys
import tempfile
import threading
import warnings
from collections.abc import Iterator
from typing import Any, BinaryIO

# What is kept of the held back text: its end, where the reason is.
_TAIL_BYTES = 4000

# How lines of the libraries begin: absl's logging (a severity, the date, the
# time, the thread, the file), what they print, and MLIR's diagnostics.
_LIBRARIES = re.compile(
    r"[IWEF]\d{4} \d\d:\d\d:\d+\.\d+ +\d+ [^ ]+:\d+\]"
    r"|(WARNING|ERROR):(absl|tensorflow):"
    r"|WARNING: All log messages before absl::InitializeLog"
    r"|(INFO|WARNING|ERROR): .*(TensorFlow Lite|LiteRT|XNNPACK)"
    r"|To enable the following instructions: "
    r"|fully_quantize: \d"
    r"|loc\(|<unknown>:0: "
)
_LOGGERS = ("absl", "tensorflow")
_MODULES = (
    r"(tensorflow|ai_edge_litert|litert_quantizer|keras|tf_keras|tfmot_sapp)\b"
)


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Holds back what the libraries write inside the block.

    Raises:
        Exception: Whatever the block raises, with the end of the held back
            text as a note.

    Example:

    >>> with quiet():
    ...     answer = 6 * 7
    >>> answer
    42
    """
    block = _Block()
    try:
        _REDIRECTION.enter(block)
        yield
    except Exception as error:
        _attach(error, _REDIRECTION.text_of(block, error))
        raise
    finally:
        try:
            _REDIRECTION.leave(block)
        except BaseException:
            # An interrupt in between; leaving twice does no harm.
            _REDIRECTION.leave(block)
            raise


class _Block(logging.Filter):
    """One quiet block; as a filter, it drops what its own thread logs."""

    def __init__(self) -> None:
        super().__init__()
        self.start = 0
        self.logged: list[str] = []
        self._thread = threading.get_ident()

    def filter(self, record: logging.LogRecord) -> bool:
        if threading.get_ident() != self._thread:
            return True
        if record.levelno >= logging.ERROR:
            self.logged.append(record.getMessage())
        return False


class _Redirection:
    """Descriptor 2 of the process, while any thread is in a quiet block."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._blocks: list[_Block] = []
        self._held: BinaryIO | None = None
        self._original: int | None = None
        self._handed_on = 0
        self._errors: set[str] = set()
        self._warnings: Any = None

    def enter(self, block: _Block) -> None:
        with self._lock:
            if not self._blocks:
                self._begin()
            self._blocks.append(block)
            block.start = self._size()
        for name in _LOGGERS:
            logging.getLogger(name).addFilter(block)

    def text_of(self, block: _Block, error: Exception) -> str:
        """The end of what was written since a block began that failed."""
        with self._lock:
            size = self._size()
            text = self._read(max(block.start, size - _TAIL_BYTES), size)
            # The converter prints its errors too.
            self._errors.update(str(error).splitlines())
            return "\n".join([*block.logged, text]).strip()

    def leave(self, block: _Block) -> None:
        for name in _LOGGERS:
            logging.getLogger(name).removeFilter(block)
        with self._lock:
            if block in self._blocks:
                self._blocks.remove(block)
            is_last = not self._blocks
            if is_last and self._original is not None:
                _flush()
                os.dup2(self._original, 2)
            self._hand_on()
            if is_last:
                self._end()

    def _begin(self) -> None:
        _flush()
        warnings.filterwarnings("ignore", module=_MODULES)
        self._warnings = warnings.filters[0]
        self._handed_on = 0
        with contextlib.suppress(OSError):  # Descriptor 2 may be closed.
            self._original = os.dup(2)
            self._held = tempfile.TemporaryFile()  # noqa: SIM115
            os.dup2(self._held.fileno(), 2)

    def _end(self) -> None:
        with contextlib.suppress(ValueError):  # Somebody reset them all.
            warnings.filters.remove(self._warnings)  # type: ignore[attr-defined]
        original, self._original = self._original, None
        held, self._held = self._held, None
        self._errors.clear()
        if held is not None:
            held.close()
        if original is not None:
            os.close(original)

    def _hand_on(self) -> None:
        """Writes what others wrote to where it was meant to go."""
        size = self._size()
        text = self._read(self._handed_on, size)
        self._handed_on = size
        others = "".join(
            line
            for line in text.splitlines(keepends=True)
            if not _LIBRARIES.match(line) and not self._is_of_error(line)
        )
        if others.strip() and self._original is not None:
            with (
                contextlib.suppress(OSError),
                open(self._original, "wb", closefd=False) as stream,
            ):
                stream.write(others.encode(errors="replace"))

    def _is_of_error(self, line: str) -> bool:
        text = line.strip()
        return bool(text) and any(
            each.strip().endswith(text) for each in self._errors
        )

    def _size(self) -> int:
        return (
            0 if self._held is None else os.fstat(self._held.fileno()).st_size
        )

    def _read(self, start: int, end: int) -> str:
        if self._held is None:
            return ""
        found = os.pread(self._held.fileno(), end - start, start)
        return found.decode(errors="replace")


_REDIRECTION = _Redirection()


def _flush() -> None:
    """Sends what Python has buffered to where the descriptor leads now."""
    for stream in (sys.stderr, sys.__stderr__):
        with contextlib.suppress(Exception):
            if stream is not None:
                stream.flush()


def _attach(error: Exception, text: str) -> None:
    # `add_note` came with Python 3.11; before it the text is just an attribute.
    if text and hasattr(error, "add_note"):
        error.add_note(f"Held back from standard error:\n{text}")
    elif text:
        noted: Any = error
        noted.__notes__ = [*getattr(error, "__notes__", []), text]
