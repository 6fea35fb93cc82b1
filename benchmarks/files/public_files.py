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
"""Files that others wrote: through reader and writer, and pruned and packed.

```
python -m benchmarks.files.public_files --folder=FOLDER
python -m benchmarks.files.public_files --folder=FOLDER --only=face
```

The packages named in `sources.py` are loaded into the folder (`pip`, `npm` and
`git` must be there). Every file is then

- read and written unchanged: the operators must be the same, and the outputs
  on random inputs within 1e-6 of the output scale;
- pruned: 90 % of the blocks of its larger float kernels are zeroed; packed by
  `pack_tflite`; and timed beside the dense one, in turn, on one thread. Where
  one rounding of the inputs changes outputs by more than packing may, so may
  packing: by four times as much.

Rows are appended to `public_files.csv` as they are measured, and a run goes on
where the last one stopped. The random blocks make no model that is of any use;
what is measured is how fast it runs, and that it computes the same.
"""

import concurrent.futures
import multiprocessing
import pathlib
from typing import Any

from absl import app, flags

from benchmarks.files.one_file import copy_file, prune_and_pack
from benchmarks.files.sources import File, collect
from benchmarks.shared.csv_rows import append_row, read_rows

FLAGS = flags.FLAGS
_HOST = "https://github.com/"
COLUMNS = (
    "name",
    "source",
    "bytes",
    "operators",
    "copy",
    "copy_error",
    "pruned",
    "density",
    "rounding",
    "packed",
    "error",
    "dense_ms",
    "packed_ms",
    "speed_up",
)


def define_flags() -> None:
    """Defines this program's flags."""
    flags.DEFINE_string("folder", None, "Where to load files to.")
    flags.DEFINE_string(
        "output_dir", "benchmarks/files/results", "Where to write."
    )
    flags.DEFINE_string("only", "", "Only files whose names contain it.")
    flags.DEFINE_float("sparsity", 0.9, "Fraction of the blocks to zero.")
    flags.DEFINE_float("seconds", 2.0, "Time to spend on timing a file.")
    flags.DEFINE_bool(
        "realtime", False, "Time under the real-time scheduler (root)."
    )
    flags.mark_flag_as_required("folder")


def main(argv: list[str]) -> None:
    """Measures what is missing, then prints everything."""
    if len(argv) > 1:
        raise app.UsageError(f"Unexpected arguments: {argv[1:]}.")
    path = pathlib.Path(FLAGS.output_dir) / "public_files.csv"
    folder = pathlib.Path(FLAGS.folder)
    done = {row["name"] for row in read_rows(path, COLUMNS)}
    worker = None
    for file in collect(folder):
        if file.name in done or FLAGS.only not in file.name:
            continue
        row = {
            "name": file.name,
            "source": file.source,
            "bytes": file.path.stat().st_size,
        }
        worker = worker or concurrent.futures.ProcessPoolExecutor(
            1, multiprocessing.get_context("spawn")
        )
        arguments = (folder, FLAGS.sparsity, FLAGS.seconds, FLAGS.realtime)
        try:
            row |= worker.submit(_measure, file, *arguments).result()
        except concurrent.futures.process.BrokenProcessPool:
            row |= {"copy": "the runtime ended", "packed": "left alone"}
            worker = None
        append_row(path, COLUMNS, row)
    print(table(read_rows(path, COLUMNS)))


def _measure(
    file: File,
    folder: pathlib.Path,
    sparsity: float,
    seconds: float,
    realtime: bool,
) -> dict[str, Any]:
    content = file.path.read_bytes()
    try:
        row = copy_file(content)
        row |= prune_and_pack(content, folder, sparsity, seconds, realtime)
    except (RuntimeError, ValueError) as error:
        return {"copy": f"refused: {' '.join(str(error).split())[:160]}"}
    return row


def table(rows: list[dict[str, str]]) -> str:
    """Returns the rows as a table in Markdown.

    Args:
        rows: Rows of `public_files.csv`.
    """
    shown = ("name", "source", "bytes", "operators", "copy", "pruned")
    shown += ("density", "packed", "rounding", "error", "speed_up")
    lines = ["| " + " | ".join(shown) + " |", "|---" * len(shown) + "|"]
    for row in rows:
        short = row | {"source": row["source"].removeprefix(_HOST)}
        lines.append("| " + " | ".join(short[name] for name in shown) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    define_flags()
    app.run(main)
