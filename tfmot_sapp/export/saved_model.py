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
"""From a Keras model to a SavedModel that is known to be right.

```python
result = export_saved_model(packed, "model/")
serve = tf.saved_model.load("model/").signatures["serving_default"]
outputs = serve(x=images)
```

The batch stays open. With `jit_compile=True` XLA compiles the signature where
it runs, once for each batch size.
"""

import collections
import os
import pathlib
from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from tfmot_sapp.base.checks import check_flag
from tfmot_sapp.base.directories import placed_directory
from tfmot_sapp.base.paths import check_path, without_patterns
from tfmot_sapp.base.silence import quiet
from tfmot_sapp.base.wording import brief
from tfmot_sapp.compiler.pack_tensorflow import pack_tensorflow
from tfmot_sapp.compiler.readers.function_graph import FunctionGraph
from tfmot_sapp.export import representative_data as representative
from tfmot_sapp.export import verify
from tfmot_sapp.export.measure import worst
from tfmot_sapp.export.result import ExportResult
from tfmot_sapp.export.samples import checking_inputs, open_extent
from tfmot_sapp.export.serving import (
    SIGNATURE,
    Serving,
    check_model,
    save_function,
    serving_of,
    write_saved_model,
)
from tfmot_sapp.targets.cpu_target import CpuTarget
from tfmot_sapp.targets.target import Target, check_target
from tfmot_sapp.targets.tensorflow_target import TensorFlowTarget

# Batch sizes that a SavedModel is compared with its source at.
_CHECKED_BATCHES = (1, 3)

# What TensorFlow and the two Kerases write into a SavedModel.
_FILES = frozenset({"saved_model.pb", "fingerprint.pb", "keras_metadata.pb"})
_FOLDERS = frozenset({"variables", "assets", "assets.extra", "debug"})

# Nodes that compute nothing.
_BOOKKEEPING = frozenset(
    {
        "Const",
        "Identity",
        "NoOp",
        "Placeholder",
        "ReadVariableOp",
        "VarHandleOp",
    }
    | {"PartitionedCall", "StatefulPartitionedCall"}
)


def export_saved_model(
    model: Any,
    path: str | os.PathLike,
    jit_compile: bool = False,
    input_signature: Any = None,
    representative_data: Any = None,
    pack: bool = False,
    target: Target | None = None,
) -> ExportResult:
    """Writes a model as a SavedModel for serving, checked against the model.

    It has one signature, `serving_default`, for inference, with the names of
    the model's inputs and outputs and an open batch. It is loaded again and
    compared with `model` before it is put in place; if anything
    fails, what stood at `path` stays.

    Args:
        model: A model of `keras` (3) or `tf_keras`: dense, stripped, or packed
            by `pack_blocks`.
        path: The directory to write. Missing folders are made. A directory
            there is replaced if it is empty or holds a SavedModel and nothing
            else; the current directory, the home directory and folders that
            hold one of them never are.
        jit_compile: Whether XLA compiles the signature where it runs. It is
            faster, and takes some seconds at the first call of every batch
            size.
        input_signature: Specs (anything with `shape` and `dtype`) structured
            like the model's input. Needed for subclassed models only.
        representative_data: Inputs to compare with in place of random
            numbers, in the forms that `export_tflite` takes.
        pack: Whether the signature is to store and multiply only the kept
            blocks. Every product of the graph is packed by itself, inside of
            whatever layer it is. For layers that follow each other
            `pack_blocks` gives more; its result may be packed here, too.
        target: What it is packed for; `None` for a CPU with one thread.

    Returns:
        An `ExportResult`; its `ops` are TensorFlow's.

    Raises:
        TypeError: If `model` is no Keras model, `path` no path, or
            `representative_data` no data.
        ValueError: If the model is still wrapped for pruning, `path` can't
            be written or holds something else, or what was written is too far
            from the model.

    Example:

    >>> import keras, tempfile
    >>> inputs = keras.Input((8,), name="x")
    >>> model = keras.Model(inputs, keras.layers.Dense(2, name="y")(inputs))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     result = export_saved_model(model, folder + "/model")
    >>> result.ops["MatMul"]
    1
    """
    check_model(model)
    jit_compile = check_flag(jit_compile, "jit_compile")
    pack = check_flag(pack, "pack")
    ours = _target(target)
    final = check_path(path, "directory", is_ours=_is_saved_model)
    serving = serving_of(model, None, input_signature)
    groups = _inputs(serving, representative_data)
    expected = [verify.source_outputs(serving, inputs) for inputs in groups]
    with placed_directory(final, _is_saved_model) as folder:
        try:
            with without_patterns(folder) as plain:
                packing = _write(serving, plain, jit_compile, pack, ours)
        except OSError as error:
            raise ValueError(
                f"`path` can't be written: {brief(error)}. "
                f"Received: path={str(final)!r}."
            ) from error
        found, ops = _run(folder, groups)
        difference = worst(
            verify.check_exact(serving, *pair) for pair in zip(expected, found)
        )
        size = directory_size(folder)
    return ExportResult(
        path=final,
        size=size,
        max_error=difference.max_error,
        rms_error=difference.rms_error,
        tolerance=difference.tolerance,
        ops=ops,
        packing=packing,
    )


