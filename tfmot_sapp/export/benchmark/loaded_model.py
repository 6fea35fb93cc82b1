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
"""Models that are ready to be timed."""

import collections
import contextlib
import dataclasses
import os
import pathlib
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import tensorflow as tf

from tfmot_sapp.base.paths import without_patterns
from tfmot_sapp.base.silence import quiet
from tfmot_sapp.base.wording import brief
from tfmot_sapp.export import runtime
from tfmot_sapp.export.accelerated import on_gpu
from tfmot_sapp.export.open_extents import at_open_extent
from tfmot_sapp.export.saved_model import directory_size
from tfmot_sapp.export.serving import SIGNATURE
from tfmot_sapp.export.tflite.flatbuffer import count_ops
from tfmot_sapp.frameworks.private.tensorflow import executed_operations


@dataclasses.dataclass(frozen=True)
class LoadedModel:
    """A model that is ready to be timed.

    Attributes:
        path: Where it is.
        call: Runs it once.
        size: Size in bytes.
        num_ops: Number of operators.
        num_partitions: Number of partitions that the default delegate, or the
            accelerator, runs.
    """

    path: pathlib.Path
    call: Callable[[], Any]
    size: int
    num_ops: int
    num_partitions: int


def load_file(
    path: pathlib.Path,
    threads: int,
    batch_size: int,
    generator: np.random.Generator,
) -> LoadedModel:
    """Loads a file on LiteRT with its default delegate.

    Args:
        path: A `.tflite` file.
        threads: Number of threads.
        batch_size: Samples per call.
        generator: Makes the inputs.

    Raises:
        ValueError: If there is no such model, or it can't take the batch.
    """
    content = path.read_bytes()
    with _as_damage(path):
        ops = count_ops(content)
        details = runtime.load(content, threads).get_input_details()
    is_open = any((_signature(detail)[1:] < 1).any() for detail in details)

    def started(extent: int) -> Any:
        # One that has failed doesn't run any more.
        interpreter = runtime.load(content, threads)
        for detail in interpreter.get_input_details():
            rest = [n if n > 0 else extent for n in _signature(detail)[1:]]
            shape = [batch_size, *rest]
            if list(detail["shape"]) != shape:
                interpreter.resize_tensor_input(detail["index"], shape)
        interpreter.allocate_tensors()
        for detail in interpreter.get_input_details():
            values = _random(detail["shape"], detail["dtype"], generator)
            stored = runtime.to_stored(values, detail)
            interpreter.set_tensor(detail["index"], stored)
        interpreter.invoke()
        return interpreter

    try:
        with quiet():
            interpreter = at_open_extent(
                started, is_open, (ValueError, RuntimeError)
            )
    except (ValueError, RuntimeError) as error:
        raise ValueError(
            f"`batch_size` {batch_size} doesn't fit the file {str(path)!r}; "
            "export it with that batch size. Received: "
            f"batch_size={batch_size}: {brief(error)}."
        ) from error
    with _as_damage(path):
        executed = collections.Counter(executed_operations(interpreter))

    def call(
        invoke: Callable[[], None] = interpreter.invoke, _content: Any = content
    ) -> None:
        invoke()

    return LoadedModel(
        path, call, len(content), sum(ops.values()), executed["DELEGATE"]
    )


@contextlib.contextmanager
def _as_damage(path: pathlib.Path) -> Iterator[None]:
    try:
        yield
    # What a damaged file makes its readers raise is of any kind.
    except Exception as error:
        raise ValueError(
            "`models` must hold `.tflite` files that the runtime can load; "
            f"export it again. Received: {str(path)!r}: {brief(error)}."
        ) from error


def load_file_on_gpu(
    path: pathlib.Path,
    threads: int,
    batch_size: int,
    generator: np.random.Generator,
) -> LoadedModel:
    """Loads a file on LiteRT's GPU accelerator.

    What is timed includes handing over inputs and reading outputs.

    Args:
        path: A `.tflite` file.
        threads: Ignored.
        batch_size: Samples per call.
        generator: Makes the inputs.

    Raises:
        ValueError: If there is no GPU, or the file doesn't run on it as a
            whole or has another batch size.
    """
    del threads
    content = path.read_bytes()
    loaded = on_gpu(content)
    if not loaded.is_whole:
        raise ValueError(
            "`models` must hold files that the GPU accelerator takes as a "
            "whole; pack them with `target=tfmot_sapp.GpuTarget()`. "
            f"Received: {str(path)!r}."
        )
    if any(shape[:1] not in ((), (batch_size,)) for shape in loaded.shapes):
        raise ValueError(
            f"`batch_size` {batch_size} doesn't fit the file {str(path)!r}; "
            "export it with that batch size. Received: "
            f"batch_size={batch_size} for inputs of shapes {loaded.shapes}."
        )
    inputs = [
        _random(shape, dtype, generator)
        for shape, dtype in zip(loaded.shapes, loaded.dtypes)
    ]

    def call() -> None:
        loaded.run(inputs)

    ops = count_ops(content)
    return LoadedModel(path, call, len(content), sum(ops.values()), 1)


def load_saved_model(
    path: pathlib.Path,
    threads: int,
    batch_size: int,
    generator: np.random.Generator,
) -> LoadedModel:
    """Loads a SavedModel on TensorFlow.

    Args:
        path: Its directory.
        threads: Ignored: TensorFlow's threads are the process's.
        batch_size: Samples per call.
        generator: Makes the inputs.

    Raises:
        ValueError: If there is no such model, or it can't take the batch.
    """
    del threads
    try:
        with quiet(), without_patterns(path) as plain:
            loaded = tf.saved_model.load(os.fspath(plain))
            serve = loaded.signatures[SIGNATURE]
            specs = serve.structured_input_signature[1]

            def taken(extent: int) -> dict[str, Any]:
                inputs = {}
                for name, spec in specs.items():
                    rest = [n or extent for n in spec.shape[1:]]
                    dtype = spec.dtype.as_numpy_dtype
                    values = _random([batch_size, *rest], dtype, generator)
                    inputs[name] = tf.constant(values, spec.dtype)
                serve(**inputs)
                return inputs

            is_open = any(None in spec.shape[1:] for spec in specs.values())
            inputs = at_open_extent(taken, is_open, (tf.errors.OpError,))
    # TensorFlow raises errors of any kind for damaged files.
    except Exception as error:
        raise ValueError(
            "`models` must hold SavedModels that TensorFlow can load and run, "
            f"with the signature {SIGNATURE!r}; export it again. "
            f"Received: {str(path)!r}: {brief(error)}."
        ) from error

    def call(_keep_alive: Any = loaded) -> None:
        for value in serve(**inputs).values():
            value.numpy()

    return LoadedModel(
        path, call, directory_size(path), len(serve.graph.get_operations()), 0
    )


def _signature(detail: dict[str, Any]) -> np.ndarray:
    """The extents of an input, less than 1 where they are open."""
    return np.asarray(detail.get("shape_signature", detail["shape"]))


def _random(
    shape: Any, dtype: Any, generator: np.random.Generator
) -> np.ndarray:
    if np.issubdtype(dtype, np.floating):
        return generator.standard_normal(shape).astype(dtype)
    return generator.integers(0, 2, shape).astype(dtype)
