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
"""Usual architectures on a machine with more threads.

The first step packs the models of `architectures.py` for each number of
threads; the second runs on a machine that has NumPy and `ai-edge-litert` only,
the dense file and the packed one in turns.

```
python -m benchmarks.latency.architecture_files --prepare --folder=FOLDER
python -m benchmarks.latency.architecture_files --folder=FOLDER \
    --output=architecture_threads.csv --seconds=170
```

The files that are timed have the operations, shapes and zeros of those, and
weights of random signs, so that they are small. What stays dense for a number
of threads is not written.
"""

import argparse
import json
import pathlib
import tempfile
from typing import Any

import numpy as np

from benchmarks.latency.masked_networks import loaded, turns
from benchmarks.shared.csv_rows import write_rows
from benchmarks.shared.small_files import write_compressed

THREADS = (1, 2, 4)
_SPARSITY, _SIDE = 0.9, 32
COLUMNS = (
    "model",
    "threads",
    "dense_us",
    "packed_us",
    "speed_up",
    "ideal",
    "share_of_ideal",
    "rounds",
)
# Fewer weights are left as they are.
_FEW = 512


def main() -> None:
    """Prepares the files, or measures them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--prepare", action="store_true")
    parser.add_argument("--folder", required=True)
    parser.add_argument("--models", default="")
    parser.add_argument("--output", default="architecture_threads.csv")
    parser.add_argument("--seconds", type=float, default=170.0)
    options = parser.parse_args()
    folder = pathlib.Path(options.folder)
    if options.prepare:
        folder.mkdir(parents=True, exist_ok=True)
        prepare(options.models.split(",") if options.models else [], folder)
    else:
        measure(folder, options.output, options.seconds)


def prepare(models: list[str], folder: pathlib.Path) -> None:
    """Writes the dense file of each model, and one packed for each target.

    Args:
        models: Their names; all if there are none.
        folder: Where to write: files, and `models.json`, what is ideal.
    """
    import tfmot_sapp as sapp
    from benchmarks.latency.architecture_models import MODELS, prune_at_random
    from benchmarks.latency.architectures import ideal_speed_up, signature_of

    path = folder / "models.json"
    ideal = json.loads(path.read_text()) if path.exists() else {}
    for name in models or MODELS:
        if name in ideal:
            continue
        model = MODELS[name]()
        prune_at_random(model, (_SIDE, _SIDE), 1 - _SPARSITY)
        with tempfile.TemporaryDirectory() as temporary:
            dense = pathlib.Path(temporary) / "dense.tflite"
            signature = signature_of(model)
            sapp.export_tflite(
                model, dense, input_signature=signature, tolerance=1e-3
            )
            content = dense.read_bytes()
            _write(folder / f"{name}-dense.xz", content)
            for threads in THREADS:
                packed = pathlib.Path(temporary) / "packed.tflite"
                target = sapp.CpuTarget(threads)
                sapp.pack_tflite(dense, packed, target=target, tolerance=1e-3)
                packed_content = packed.read_bytes()
                if packed_content != content:
                    _write(folder / f"{name}-{threads}.xz", packed_content)
        ideal[name] = ideal_speed_up(content)
        path.write_text(json.dumps(ideal, indent=1) + "\n")
        print(name, f"{ideal[name]:.2f}", flush=True)


def _write(path: pathlib.Path, content: bytes) -> None:
    """Writes a file with weights of random signs, compressed."""
    from tfmot_sapp.compiler.readers.tflite import read_tflite
    from tfmot_sapp.compiler.writers.tflite import write_tflite

    graph, rng = read_tflite(content), np.random.default_rng(0)
    seen = set()
    for subgraph in graph.subgraphs:
        for operation in subgraph.operations:
            for value in operation.inputs:
                if value is None or id(value) in seen:
                    continue
                seen.add(id(value))
                weights = value.contents
                if weights is None or weights.dtype != np.float32:
                    continue
                if weights.size < _FEW:
                    continue
                signs = rng.integers(0, 2, weights.shape) * 2.0 - 1.0
                made = np.float32(2.0**-5) * signs * (weights != 0)
                flat = made.astype(np.float32).reshape(-1)
                value.stored = flat.view(np.uint8)
    write_compressed(path, write_tflite(graph))


def measure(folder: pathlib.Path, output: str, seconds: float) -> None:
    """Times the files of each model in turns, and writes a CSV file.

    Args:
        folder: What `prepare` wrote.
        output: The CSV file.
        seconds: How long all may take.
    """
    ideal = json.loads((folder / "models.json").read_text())
    each = seconds / (len(ideal) * len(THREADS))
    cells = (
        _rows(name, threads, folder, ideal[name], each)
        for name in ideal
        for threads in THREADS
    )
    write_rows(output, COLUMNS, cells)


def _rows(
    name: str, threads: int, folder: pathlib.Path, ideal: float, seconds: float
) -> list[tuple[Any, ...]]:
    calls = {"dense": loaded(folder / f"{name}-dense.xz", threads)}
    path = folder / f"{name}-{threads}.xz"
    if path.exists():
        calls["packed"] = loaded(path, threads)
    times = turns(calls, seconds)
    dense = packed = float(np.median(times["dense"]))
    if path.exists():
        packed = float(np.median(times["packed"]))
    gain = dense / packed
    figures = f"{dense:.1f}", f"{packed:.1f}", f"{gain:.2f}"
    share = f"{gain / ideal:.2f}"
    rounds = len(times["dense"])
    return [(name, threads, *figures, f"{ideal:.2f}", share, rounds)]


if __name__ == "__main__":
    main()
