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
"""Keeps the converter's and the runtime's chatter off the terminal.

Both write to file descriptor 2 from C++, past Python's logging. `quiet` holds
that text back; when the block fails, what was held back is added to the error,
because the converter's reason is often only there.
"""

import contextlib
import logging
import os
import sys
import tempfile
from collections.abc import Iterator
from typing import Any

# What is kept of the held back text: its end, where the reason is.
_TAIL_BYTES = 4000


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Holds back what is written to standard error inside the block.

    Raises:
        Exception: Whatever the block raises, with the end of the held back
            text as a note.

    Example:

    >>> with quiet():
    ...     answer = 6 * 7
    >>> answer
    42
    """
    sys.stderr.flush()
    logger = logging.getLogger("tensorflow")
    level = logger.level
    with tempfile.TemporaryFile() as held, _descriptor_copy(2) as original:
        os.dup2(held.fileno(), 2)
        logger.setLevel(logging.ERROR)
        try:
            yield
        except Exception as error:
            held.flush()
            _attach(error, _tail(held.fileno()))
            raise
        finally:
            sys.stderr.flush()
            logger.setLevel(level)
            os.dup2(original, 2)


@contextlib.contextmanager
def _descriptor_copy(descriptor: int) -> Iterator[int]:
    copy = os.dup(descriptor)
    try:
        yield copy
    finally:
        os.close(copy)


def _tail(descriptor: int) -> str:
    size = os.lseek(descriptor, 0, os.SEEK_END)
    os.lseek(descriptor, max(0, size - _TAIL_BYTES), os.SEEK_SET)
    return os.read(descriptor, _TAIL_BYTES).decode(errors="replace").strip()


def _attach(error: Exception, text: str) -> None:
    # `add_note` came with Python 3.11; before it the text is just an attribute.
    if text and hasattr(error, "add_note"):
        error.add_note(f"Held back from standard error:\n{text}")
    elif text:
        noted: Any = error
        noted.__notes__ = [*getattr(error, "__notes__", []), text]
