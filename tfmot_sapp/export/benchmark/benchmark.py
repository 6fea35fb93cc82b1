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
"""How fast models are beside each other: interleaved, in one run.

Absolute times mean little: clocks change, neighbours come and go. So the models
take turns in one process, in an order drawn anew for every round, and what is
reported is the median of each and its ratio to the first.

```python
result = benchmark({"dense": "dense.tflite", "pruned": "pruned.tflite"})
print(result)
result.plot("latency.png")
```
"""

import os
import pathlib
import statistics
from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from tfmot_sapp.base.checks import check_count, check_whole
from tfmot_sapp.base.paths import readable_path
from tfmot_sapp.base.wording import received
from tfmot_sapp.export import runtime
from tfmot_sapp.export.accelerated import check_gpu
from tfmot_sapp.export.benchmark.interleave import interleave
from tfmot_sapp.export.benchmark.loaded_model import (
    LoadedModel,
    load_file,
    load_file_on_gpu,
    load_saved_model,
)
from tfmot_sapp.export.benchmark.result import BenchmarkResult, Timing
from tfmot_sapp.targets.cpu_target import CpuTarget, target_for
from tfmot_sapp.targets.target import Target


def benchmark(
    models: Mapping[str, str | os.PathLike],
    threads: int = 1,
    batch_size: int = 1,
    rounds: int = 50,
    seed: int = 0,
    target: Target | None = None,
) -> BenchmarkResult:
    """Times models beside each other on one runtime.

    Args:
        models: Paths by name: `.tflite` files, which run on LiteRT with its
            default delegate, or SavedModel directories, which run on
            TensorFlow; not both in one call. Speed-ups are against the first.
        threads: Number of threads, at least 1. TensorFlow fixes its number
            when it starts, so for SavedModels this must be what it has, as
            set by `tf.config.threading`.
        batch_size: Samples per call; files with another fixed batch size are
            resized. Other axes that a model leaves open are taken as 32, or
            as what it takes.
        rounds: Number of rounds; in each, every model is timed once, in random
            order, long enough for the clock.
        seed: Seed of the inputs and of the orders.
        target: Where to run them: a `CpuTarget` in place of `threads`, or
            `GpuTarget()` for files on the GPU accelerator of LiteRT, handing
            over inputs and outputs included.

    Returns:
        A `BenchmarkResult`.

    Raises:
        TypeError: If `models` is no mapping from names to paths, a count is no
            integer, or `target` no target.
        ValueError: If a path holds no model, the kinds are mixed, a count is
            below 1, a model can't take the batch size, or the target isn't
            there.

    Example:

    >>> import keras, tempfile
    >>> from tfmot_sapp.export.tflite.file import export_tflite
    >>> inputs = keras.Input((8,), name="x")
    >>> model = keras.Model(inputs, keras.layers.Dense(2, name="y")(inputs))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = export_tflite(model, folder + "/dense.tflite")
    ...     result = benchmark({"dense": folder + "/dense.tflite"}, rounds=3)
    >>> result.timings[0].speed_up
    1.0
    """
    check_count(threads, "threads")
    check_count(batch_size, "batch_size")
    check_count(rounds, "rounds")
    check_whole(seed, "seed", least=0)
    where = target_for(target, threads)
    threads = where.threads if isinstance(where, CpuTarget) else 1
    paths = _checked_paths(models)
    load, name = load_file, runtime.runtime_name()
    if not isinstance(where, CpuTarget):
        check_gpu(where, "target")
        load = load_file_on_gpu
    if all(path.is_dir() for path in paths.values()):
        if not isinstance(where, CpuTarget):
            raise ValueError(
                "`target` must be a `CpuTarget` for SavedModels, which run on "
                f"TensorFlow. {received('target', target)}"
            )
        _check_tensorflow_threads(threads)
        load, name = load_saved_model, "TensorFlow"
    loaded = {
        key: load(path, threads, batch_size, np.random.default_rng(seed))
        for key, path in paths.items()
    }
    times = interleave(
        {key: model.call for key, model in loaded.items()}, rounds, seed
    )
    first = next(iter(times.values()))
    return BenchmarkResult(
        timings=tuple(
            _timing(key, loaded[key], times[key], first) for key in paths
        ),
        runtime=name,
        threads=threads,
        batch_size=batch_size,
        rounds=rounds,
        accelerator="cpu" if isinstance(where, CpuTarget) else "gpu",
    )


def _checked_paths(models: Any) -> dict[str, pathlib.Path]:
    if not isinstance(models, Mapping) or not models:
        raise TypeError(
            "`models` must be a dictionary from names to paths, such as "
            '{"dense": "dense.tflite"}. '
            f"{received('models', models)}"
        )
    paths = {}
    for name, path in models.items():
        if not isinstance(name, str) or not isinstance(
            path, (str, os.PathLike)
        ):
            raise TypeError(
                "`models` must map names to paths. "
                f"Received: {name!r}: {path!r} of type {type(path).__name__}."
            )
        paths[name] = readable_path(
            path,
            f"models[{name!r}]",
            "the path of a `.tflite` file or SavedModel",
            or_directory=True,
        )
    if len({path.is_dir() for path in paths.values()}) > 1:
        raise ValueError(
            "`models` must be either all `.tflite` files or all SavedModel "
            "directories: times on different runtimes say nothing about the "
            f"models. Received: {[str(path) for path in paths.values()]}."
        )
    return paths


def _check_tensorflow_threads(threads: int) -> None:
    tf.config.list_logical_devices()  # Fixes the number of threads.
    inside = tf.config.threading.get_intra_op_parallelism_threads()
    if inside != threads and (inside or os.cpu_count() != threads):
        raise ValueError(
            "`threads` must be the number that TensorFlow runs with, "
            f"{inside or os.cpu_count()} in this process; set it before "
            "TensorFlow's first operation with "
            "`tf.config.threading.set_intra_op_parallelism_threads`. "
            f"Received: threads={threads}."
        )


def _timing(
    name: str, model: LoadedModel, times: list[float], first: list[float]
) -> Timing:
    low, high = np.percentile(times, [10, 90]) * 1000
    ratios = [a / b for a, b in zip(first, times)]
    return Timing(
        name=name,
        path=str(model.path),
        median_ms=statistics.median(times) * 1000,
        low_ms=float(low),
        high_ms=float(high),
        speed_up=statistics.median(ratios),
        size=model.size,
        num_ops=model.num_ops,
        num_partitions=model.num_partitions,
    )
