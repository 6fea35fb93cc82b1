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
"""Packs and exports a saved model from the command line.

```sh
python -m tfmot_sapp.export_main --model=pruned.keras --output=pruned.tflite
python -m tfmot_sapp.export_main --model=pruned.keras --output=pruned.tflite \
    --quantize=int8 --representative_data=images.npy --tune
python -m tfmot_sapp.export_main --model=pruned.keras --output=pruned.tflite \
    --threads=4
python -m tfmot_sapp.export_main --model=pruned.keras --output=served/ --xla
python -m tfmot_sapp.export_main --model=pruned.tflite --output=packed.tflite
```

An output that ends in `.tflite` is a LiteRT file, any other a SavedModel. A
model that is a `.tflite` file, from whatever framework, is packed as it is.

Float files are packed as the runtime sees them, the kernels inside of any layer
included; with 8 bits, `--tune` or a SavedModel it's the Keras model that is
packed, by `pack_blocks`, and what that leaves of a SavedModel as TensorFlow
runs it.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from absl import app, flags

from tfmot_sapp.base.checks import check_count
from tfmot_sapp.cli.arrays import read_arrays
from tfmot_sapp.cli.errors import on_one_line
from tfmot_sapp.cli.target import chosen_target
from tfmot_sapp.export.result import ExportResult
from tfmot_sapp.export.saved_model import export_saved_model
from tfmot_sapp.export.tflite.file import export_tflite
from tfmot_sapp.export.tflite.options import INTEGERS
from tfmot_sapp.export.tflite.quantizer import is_installed
from tfmot_sapp.frameworks.loading import load_model
from tfmot_sapp.targets.gpu_target import GpuTarget
from tfmot_sapp.targets.target import QUANTIZE
from tfmot_sapp.verbs.pack import Tuning, pack_blocks, packing_of
from tfmot_sapp.verbs.pack_tflite import pack_tflite

FLAGS = flags.FLAGS

# Flags that a `.tflite` file has no use for.
_FOR_KERAS_MODELS = (
    "quantize",
    "representative_data",
    "pack",
    "tune",
    "encoding",
    "batch_size",
    "xla",
)


def define_flags() -> None:
    """Defines this program's flags."""
    flags.DEFINE_string(
        "model",
        None,
        "A `.keras` or `.h5` file without pruning wrappers, or a `.tflite` "
        "file to pack.",
    )
    flags.DEFINE_string(
        "output", None, "The `.tflite` file or SavedModel directory to write."
    )
    flags.DEFINE_enum(
        "quantize",
        None,
        [kind for kind in QUANTIZE if kind],
        "Data type of a `.tflite` file; float32 by default.",
    )
    flags.DEFINE_string(
        "representative_data",
        None,
        "A `.npy` file with inputs, or an `.npz` file with one array for each "
        "input by name; needed for --quantize=int8.",
    )
    flags.DEFINE_bool("pack", True, "Store and multiply only kept blocks.")
    flags.DEFINE_bool("tune", False, "Choose how to pack by timing.")
    flags.DEFINE_enum(
        "encoding",
        None,
        ["sparse"],
        "TFLite's own sparse encoding in place of packing.",
    )
    flags.DEFINE_integer("batch_size", 1, "Batch size of a `.tflite` file.")
    flags.DEFINE_integer("threads", 1, "Threads that the model will run on.")
    flags.DEFINE_enum(
        "accelerator", "cpu", ["cpu", "gpu"], "Where the model will run."
    )
    flags.DEFINE_bool("xla", False, "Compile a SavedModel with XLA.")
    flags.mark_flags_as_required(["model", "output"])


def main(arguments: Sequence[str]) -> None:
    """Loads, packs, exports, and prints what was done."""
    if len(arguments) > 1:
        raise app.UsageError(f"Unknown arguments: {arguments[1:]}.")
    from rich.console import Console

    console = Console()
    with on_one_line(console, f"Exporting {FLAGS.model!r}"):
        result = _export(console)
    _print_result(console, result)


