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
"""Tables for terminals, logs and files, all drawn by one function."""

import io
from collections.abc import Container, Sequence


def render(
    head: Sequence[str],
    rows: Sequence[Sequence[str]],
    footer: Sequence[str] | None = None,
    numeric: Container[int] = (),
    title: str | None = None,
) -> str:
    """Draws a table as text.

    Args:
        head: The columns' names.
        rows: The cells, row by row.
        footer: A last row, set off by a line. Defaults to `None`.
        numeric: Indices of the columns that are aligned to the right.
        title: A line above the table. Defaults to `None`.

    Returns:
        The table, lines separated by newlines.

    Example:

    >>> print(render(["layer", "kept"], [["dense", "33"]], numeric=[1]))
     layer   kept
    ──────────────
     dense     33
    """
    # Drawing tables is no reason to load a library with the package.
    from rich import box
    from rich.cells import cell_len
    from rich.console import Console
    from rich.table import Table

    table = Table(
        box=box.SIMPLE_HEAD,
        title=title,
        title_justify="left",
        show_footer=footer is not None,
        pad_edge=True,
        show_edge=False,
    )
    for index, name in enumerate(head):
        table.add_column(
            name,
            footer=footer[index] if footer else "",
            justify="right" if index in numeric else "left",
            no_wrap=True,
        )
    for row in rows:
        table.add_row(*row)
    stream = io.StringIO()
    width = 4 + sum(
        2 + max(cell_len(row[i]) for row in [head, *rows, footer or head])
        for i in range(len(head))
    )
    # Names of layers are printed as they are, with brackets and colons.
    console = Console(
        file=stream,
        width=width + len(head),
        color_system=None,
        markup=False,
        emoji=False,
        highlight=False,
    )
    console.print(table)
    lines = stream.getvalue().rstrip("\n").split("\n")
    return "\n".join(line.rstrip() for line in lines)
