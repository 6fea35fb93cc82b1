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
"""Whether packed models are as fast as `plan_pruning` was asked for.

The first step plans the networks for several speed-ups and numbers of threads,
prunes them at random as planned, and packs them; the second runs on a machine
that has NumPy and `ai-edge-litert` only, the dense file and the packed ones in
turns.

```
python -m benchmarks.latency.planned_networks --prepare --folder=FOLDER
python -m benchmarks.latency.planned_networks --folder=FOLDER \
    --output=planned_networks.csv --seconds=170
```

`90%` stands for the blocks of a plan, nine tenths of which go, whatever the
plan says of sparsities. With `--networks` the architectures of
`architecture_models.py` are planned, too, such as `BERT,GPT2,LSTM`; those of
open length for 128 tokens.
Weights are a power of two with random signs, so that files are small.
"""

import argparse
import dataclasses
import json
import pathlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from benchmarks.latency.masked_networks import dense_model, loaded, turns
from benchmarks.shared.csv_rows import write_rows
from benchmarks.shared.small_files import random_signs, write_compressed

THREADS = (4, 1, 2, 8)
NETWORKS = ("resnet50", "feed_forward", "mobilenet_v2")
SPEED_UPS = {
    "resnet50": (2.0, 3.0, 4.0),
    "feed_forward": (2.0, 4.0, 6.0),
    "mobilenet_v2": (1.25, 1.5, 2.0),
}
# Of the architectures.
_SPEED_UPS, _TOKENS = (1.5, 3.0), 128
COLUMNS = (
    "network",
    "threads",
    "asked_for",
    "estimated",
    "measured",
    "share",
    "dense_us",
    "packed_us",
    "rounds",
    "multiply_adds_left",
)


