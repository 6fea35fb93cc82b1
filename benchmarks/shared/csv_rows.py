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
"""Rows of measurements in a CSV file that grows while a benchmark runs.

Every row is written as soon as it is measured, so that a run that was stopped
goes on where it was:

```python
done = {row["layer"] for row in read_rows(path, COLUMNS)}
append_row(path, COLUMNS, row)
```
"""

import csv
import pathlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any


def read_rows(
    path: pathlib.Path, columns: Sequence[str]
) -> list[dict[str, str]]:
    """Reads the rows measured so far.

    Args:
        path: The CSV file; it needn't exist.
        columns: The columns that it must have.

    Returns:
        Its rows, without one that was cut off.

    Raises:
        ValueError: If the file has other columns.
    """
    if not path.exists():
        return []
    with path.open(newline="") as file:
        reader = csv.DictReader(file)
        if reader.fieldnames and list(reader.fieldnames) != list(columns):
            raise ValueError(
                f"{str(path)!r} must have the columns {list(columns)}; move it "
                f"away to start anew. Received: {reader.fieldnames}."
            )
        return [row for row in reader if row[columns[-1]] is not None]


def append_row(
    path: pathlib.Path, columns: Sequence[str], row: Mapping[str, Any]
) -> None:
    """Appends a row, and the header in front of the first.

    Args:
        path: The CSV file.
        columns: The columns, in order.
        row: A value for each column.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+b") as file:
        file.seek(0)
        content = file.read()
        # A run that was killed may have left half a line.
        file.truncate(content.rfind(b"\n") + 1)
    with path.open("a", newline="") as file:
        writer = csv.DictWriter(file, columns, lineterminator="\n")
        if not file.tell():
            writer.writeheader()
        writer.writerow(row)


def write_rows(
    path: str, columns: Sequence[str], cells: Iterable[Iterable[Sequence[Any]]]
) -> None:
    """Writes a new file, and prints the rows, cell by cell as they come.

    Args:
        path: The CSV file.
        columns: The columns, in order.
        cells: The rows of each cell that is measured, made when asked for.
    """
    with open(path, "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        for rows in cells:
            for row in rows:
                writer.writerow(row)
                print(*row, flush=True)
            file.flush()
