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
"""Prunes a trained model, packs and exports it, from the command line.

```sh
python -m tfmot_sapp.compress_main --model=model.keras --data=images.npz \
    --speedup=2 --threads=4 --output=model.tflite
python -m tfmot_sapp.compress_main --model=model.keras --data=images.npy \
    --sparsity=0.5 --distill_steps=500 --labels=labels.npy \
    --output=model.tflite
```

No labels are needed. A part of the data is held out, and the dense model and
the compressed one are compared on it: their accuracy where there are labels,
and otherwise how often they agree. Beside the file a picture of the masks and a
report are written.
"""

import contextlib
import pathlib
from collections.abc import Sequence
from typing import Any

from absl import app, flags

from tfmot_sapp.base.checks import check_count, check_real
from tfmot_sapp.base.files import written_file
from tfmot_sapp.base.paths import check_path
from tfmot_sapp.base.tables import render
from tfmot_sapp.base.temporary_paths import temporary_folder
from tfmot_sapp.calibration.wanted_sparsity import WantedSparsity
from tfmot_sapp.cli.compared import (
    Compared,
    compared,
    fitting_inputs,
    load_arrays,
)
from tfmot_sapp.cli.errors import on_one_line
from tfmot_sapp.export.benchmark.benchmark import benchmark
from tfmot_sapp.export.tflite.file import export_tflite
from tfmot_sapp.frameworks.loading import load_model
from tfmot_sapp.targets.cpu_target import CpuTarget
from tfmot_sapp.training.distillation import Distillation
from tfmot_sapp.training.policy import MinimumBlocks
from tfmot_sapp.verbs.pack import Tuning, pack_blocks
from tfmot_sapp.verbs.plot_masks import plot_masks
from tfmot_sapp.verbs.post_training import Options, Wanted, pruned_models
from tfmot_sapp.verbs.predicted_time import wanted_speedup
from tfmot_sapp.verbs.report import report

FLAGS = flags.FLAGS


def define_flags() -> None:
    """Defines this program's flags."""
    flags.DEFINE_string("model", None, "A `.keras` or `.h5` file.")
    flags.DEFINE_string(
        "data",
        None,
        "A `.npy` file with inputs, or an `.npz` file with one array, or one "
        "for each input by name.",
    )
    flags.DEFINE_string("output", None, "The `.tflite` file to write.")
    flags.DEFINE_float("sparsity", None, "Share of the blocks to remove.")
    flags.DEFINE_float(
        "speedup", None, "How many times faster to become, by the cost model."
    )
    flags.DEFINE_string(
        "labels",
        None,
        "A `.npy` file with the number of each sample's class, or the name of "
        "an array in --data.",
    )
    flags.DEFINE_bool("logits", False, "Whether outputs are logits of classes.")
    flags.DEFINE_list("block_size", ["32", "32"], "Inputs and outputs a block.")
    flags.DEFINE_integer("min_blocks", 100, "Layers with fewer stay whole.")
    flags.DEFINE_float("held_out", 0.25, "Share of the data to compare on.")
    flags.DEFINE_integer("distill_steps", 0, "Steps of distillation.")
    flags.DEFINE_integer("threads", 1, "Threads that the file will run on.")
    flags.DEFINE_bool("tune", False, "Choose how to pack by timing.")
    flags.DEFINE_integer("rounds", 50, "Rounds in which latency is measured.")
    flags.mark_flags_as_required(["model", "data", "output"])


def main(arguments: Sequence[str]) -> None:
    """Prunes, packs, exports, and prints dense beside compressed."""
    if len(arguments) > 1:
        raise app.UsageError(f"Unknown arguments: {arguments[1:]}.")
    from rich.console import Console

    with on_one_line(Console(), f"Compressing {FLAGS.model!r}"):
        table = _compress()
    print(table)