def main() -> None:
    """Prepares the files, or measures them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--prepare", action="store_true")
    parser.add_argument("--folder", required=True)
    parser.add_argument("--output", default="planned_networks.csv")
    parser.add_argument("--seconds", type=float, default=170.0)
    parser.add_argument("--networks", default=",".join(NETWORKS))
    parser.add_argument("--threads", default=",".join(map(str, THREADS)))
    options = parser.parse_args()
    folder = pathlib.Path(options.folder)
    networks = options.networks.split(",")
    threads = [int(n) for n in options.threads.split(",")]
    if options.prepare:
        folder.mkdir(parents=True, exist_ok=True)
        for name in networks:
            for count in threads:
                prepare(name, count, folder)
    else:
        measure(networks, threads, folder, options.output, options.seconds)


def prepare(name: str, threads: int, folder: pathlib.Path) -> None:
    """Writes what is planned for a network and a number of threads.

    Args:
        name: One of `NETWORKS`, or an architecture.
        threads: Threads that it will run on.
        folder: Where to write: files, and a `.json` file of what was asked.
    """
    import tfmot_sapp as sapp

    target = sapp.CpuTarget(threads)
    entries = []
    for speedup in SPEED_UPS.get(name, _SPEED_UPS):
        model = _dense(name)
        budget = sapp.LatencyBudget(speedup=speedup)
        try:
            plan = sapp.plan_pruning(model, budget, target)
        except ValueError as error:
            print(name, threads, speedup, error, flush=True)
            continue
        asked = f"{speedup:g}"
        left = _prune(model, plan)
        entries.append((asked, plan.speedup, left))
        _write(model, target, folder, name, f"{threads}-{asked}")
    if entries and name in NETWORKS:
        # The blocks of the last plan.
        left = _prune(model, plan, 0.9)
        entries.append(("90%", 0.0, left))
        _write(model, target, folder, name, f"{threads}-90%")
    path = folder / f"{name}-{threads}.json"
    path.write_text(json.dumps(entries) + "\n")
    print(name, threads, entries, flush=True)


def _dense(name: str) -> Any:
    """A network, or an architecture for a number of tokens."""
    if name in NETWORKS:
        return dense_model(name)
    import keras

    from benchmarks.latency.architecture_models import MODELS

    model = MODELS[name]()
    shapes = [tuple(tensor.shape) for tensor in model.inputs]
    if all(None not in shape[1:] for shape in shapes):
        return model
    inputs = keras.tree.map_structure(
        lambda tensor: keras.Input(
            (_TOKENS,), dtype=tensor.dtype, name=tensor.name
        ),
        model.input,
    )
    return keras.Model(inputs, model(inputs))


def _prune(
    model: Any, plan: Mapping[str, Any], sparsity: float | None = None
) -> float:
    """Prunes a model at random as planned; returns the multiply-adds left."""
    from tfmot_sapp.blocks.grid import expand
    from tfmot_sapp.planning.layer_times import LayerTimes
    from tfmot_sapp.planning.planned_model import PlannedModel
    from tfmot_sapp.targets.cpu_target import CpuTarget

    rng, target = np.random.default_rng(0), CpuTarget()
    layers = PlannedModel(model, target, 1, LayerTimes(target)).layers
    found = [kernel for kernels in layers.values() for kernel in kernels]
    grids = {
        planned.name: planned.kernel.grid(
            plan["block_size"][planned.layer.name]
        )
        for planned in found
        if planned.layer.name in plan["block_size"]
    }
    axes = {
        planned.name: planned.kernel.axes(grids[planned.name])
        for planned in found
        if planned.name in grids
    }
    scores = {
        name: np.moveaxis(rng.random(grid.cells), axes[name], (-2, -1))
        for name, grid in grids.items()
    }
    allocation = plan["allocation"]
    if sparsity is not None:
        targets = dict.fromkeys(scores, sparsity)
        allocation = dataclasses.replace(allocation, targets=targets)
    alive = {name: np.ones(s.shape, bool) for name, s in scores.items()}
    masks = allocation.allocate(scores, alive, 1.0, 1.0)
    before = after = 0.0
    for planned in found:
        shape = tuple(planned.kernel.shape)
        mask = np.ones(shape, np.float32)
        if (name := planned.name) in masks:
            blocks = np.moveaxis(masks[name], (-2, -1), axes[name])
            mask = expand(blocks.astype(np.float32), grids[name])
        planned.kernel.variable.assign(random_signs(shape, mask, rng))
        macs = planned.steps * planned.shape.rows * planned.shape.parameters
        before += macs
        after += macs * mask.mean()
    return float(after / before)


def _write(
    model: Any, target: Any, folder: pathlib.Path, name: str, what: str
) -> None:
    """Writes the packed file, and the dense one: any, all are as fast."""
    from benchmarks.latency.masked_networks import converted
    from tfmot_sapp.export.tflite.packing import compare_files, packed_content

    content = converted(model)
    packed, _ = packed_content(content, target)
    # Weights of random signs make more of rounding than trained ones do, and
    # norms of what they make still more.
    tolerance = 1e-4 if name in NETWORKS else 1e-3
    compare_files(content, packed, tolerance=tolerance)
    for form, each in (("dense", content), (what, packed)):
        path = folder / f"{name}-{form}.xz"
        write_compressed(path, each)


def measure(
    networks: list[str],
    threads: list[int],
    folder: pathlib.Path,
    output: str,
    seconds: float,
) -> None:
    """Times the files of each network in turns, and writes a CSV file.

    Args:
        networks: Those that are there.
        threads: Numbers of threads.
        folder: What `prepare` wrote.
        output: The CSV file.
        seconds: How long all may take.
    """
    each = seconds / (len(networks) * len(threads))
    cells = (
        _rows(name, count, folder, each)
        for name in networks
        for count in threads
    )
    write_rows(output, COLUMNS, cells)


def _rows(
    name: str, threads: int, folder: pathlib.Path, seconds: float
) -> list[tuple[Any, ...]]:
    path = folder / f"{name}-{threads}.json"
    entries = json.loads(path.read_text()) if path.exists() else []
    if not entries:
        return []
    calls = {"dense": loaded(folder / f"{name}-dense.xz", threads)}
    for asked, _, _ in entries:
        calls[asked] = loaded(folder / f"{name}-{threads}-{asked}.xz", threads)
    times = turns(calls, seconds)
    dense = float(np.median(times["dense"]))
    rows = []
    for asked, estimated, left in entries:
        packed = float(np.median(times[asked]))
        share = "" if asked == "90%" else f"{dense / packed / float(asked):.2f}"
        rows.append(
            (
                name,
                threads,
                asked,
                f"{estimated:.2f}" if estimated else "",
                f"{dense / packed:.2f}",
                share,
                f"{dense:.1f}",
                f"{packed:.1f}",
                len(times[asked]),
                f"{left:.3f}",
            )
        )
    return rows


if __name__ == "__main__":
    main()
