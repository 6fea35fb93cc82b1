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
"""Usual architectures, packed as `.tflite` files beside the dense ones.

```
python -m benchmarks.latency.architectures
python -m benchmarks.latency.architectures --models=BERT,LSTM --threads=2
```

Rows are appended to `architectures.csv`, one for each model and number of
threads, and a run goes on where the last one stopped. keras-hub's models need
the extra `[zoo]`. Multiply-adds are those of the dense file's operators, and
what is ideal leaves out those with weights of zero.
"""

import os
import pathlib
import resource
import tempfile
import time
from typing import Any

import numpy as np
import tensorflow as tf
from absl import app, flags

import tfmot_sapp as sapp
from benchmarks.latency.architecture_models import MODELS, prune_at_random
from benchmarks.shared.csv_rows import append_row, read_rows
from benchmarks.shared.realtime_scheduling import realtime_scheduling
from tfmot_sapp.base.tables import render
from tfmot_sapp.compiler.ir.graph import Operation
from tfmot_sapp.compiler.readers.tflite import read_tflite

FLAGS = flags.FLAGS
COLUMNS = (
    "model",
    "threads",
    "dense_ms",
    "packed_ms",
    "speed_up",
    "ideal",
    "share_of_ideal",
    "dense_bytes",
    "packed_bytes",
    "dense_operators",
    "packed_operators",
    "max_error",
    "pack_seconds",
    "peak_gb",
)


def define_flags() -> None:
    """Defines this program's flags."""
    flags.DEFINE_string(
        "output_dir", "benchmarks/latency/results", "Where to write."
    )
    flags.DEFINE_list("models", list(MODELS), "Which models.")
    flags.DEFINE_integer("block", 32, "Side of a block.")
    flags.DEFINE_float("sparsity", 0.9, "Fraction of the blocks that go.")
    flags.DEFINE_list("threads", ["1"], "Numbers of threads.")
    flags.DEFINE_bool(
        "realtime", False, "Time under the real-time scheduler (root)."
    )
    flags.DEFINE_integer("rounds", 60, "Rounds of turns.", 3)


def main(argv: list[str]) -> None:
    """Measures what is missing, then prints everything."""
    if len(argv) > 1:
        raise app.UsageError(f"Unexpected arguments: {argv[1:]}.")
    path = pathlib.Path(FLAGS.output_dir) / "architectures.csv"
    for name in FLAGS.models:
        rows = read_rows(path, COLUMNS)
        done = {row["threads"] for row in rows if row["model"] == name}
        missing = [n for n in FLAGS.threads if n not in done]
        if missing:
            for row in measure(name, missing):
                append_row(path, COLUMNS, row)
    print(table(read_rows(path, COLUMNS)))


def measure(name: str, threads: list[str]) -> list[dict[str, Any]]:
    """Converts, packs and times one model.

    Args:
        name: Its name.
        threads: Numbers of threads to time it with.

    Returns:
        A row for each number of threads.
    """
    model = MODELS[name]()
    side = FLAGS.block
    prune_at_random(model, (side, side), 1 - FLAGS.sparsity)
    with tempfile.TemporaryDirectory() as folder:
        dense = os.path.join(folder, "dense.tflite")
        packed = os.path.join(folder, "packed.tflite")
        sapp.export_tflite(
            model, dense, input_signature=signature_of(model), tolerance=1e-3
        )
        begin = time.process_time()
        result = sapp.pack_tflite(dense, packed)
        seconds = time.process_time() - begin
        content = pathlib.Path(dense).read_bytes()
        ideal = ideal_speed_up(content)
        rows = []
        for count in threads:
            with realtime_scheduling(FLAGS.realtime):
                times = sapp.benchmark(
                    {"dense": dense, "packed": packed},
                    threads=int(count),
                    rounds=FLAGS.rounds,
                )
            before, after = (t.median_ms for t in times.timings)
            rows.append(
                {
                    "model": name,
                    "threads": count,
                    "dense_ms": f"{before:.3f}",
                    "packed_ms": f"{after:.3f}",
                    "speed_up": f"{before / after:.2f}",
                    "ideal": f"{ideal:.2f}",
                    "share_of_ideal": f"{before / after / ideal:.2f}",
                    "dense_bytes": len(content),
                    "packed_bytes": result.size,
                    "dense_operators": _count(content),
                    "packed_operators": sum(result.ops.values()),
                    "max_error": f"{result.max_error:.1e}",
                    "pack_seconds": f"{seconds:.1f}",
                    "peak_gb": f"{_peak_gb():.2f}",
                }
            )
    return rows


def ideal_speed_up(content: bytes) -> float:
    """Multiply-adds of a dense file over those with weights that aren't zero.

    Args:
        content: The file's bytes.
    """
    before = after = 0.0
    for subgraph in read_tflite(content).subgraphs:
        for operation in subgraph.operations:
            macs, density = _multiply_adds(operation)
            before += macs
            after += macs * density
    return before / after


def _multiply_adds(operation: Operation) -> tuple[float, float]:
    """The multiply-adds of an operation, and its density."""
    if not operation.outputs or None in operation.outputs[0].shape:
        return 0.0, 1.0
    made = float(np.prod(operation.outputs[0].shape))
    kinds = ("CONV_2D", "FULLY_CONNECTED", "TRANSPOSE_CONV")
    if operation.kind in kinds:
        kernel = operation.inputs[1]
    elif operation.kind == "DEPTHWISE_CONV_2D":
        kernel = operation.inputs[1]
        assert kernel is not None
        return made * float(np.prod(kernel.shape[1:3])), 1.0
    elif operation.kind == "BATCH_MATMUL":
        left, kernel = operation.inputs
        axis = -2 if operation.attributes.get("adj_x") else -1
        assert left is not None
        made *= left.shape[axis] or 1
    else:
        return 0.0, 1.0
    contents = None if kernel is None else kernel.contents
    if operation.kind != "BATCH_MATMUL":
        assert kernel is not None
        made *= float(np.prod([n or 1 for n in kernel.shape[1:]]))
    if contents is None:
        return made, 1.0
    return made, np.count_nonzero(contents) / max(1, contents.size)


def signature_of(model: Any) -> Any:
    """Specs of a model's inputs, with what it leaves open set to 64."""

    def spec(tensor: Any) -> tf.TensorSpec:
        open_extents = 32 if "decoder" in tensor.name else 64
        if "encoder_features" in tensor.name:
            open_extents = 100
        shape = [1, *(n or open_extents for n in tensor.shape[1:])]
        return tf.TensorSpec(shape, tensor.dtype, tensor.name)

    return tf.nest.map_structure(spec, model.input)


def _count(content: bytes) -> int:
    return sum(len(s.operations) for s in read_tflite(content).subgraphs)


def _peak_gb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


def table(rows: list[dict[str, str]]) -> str:
    """Renders the rows.

    Args:
        rows: As in the CSV file.
    """
    columns = (
        "model",
        "threads",
        "speed_up",
        "ideal",
        "share_of_ideal",
        "dense_operators",
        "packed_operators",
        "max_error",
    )
    return render(
        columns,
        [[row[c] for c in columns] for row in rows],
        numeric=range(1, 8),
    )


if __name__ == "__main__":
    define_flags()
    app.run(main)