def _export(console: Any) -> ExportResult:
    if FLAGS.model.endswith(".tflite"):
        return _pack_file(console)
    _check_flags()
    target = chosen_target(FLAGS.accelerator, FLAGS.threads)
    if isinstance(target, GpuTarget):
        _refuse_on_gpu()
    data = _load_data(FLAGS.representative_data)
    model = load_model(FLAGS.model)
    is_file = FLAGS.output.endswith(".tflite")
    packs = FLAGS.pack and FLAGS.encoding is None
    in_file = is_file and not FLAGS.tune and _is_for_files(FLAGS.quantize)
    if packs and not in_file:
        tune = None
        if FLAGS.tune:
            tune = Tuning(
                target=target,
                quantize=FLAGS.quantize,
                representative_data=data,
            )
        with console.status("Packing"):
            model = pack_blocks(
                model, batch_size=FLAGS.batch_size, tune=tune, target=target
            )
        if is_file:
            _print_packing(console, packing_of(model))
    if is_file:
        result = export_tflite(
            model,
            FLAGS.output,
            quantize=FLAGS.quantize,
            representative_data=data,
            encoding=FLAGS.encoding,
            batch_size=FLAGS.batch_size,
            pack=packs and in_file,
            target=target,
        )
        if packs and in_file:
            _print_packing(console, result.packing)
        return result
    result = export_saved_model(
        model,
        FLAGS.output,
        jit_compile=FLAGS.xla,
        representative_data=data,
        pack=packs,
        target=target,
    )
    if packs:
        _print_packing(console, [*packing_of(model), *result.packing])
    return result


def _is_for_files(quantize: str | None) -> bool:
    """Whether a packed file can be rounded, and not only a packed model."""
    return quantize not in INTEGERS or quantize == "int4" or is_installed()


def _pack_file(console: Any) -> ExportResult:
    """Packs a `.tflite` file as it is."""
    for name in _FOR_KERAS_MODELS:
        if FLAGS[name].present:
            raise ValueError(
                f"`{name}` is for Keras models; a `.tflite` file is packed as "
                f"it is. Leave --{name} out, or pass the `.keras` file. "
                f"Received: {name}={FLAGS[name].value!r} and "
                f"model={FLAGS.model!r}."
            )
    if not FLAGS.output.endswith(".tflite"):
        raise ValueError(
            "`output` must end in `.tflite` where `model` does. Received: "
            f"output={FLAGS.output!r} and model={FLAGS.model!r}."
        )
    target = chosen_target(FLAGS.accelerator, FLAGS.threads)
    result = pack_tflite(FLAGS.model, FLAGS.output, target)
    _print_packing(console, result.packing)
    return result


def _refuse_on_gpu() -> None:
    if not FLAGS.output.endswith(".tflite"):
        raise ValueError(
            "`accelerator` is for `.tflite` files; end `output` in `.tflite`. "
            f"Received: accelerator='gpu' and output={FLAGS.output!r}."
        )
    if FLAGS.encoding is not None:
        raise ValueError(
            "`encoding` must be left out for a GPU, which takes no sparse "
            "tensors. Received: accelerator='gpu' and "
            f"encoding={FLAGS.encoding!r}."
        )


def _check_flags() -> None:
    """Refuses what would have no effect, before any work is done."""
    check_count(FLAGS.threads, "threads")
    check_count(FLAGS.batch_size, "batch_size")
    if FLAGS.output.endswith(".tflite"):
        _refuse("xla", FLAGS.xla, "is for SavedModels")
    else:
        for name in ("quantize", "encoding", "batch_size"):
            _refuse(
                name,
                FLAGS[name].present,
                "is for `.tflite` files; end `output` in `.tflite`",
            )
    packed = FLAGS.pack and FLAGS.encoding is None
    _refuse("tune", FLAGS.tune and not packed, "is for packing")


def _refuse(name: str, given: Any, why: str) -> None:
    if given:
        raise ValueError(
            f"`{name}` {why}. Received: {name}={FLAGS[name].value!r} and "
            f"output={FLAGS.output!r}."
        )


def _load_data(path: str | None) -> Any:
    if path is None:
        return None
    arrays = read_arrays(path, "representative_data")
    return arrays.get("", arrays)


def _print_packing(console: Any, rows: Sequence[Mapping[str, Any]]) -> None:
    from rich.table import Table
    from rich.text import Text

    if not rows:
        console.print("No pruned blocks were found; nothing is packed.")
        return

    table = Table(title="Packing")
    for column in ("layer", "lowering", "blocks kept", "density", "why"):
        table.add_column(column)
    for row in rows:
        kept = ""
        if row["blocks"] is not None:
            kept = f"{row['kept_blocks']} of {row['blocks']}"
        table.add_row(
            Text(row["layer"]),
            row["lowering"],
            kept,
            f"{row['parameter_density']:.3f}",
            Text(row["why"]),
        )
    console.print(table)


def _print_result(console: Any, result: ExportResult) -> None:
    from rich.table import Table
    from rich.text import Text

    ops = ", ".join(f"{n} {name}" for name, n in result.ops.items())
    table = Table(show_header=False)
    table.add_row("path", Text(str(result.path)))
    table.add_row("size", f"{result.size / 1000:,.1f} kB")
    table.add_row("largest error", f"{result.max_error:.3g} of the scale")
    table.add_row("rms error", f"{result.rms_error:.3g} of the outputs' rms")
    table.add_row("tolerance", f"{result.tolerance:.3g}")
    table.add_row("operators", Text(ops))
    console.print(table)
