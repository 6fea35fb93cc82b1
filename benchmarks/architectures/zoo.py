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
"""Takes real architectures in their full sizes all the way, and prints a table.

For each: kernels pruned and their share of the weights in matrices, errors of
the wrapped model against the original and of the stripped model against the
wrapped one, whether the class is kept, the share of hidden units that
`prune_structured` may remove, seconds of the processor and memory.

    python -m benchmarks.architectures.zoo
    python -m benchmarks.architectures.zoo --only=Gemma,Llama

Each runs in a process of its own. Rows are appended to `zoo.csv` as they are
measured, and a run goes on where the last one stopped.
"""

import math
import pathlib
import subprocess
import sys
import time
from collections.abc import Sequence
from typing import Any

import keras
import tf_keras
from absl import app, flags

from benchmarks.architectures.applications import APPLICATIONS
from benchmarks.architectures.architecture import Architecture
from benchmarks.architectures.attempt import Findings, attempt
from benchmarks.architectures.language import LANGUAGE
from benchmarks.architectures.user_models import user_models
from benchmarks.architectures.vision import VISION
from benchmarks.shared.csv_rows import append_row, read_rows
from benchmarks.shared.resident_memory import peak_bytes
from tfmot_sapp.frameworks.calls import is_graph
from tfmot_sapp.frameworks.kernels import find_kernels
from tfmot_sapp.frameworks.layers.axes import OUT
from tfmot_sapp.structured.opening import opened_for
from tfmot_sapp.units.groups import find_groups

COLUMNS = (
    "architecture",
    "millions",
    "kernels",
    "share",
    "wrapped_error",
    "stripped_error",
    "class_kept",
    "units",
    "wrapping_seconds",
    "wrapping_memory",
    "seconds",
    "peak_mib",
    "note",
)
_SHOWN = {
    "architecture": "architecture",
    "millions": "M weights",
    "kernels": "kernels",
    "share": "share of weights",
    "wrapped_error": "error at 0 %",
    "stripped_error": "error stripped",
    "class_kept": "class",
    "units": "units",
    "wrapping_seconds": "wrapping, s",
    "wrapping_memory": "wrapping, x weights",
    "seconds": "all, s",
    "peak_mib": "MiB",
    "note": "note",
}


def define_flags() -> None:
    """Defines this program's flags."""
    flags.DEFINE_list("only", [], "Names of architectures; all by default.")
    flags.DEFINE_enum("size", "full", ["small", "full"], "Their size.")
    flags.DEFINE_string(
        "output_dir", "benchmarks/architectures/results", "Where to write."
    )
    flags.DEFINE_integer("timeout", 1800, "Seconds that one may take.", 1)
    flags.DEFINE_bool("alone", False, "Measure one, here, and append its row.")


def architectures() -> dict[str, Architecture]:
    """Returns all architectures by name."""
    every = (
        *APPLICATIONS,
        *LANGUAGE,
        *VISION,
        *user_models(keras),
        *user_models(tf_keras),
    )
    return {architecture.name: architecture for architecture in every}


def measure(name: str, size: str) -> dict[str, Any]:
    """Takes one architecture all the way.

    Args:
        name: Its name.
        size: "small" or "full".

    Returns:
        A value for each column.
    """
    begin = time.process_time()
    findings = attempt(architectures()[name], size, 32 if size == "full" else 8)
    model = findings.model
    units = _share_of_units(model)
    return {
        "architecture": name,
        "millions": f"{model.count_params() / 1e6:.2f}",
        "kernels": findings.kernels,
        "share": f"{findings.share:.3f}",
        "wrapped_error": f"{findings.wrapped_error:.1e}",
        "stripped_error": f"{findings.stripped_error:.1e}",
        "class_kept": "kept" if findings.class_kept else "LOST",
        "units": units,
        "wrapping_seconds": f"{findings.wrapping_seconds:.1f}",
        "wrapping_memory": f"{findings.wrapping_memory:.2f}",
        "seconds": f"{time.process_time() - begin:.1f}",
        "peak_mib": f"{peak_bytes() / 2**20:.0f}",
        "note": _largest_skipped(findings),
    }


def _largest_skipped(findings: Findings) -> str:
    """Says what was left alone, where it is more than a tenth."""
    if findings.share >= 0.9:
        return ""
    listed = [f"{name}: {why}" for name, why in findings.skipped.items()]
    return "; ".join(listed)[:300]


def _share_of_units(model: Any) -> str:
    """Returns the share of the hidden units that form groups."""
    if not is_graph(model):
        return "no graph"
    _, groups = opened_for(model, find_groups(model))
    covered = sum(group.units for group in groups.groups)
    alone = sum(
        math.prod(
            extent
            for extent, role in zip(kernel.shape, kernel.roles)
            if role == OUT
        )
        for layer in map(groups.layers.get, groups.left_alone)
        for kernel in find_kernels(layer)[:1]
    )
    total = covered + alone
    return f"{covered / total:.3f}" if total else "none"


def table(rows: Sequence[dict[str, str]]) -> str:
    """Returns the rows as a table in Markdown.

    Args:
        rows: Rows of `zoo.csv`.
    """
    lines = ["| " + " | ".join(_SHOWN.values()) + " |"]
    lines.append("|---" * len(_SHOWN) + "|")
    for row in rows:
        lines.append("| " + " | ".join(row[name] for name in _SHOWN) + " |")
    return "\n".join(lines)


def main(argv: list[str]) -> None:
    """Measures what is missing, then prints everything."""
    if len(argv) > 1:
        raise app.UsageError(f"Unexpected arguments: {argv[1:]}.")
    values = flags.FLAGS
    suffix = "" if values.size == "full" else f"_{values.size}"
    path = pathlib.Path(values.output_dir) / f"zoo{suffix}.csv"
    if values.alone:
        (name,) = values.only
        append_row(path, COLUMNS, measure(name, values.size))
        return
    for name in values.only or architectures():
        done = {row["architecture"] for row in read_rows(path, COLUMNS)}
        if name not in done:
            note = _in_a_process(name)
            if note:
                row = dict.fromkeys(COLUMNS, "") | {"architecture": name}
                append_row(path, COLUMNS, row | {"note": note})
    print(table(read_rows(path, COLUMNS)))


def _in_a_process(name: str) -> str:
    """Measures one in a process of its own; returns why there is no row."""
    values = flags.FLAGS
    command = [sys.executable, "-m", "benchmarks.architectures.zoo", "--alone"]
    command += [f"--only={name}", f"--size={values.size}"]
    command += [f"--output_dir={values.output_dir}"]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=values.timeout
        )
    except subprocess.TimeoutExpired:
        return f"not done in {values.timeout} s"
    print(name, done.returncode, flush=True)
    if done.returncode == 0:
        return ""
    last = done.stderr.strip().splitlines()[-1:] or ["no output"]
    print(done.stderr[-4000:], flush=True)
    return f"exit code {done.returncode}: {last[0][:300]}"


if __name__ == "__main__":
    define_flags()
    app.run(main)
