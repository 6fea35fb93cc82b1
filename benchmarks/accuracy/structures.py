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
"""Which structure of masks gives more accuracy for the time on some threads.

The first step trains the networks of `accuracy.py` with each structure at some
sparsities, and packs them for four threads; the second times the packed files
beside the dense one on a machine that has the threads, NumPy and
`ai-edge-litert`, and adds the times to the rows, in rows of their own for each
number of threads.

```
python -m benchmarks.accuracy.structures --data_dir=DIR --output_dir=DIR
python -m benchmarks.accuracy.structures --measure --threads=4 --output_dir=DIR
```

Blocks are free (`UniformAllocation`), equally many for each output block
(`BalancedAllocation`), shared by neighbouring output blocks
(`BundledAllocation`) or in groups that all layers agree on
(`GroupedAllocation`). All are chosen by block norms under the early ramp, at
the same learning rate. The files that are timed have the masks of the trained
network and weights of random signs, so that they are small.
"""

import argparse
import csv
import pathlib
from typing import Any

import numpy as np

from benchmarks.latency.masked_networks import loaded, turns
from benchmarks.shared.small_files import write_compressed

BATCHES = {"mlp": 256, "cnn": 32}
BLOCKS = {"mlp": 32, "cnn": 16}
SPARSITIES = (0.5, 0.75, 0.875)
STRUCTURES = ("free", "balanced", "bundled", "groups")
FIELDS = (
    "model",
    "structure",
    "block",
    "sparsity",
    "seed",
    "accuracy",
    "file",
    "threads",
    "dense_us",
    "packed_us",
    "speed_up",
)
# Those that files are packed for.
_THREADS = 4
_BATCH, _RATE = 128, 1e-3


