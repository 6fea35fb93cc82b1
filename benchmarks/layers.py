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
"""Single layers of known networks: packed beside dense, layer by layer.

```sh
python benchmarks/layers.py --output_dir=benchmarks/results
python benchmarks/layers.py --layers='resnet50*' --blocks=32 --sparsities=0.9
```

Every layer is alone in its model, so that pieces have to be cut and put
together; blocks are dropped at random. Dense, packed and TFLite's own sparse
encoding are timed in turns in one run. Rows are appended to `layers.csv` as
they are measured, and a run goes on where the last one stopped; `layers.png`
and the table show all rows, the losing ones too. "ideal" is 1 / density.
"""

import csv
import dataclasses
import fnmatch
import pathlib
import tempfile
from collections.abc import Iterator, Sequence
from typing import Any

import keras
import numpy as np
import rich.console
import rich.table
from absl import app, flags
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from rich import progress

import tfmot_sapp as sapp
from tfmot_sapp.block_grid import BlockGrid, expand
from tfmot_sapp.export.pack import Tuning, packing_of
from tfmot_sapp.selection import kept_blocks

FLAGS = flags.FLAGS


@dataclasses.dataclass(frozen=True)
class Layer:
    """A layer of a known network.

    Attributes:
        name: `network/layer`.
        inputs: Input channels.
        outputs: Output channels.
        taps: Side of a convolution's kernel; 0 for a Dense.
        image: Side of the image; 0 for a Dense.
        batch: Samples, or tokens, in a call.
    """

    name: str
    inputs: int
    outputs: int
    taps: int = 0
    image: int = 0
    batch: int = 1


LAYERS = (
    Layer("resnet50/2a-3x3", 64, 64, 3, 56),
    Layer("resnet50/2a-1x1-out", 64, 256, 1, 56),
    Layer("resnet50/2b-1x1-in", 256, 64, 1, 56),
    Layer("resnet50/3-3x3", 128, 128, 3, 28),
    Layer("resnet50/3-1x1-in", 512, 128, 1, 28),
    Layer("resnet50/3-1x1-out", 128, 512, 1, 28),
    Layer("resnet50/4-3x3", 256, 256, 3, 14),
    Layer("resnet50/4-1x1-in", 1024, 256, 1, 14),
    Layer("resnet50/4-1x1-out", 256, 1024, 1, 14),
    Layer("resnet50/5-3x3", 512, 512, 3, 7),
    Layer("resnet50/5-1x1-in", 2048, 512, 1, 7),
    Layer("resnet50/5-1x1-out", 512, 2048, 1, 7),
    Layer("resnet50/classes", 2048, 1000),
    Layer("mobilenetv2/expand-28", 32, 192, 1, 28),
    Layer("mobilenetv2/project-28", 192, 32, 1, 28),
    Layer("mobilenetv2/expand-14", 96, 576, 1, 14),
    Layer("mobilenetv2/project-14", 576, 96, 1, 14),
    Layer("mobilenetv2/expand-7", 160, 960, 1, 7),
    Layer("mobilenetv2/project-7", 960, 160, 1, 7),
    Layer("mobilenetv2/last", 320, 1280, 1, 7),
    Layer("bert/up-1-token", 768, 3072),
    Layer("bert/down-1-token", 3072, 768),
    Layer("bert/up-128-tokens", 768, 3072, batch=128),
    Layer("bert/down-128-tokens", 3072, 768, batch=128),
    Layer("criteo/first", 390, 400, batch=256),
    Layer("criteo/hidden", 400, 400, batch=256),
)

COLUMNS = (
    "layer",
    "batch",
    "block",
    "sparsity",
    "threads",
    "tuned",
    "density",
    "ideal",
    "dense_ms",
    "packed_ms",
    "speed_up",
    "of_ideal",
    "encoded_speed_up",
    "size_ratio",
    "max_error",
    "lowering",
)
KEY = ("layer", "batch", "block", "sparsity", "threads", "tuned")