def _compress() -> str:
    output = pathlib.Path(FLAGS.output)
    if output.suffix != ".tflite":
        raise ValueError(
            "`output` must end in `.tflite`. "
            f"Received: output={FLAGS.output!r}."
        )
    places = [
        check_path(path, "file", name="output")
        for path in (
            output,
            output.with_suffix(".masks.png"),
            output.with_suffix(".report.txt"),
        )
    ]
    check_count(FLAGS.threads, "threads")
    check_count(FLAGS.rounds, "rounds")
    options = Options(
        pruning_policy=MinimumBlocks(FLAGS.min_blocks),
        distill=_distillation(),
        logits=FLAGS.logits,
    )
    wanted = _wanted()
    arrays, labels = load_arrays(FLAGS.data, FLAGS.labels)
    share = check_real(FLAGS.held_out, "held_out", above=0, below=1)
    model = load_model(FLAGS.model)
    split = Compared.split(fitting_inputs(model, arrays), labels, share)
    (pruned,) = pruned_models(
        model,
        split.calibration,
        [wanted],
        _block_size(),
        True,
        options,
    )
    tune = Tuning(threads=FLAGS.threads) if FLAGS.tune else None
    target = CpuTarget(threads=FLAGS.threads)
    packed = pack_blocks(pruned, tune=tune, target=target)
    # Random numbers needn't be what the model can take.
    data = split.calibration
    with temporary_folder() as folder:
        dense = export_tflite(
            model, folder / "dense.tflite", representative_data=data
        )
        compressed = export_tflite(
            packed, folder / output.name, representative_data=data
        )
        times = benchmark(
            {"dense": dense.path, "compressed": compressed.path},
            threads=FLAGS.threads,
            rounds=FLAGS.rounds,
        )
        rows = compared(split, model, packed)
        rows += _costs(model, packed, dense, compressed, times)
        table = render(["", "dense", "compressed"], rows, numeric=(1, 2))
        masks = folder / "masks.png"
        plot_masks(pruned, masks)
        text = f"{table}\n\n{report(pruned)}\n"
        contents = (
            compressed.path.read_bytes(),
            masks.read_bytes(),
            text.encode(),
        )
    with contextlib.ExitStack() as stack:
        # All of them or none.
        opened = [stack.enter_context(written_file(place)) for place in places]
        for file, content in zip(opened, contents):
            file.write(content)
    return table


def _wanted() -> Wanted:
    """Returns what the model is to lose, by the flags."""
    sparsity, speedup = FLAGS.sparsity, FLAGS.speedup
    if (sparsity is None) == (speedup is None):
        raise ValueError(
            "One of `sparsity` and `speedup` must be given. Received: "
            f"sparsity={sparsity} and speedup={speedup}."
        )
    target = CpuTarget(threads=FLAGS.threads)
    if sparsity is not None:
        found = WantedSparsity.of(sparsity, None)
        return lambda copy: found
    check_real(speedup, "speedup", above=1)
    return lambda copy: wanted_speedup(copy, speedup, target)


def _block_size() -> tuple[int, int]:
    try:
        inputs, outputs = map(int, FLAGS.block_size)
    except ValueError:
        raise ValueError(
            "`block_size` must be two whole numbers, such as "
            f"--block_size=16,16. Received: {','.join(FLAGS.block_size)}."
        ) from None
    return inputs, outputs


def _distillation() -> Distillation | None:
    if not FLAGS.distill_steps:
        return None
    return Distillation(FLAGS.distill_steps, logits=FLAGS.logits)


def _costs(
    model: Any, packed: Any, dense: Any, compressed: Any, times: Any
) -> list[list[str]]:
    """Returns the rows of the table that are about cost."""
    sizes = [each.size / 1e6 for each in (dense, compressed)]
    threads = FLAGS.threads
    return [
        ["parameters", *(f"{m.count_params():,}" for m in (model, packed))],
        ["file, MB", *(f"{size:.2f}" for size in sizes)],
        [
            f"latency, ms, {threads} thread{'s' * (threads > 1)}",
            *(f"{timing.median_ms:.3g}" for timing in times.timings),
        ],
        ["speed-up", *(f"{timing.speed_up:.2f}" for timing in times.timings)],
    ]
