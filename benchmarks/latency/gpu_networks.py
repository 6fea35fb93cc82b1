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
"""Whole networks packed for a GPU, beside dense ones, on LiteRT's accelerator.

The first step writes the files; the second runs on a machine with a GPU and its
driver, NumPy and `ai-edge-litert`. Every file is compared with the dense one on
the same GPU, both in float32, and with the dense one on a CPU.

```
python -m benchmarks.latency.gpu_networks --prepare --folder=FOLDER
python -m benchmarks.latency.gpu_networks --folder=FOLDER \
    --output=gpu_networks.csv --seconds=60
```

Masks are those of `masked_networks.py`. Each is packed for a `GpuTarget`, which
keeps dense what is faster dense, and "packed" as if the GPU's operations cost
nothing, so that something is packed.
"""

import argparse
import dataclasses
import json
import pathlib
import time
from typing import Any

import numpy as np

from benchmarks.latency.masked_networks import (
    MASKS,
    NETWORKS,
    converted,
    dense_model,
    loaded,
    masked,
)
from benchmarks.shared.csv_rows import write_rows
from benchmarks.shared.small_files import read_compressed, write_compressed

FORMS = ("dense", "for GPU", "packed")
COLUMNS = (
    "network",
    "masks",
    "form",
    "fully_accelerated",
    "operations",
    "median_us",
    "speed_up",
    "error_on_gpu",
    "error_to_cpu",
    "rounds",
)
_FEWEST_TURNS = 10


def main() -> None:
    """Prepares the files, or measures them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--prepare", action="store_true")
    parser.add_argument("--folder", required=True)
    parser.add_argument("--output", default="gpu_networks.csv")
    parser.add_argument("--seconds", type=float, default=60.0)
    options = parser.parse_args()
    folder = pathlib.Path(options.folder)
    if options.prepare:
        folder.mkdir(parents=True, exist_ok=True)
        for name in NETWORKS:
            prepare(name, folder)
    else:
        measure(folder, options.output, options.seconds)


def prepare(name: str, folder: pathlib.Path) -> None:
    """Writes the files of a network.

    Args:
        name: One of `NETWORKS`.
        folder: Where to write.
    """
    from tfmot_sapp.compiler.readers.tflite import read_tflite
    from tfmot_sapp.export.tflite.packing import compare_files, packed_content
    from tfmot_sapp.targets.gpu_target import GpuTarget

    source = converted(dense_model(name))
    index = folder / "gpu_networks.json"
    counts = json.loads(index.read_text()) if index.exists() else {}
    for kind, sparsity in MASKS.items():
        content = masked(source, kind, sparsity)
        files = {"dense": content}
        for form, target in (("for GPU", GpuTarget()), ("packed", _eager())):
            files[form], _ = packed_content(content, target)
            compare_files(content, files[form])
        for form, each in files.items():
            path = folder / f"{name}-{kind}-{form.replace(' ', '_')}.xz"
            if form == "dense" or each is not content:
                write_compressed(path, each)
            count = sum(len(s.operations) for s in read_tflite(each).subgraphs)
            counts[path.name] = count
            print(path.name, len(each), count, flush=True)
    index.write_text(json.dumps(counts, indent=1) + "\n")


def _eager() -> Any:
    """A `GpuTarget` on which operations cost nothing."""
    from tfmot_sapp.targets.gpu_target import GpuTarget

    class Eager(GpuTarget):
        def costs(self, quantize: str | None = None) -> Any:
            found = super().costs(quantize)
            return dataclasses.replace(found, operation=0.2, margin=1.0)

    return Eager()


def measure(folder: pathlib.Path, output: str, seconds: float) -> None:
    """Times the files of each network in turns, and writes a CSV file.

    Args:
        folder: What `prepare` wrote.
        output: The CSV file.
        seconds: How long all may take.
    """
    counts = json.loads((folder / "gpu_networks.json").read_text())
    pairs = [
        (name, kind)
        for name in NETWORKS
        for kind in MASKS
        if (folder / f"{name}-{kind}-dense.xz").exists()
    ]
    cells = (
        _rows(name, kind, folder, counts, seconds / len(pairs))
        for name, kind in pairs
    )
    write_rows(output, COLUMNS, cells)


def _rows(
    name: str,
    kind: str,
    folder: pathlib.Path,
    counts: dict[str, int],
    seconds: float,
) -> list[tuple[Any, ...]]:
    from tfmot_sapp.export.accelerated import on_gpu

    paths = {
        form: folder / f"{name}-{kind}-{form.replace(' ', '_')}.xz"
        for form in FORMS
    }
    files, exact = {}, {}
    for form, path in paths.items():
        # What stays dense isn't written again.
        path = path if path.exists() else paths["dense"]
        content = read_compressed(path)
        files[form] = on_gpu(content)
        exact[form] = on_gpu(content, in_float32=True)
    rng = np.random.default_rng(0)
    inputs = [
        rng.normal(size=shape).astype(np.float32)
        for shape in files["dense"].shapes
    ]
    given = {form: file.run(inputs)[0] for form, file in exact.items()}
    on_cpu = _on_cpu(paths["dense"], inputs)
    scale = float(np.abs(on_cpu).max())
    times: dict[str, list[float]] = {form: [] for form in files}
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or len(times["dense"]) < _FEWEST_TURNS:
        for form, file in files.items():
            start = time.perf_counter()
            file.run(inputs)
            times[form].append(1e6 * (time.perf_counter() - start))
    base = float(np.median(times["dense"]))
    return [
        (
            name,
            kind,
            form,
            file.is_whole,
            counts[paths[form].name],
            f"{np.median(times[form]):.1f}",
            f"{base / np.median(times[form]):.3f}",
            f"{np.abs(given[form] - given['dense']).max() / scale:.1e}",
            f"{np.abs(given[form] - on_cpu).max() / scale:.1e}",
            len(times[form]),
        )
        for form, file in files.items()
    ]


def _on_cpu(path: pathlib.Path, inputs: list[np.ndarray]) -> np.ndarray:
    interpreter = loaded(path, 4)
    for detail, value in zip(interpreter.get_input_details(), inputs):
        interpreter.set_tensor(detail["index"], value)
    interpreter.invoke()
    output: np.ndarray = interpreter.get_tensor(
        interpreter.get_output_details()[0]["index"]
    )
    return output


if __name__ == "__main__":
    main()