def define_flags() -> None:
    """Defines this program's flags."""
    flags.DEFINE_string("output_dir", "benchmarks/results", "Where to write.")
    flags.DEFINE_list("layers", ["*"], "Patterns of layers' names.")
    flags.DEFINE_list("blocks", ["8", "16", "32", "64"], "Block sides.")
    flags.DEFINE_list("sparsities", ["0.7", "0.8", "0.9", "0.95"], "Zeros.")
    flags.DEFINE_integer("threads", 1, "Threads of the runtime.")
    flags.DEFINE_integer("rounds", 15, "Rounds of timing.")
    flags.DEFINE_integer("seed", 0, "Seed of weights and masks.")
    flags.DEFINE_bool("tune", False, "Choose how to pack by timing.")


def main(arguments: Sequence[str]) -> None:
    """Measures what is missing, then shows everything."""
    if len(arguments) > 1:
        raise app.UsageError(f"Unknown arguments: {arguments[1:]}.")
    folder = pathlib.Path(FLAGS.output_dir)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "layers.csv"
    done = {tuple(row[k] for k in KEY) for row in read_rows(path)}
    cells = [cell for cell in chosen_cells() if cell_key(*cell) not in done]
    console = rich.console.Console()
    with tempfile.TemporaryDirectory() as scratch:
        for layer, block, sparsity in progress.track(
            cells, "Layers", console=console
        ):
            row = measure(layer, block, sparsity, pathlib.Path(scratch))
            append_row(path, row)
    rows = read_rows(path)
    if rows:
        console.print(summary(rows))
        console.print(losing(rows))
        draw(rows, folder / "layers.png")


def chosen_cells() -> Iterator[tuple[Layer, int, float]]:
    """Yields the cells of the grid that the flags ask for."""
    for layer in LAYERS:
        if any(fnmatch.fnmatchcase(layer.name, p) for p in FLAGS.layers):
            for block in map(int, FLAGS.blocks):
                for sparsity in map(float, FLAGS.sparsities):
                    yield layer, block, sparsity


def cell_key(layer: Layer, block: int, sparsity: float) -> tuple[str, ...]:
    """Returns what tells a cell's row from the others, as text."""
    values = (layer.name, layer.batch, block, sparsity)
    return tuple(map(str, (*values, FLAGS.threads, FLAGS.tune)))


def measure(
    layer: Layer, block: int, sparsity: float, scratch: pathlib.Path
) -> dict[str, Any]:
    """Measures one cell.

    Args:
        layer: The layer.
        block: Side of its blocks.
        sparsity: Fraction of blocks to drop, at random.
        scratch: Folder for the files.

    Returns:
        A row, a value for every one of `COLUMNS`.
    """
    keras.backend.clear_session()
    model, density = pruned_model(layer, block, sparsity)
    tune = Tuning(threads=FLAGS.threads) if FLAGS.tune else None
    packed = sapp.pack_blocks(model, batch_size=layer.batch, tune=tune)
    files = {name: scratch / f"{name}.tflite" for name in ("dense", "packed")}
    dense = sapp.export_tflite(model, files["dense"], batch_size=layer.batch)
    result = sapp.export_tflite(packed, files["packed"], batch_size=layer.batch)
    encoded = scratch / "encoded.tflite"
    try:
        sapp.export_tflite(
            model, encoded, batch_size=layer.batch, encoding="sparse"
        )
        files["encoded"] = encoded
    except ValueError:
        # The exporter refuses it: the runtime would unpack it, as fast as
        # dense at best. The row's column stays empty.
        encoded.unlink(missing_ok=True)
    timings = sapp.benchmark(
        files,
        threads=FLAGS.threads,
        batch_size=layer.batch,
        rounds=FLAGS.rounds,
    ).timings
    by_name = {timing.name: timing for timing in timings}
    speed_up = by_name["packed"].speed_up
    lowerings = {row["lowering"] for row in packing_of(packed)}
    values = (
        *cell_key(layer, block, sparsity),
        f"{density:.4f}",
        f"{1 / density:.3f}",
        f"{by_name['dense'].median_ms:.5f}",
        f"{by_name['packed'].median_ms:.5f}",
        f"{speed_up:.3f}",
        f"{speed_up * density:.3f}",
        f"{by_name['encoded'].speed_up:.3f}" if "encoded" in by_name else "",
        f"{dense.size / result.size:.3f}",
        f"{result.max_error:.2e}",
        "+".join(sorted(lowerings)) or "dense",
    )
    return dict(zip(COLUMNS, values))


