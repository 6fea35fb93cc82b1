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
"""The end of a recipe: both models' files, and a table that compares them."""

import os
from collections.abc import Callable
from typing import Any

import keras
from absl import flags

import tfmot_sapp as sapp
from examples.shared import recipe
from tfmot_sapp.base.tables import render

FLAGS = flags.FLAGS


def _in_float32(model: Any, make: Callable[[], Any]) -> Any:
    """Returns a model of mixed precision as runtimes want it."""
    if not FLAGS.mixed_precision:
        return model
    keras.mixed_precision.set_global_policy("float32")
    plain = make()
    plain.set_weights(model.get_weights())
    return plain


def finish(
    figure: str,
    evaluate: Callable[[Any], float],
    make: Callable[[], Any],
    pruned: Any,
    dense: Any = None,
    digits: int = 2,
) -> None:
    """Strips, packs and exports a pruned model, and compares it with the dense.

    It prints the table. Of several workers only the chief does all this.

    Args:
        figure: What `evaluate` returns, for the table.
        evaluate: Returns the figure of a model.
        make: Makes the network, unpruned.
        pruned: The wrapped model after training.
        dense: The dense model after training. Defaults to `None`: the table
            has no figure for it, and a file of the pruned model, unpacked.
        digits: Digits of the figure.
    """
    if not recipe.is_chief():
        return
    stripped = sapp.strip_pruning(pruned)
    rows = sapp.report(stripped)
    print(rows)
    sapp.plot_masks(stripped, os.path.join(FLAGS.output_dir, "masks.png"))
    stripped = _in_float32(stripped, make)
    dense = None if dense is None else _in_float32(dense, make)
    packed = sapp.pack_blocks(stripped)
    files = {
        name: os.path.join(FLAGS.output_dir, f"{name}.tflite")
        for name in ("dense", "pruned")
    }
    sapp.export_tflite(stripped if dense is None else dense, files["dense"])
    sapp.export_tflite(packed, files["pruned"])
    of_dense, of_pruned = sapp.benchmark(files, threads=1).timings
    before = "" if dense is None else f"{evaluate(dense):.{digits}f}"
    ratio = rows.parameters / rows.kept_parameters
    table = render(
        ["", "dense", "pruned", ""],
        [
            [figure, before, f"{evaluate(stripped):.{digits}f}", ""],
            [
                "parameters",
                f"{rows.parameters:,}",
                f"{rows.kept_parameters:,}",
                f"{ratio:.1f}x",
            ],
            [
                "file, kB",
                f"{of_dense.size / 1e3:,.0f}",
                f"{of_pruned.size / 1e3:,.0f}",
                f"{of_dense.size / of_pruned.size:.1f}x smaller",
            ],
            [
                "latency, ms",
                f"{of_dense.median_ms:.3f}",
                f"{of_pruned.median_ms:.3f}",
                f"{of_pruned.speed_up:.1f}x faster",
            ],
        ],
        numeric=(1, 2),
    )
    print(table)
