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
"""How times and speed-ups change with the number of threads.

The machine that has the cores often has little else, so this has two steps:

```sh
python -m benchmarks.latency.threads --prepare --folder=files
python -m benchmarks.latency.threads --folder=files --seconds=480
```

The first writes small files and needs this package; the second needs NumPy and
`ai-edge-litert` and nothing else. It measures every group of files at every
number of threads: the files of a group are the same layer or network in several
forms, and they take turns. A row is appended to `threads.csv` as soon as it is
measured, and a run goes on where the last one stopped.

Groups are of three kinds: `layer` (one layer in every form in which its kept
blocks can be multiplied, against the dense one), `network` (whole ones, packed
beside dense), and `operations` (many equal small operations in one file: what
the costs of a target are fitted on).
"""

import argparse
import json
import os
import pathlib
import platform
import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from benchmarks.shared.csv_rows import append_row, read_rows
from benchmarks.shared.small_files import read_compressed

COLUMNS = (
    "processor",
    "vector_bits",
    "cores",
    "accelerator",
    "kind",
    "group",
    "form",
    "threads",
    "repeated",
    "rounds",
    "median_us",
    "low_us",
    "high_us",
    "speed_up",
    "operations",
)
_KEY = ("accelerator", "group", "form", "threads")
_FEWEST_ROUNDS, _MOST_ROUNDS = 5, 300
# A turn takes at least this long, so that one interrupt doesn't count.
_TURN_SECONDS = 0.002


def main() -> None:
    """Prepares files or measures them."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--prepare", action="store_true", help="Write files.")
    parser.add_argument("--folder", default="thread_files", help="Of files.")
    parser.add_argument("--output", default="threads.csv", help="CSV file.")
    parser.add_argument("--seconds", type=float, default=480.0, help="To take.")
    parser.add_argument("--threads", default="1,2,4,8", help="Numbers of them.")
    parser.add_argument("--kinds", default="network,layer,operations")
    parser.add_argument(
        "--accelerator",
        choices=("cpu", "gpu"),
        default="cpu",
        help="gpu: whole networks through LiteRT's CompiledModel.",
    )
    options = parser.parse_args()
    folder = pathlib.Path(options.folder)
    if options.prepare:
        # TensorFlow is needed for this step only.
        from benchmarks.latency.thread_files import write_groups

        write_groups(folder, options.kinds.split(","))
        return
    threads = [int(n) for n in options.threads.split(",")]
    measure(
        folder,
        pathlib.Path(options.output),
        [1] if options.accelerator == "gpu" else threads,
        options.seconds,
        options.accelerator,
        options.kinds.split(","),
    )


def measure(
    folder: pathlib.Path,
    output: pathlib.Path,
    threads: list[int],
    seconds: float,
    accelerator: str = "cpu",
    kinds: list[str] | None = None,
) -> None:
    """Measures what is missing, within a number of seconds.

    Args:
        folder: What the first step wrote.
        output: The CSV file that rows are appended to.
        threads: Numbers of threads.
        seconds: Time to take for all of it.
        accelerator: `"cpu"`, or `"gpu"` for `CompiledModel` on one.
        kinds: Kinds of groups to measure; all by default.
    """
    groups = json.loads((folder / "groups.json").read_text())
    done = {tuple(row[k] for k in _KEY) for row in read_rows(output, COLUMNS)}
    cells = [
        (group, count)
        for kind in kinds or ["network", "layer", "operations"]
        for group in groups
        if group["kind"] == kind
        for count in threads
    ]
    cells = [
        (group, count)
        for group, count in cells
        if any(
            (accelerator, group["name"], form, str(count)) not in done
            for form in group["forms"]
        )
    ]
    machine = processor()
    end = time.perf_counter() + seconds
    for i, (group, count) in enumerate(cells):
        left = end - time.perf_counter()
        if left <= 0:
            print(f"Time is up: {len(cells) - i} of {len(cells)} cells left.")
            return
        share = left / (len(cells) - i)
        # Large networks take longer to load than small layers to run.
        share *= 3.0 if group["kind"] == "network" else 0.9
        rows = _measured(folder, group, count, min(share, left), accelerator)
        for row in rows:
            append_row(output, COLUMNS, {**machine, **row})
            print(*row.values(), flush=True)


def processor() -> dict[str, Any]:
    """Returns the processor's name, the width of its vectors, and its cores."""
    name, flags = platform.processor() or platform.machine(), ""
    info = pathlib.Path("/proc/cpuinfo")
    if info.exists():
        fields: dict[str, str] = {}
        for line in info.read_text().splitlines():
            key, _, value = line.partition(":")
            fields.setdefault(key.strip(), value.strip())
        name = fields.get("model name", name)
        flags = fields.get("flags", fields.get("Features", ""))
    widths = {"avx512f": 512, "avx2": 256, "avx": 256, "sve": 0, "asimd": 128}
    bits = next((w for f, w in widths.items() if f in flags.split()), 0)
    return {
        "processor": name,
        "vector_bits": bits or "unknown",
        "cores": os.cpu_count(),
    }


