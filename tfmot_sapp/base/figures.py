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
"""Figures of matplotlib that are made and written the same way."""

import os
from typing import Any

from tfmot_sapp.base.files import written_path

# The color of what is kept.
KEPT = "#1f5fa8"


def new_figure(size: tuple[float, float]) -> Any:
    from matplotlib.figure import Figure

    # A figure of its own, so no global backend or window is involved.
    return Figure(figsize=size, layout="constrained")


def plain_spines(axis: Any) -> None:
    for side in ("top", "right"):
        axis.spines[side].set_visible(False)


def finish(figure: Any, path: str | os.PathLike[str] | None) -> Any:
    if path is not None:
        save_figure(figure, path)
    return figure


def save_figure(figure: Any, path: str | os.PathLike[str]) -> None:
    """Writes a figure whole or not at all.

    Args:
        figure: A `matplotlib.figure.Figure`.
        path: File to write; its ending is the format.

    Raises:
        TypeError: If `path` is no path.
        ValueError: If the file can't be written, or its ending names no format
            that matplotlib writes.
    """
    with written_path(path) as partial:
        ending = partial.suffix.lstrip(".") or "png"
        formats = figure.canvas.get_supported_filetypes()
        if ending.lower() not in formats:
            raise ValueError(
                "`path` must end in a format that matplotlib writes, such as "
                f"`.png` or `.svg`. Received: path={os.fspath(path)!r}."
            )
        figure.savefig(partial, format=ending, dpi=150)
