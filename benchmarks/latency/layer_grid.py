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
"""The grid of single layers, each packed for as many threads as it runs on.

The first step writes the files; the second runs on a machine that has NumPy and
`ai-edge-litert` only, the dense file and the packed ones of a layer in turns.

```
python -m benchmarks.latency.layer_grid --prepare --folder=FOLDER
python -m benchmarks.latency.layer_grid --folder=FOLDER \
    --output=layer_grid.csv --seconds=240
```

Layers are those of `layers.py`, and `OTHERS`, whose shapes the costs weren't
fitted to; blocks are dropped at random. `--blocks=suggested` takes those that
`latency_block_size` suggests for each layer. What stays dense is the same file
and isn't timed. Weights are a power of two with random signs, so that files are
small.
"""

import argparse
import json
import pathlib
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from benchmarks.latency.masked_networks import loaded, turns
from benchmarks.shared.csv_rows import write_rows
from benchmarks.shared.realtime_scheduling import realtime_scheduling
from benchmarks.shared.small_files import random_signs, write_compressed

THREADS = (1, 2, 4)
BLOCKS = ("16", "32", "64")
SUGGESTED = "suggested"
SPARSITIES = (0.7, 0.8, 0.9)
# Name, inputs, outputs, side of the kernel and of the image (0 for a Dense),
# and samples in a call.
OTHERS = (
    ("other/dense-768-3072-1", 768, 3072, 0, 0, 1),
    ("other/dense-1024-1024-48", 1024, 1024, 0, 0, 48),
    ("other/dense-1536-1536-48", 1536, 1536, 0, 0, 48),
    ("other/dense-768-3072-128", 768, 3072, 0, 0, 128),
    ("other/dense-2304-768-128", 2304, 768, 0, 0, 128),
    ("other/conv3x3-28-192-192", 192, 192, 3, 28, 1),
    ("other/conv3x3-14-384-768", 384, 768, 3, 14, 1),
    ("other/conv1x1-28-192-768", 192, 768, 1, 28, 1),
    ("other/conv1x1-14-768-384", 768, 384, 1, 14, 1),
    ("other/conv1x1-20-512-256", 512, 256, 1, 20, 1),
)
COLUMNS = (
    "layer",
    "batch",
    "block",
    "sparsity",
    "threads",
    "ideal",
    "dense_us",
    "packed_us",
    "speed_up",
    "share_of_ideal",
    "lowering",
    "rounds",
)


