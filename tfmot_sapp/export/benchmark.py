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
"""Latency, size and operators of exported models, measured side by side.

The only speed-up that means anything is that of one model against another on
the same runtime, threads and batch, in one run: the models take turns, in a new
order each round, and medians are compared.
"""

import dataclasses
import os
import statistics
import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from rich.progress import track

from tfmot_sapp.export import runtime
from tfmot_sapp.export.flatbuffer import count_ops
from tfmot_sapp.export.quiet import quiet
from tfmot_sapp.export.tflite import check_count
from tfmot_sapp.tables import render

# A turn lasts about this long, so that the clock's grain does not show.
_TURN_SECONDS = 0.01


@dataclasses.dataclass(frozen=True)
class Timing:
    """One model of a benchmark.

    Attributes:
        name: Its name in the benchmark.
        median_ms: Median latency of a call, in milliseconds.
        low_ms: First quartile.
        high_ms: Third quartile.
        size: Size of the file, or of a directory's files, in bytes.
        ops: Number of operators in the file.
        speedup: Median of the first model divided by this one's.
    """

    name: str
    median_ms: float
    low_ms: float
    high_ms: float
    size: int
    ops: int
    speedup: float


@dataclasses.dataclass(frozen=True)
class Benchmark:
    """Timings of several models, taken in one run; prints as a table.

    Attributes:
        timings: One `Timing` per model, the reference first.
        runtime: Name of the runtime.
        threads: Number of threads.
        batch_size: Number of samples in a call.
    """

    timings: tuple[Timing, ...]
    runtime: str
    threads: int
    batch_size: int

    def to_dict(self) -> dict[str, dict[str, Any]]:
        """Returns the figures as plain values, by the models' names."""
        return {
            timing.name: dataclasses.asdict(timing) for timing in self.timings
        }

    def __str__(self) -> str:
        rows = [
            [
                timing.name,
                f"{timing.median_ms:.3f}",
                f"{timing.low_ms:.3f} .. {timing.high_ms:.3f}",
                f"{timing.speedup:.2f}x",
                f"{timing.size / 1e3:,.1f}",
                str(timing.ops),
            ]
            for timing in self.timings
        ]
        head = ("model", "median ms", "quartiles", "speed-up", "kB", "ops")
        return render(
            head,
            rows,
            numeric=range(1, 6),
            title=(
                f"{self.runtime}, batch {self.batch_size}, "
                f"{self.threads} thread{'s' if self.threads > 1 else ''}"
            ),
        )

    def plot(self, path: str | os.PathLike | None = None) -> Any:
        """Draws latencies as bars.

        Args:
            path: File to write. Defaults to `None`: nothing is written.

        Returns:
            The `matplotlib.figure.Figure`.
        """
        from matplotlib.figure import Figure

        from tfmot_sapp.plot import save_figure

        height = 1.2 + 0.45 * len(self.timings)
        figure = Figure(figsize=(7, height), layout="constrained")
        axis = figure.subplots()
        names = [timing.name for timing in self.timings]
        medians = [timing.median_ms for timing in self.timings]
        spread = [
            [t.median_ms - t.low_ms for t in self.timings],
            [t.high_ms - t.median_ms for t in self.timings],
        ]
        bars = axis.barh(names, medians, xerr=spread, color="#1f5fa8")
        axis.bar_label(
            bars,
            [f"{t.median_ms:.3f} ms, {t.speedup:.2f}x" for t in self.timings],
            padding=6,
            fontsize=9,
        )
        axis.invert_yaxis()
        axis.margins(x=0.3)
        axis.set_xlabel(
            f"latency in ms on {self.runtime}, batch {self.batch_size}, "
            f"{self.threads} thread(s)"
        )
        for side in ("top", "right"):
            axis.spines[side].set_visible(False)
        if path is not None:
            save_figure(figure, path)
        return figure


def benchmark(
    files: Mapping[str, str | os.PathLike],
    threads: int = 1,
    batch_size: int | None = None,
    rounds: int = 50,
) -> Benchmark:
    """Times exported models against each other, interleaved in one run.

    Args:
        files: Paths of `.tflite` files, or of SavedModel directories, by name;
            all of one kind. The first is the reference that speed-ups are
            relative to.
        threads: Number of threads of the runtime. SavedModels run with
            TensorFlow's own setting.
        batch_size: Number of samples in a call. Defaults to `None`: what the
            files were made for, or 1.
        rounds: Number of turns that each model gets.

    Returns:
        A `Benchmark`: print it, take `to_dict()`, or `plot(path)`.

    Raises:
        TypeError: If `files` is no dictionary.
        ValueError: If it is empty, a path does not exist, or the files are of
            different kinds or take different inputs.

    Example:

    >>> import keras, tempfile, tfmot_sapp as sapp
    >>> model = keras.Sequential([keras.Input((8,)), keras.layers.Dense(2)])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = folder + "/model.tflite"
    ...     _ = sapp.export_tflite(model, path)
    ...     result = sapp.benchmark({"dense": path}, rounds=2)
    >>> result.timings[0].speedup
    1.0
    """
    paths = _check_files(files)
    check_count("threads", threads)
    check_count("rounds", rounds)
    if batch_size is not None:
        check_count("batch_size", batch_size)
    saved = os.path.isdir(next(iter(paths.values())))
    make = _saved_model_call if saved else _tflite_call
    calls, batches, ops = {}, {}, {}
    for name, path in paths.items():
        calls[name], batches[name], ops[name] = make(path, threads, batch_size)
    if len(set(batches.values())) > 1:
        raise ValueError(
            "`files` must take the same batch size. "
            f"Received: batch sizes {batches}."
        )
    times = _interleave(calls, rounds)
    medians = {name: statistics.median(taken) for name, taken in times.items()}
    reference = medians[next(iter(paths))]
    return Benchmark(
        timings=tuple(
            Timing(
                name=name,
                median_ms=1e3 * medians[name],
                low_ms=1e3 * float(np.percentile(times[name], 25)),
                high_ms=1e3 * float(np.percentile(times[name], 75)),
                size=_size(paths[name]),
                ops=ops[name],
                speedup=reference / medians[name],
            )
            for name in paths
        ),
        runtime="TensorFlow" if saved else runtime.runtime_name(),
        threads=threads,
        batch_size=next(iter(batches.values())),
    )


