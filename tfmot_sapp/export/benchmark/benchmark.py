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

import collections
import dataclasses
import io
import os
import pathlib
import statistics
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import rich.console
import rich.table
import tensorflow as tf

from tfmot_sapp.base.files import write_file
from tfmot_sapp.base.silence import quiet
from tfmot_sapp.export import runtime
from tfmot_sapp.export.benchmark.interleave import interleave
from tfmot_sapp.export.benchmark.plot import draw_bars
from tfmot_sapp.export.representative_data import OPEN_AXIS
from tfmot_sapp.export.saved_model import directory_size
from tfmot_sapp.export.serving import SIGNATURE
from tfmot_sapp.export.tflite.flatbuffer import count_ops
from tfmot_sapp.export.tflite.options import check_count
from tfmot_sapp.frameworks.private.tensorflow import executed_operations


@dataclasses.dataclass(frozen=True)
class Timing:
    """One model's row.

    Attributes:
        name: The model's name.
        path: Where it is.
        median_ms: Median over rounds of the milliseconds for one batch.
        low_ms: The tenth percentile.
        high_ms: The ninetieth percentile.
        speed_up: Median over rounds of the first model's time in the same
            round divided by this one's.
        size: Size in bytes.
        num_ops: Number of operators in the file.
        num_partitions: Number of partitions that the default delegate runs;
            0 for a SavedModel.
    """

    name: str
    path: str
    median_ms: float
    low_ms: float
    high_ms: float
    speed_up: float
    size: int
    num_ops: int
    num_partitions: int


@dataclasses.dataclass(frozen=True)
class BenchmarkResult:
    """Timings of several models; prints as a table.

    Attributes:
        timings: One `Timing` per model, in the order of the models.
        runtime: Name of the runtime.
        threads: Number of threads.
        batch_size: Samples per call.
        rounds: Number of rounds in which every model was timed.
    """

    timings: tuple[Timing, ...]
    runtime: str
    threads: int
    batch_size: int
    rounds: int

    def to_dict(self) -> dict[str, Any]:
        """Returns everything as plain numbers, strings, lists and dicts."""
        return dataclasses.asdict(self)

    def table(self) -> rich.table.Table:
        """Returns the table that `print` shows."""
        threads = "1 thread" if self.threads == 1 else f"{self.threads} threads"
        table = rich.table.Table(
            title=f"{self.runtime}, batch {self.batch_size}, {threads}, "
            f"{self.rounds} rounds"
        )
        table.add_column("model")
        for column in (
            "median ms",
            "10-90 %",
            "speed-up",
            "size kB",
            "ops",
            "partitions",
        ):
            table.add_column(column, justify="right")
        for t in self.timings:
            table.add_row(
                t.name,
                f"{t.median_ms:.4g}",
                f"{t.low_ms:.4g}-{t.high_ms:.4g}",
                f"{t.speed_up:.2f}x",
                f"{t.size / 1000:,.1f}",
                str(t.num_ops),
                str(t.num_partitions),
            )
        return table

    def __str__(self) -> str:
        stream = io.StringIO()
        rich.console.Console(file=stream, width=100).print(self.table())
        return stream.getvalue().rstrip()

    def plot(self, path: str | os.PathLike) -> None:
        """Draws latency and size as bars.

        Args:
            path: The PNG file to write.

        Raises:
            ValueError: If `path` can't be written.
        """
        write_file(path, draw_bars(self))


def benchmark(
    models: Mapping[str, str | os.PathLike],
    threads: int = 1,
    batch_size: int = 1,
    rounds: int = 50,
    seed: int = 0,
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
            resized. Other axes that a model leaves open are taken as 32.
        rounds: Number of rounds; in each, every model is timed once, in random
            order, long enough for the clock.
        seed: Seed of the inputs and of the orders.

    Returns:
        A `BenchmarkResult`.

    Raises:
        TypeError: If `models` is no mapping from names to paths, or a count is
            no integer.
        ValueError: If a path holds no model, the kinds are mixed, a count is
            below 1, or a model can't take the batch size.

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
    for name, count in (
        ("threads", threads),
        ("batch_size", batch_size),
        ("rounds", rounds),
    ):
        check_count(name, count)
    paths = _checked_paths(models)
    if all(path.is_dir() for path in paths.values()):
        _check_tensorflow_threads(threads)
        load, name = _load_saved_model, "TensorFlow"
    else:
        load, name = _load_file, runtime.runtime_name()
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
    )