def pruned_model(
    layer: Layer, block: int, sparsity: float
) -> tuple[keras.Model, float]:
    """Builds a model of one layer with random kept blocks.

    Args:
        layer: The layer.
        block: Side of its blocks.
        sparsity: Fraction of blocks to drop.

    Returns:
        The model, and its kernel's density.
    """
    generator = np.random.default_rng(FLAGS.seed)
    if layer.taps:
        inputs = keras.Input((layer.image, layer.image, layer.inputs))
        core = keras.layers.Conv2D(
            layer.outputs, layer.taps, padding="same", activation="relu"
        )
    else:
        inputs = keras.Input((layer.inputs,))
        core = keras.layers.Dense(layer.outputs, activation="relu")
    model = keras.Model(inputs, core(inputs))
    shape = tuple(core.kernel.shape)
    grid = BlockGrid.over(shape, (*shape[:-2], block, block))
    kept = np.zeros(grid.num_blocks, np.float32)
    kept[: kept_blocks(grid.num_blocks, sparsity)] = 1.0
    mask = expand(generator.permutation(kept).reshape(grid.cells), grid)
    kernel = generator.normal(size=shape) / np.sqrt(np.prod(shape[:-1]))
    bias = generator.normal(size=layer.outputs) / 10
    core.set_weights([kernel * mask, bias])
    return model, float(mask.mean())


def read_rows(path: pathlib.Path) -> list[dict[str, str]]:
    """Reads the rows measured so far."""
    if not path.exists():
        return []
    with path.open(newline="") as file:
        # A run that was killed may have left half a line.
        return [row for row in csv.DictReader(file) if row["lowering"]]