def _check_files(files: Any) -> dict[str, str]:
    if not isinstance(files, Mapping):
        raise TypeError(
            "`files` must be a dictionary from names to paths. "
            f"Received: {files!r} of type {type(files).__name__}."
        )
    if not files:
        raise ValueError("`files` must name at least one file. Received: none.")
    paths = {str(name): os.fspath(path) for name, path in files.items()}
    for name, path in paths.items():
        if not os.path.exists(path):
            raise ValueError(
                f"`files` must name files that exist. Received: {name!r} at "
                f"{path!r}, where there is none."
            )
    if len({os.path.isdir(path) for path in paths.values()}) > 1:
        raise ValueError(
            "`files` must be all .tflite files or all SavedModel directories: "
            "times on different runtimes do not compare. "
            f"Received: {sorted(paths.values())}."
        )
    return paths


def _tflite_call(
    path: str, threads: int, batch_size: int | None
) -> tuple[Callable[[], None], int, int]:
    with open(path, "rb") as file:
        content = file.read()
    try:
        interpreter = runtime.load(content, threads)
    except ValueError as error:
        raise ValueError(
            "`files` must be .tflite files or SavedModel directories. "
            f"Received: {path!r} ({error})."
        ) from error
    details = interpreter.get_input_details()
    if batch_size is not None:
        for detail in details:
            shape = [batch_size, *detail["shape"][1:]]
            interpreter.resize_tensor_input(detail["index"], shape)
    with quiet():
        interpreter.allocate_tensors()
    rng = np.random.default_rng(0)
    for detail in interpreter.get_input_details():
        values = _random(rng, detail["shape"], np.dtype(detail["dtype"]))
        interpreter.set_tensor(detail["index"], values)
    batch = int(interpreter.get_input_details()[0]["shape"][0])

    def call() -> None:
        # The interpreter reads the file's bytes for as long as it lives.
        assert content
        interpreter.invoke()

    return call, batch, sum(count_ops(content).values())


def _saved_model_call(
    path: str, threads: int, batch_size: int | None
) -> tuple[Callable[[], None], int, int]:
    import tensorflow as tf

    with quiet():
        loaded = tf.saved_model.load(path)
    serve = loaded.signatures["serving_default"]
    rng = np.random.default_rng(0)
    fed = {}
    batch = batch_size or 1
    for name, spec in serve.structured_input_signature[1].items():
        shape = spec.shape.as_list()
        batch = shape[0] or batch
        shape = [batch, *(extent or 1 for extent in shape[1:])]
        fed[name] = tf.constant(_random(rng, shape, spec.dtype.as_numpy_dtype))

    def call() -> None:
        # The signature holds its model by a weak reference only.
        assert loaded
        tf.nest.map_structure(lambda tensor: tensor.numpy(), serve(**fed))

    return call, batch, len(serve.graph.get_operations())


def _random(
    rng: np.random.Generator, shape: Any, dtype: np.dtype
) -> np.ndarray:
    if np.issubdtype(dtype, np.floating):
        return rng.standard_normal(size=shape).astype(dtype)
    if dtype == np.int8:
        return rng.integers(-128, 128, size=shape).astype(dtype)
    return np.zeros(shape, dtype)


def _interleave(
    calls: Mapping[str, Callable[[], None]], rounds: int
) -> dict[str, list[float]]:
    """Returns the time of a call in each turn, in seconds."""
    repeats = {}
    for name, call in calls.items():
        for _ in range(3):
            call()
        start = time.perf_counter()
        call()
        taken = time.perf_counter() - start
        repeats[name] = max(1, round(_TURN_SECONDS / max(taken, 1e-7)))
    times: dict[str, list[float]] = {name: [] for name in calls}
    order = list(calls)
    rng = np.random.default_rng(0)
    for _ in track(range(rounds), description="Measuring", transient=True):
        rng.shuffle(order)
        for name in order:
            start = time.perf_counter()
            for _ in range(repeats[name]):
                calls[name]()
            elapsed = time.perf_counter() - start
            times[name].append(elapsed / repeats[name])
    return times


def _size(path: str) -> int:
    if os.path.isfile(path):
        return os.path.getsize(path)
    return sum(
        os.path.getsize(os.path.join(root, name))
        for root, _, names in os.walk(path)
        for name in names
    )
