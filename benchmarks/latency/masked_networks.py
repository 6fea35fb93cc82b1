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
"""Whole networks with random and with grouped masks, at several threads.

The first step converts the networks, masks their kernels and packs them for
every number of threads; the second runs on a machine that has NumPy and
`ai-edge-litert` only, the dense file and the packed ones in turns.

```
python -m benchmarks.latency.masked_networks --prepare --folder=FOLDER
python -m benchmarks.latency.masked_networks --folder=FOLDER \
    --output=masked_networks.csv --seconds=170
```

Masks keep a tenth of the 32x32 blocks of a kernel at random ("random"), a tenth
of blocks of 32 inputs, but at most an eighth of them, and 128 outputs, equally
many for each output block ("wide"), or an eighth of the 32x32 blocks as
`GroupedAllocation` does, with the same groups of all channels that kernels
share ("agreeing"). Kernels of fewer than 16 blocks stay dense.
Weights are a power of two with random signs, so that files are small.
"""

import argparse
import os
import pathlib
import statistics
import time
from typing import Any

import numpy as np

from benchmarks.shared.csv_rows import write_rows
from benchmarks.shared.small_files import (
    random_signs,
    read_compressed,
    write_compressed,
)

THREADS = (4, 1, 8, 2)
NETWORKS = ("resnet50", "feed_forward", "mobilenet_v2")
MASKS = {"random": 0.9, "wide": 0.9, "agreeing": 0.875}
COLUMNS = (
    "network",
    "threads",
    "form",
    "median_us",
    "low_us",
    "high_us",
    "speed_up",
    "rounds",
)
_SIDE = 32
_FEWEST_BLOCKS = 16
_FEWEST_TURNS = 8


