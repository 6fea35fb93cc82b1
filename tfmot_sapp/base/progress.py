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
"""Progress of long tasks, in the terminal or nowhere."""

from collections.abc import Callable
from typing import Any


class Progress:
    """Shows bars for as long as it is entered as a context.

    Args:
        visible: Whether anything is shown. The library that draws is loaded
            only then.

    Example:

    >>> with Progress(visible=False) as progress:
    ...     step = progress.start("fitting", total=2)
    ...     step()
    ...     step("fitting the last one")
    """

    def __init__(self, visible: bool):
        self._bars: Any = None
        if visible:
            from rich.progress import Progress as Bars

            self._bars = Bars(transient=True)

    def __enter__(self) -> "Progress":
        if self._bars is not None:
            self._bars.start()
        return self

    def __exit__(self, *error: object) -> None:
        if self._bars is not None:
            self._bars.stop()

    def start(self, text: str, total: int) -> Callable[..., None]:
        """Adds a bar.

        Args:
            text: What stands before it.
            total: Number of steps.

        Returns:
            Function that is called after each step, with another text if there
            is one.
        """
        bars = self._bars
        if bars is None:
            return lambda text=None: None
        bar = bars.add_task(text, total=total)
        return lambda text=None: bars.update(bar, advance=1, description=text)