def _target(target: Any) -> TensorFlowTarget:
    """TensorFlow, with as many threads as the target has."""
    found = CpuTarget() if target is None else check_target(target)
    if not isinstance(found, CpuTarget):
        raise ValueError(
            "`target` must be a `CpuTarget`, for which TensorFlow's operations "
            f"are chosen. Received: target={target!r}."
        )
    return TensorFlowTarget(threads=found.threads, constant_weights=True)


def _write(
    serving: Serving,
    folder: str | os.PathLike,
    jit_compile: bool,
    pack: bool,
    target: TensorFlowTarget,
) -> tuple[Mapping[str, Any], ...]:
    """Writes the SavedModel; returns what was chosen for each product."""
    options = {"jit_compile": jit_compile or None}
    if not pack:
        write_saved_model(serving, folder, target.operators(), **options)
        return ()
    with quiet():
        graph = FunctionGraph(serving.trace(target.operators()))
        rows = pack_tensorflow(graph, target)
        function = graph.trace(**options)
    save_function(function, graph.variables(), serving.model, folder)
    return tuple(rows)


def _is_saved_model(entries: Mapping[str, bool]) -> bool:
    # A user's own files beside a model would go with it.
    files = {name for name, is_file in entries.items() if is_file}
    folders = entries.keys() - files
    return "saved_model.pb" in files and (
        files <= _FILES and folders <= _FOLDERS
    )


def directory_size(folder: pathlib.Path) -> int:
    """Returns the bytes of all files in a directory."""
    return sum(f.stat().st_size for f in folder.rglob("*") if f.is_file())


def _inputs(serving: Serving, data: Any) -> list[list[dict[str, np.ndarray]]]:
    """Groups of calls to compare on."""
    if data is None:
        # A batch of another size stands beside those that are drawn.
        other = representative.random_inputs(
            serving, max(_CHECKED_BATCHES), open_axis=open_extent(serving)
        )
        first, *rest = checking_inputs(serving)
        return [[*first, other], *rest]
    representative.check_data(data)
    return [
        [
            next(representative.batches(data, serving, batch, batch))
            for batch in _CHECKED_BATCHES[: 1 if _is_stream(data) else None]
        ]
    ]


def _is_stream(data: Any) -> bool:
    # A generator gives its batches once only.
    return iter(data) is data if hasattr(data, "__iter__") else False


def _run(
    folder: pathlib.Path, groups: list[list[dict[str, np.ndarray]]]
) -> tuple[list[list[dict[str, np.ndarray]]], dict[str, int]]:
    with quiet(), without_patterns(folder) as plain:
        loaded = tf.saved_model.load(os.fspath(plain))
        serve = loaded.signatures[SIGNATURE]
        outputs = [
            [_outputs(serve, arrays) for arrays in inputs] for inputs in groups
        ]
    return outputs, _count_nodes(serve)


def _outputs(
    serve: Any, arrays: dict[str, np.ndarray]
) -> dict[str, np.ndarray]:
    tensors = {name: tf.constant(array) for name, array in arrays.items()}
    return {name: value.numpy() for name, value in serve(**tensors).items()}


def _count_nodes(function: Any) -> dict[str, int]:
    definition = function.graph.as_graph_def()
    nodes = list(definition.node)
    for inner in definition.library.function:
        nodes += inner.node_def
    counts = collections.Counter(node.op for node in nodes)
    return {k: n for k, n in counts.most_common() if k not in _BOOKKEEPING}
