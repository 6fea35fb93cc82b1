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
"""What `benchmark` returns: a table that prints itself and draws a picture."""

import dataclasses
import io
import os
from typing import TYPE_CHECKING, Any

from tfmot_sapp.base.files import write_file

if TYPE_CHECKING:
    from rich.table import Table


@dataclasses.dataclass(frozen=True)
class Timing:
    """One model's row.

    Attributes:
        name: The model's name.
        path: Where it is.
        median_ms: Median over rounds of the milliseconds for one batch.
        low_ms: The tenth percentile.
        high_ms: The ninetieth percentile.
        speed_up: Median over rounds of the first model's time in the same
            round divided by this one's.
        size: Size in bytes.
        num_ops: Number of operators in the file.
        num_partitions: Number of partitions that the default delegate runs;
            0 for a SavedModel.
    """

    name: str
    path: str
    median_ms: float
    low_ms: float
    high_ms: float
    speed_up: float
    size: int
    num_ops: int
    num_partitions: int


@dataclasses.dataclass(frozen=True)
class BenchmarkResult:
    """Timings of several models; prints as a table.

    Attributes:
        timings: One `Timing` per model, in the order of the models.
        runtime: Name of the runtime.
        threads: Number of threads.
        batch_size: Samples per call.
        rounds: Number of rounds in which every model was timed.
        accelerator: `"cpu"` or `"gpu"`.
    """

    timings: tuple[Timing, ...]
    runtime: str
    threads: int
    batch_size: int
    rounds: int
    accelerator: str = "cpu"

    @property
    def place(self) -> str:
        """Where the models ran, in words."""
        if self.accelerator == "gpu":
            return "GPU"
        return "1 thread" if self.threads == 1 else f"{self.threads} threads"

    def to_dict(self) -> dict[str, Any]:
        """Returns everything as plain numbers, strings, lists and dicts."""
        return dataclasses.asdict(self)

    def table(self) -> "Table":
        """Returns the table that `print` shows."""
        from rich.table import Table
        from rich.text import Text

        table = Table(
            title=f"{self.runtime}, batch {self.batch_size}, {self.place}, "
            f"{self.rounds} rounds"
        )
        table.add_column("model")
        for column in (
            "median ms",
            "10-90 %",
            "speed-up",
            "size kB",
            "ops",
            "partitions",
        ):
            table.add_column(column, justify="right")
        for t in self.timings:
            table.add_row(
                Text(t.name),
                f"{t.median_ms:.4g}",
                f"{t.low_ms:.4g}-{t.high_ms:.4g}",
                f"{t.speed_up:.2f}x",
                f"{t.size / 1000:,.1f}",
                str(t.num_ops),
                str(t.num_partitions),
            )
        return table

    def __str__(self) -> str:
        from rich.console import Console

        stream = io.StringIO()
        Console(file=stream, width=100).print(self.table())
        return stream.getvalue().rstrip()

    def plot(self, path: str | os.PathLike) -> None:
        """Draws latency and size as bars.

        Args:
            path: The PNG file to write.

        Raises:
            TypeError: If `path` is no path.
            ValueError: If it can't be written.
        """
        from tfmot_sapp.export.benchmark.plot import draw_bars

        write_file(path, draw_bars(self))
