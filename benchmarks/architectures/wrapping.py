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
"""Prints what wrapping language models of 100 million weights takes.

The memory is the most that a fresh process holds until the model is wrapped,
less what it held before the model was made, in units of the model's weights;
the model itself is one of them. Each runs in a process of its own.

    python -m benchmarks.architectures.wrapping
"""

import concurrent.futures
import importlib
import multiprocessing
import time

from absl import app, flags

from benchmarks.shared.resident_memory import (
    forget_peak,
    peak_bytes,
    resident_bytes,
)
from tfmot_sapp.base.tables import render

_HEAD = ("model", "M weights", "MiB", "made, x", "wrapped, x", "CPU s", "s")


def define_flags() -> None:
    """Defines this program's flags."""
    flags.DEFINE_list(
        "only", ["Gemma", "Llama", "GPT2", "Bert"], "Which architectures."
    )


def measure(name: str) -> list[str]:
    """Makes and wraps a model, in a process that has made none.

    Args:
        name: Its name among those of language models.

    Returns:
        A cell for each column.
    """
    importlib.import_module("keras_hub")
    import tfmot_sapp as sapp
    from benchmarks.architectures.language import LANGUAGE

    (architecture,) = (each for each in LANGUAGE if each.name == name)
    forget_peak()
    before = resident_bytes()
    model = architecture.make("full")
    weights = model.count_params()
    made = peak_bytes() - before
    processor, clock = time.process_time(), time.perf_counter()
    sapp.prune_blocks(
        model, sapp.SequentialAttentionSchedule(0.9, end_step=100)
    )
    processor = time.process_time() - processor
    clock = time.perf_counter() - clock
    wrapped = peak_bytes() - before
    return [
        name,
        f"{weights / 1e6:.1f}",
        f"{4 * weights / 2**20:.0f}",
        f"{made / weights / 4:.2f}",
        f"{wrapped / weights / 4:.2f}",
        f"{processor:.1f}",
        f"{clock:.1f}",
    ]


def main(argv: list[str]) -> None:
    """Prints the table."""
    if len(argv) > 1:
        raise app.UsageError(f"Unexpected arguments: {argv[1:]}.")
    context = multiprocessing.get_context("spawn")
    rows = []
    for name in flags.FLAGS.only:
        with concurrent.futures.ProcessPoolExecutor(1, context) as pool:
            rows.append(pool.submit(measure, name).result())
    print(render(_HEAD, rows, numeric=range(1, len(_HEAD))))


if __name__ == "__main__":
    define_flags()
    app.run(main)