def main() -> None:
    """Prepares the files, or measures them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--prepare", action="store_true")
    parser.add_argument("--folder", required=True)
    parser.add_argument("--output", default="layer_grid.csv")
    parser.add_argument("--seconds", type=float, default=240.0)
    parser.add_argument("--layers", default="", help="What names begin with.")
    parser.add_argument("--threads", default="1,2,4", help="Numbers of them.")
    parser.add_argument(
        "--blocks",
        default=",".join(BLOCKS),
        help=f"Sides of blocks, or {SUGGESTED!r}.",
    )
    parser.add_argument(
        "--realtime",
        action="store_true",
        help="Time under the real-time scheduler (root).",
    )
    options = parser.parse_args()
    folder = pathlib.Path(options.folder)
    if options.prepare:
        threads = [int(n) for n in options.threads.split(",")]
        prepare(folder, options.layers, threads, options.blocks.split(","))
    else:
        with realtime_scheduling(options.realtime):
            measure(folder, options.output, options.seconds)


def prepare(
    folder: pathlib.Path,
    layers: str = "",
    threads: Sequence[int] = THREADS,
    blocks: Sequence[str] = BLOCKS,
) -> None:
    """Writes the files, compressed, and `layers.json` of what they are.

    Args:
        folder: Where to write.
        layers: What the names of the layers begin with.
        threads: Numbers of threads to pack them for.
        blocks: Sides of blocks, or "suggested".
    """
    from benchmarks.latency.layer_shapes import LAYERS, Layer, dense_model
    from benchmarks.latency.masked_networks import converted
    from tfmot_sapp.export.tflite.packing import compare_files, packed_content
    from tfmot_sapp.targets.cpu_target import CpuTarget

    folder.mkdir(parents=True, exist_ok=True)
    entries: list[dict[str, Any]] = []
    for number, layer in enumerate((*LAYERS, *(Layer(*o) for o in OTHERS))):
        if not layer.name.startswith(layers):
            continue
        source = converted(dense_model(layer, 0), layer.batch)
        files: dict[bytes, str] = {}
        # Dense, any mask takes as long.
        any_mask, _ = masked_layer(source, (16, 16), SPARSITIES[0])
        dense = _written(any_mask, number, files, folder)
        for block in blocks:
            sides = _sides(block, layer.inputs, layer.outputs)
            if sides is None:
                continue
            named = "x".join(map(str, sides)) if block == SUGGESTED else block
            for sparsity in SPARSITIES:
                content, density = masked_layer(source, sides, sparsity)
                for count in threads:
                    packed, rows = packed_content(content, CpuTarget(count))
                    how = sorted({row["lowering"] for row in rows})
                    entry = {
                        "layer": layer.name,
                        "batch": layer.batch,
                        "block": named,
                        "sparsity": sparsity,
                        "threads": count,
                        "density": density,
                        "lowering": "+".join(how) or "dense",
                        "dense": dense,
                        "packed": dense,
                    }
                    if packed is not content:
                        compare_files(content, packed)
                        name = _written(packed, number, files, folder)
                        entry["packed"] = name
                    entries.append(entry)
        print(layer.name, len(files), "files", flush=True)
    (folder / "layers.json").write_text(json.dumps(entries, indent=1) + "\n")


def _sides(block: str, inputs: int, outputs: int) -> tuple[int, int] | None:
    """Inputs and outputs of a block; none where none is suggested."""
    from tfmot_sapp.targets.cpu_target import CpuTarget

    if block == SUGGESTED:
        return CpuTarget().block_size(inputs, outputs)
    return int(block), int(block)


def _written(
    content: bytes, number: int, files: dict[bytes, str], folder: pathlib.Path
) -> str:
    """Writes a file unless it has been written, and returns its name."""
    if content not in files:
        files[content] = f"{number}-{len(files)}.xz"
        write_compressed(folder / files[content], content)
    return files[content]


def masked_layer(
    content: bytes, sides: tuple[int, int], sparsity: float
) -> tuple[bytes, float]:
    """Gives a file's kernel random signs and a random mask of blocks.

    Args:
        content: The bytes of a `.tflite` file of one layer.
        sides: Inputs and outputs of a block.
        sparsity: Fraction of the blocks that go.

    Returns:
        The bytes of the new file, and the kernel's density.
    """
    from tfmot_sapp.blocks.selection import kept_blocks
    from tfmot_sapp.compiler.readers.tflite import read_tflite
    from tfmot_sapp.compiler.writers.tflite import write_tflite

    graph = read_tflite(content)
    (value,) = (
        operation.inputs[1]
        for operation in graph.main.operations
        if operation.kind in ("CONV_2D", "FULLY_CONNECTED")
    )
    assert value is not None and value.contents is not None
    rng = np.random.default_rng(0)
    kernel = np.moveaxis(value.contents, 0, -1)
    grid = [-(-n // side) for n, side in zip(kernel.shape[-2:], sides)]
    kept = np.zeros(grid[0] * grid[1], np.float32)
    kept[: kept_blocks(kept.size, sparsity)] = 1.0
    mask = np.kron(rng.permutation(kept).reshape(grid), np.ones(sides))
    mask = mask[: kernel.shape[-2], : kernel.shape[-1]]
    weights = np.moveaxis(random_signs(kernel.shape, mask, rng), -1, 0)
    value.stored = np.ascontiguousarray(weights).reshape(-1).view(np.uint8)
    return write_tflite(graph), float(mask.mean())


def measure(folder: pathlib.Path, output: str, seconds: float) -> None:
    """Times the files of each layer in turns, and writes a CSV file.

    Args:
        folder: What `prepare` wrote.
        output: The CSV file.
        seconds: How long all may take.
    """
    groups: dict[tuple[str, int], list[dict[str, Any]]] = {}
    for entry in json.loads((folder / "layers.json").read_text()):
        key = entry["layer"], entry["threads"]
        groups.setdefault(key, []).append(entry)
    files = sum(len({e["packed"] for e in g} | {""}) for g in groups.values())

    def cells() -> Iterator[list[tuple[Any, ...]]]:
        for (_, threads), entries in groups.items():
            names = {e[form] for e in entries for form in ("dense", "packed")}
            calls = {name: loaded(folder / name, threads) for name in names}
            times = turns(calls, seconds * len(names) / files)
            yield [_row(entry, times) for entry in entries]

    write_rows(output, COLUMNS, cells())


def _row(
    entry: dict[str, Any], times: dict[str, list[float]]
) -> tuple[Any, ...]:
    dense, packed = (
        float(np.median(times[entry[form]])) for form in ("dense", "packed")
    )
    return (
        *(entry[n] for n in ("layer", "batch", "block", "sparsity", "threads")),
        f"{1 / entry['density']:.2f}",
        f"{dense:.1f}",
        f"{packed:.1f}",
        f"{dense / packed:.3f}",
        f"{dense / packed * entry['density']:.2f}",
        entry["lowering"],
        len(times[entry["packed"]]),
    )


if __name__ == "__main__":
    main()