def append_row(path: pathlib.Path, row: dict[str, Any]) -> None:
    """Appends a row, and the header in front of the first."""
    fresh = not path.exists()
    with path.open("a", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        if fresh:
            writer.writeheader()
        writer.writerow(row)


def geometric_mean(values: Sequence[float]) -> float:
    """Returns the geometric mean of positive numbers."""
    return float(np.exp(np.mean(np.log(values))))


def summary(rows: Sequence[dict[str, str]]) -> rich.table.Table:
    """Tabulates geometric means by network, block and sparsity."""
    table = rich.table.Table(title="Geometric means over a network's layers")
    for column in (
        "network",
        "block",
        "sparsity",
        "ideal",
        "packed",
        "of ideal",
        "sparse encoding",
        "layers that lose",
    ):
        table.add_column(column, justify="right")
    groups: dict[tuple[str, int, str], list[dict[str, str]]] = {}
    for row in rows:
        network = row["layer"].partition("/")[0]
        key = (network, int(row["block"]), row["sparsity"])
        groups.setdefault(key, []).append(row)
    for (network, block, sparsity), group in sorted(groups.items()):
        encoded = [row for row in group if row["encoded_speed_up"]]
        table.add_row(
            network,
            str(block),
            sparsity,
            f"{_mean(group, 'ideal'):.2f}x",
            f"{_mean(group, 'speed_up'):.2f}x",
            f"{_mean(group, 'of_ideal'):.2f}",
            f"{_mean(encoded, 'encoded_speed_up'):.2f}x" if encoded else "-",
            f"{sum(float(r['speed_up']) < 1 for r in group)} of {len(group)}",
        )
    return table


def _mean(rows: Sequence[dict[str, str]], column: str) -> float:
    return geometric_mean([float(row[column]) for row in rows])


def losing(rows: Sequence[dict[str, str]]) -> rich.table.Table:
    """Tabulates the cells in which packing is slower than dense."""
    table = rich.table.Table(title="Slower than dense")
    for column in ("layer", "batch", "block", "sparsity", "lowering", "packed"):
        table.add_column(column)
    for row in sorted(rows, key=lambda row: float(row["speed_up"])):
        if float(row["speed_up"]) < 1:
            keys = ("layer", "batch", "block", "sparsity", "lowering")
            table.add_row(*(row[k] for k in keys), f"{row['speed_up']}x")
    return table


_COLOURS = {8: "#ff725c", 16: "#efb118", 32: "#3ca951", 64: "#4269d0"}
_MARKERS = {"resnet50": "o", "mobilenetv2": "s", "bert": "^", "criteo": "D"}


def draw(rows: Sequence[dict[str, str]], path: pathlib.Path) -> None:
    """Draws speed-up over ideal, packed beside TFLite's own encoding.

    Args:
        rows: Rows as in the CSV file.
        path: The PNG file to write.
    """
    figure = Figure(figsize=(11, 5.4), layout="constrained", dpi=150)
    axes = figure.subplots(1, 2, sharex=True, sharey=True)
    titles = ("packed", "TFLite's sparse encoding (Dense only)")
    for ax, column, title in zip(
        axes, ("speed_up", "encoded_speed_up"), titles
    ):
        ax.plot([1, 40], [1, 40], color="#444444", linewidth=1)
        ax.text(26, 28, "ideal", rotation=42, ha="right", va="bottom")
        ax.axhspan(0.01, 1, color="#cc0000", alpha=0.08, linewidth=0)
        ax.text(20.5, 0.97, "slower than dense", ha="right", va="top")
        for row in rows:
            if row[column]:
                network = row["layer"].partition("/")[0]
                ax.plot(
                    float(row["ideal"]),
                    float(row[column]),
                    _MARKERS[network],
                    color=_COLOURS[int(row["block"])],
                    markersize=5,
                    alpha=0.75,
                    markeredgewidth=0,
                )
        ax.set_xscale("log", base=2)
        ax.set_yscale("log", base=2)
        ax.set_xlim(2.6, 36)
        ax.set_ylim(0.3, 36)
        ticks = [0.5, 1, 2, 4, 8, 16, 32]
        ax.set_yticks(ticks, [f"{tick:g}x" for tick in ticks])
        ax.set_xticks(ticks[3:], [f"{tick:g}x" for tick in ticks[3:]])
        ax.set_xlabel("1 / density")
        ax.set_title(title)
        ax.grid(alpha=0.25)
        ax.spines[["top", "right"]].set_visible(False)
    axes[0].set_ylabel("speed-up over dense")
    blocks = [
        axes[1].plot([], [], "o", color=c, label=f"{b}x{b} blocks")[0]
        for b, c in _COLOURS.items()
    ]
    networks = [
        axes[1].plot([], [], m, color="#888888", label=n)[0]
        for n, m in _MARKERS.items()
    ]
    axes[1].legend(
        handles=blocks + networks, loc="upper left", ncols=2, frameon=False
    )
    threads = sorted({row["threads"] for row in rows})
    figure.suptitle(
        f"Single layers on LiteRT, float32, {'/'.join(threads)} thread(s), "
        "against the dense layer"
    )
    temporary = path.with_name(f".{path.name}")
    with temporary.open("wb") as file:
        FigureCanvasAgg(figure).print_png(file)
    temporary.replace(path)


if __name__ == "__main__":
    define_flags()
    app.run(main)
