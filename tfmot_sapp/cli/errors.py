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
"""How a program that fails says so: on one line, with exit code 1."""

import contextlib
import sys
from collections.abc import Iterator
from typing import Any

from tfmot_sapp.base.wording import brief


@contextlib.contextmanager
def on_one_line(console: Any, doing: str) -> Iterator[None]:
    """Ends the program on an error, which is printed on one line.

    Args:
        console: Where to print, a `rich.console.Console`.
        doing: What the program does, and with which file. Errors that don't
            name an argument are introduced by it.

    Raises:
        SystemExit: On any error.
    """
    try:
        yield
    except Exception as error:
        what = f"{type(error).__name__}: {brief(error, longest=None)}"
        if not isinstance(error, (TypeError, ValueError)):
            what = (
                f"{doing} failed: {brief(what)}. If the file is damaged, make "
                "it again."
            )
        console.print(what, markup=False, highlight=False, soft_wrap=True)
        sys.exit(1)