def main() -> None:
    """Trains, or measures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--measure", action="store_true")
    parser.add_argument("--data_dir", default="")
    parser.add_argument("--output_dir", required=True)
    parser.add_argument("--dataset", default="fashion_mnist")
    parser.add_argument("--models", default="mlp,cnn")
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--threads", type=int, default=_THREADS)
    parser.add_argument("--seconds", type=float, default=30.0)
    options = parser.parse_args()
    folder = pathlib.Path(options.output_dir)
    if options.measure:
        measure(folder, options.threads, options.seconds)
        return
    folder.mkdir(parents=True, exist_ok=True)
    for model in options.models.split(","):
        train_all(
            model,
            options.dataset,
            options.data_dir,
            options.epochs,
            options.seeds,
            folder,
        )


def train_all(
    name: str,
    dataset: str,
    data_dir: str,
    epochs: int,
    seeds: int,
    folder: pathlib.Path,
) -> None:
    """Trains a network with every structure, and writes rows and files.

    Args:
        name: `"mlp"` or `"cnn"`.
        dataset: As in `accuracy.py`.
        data_dir: Where the data is.
        epochs: Epochs of a training.
        seeds: How many of them.
        folder: Where to write.
    """
    import keras

    import tfmot_sapp as sapp
    from benchmarks.accuracy import tasks
    from benchmarks.accuracy.methods import early, learning_rate

    task = tasks.load(dataset, name, data_dir).with_validation()
    steps = epochs * -(-len(task.training[0]) // _BATCH)
    rows = _rows(folder)
    for seed in range(1, seeds + 1):
        for structure, sparsity in _cells():
            stem = f"{name}-{structure}-{sparsity:g}-{seed}"
            if any(row["file"] == stem for row in rows):
                continue
            keras.utils.set_random_seed(seed)
            model = task.make()
            callbacks = []
            if structure != "dense":
                side = BLOCKS[name]
                model = sapp.prune_blocks(
                    model,
                    early(sparsity, steps),
                    {task.prunable: (side, side)},
                    sapp.Magnitude(),
                    _allocation(structure, model),
                    pruning_policy=sapp.MinimumBlocks(1),
                )
                callbacks = [sapp.UpdatePruningStep()]
            loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
            model.compile(
                keras.optimizers.Adam(learning_rate("late", _RATE, steps)),
                loss,
                steps_per_execution=20,
                jit_compile=name == "cnn",
            )
            model.fit(
                *task.training,
                batch_size=_BATCH,
                epochs=epochs,
                verbose=0,
                callbacks=callbacks,
            )
            if structure != "dense":
                model = sapp.strip_pruning(model)
            row = {
                "model": name,
                "structure": structure,
                "block": BLOCKS[name],
                "sparsity": sparsity,
                "seed": seed,
                "accuracy": f"{task.evaluate(model, task.test):.2f}",
                "file": stem,
                "threads": "",
            }
            _write(model, folder / f"{stem}.xz", BATCHES[name])
            rows.append(row)
            _save(rows, folder)
            print(*row.values(), flush=True)


def _cells() -> list[tuple[str, float]]:
    return [
        ("dense", 0.0),
        *((each, s) for s in SPARSITIES for each in STRUCTURES),
    ]


def _allocation(structure: str, model: Any) -> Any:
    import tfmot_sapp as sapp

    if structure == "free":
        return sapp.UniformAllocation()
    if structure == "balanced":
        return sapp.BalancedAllocation()
    if structure == "bundled":
        return sapp.BundledAllocation()
    names = [n.name for n in model.layers if n.name.startswith("hidden_")]
    channels = {
        layer: (f"channels_{i}", f"channels_{i + 1}")
        for i, layer in enumerate(names)
    }
    return sapp.GroupedAllocation(channels=channels)


def _write(model: Any, path: pathlib.Path, batch_size: int) -> None:
    """Packs the model's masks for four threads."""
    from benchmarks.latency.masked_networks import converted
    from tfmot_sapp.export.tflite.packing import compare_files, packed_content
    from tfmot_sapp.targets.cpu_target import CpuTarget

    rng = np.random.default_rng(0)
    for variable in model.weights:
        value = variable.numpy()
        if value.ndim > 1:
            signs = rng.integers(0, 2, value.shape) * 2 - 1
            variable.assign(2.0**-4 * signs * (value != 0))
    content = converted(model, batch_size)
    packed, _ = packed_content(content, CpuTarget(_THREADS))
    compare_files(content, packed)
    write_compressed(path, packed)


def measure(folder: pathlib.Path, threads: int, seconds: float) -> None:
    """Times all files in turns, and adds the times to the rows.

    Args:
        folder: What `train_all` wrote.
        threads: Number of threads to run the files on.
        seconds: How long all may take.
    """
    rows = _rows(folder)
    # What was timed on as many threads before is timed again.
    kept = [row for row in rows if row["threads"] not in ("", str(threads))]
    cells = {row["file"]: row for row in rows}
    names = sorted({row["model"] for row in rows})
    for name in names:
        mine = [row for row in cells.values() if row["model"] == name]
        calls = {
            row["file"]: loaded(folder / f"{row['file']}.xz", threads)
            for row in mine
        }
        times = turns(calls, seconds / len(names))
        dense = float(
            np.median(
                [
                    np.median(times[row["file"]])
                    for row in mine
                    if row["structure"] == "dense"
                ]
            )
        )
        for row in mine:
            packed = float(np.median(times[row["file"]]))
            timed = {
                **row,
                "threads": str(threads),
                "dense_us": f"{dense:.1f}",
                "packed_us": f"{packed:.1f}",
                "speed_up": f"{dense / packed:.2f}",
            }
            kept.append(timed)
            print(*timed.values(), flush=True)
    _save(kept, folder)


def _rows(folder: pathlib.Path) -> list[dict[str, Any]]:
    path = folder / "structures.csv"
    if not path.exists():
        return []
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def _save(rows: list[dict[str, Any]], folder: pathlib.Path) -> None:
    with (folder / "structures.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, FIELDS)
        writer.writeheader()
        writer.writerows(rows)


if __name__ == "__main__":
    main()
