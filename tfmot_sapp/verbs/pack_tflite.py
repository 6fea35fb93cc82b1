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
"""`pack_tflite`: a `.tflite` file that stores and multiplies kept blocks.

Whatever framework a file comes from, in it every kernel is the same plain
thing: an operator with a constant. So a model that was pruned in PyTorch, JAX
or Keras, and converted, is packed here.

```python
sapp.pack_tflite("pruned.tflite", "packed.tflite")
```
"""

import os

from tfmot_sapp.base.files import write_file
from tfmot_sapp.base.paths import check_path, readable_path
from tfmot_sapp.base.wording import brief
from tfmot_sapp.export.result import ExportResult
from tfmot_sapp.export.tflite.flatbuffer import count_ops
from tfmot_sapp.export.tflite.options import check_tolerance
from tfmot_sapp.export.tflite.packing import compare_files, packed_content
from tfmot_sapp.export.tflite.trial import Trial
from tfmot_sapp.targets.cpu_target import CpuTarget
from tfmot_sapp.targets.target import Target, check_target

__all__ = ["pack_tflite"]


def pack_tflite(
    source: str | os.PathLike,
    destination: str | os.PathLike,
    target: Target | None = None,
    tolerance: float | None = None,
) -> ExportResult:
    """Writes a `.tflite` file that stores and multiplies only kept blocks.

    Blocks are found from zeros in the float weights (float32, or float16 that
    is computed in float32) of dense layers, convolutions and products with a
    constant, in all subgraphs, the bodies of loops included. Whatever else is
    in the file stays as it is: quantized parts, custom operators, names,
    signatures, metadata. The result is compared with the source on random
    inputs before it is put in place; another process runs the source first,
    so that a senseless file can't end this one.

    Args:
        source: The file to pack.
        destination: The file to write; it may be the same. Missing folders
            are made.
        target: What the result is for; `None` for a CPU with one thread.
        tolerance: Largest error to allow, as a fraction of the output scale,
            1e-5 by default.

    Returns:
        An `ExportResult`; its `packing` says what was chosen for each
        product. Without pruned blocks the file is written as it was.

    Raises:
        TypeError: If an argument is of the wrong type.
        ValueError: If `source` is no whole `.tflite` file, doesn't run, or
            `destination` can't be written; or if the packed file computes
            something else. Nothing is written then.

    Example:

    >>> import keras, tempfile
    >>> from tfmot_sapp.export.tflite.file import export_tflite
    >>> model = keras.Sequential([keras.Input((8,)), keras.layers.Dense(2)])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     result = export_tflite(model, folder + "/dense.tflite")
    ...     result = pack_tflite(folder + "/dense.tflite", folder + "/p.tflite")
    >>> result.ops
    {'FULLY_CONNECTED': 1}
    """
    check_tolerance(tolerance)
    target = CpuTarget() if target is None else check_target(target)
    final = check_path(destination, "file", name="destination")
    path = readable_path(source, "source", "a `.tflite` file")
    content = path.read_bytes()
    with Trial(path) as trial:
        try:
            packed, rows = packed_content(content, target)
        except ValueError as error:
            raise ValueError(
                "`source` must be a whole `.tflite` file that can be packed; "
                "if it is damaged, convert the model again. Received: "
                f"source={os.fspath(source)!r}: {brief(error, longest=None)}"
            ) from error
        trial.wait()
    difference = compare_files(content, packed, tolerance)
    write_file(final, packed)
    return ExportResult(
        path=final,
        size=len(packed),
        max_error=difference.max_error,
        rms_error=difference.rms_error,
        tolerance=difference.tolerance,
        ops=count_ops(packed),
        packing=rows,
    )