def _measured(
    folder: pathlib.Path,
    group: Mapping[str, Any],
    threads: int,
    seconds: float,
    accelerator: str,
) -> list[dict[str, Any]]:
    start = time.perf_counter()
    load = _load_on_gpu if accelerator == "gpu" else _load
    calls, operations = {}, {}
    for form in group["forms"]:
        path = folder / group["name"] / f"{form}.tflite.xz"
        content = read_compressed(path)
        try:
            calls[form], operations[form] = load(content, threads)
        except (ValueError, RuntimeError) as error:
            print(f"{path}: {error}")
    times = _in_turns(calls, start + seconds)
    rows = []
    first = next(iter(times.values()), None)
    for form, taken in times.items():
        low, median, high = np.percentile(taken, [10, 50, 90]) * 1e6
        rows.append(
            {
                "accelerator": accelerator,
                "kind": group["kind"],
                "group": group["name"],
                "form": form,
                "threads": threads,
                "repeated": group["forms"][form],
                "rounds": len(taken),
                "median_us": f"{median:.2f}",
                "low_us": f"{low:.2f}",
                "high_us": f"{high:.2f}",
                "speed_up": f"{np.median(first / taken):.4f}",
                "operations": operations[form],
            }
        )
    return rows


def _load(content: bytes, threads: int) -> tuple[Callable[[], Any], int]:
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_content=content, num_threads=threads)
    interpreter.allocate_tensors()
    generator = np.random.default_rng(0)
    for detail in interpreter.get_input_details():
        values = generator.normal(size=detail["shape"]).astype(np.float32)
        interpreter.set_tensor(detail["index"], values)

    def call(_content: bytes = content) -> None:
        interpreter.invoke()

    # Operators of the file and those that delegates took them into.
    return call, len(interpreter._get_ops_details())


def _load_on_gpu(content: bytes, threads: int) -> tuple[Callable[[], Any], int]:
    import tempfile

    from ai_edge_litert.compiled_model import CompiledModel
    from ai_edge_litert.hardware_accelerator import HardwareAccelerator

    del threads
    with tempfile.NamedTemporaryFile(suffix=".tflite") as file:
        file.write(content)
        file.flush()
        model = CompiledModel.from_file(file.name, HardwareAccelerator.GPU)
    signature = next(iter(model.get_signature_list()))
    taken = model.get_input_tensor_details(signature).values()
    given = next(iter(model.get_output_tensor_details(signature).values()))
    inputs = model.create_input_buffers(0)
    outputs = model.create_output_buffers(0)
    generator = np.random.default_rng(0)
    for buffer, detail in zip(inputs, taken):
        values = generator.normal(size=detail["shape"]).astype(np.float32)
        buffer.write(values.ravel())
    size = int(np.prod(given["shape"]))

    def call() -> None:
        model.run_by_index(0, inputs, outputs)
        # Without reading the result nothing is waited for.
        outputs[0].read(size, np.float32)

    return call, int(model.is_fully_accelerated())


def _in_turns(
    calls: Mapping[str, Callable[[], Any]], end: float
) -> dict[str, np.ndarray]:
    """Seconds of a call of each, round by round, until a point in time."""
    generator = np.random.default_rng(0)
    repeats = {form: _repeats(call) for form, call in calls.items()}
    names = list(calls)
    times: dict[str, list[float]] = {form: [] for form in names}
    for done in range(_MOST_ROUNDS):
        if done >= _FEWEST_ROUNDS and time.perf_counter() > end:
            break
        for i in generator.permutation(len(names)):
            call, count = calls[names[i]], repeats[names[i]]
            # The first call after another file's finds the caches cold.
            call()
            start = time.perf_counter()
            for _ in range(count):
                call()
            taken = (time.perf_counter() - start) / count
            times[names[i]].append(taken)
    return {form: np.array(taken) for form, taken in times.items()}


def _repeats(call: Callable[[], Any]) -> int:
    seconds = 0.0
    for _ in range(3):
        start = time.perf_counter()
        call()
        seconds = time.perf_counter() - start
    return max(1, int(np.ceil(_TURN_SECONDS / max(seconds, 1e-7))))


if __name__ == "__main__":
    main()