@dataclasses.dataclass(frozen=True)
class _Loaded:
    path: pathlib.Path
    call: Callable[[], Any]
    size: int
    num_ops: int
    num_partitions: int


def _load_file(
    path: pathlib.Path,
    threads: int,
    batch_size: int,
    generator: np.random.Generator,
) -> _Loaded:
    content = path.read_bytes()
    try:
        interpreter = runtime.load(content, threads)
    except (ValueError, RuntimeError) as error:
        raise ValueError(
            "`models` must hold `.tflite` files that the runtime can load. "
            f"Received: {str(path)!r}: {error}."
        ) from error
    try:
        with quiet():
            for detail in interpreter.get_input_details():
                rest = detail.get("shape_signature", detail["shape"])[1:]
                rest = [n if n > 0 else OPEN_AXIS for n in rest]
                shape = [batch_size, *rest]
                if list(detail["shape"]) != shape:
                    interpreter.resize_tensor_input(detail["index"], shape)
            interpreter.allocate_tensors()
            for detail in interpreter.get_input_details():
                values = _random(detail["shape"], detail["dtype"], generator)
                stored = runtime.to_stored(values, detail)
                interpreter.set_tensor(detail["index"], stored)
            interpreter.invoke()
    except (ValueError, RuntimeError) as error:
        raise ValueError(
            f"`batch_size` {batch_size} doesn't fit the file {str(path)!r}; "
            "export it with that batch size. Received: "
            f"batch_size={batch_size}: {error}."
        ) from error
    ops = count_ops(content)
    executed = collections.Counter(executed_operations(interpreter))

    def call(
        invoke: Callable[[], None] = interpreter.invoke, _content: Any = content
    ) -> None:
        invoke()

    return _Loaded(
        path, call, len(content), sum(ops.values()), executed["DELEGATE"]
    )


def _load_saved_model(
    path: pathlib.Path,
    threads: int,
    batch_size: int,
    generator: np.random.Generator,
) -> _Loaded:
    del threads  # TensorFlow's pools are the process's.
    try:
        with quiet():
            loaded = tf.saved_model.load(os.fspath(path))
            serve = loaded.signatures[SIGNATURE]
    except (OSError, KeyError) as error:
        raise ValueError(
            f"`models` must hold SavedModels with the signature {SIGNATURE!r}. "
            f"Received: {str(path)!r}: {error}."
        ) from error
    inputs = {}
    for name, spec in serve.structured_input_signature[1].items():
        shape = [batch_size, *(n or OPEN_AXIS for n in spec.shape[1:])]
        values = _random(shape, spec.dtype.as_numpy_dtype, generator)
        inputs[name] = tf.constant(values, spec.dtype)

    def call(_keep_alive: Any = loaded) -> None:
        for value in serve(**inputs).values():
            value.numpy()

    return _Loaded(
        path, call, directory_size(path), len(serve.graph.get_operations()), 0
    )


def _random(
    shape: Any, dtype: Any, generator: np.random.Generator
) -> np.ndarray:
    if np.issubdtype(dtype, np.floating):
        return generator.standard_normal(shape).astype(dtype)
    return generator.integers(0, 2, shape).astype(dtype)


def _checked_paths(models: Any) -> dict[str, pathlib.Path]:
    if not isinstance(models, Mapping) or not models:
        raise TypeError(
            "`models` must be a dictionary from names to paths, such as "
            '{"dense": "dense.tflite"}. '
            f"Received: models={models!r} of type {type(models).__name__}."
        )
    paths = {}
    for name, path in models.items():
        if not isinstance(path, (str, os.PathLike)):
            raise TypeError(
                "`models` must map names to paths. "
                f"Received: {name!r}: {path!r} of type {type(path).__name__}."
            )
        paths[str(name)] = pathlib.Path(path)
        if not paths[str(name)].exists():
            raise ValueError(
                "`models` must hold paths of existing models. "
                f"Received: {name!r}: {str(path)!r}, which doesn't exist."
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
    name: str, model: _Loaded, times: list[float], first: list[float]
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