def main() -> None:
    """Prepares the files, or measures them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--prepare", action="store_true")
    parser.add_argument("--folder", required=True)
    parser.add_argument("--output", default="masked_networks.csv")
    parser.add_argument("--seconds", type=float, default=170.0)
    parser.add_argument("--networks", default=",".join(NETWORKS))
    options = parser.parse_args()
    folder = pathlib.Path(options.folder)
    networks = options.networks.split(",")
    if options.prepare:
        folder.mkdir(parents=True, exist_ok=True)
        for name in networks:
            prepare(name, folder)
    else:
        measure(networks, folder, options.output, options.seconds)


def prepare(name: str, folder: pathlib.Path) -> None:
    """Writes the dense file of a network and its packed ones, compressed.

    Args:
        name: One of `NETWORKS`.
        folder: Where to write.
    """
    from tfmot_sapp.export.tflite.packing import compare_files, packed_content
    from tfmot_sapp.targets.cpu_target import CpuTarget

    source = converted(dense_model(name))
    for kind, sparsity in MASKS.items():
        content = masked(source, kind, sparsity)
        write_compressed(folder / f"{name}-dense.xz", content)
        for threads in THREADS:
            packed, rows = packed_content(content, CpuTarget(threads))
            compare_files(content, packed)
            path = folder / f"{name}-{kind}-{threads}.xz"
            write_compressed(path, packed)
            print(path.name, len(packed), {row["lowering"] for row in rows})


def masked(content: bytes, kind: str, sparsity: float) -> bytes:
    """Gives the kernels of a file random weights and a mask.

    Args:
        content: The bytes of a `.tflite` file.
        kind: One of `MASKS`.
        sparsity: Share of the blocks that go.

    Returns:
        The bytes of the new file.
    """
    from tfmot_sapp.compiler.readers.tflite import read_tflite
    from tfmot_sapp.compiler.writers.tflite import write_tflite

    graph = read_tflite(content)
    rng = np.random.default_rng(0)
    kernels = {}
    for i, operation in enumerate(graph.main.operations):
        if operation.kind in ("CONV_2D", "FULLY_CONNECTED"):
            kernels[f"kernel_{i}"] = operation.inputs[1]
    masks = _masks(kernels, _channels(graph.main), kind, sparsity, rng)
    for name, value in kernels.items():
        kernel = np.moveaxis(value.contents, 0, -1)
        rows, columns = kernel.shape[-2:]
        block = _block(rows, kind)
        mask = np.kron(masks[name], np.ones(block))[:rows, :columns]
        weights = np.moveaxis(random_signs(kernel.shape, mask, rng), -1, 0)
        value.stored = np.ascontiguousarray(weights).reshape(-1).view(np.uint8)
    return write_tflite(graph)


def _masks(
    kernels: dict[str, Any],
    channels: list[tuple[str | None, str | None]],
    kind: str,
    sparsity: float,
    rng: np.random.Generator,
) -> dict[str, np.ndarray]:
    """A mask of blocks for every kernel; of ones where it stays dense."""
    from tfmot_sapp.allocations.balanced_allocation import BalancedAllocation
    from tfmot_sapp.allocations.grouped_allocation import GroupedAllocation

    masks, scores, names = {}, {}, {}
    for (name, value), pair in zip(kernels.items(), channels, strict=True):
        shape = (value.shape[-1], value.shape[0])
        block = _block(shape[0], kind)
        grid = tuple(-(-n // side) for n, side in zip(shape, block))
        masks[name] = np.ones(grid, bool)
        if min(grid) > 1 and grid[0] * grid[1] >= _FEWEST_BLOCKS:
            scores[name], names[name] = rng.random(grid), pair
    if kind == "random":
        for name, score in scores.items():
            masks[name] = score > np.quantile(score, sparsity)
        return masks
    allocation: BalancedAllocation | GroupedAllocation = BalancedAllocation()
    if kind == "agreeing":
        allocation = GroupedAllocation(channels=names)
    alive = {name: masks[name] for name in scores}
    return {**masks, **allocation.allocate(scores, alive, sparsity)}


def _block(inputs: int, kind: str) -> tuple[int, int]:
    """Channels of an input and of an output block."""
    if kind == "wide":
        return min(_SIDE, max(1, inputs // 8)), 4 * _SIDE
    return _SIDE, _SIDE


def _channels(subgraph: Any) -> list[tuple[str | None, str | None]]:
    """Names of the channels that each kernel of a file reads and makes.

    Where others know their order, there is none.
    """
    from tfmot_sapp.compiler.analysis.channel_classes import channel_classes
    from tfmot_sapp.compiler.graph import Packable
    from tfmot_sapp.compiler.readers.subgraph import read_subgraph
    from tfmot_sapp.frameworks.channel_operations import Linear

    graph = read_subgraph(subgraph)
    classes = channel_classes(graph)
    numbers = {
        each: None if each.is_fixed else f"channels_{i}"
        for i, each in enumerate(classes.values())
    }
    return [
        (numbers[classes[node.inputs[0]]], numbers[classes[node.output]])
        for node in graph.nodes
        if isinstance(node, Packable) and isinstance(node.core, Linear)
    ]


def dense_model(name: str) -> Any:
    """Builds a network.

    Args:
        name: One of `NETWORKS`.
    """
    import keras

    if name == "feed_forward":
        inputs = keras.Input((128, 768))
        x = keras.layers.Dense(3072, "relu")(inputs)
        return keras.Model(inputs, keras.layers.Dense(768)(x))
    if name == "resnet50":
        return keras.applications.ResNet50(weights=None)
    return keras.applications.MobileNetV2(weights=None)


def converted(model: Any, batch_size: int = 1) -> bytes:
    """Returns a dense model as the bytes of a file.

    Args:
        model: A Keras model.
        batch_size: Samples in a call.
    """
    from tfmot_sapp.export.serving import serving_of
    from tfmot_sapp.export.tflite.conversion import convert
    from tfmot_sapp.targets.cpu_target import CpuTarget

    serving = serving_of(model, batch_size, None)
    return convert(serving, None, None, "float32", None, CpuTarget())


def measure(
    networks: list[str], folder: pathlib.Path, output: str, seconds: float
) -> None:
    """Times the files of each network in turns, and writes a CSV file.

    Args:
        networks: Some of `NETWORKS`.
        folder: What `prepare` wrote.
        output: The CSV file.
        seconds: How long all may take.
    """
    each = seconds / (len(networks) * len(THREADS))
    cells = (
        _rows(name, threads, folder, each)
        for name in networks
        for threads in THREADS
    )
    write_rows(output, COLUMNS, cells)


def _rows(
    name: str, threads: int, folder: pathlib.Path, seconds: float
) -> list[tuple[Any, ...]]:
    names = {"dense": f"{name}-dense.xz"} | {
        kind: f"{name}-{kind}-{threads}.xz" for kind in MASKS
    }
    times = turns(
        {
            form: loaded(folder / file, threads)
            for form, file in names.items()
            if os.path.exists(folder / file)
        },
        seconds,
    )
    base = statistics.median(times["dense"])
    rows = []
    for form, taken in times.items():
        low, high = np.percentile(taken, [25, 75])
        median = statistics.median(taken)
        figures = (f"{n:.1f}" for n in (median, low, high))
        ratio = f"{base / median:.3f}"
        rows.append((name, threads, form, *figures, ratio, len(taken)))
    return rows


def turns(calls: dict[str, Any], seconds: float) -> dict[str, list[float]]:
    """Times interpreters in turns.

    Args:
        calls: The interpreters by name.
        seconds: How long it may take.

    Returns:
        Microseconds of each call by name.
    """
    times: dict[str, list[float]] = {form: [] for form in calls}
    end = time.perf_counter() + seconds
    done = 0
    while time.perf_counter() < end or done < _FEWEST_TURNS:
        done += 1
        for form, interpreter in calls.items():
            # The second call finds its weights where the first put them.
            interpreter.invoke()
            start = time.perf_counter()
            interpreter.invoke()
            times[form].append(1e6 * (time.perf_counter() - start))
    return times


def loaded(path: str | pathlib.Path, threads: int) -> Any:
    """Loads a compressed file into LiteRT and fills its inputs.

    Args:
        path: What was written.
        threads: Number of threads.
    """
    return interpreter_of(read_compressed(path), threads)


def interpreter_of(content: bytes, threads: int) -> Any:
    """Loads a file into LiteRT and fills its inputs.

    Args:
        content: The bytes of the file.
        threads: Number of threads.
    """
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_content=content, num_threads=threads)
    interpreter.allocate_tensors()
    for detail in interpreter.get_input_details():
        values = np.random.default_rng(0).normal(size=detail["shape"])
        if detail["dtype"] != np.float32:
            # Numbers of words, and kinds, of which there may be two.
            values = np.ones(detail["shape"])
        interpreter.set_tensor(detail["index"], values.astype(detail["dtype"]))
    return interpreter


if __name__ == "__main__":
    main()
