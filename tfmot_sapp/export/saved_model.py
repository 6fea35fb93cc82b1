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
"""From a Keras model to a SavedModel directory that is known to be right.

```python
result = export_saved_model(packed, "model/")
served = tf.saved_model.load("model/").signatures["serving_default"]
```

The directory holds the signature `serving_default` with the model's own names
and an open batch size. It is loaded again and compared with the source model
before it is put in place.
"""

import os
from typing import Any

import tensorflow as tf

from tfmot_sapp.export import representative, verify
from tfmot_sapp.export.placing import check_path, placed_directory
from tfmot_sapp.export.quiet import quiet
from tfmot_sapp.export.serving import Serving, check_model, serving_of
from tfmot_sapp.export.tflite import ExportResult, write_saved_model

_CHECKS = 3


def export_saved_model(
    model: Any,
    path: str | os.PathLike,
    batch_size: int | None = None,
    jit_compile: bool = False,
    input_signature: Any = None,
) -> ExportResult:
    """Writes a model as a SavedModel, checked against the model itself.

    Args:
        model: A model of `keras` (3) or `tf_keras`: dense, stripped, or packed
            by `pack_blocks`.
        path: The directory to write. Missing folders are made; a directory
            that is there is replaced, and only when the new one is right.
        batch_size: The batch size to fix, or `None` to leave it open.
        jit_compile: Whether the serving function is compiled by XLA where it
            runs, once for each batch size that it meets.
        input_signature: Specs (anything with `shape` and `dtype`) structured
            like the model's input. Needed for subclassed models only.

    Returns:
        An `ExportResult`; its `size` is that of all files together, its `ops`
        are those of the serving function.

    Raises:
        TypeError: If `model` is no Keras model or `path` no path.
        ValueError: If the model is still wrapped for pruning, `path` can't be
            written, or what was written does not compute what `model` does.

    Example:

    >>> import keras, tempfile
    >>> inputs = keras.Input((8,), name="x")
    >>> model = keras.Model(inputs, keras.layers.Dense(2, name="y")(inputs))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     result = export_saved_model(model, folder + "/model")
    >>> result.max_error < result.tolerance
    True
    """
    check_model(model)
    target = check_path(path, "directory")
    serving = serving_of(model, batch_size, input_signature)
    options = {"jit_compile": True} if jit_compile else {}
    with placed_directory(target) as folder:
        write_saved_model(serving, folder, **options)
        difference, ops = _check(serving, folder)
        size = sum(
            os.path.getsize(os.path.join(root, name))
            for root, _, names in os.walk(folder)
            for name in names
        )
    return ExportResult(
        path=target,
        size=size,
        max_error=difference.max_error,
        rms_error=difference.rms_error,
        tolerance=difference.tolerance,
        ops=ops,
    )


def _check(
    serving: Serving, folder: os.PathLike
) -> tuple[verify.Difference, dict[str, int]]:
    with quiet():
        loaded = tf.saved_model.load(os.fspath(folder))
    served = loaded.signatures["serving_default"]
    inputs = [
        representative.random_inputs(serving, samples=2, seed=seed)
        for seed in range(_CHECKS)
    ]
    expected = verify.source_outputs(serving, inputs)
    found = [
        {
            name: value.numpy()
            for name, value in served(
                **{k: tf.convert_to_tensor(v) for k, v in arrays.items()}
            ).items()
        }
        for arrays in inputs
    ]
    ops: dict[str, int] = {}
    for op in served.graph.get_operations():
        ops[op.type] = ops.get(op.type, 0) + 1
    return verify.check_exact(serving, expected, found), ops
