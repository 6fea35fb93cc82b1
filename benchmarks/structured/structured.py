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
"""Structured pruning measured: cost, quality, the residual's decay, latency.

    python -m benchmarks.structured.structured cost
    python -m benchmarks.structured.structured quality --data_dir=...
    python -m benchmarks.structured.structured alone --data_dir=...
    python -m benchmarks.structured.structured decay
    python -m benchmarks.structured.structured latency

Each part prints a table and writes a CSV, and a picture where there is a curve.
"""

import csv
import os
import statistics as stats
import tempfile
import time
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
from absl import app, flags

import tfmot_sapp as sapp
from benchmarks.structured import quality
from examples.structured import networks
from tfmot_sapp.base.tables import render
from tfmot_sapp.structured.collect import collect
from tfmot_sapp.structured.statistics import Part, Statistics
from tfmot_sapp.units.groups import find_groups

FLAGS = flags.FLAGS
flags.DEFINE_string(
    "output_dir", "benchmarks/structured/results", "Where files go."
)
flags.DEFINE_integer("samples", 1024, "Samples for the cost.")
flags.DEFINE_multi_integer(
    "width", [256, 512, 1024, 2048, 4096, 8192], "Hidden units for the cost."
)
flags.DEFINE_integer("repeats", 3, "Repetitions of each timing.")


def write(
    name: str, head: Sequence[str], rows: Sequence[Sequence[str]]
) -> None:
    """Prints a table and writes it as a CSV."""
    print(render(list(head), rows, numeric=tuple(range(1, len(head)))))
    os.makedirs(FLAGS.output_dir, exist_ok=True)
    path = os.path.join(FLAGS.output_dir, f"{name}.csv")
    with open(path, "w", newline="") as file:
        csv.writer(file).writerows([head, *rows])


def median_seconds(function: Callable[[], Any]) -> float:
    """Returns the median time of a few calls."""
    times = []
    for _ in range(FLAGS.repeats):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return stats.median(times)


def literal_greedy(hidden: np.ndarray, weights: np.ndarray, keep: int) -> None:
    """Greedy forward selection as it is published: a loss per candidate.

    Args:
        hidden: Array (samples, units).
        weights: Array (units, outputs).
        keep: Units to keep.
    """
    units = len(weights)
    whole = hidden @ weights
    total = np.zeros_like(whole)
    left = list(range(units))
    for count in range(1, keep + 1):
        losses = [
            np.sum(
                np.square(
                    whole
                    - units
                    / count
                    * (total + np.outer(hidden[:, unit], weights[unit]))
                )
            )
            for unit in left
        ]
        unit = left.pop(int(np.argmin(losses)))
        total += np.outer(hidden[:, unit], weights[unit])


def cost(outputs: int = 256, inputs: int = 256, keep: float = 0.3) -> None:
    """Times selection on one hidden layer, over its width.

    The whole of i-SpaSP is timed, with the pass over the data. Greedy forward
    selection as it is published, a loss per candidate, is timed in full up to
    256 units, and for one step above that, the rest being extrapolated by the
    number of candidates; losses are computed from hidden activations that are
    there, not by a forward pass each. Beside it is the quick one of this
    project, from products of features.
    """
    rng = np.random.default_rng(0)
    rows = []
    for width in FLAGS.width:
        model = keras.Sequential(
            [
                keras.Input((inputs,)),
                keras.layers.Dense(width, activation="relu"),
                keras.layers.Dense(outputs),
            ]
        )
        x = rng.normal(size=(FLAGS.samples, inputs)).astype(np.float32)
        (group,) = find_groups(model).groups
        kept = round(keep * width)

        def run(criterion: sapp.Criterion) -> np.ndarray:
            found = collect(model, [group], [x], criterion.needs_gram)  # noqa: B023
            return criterion.select(found[group.name], kept)  # noqa: B023

        forward = median_seconds(lambda: model(x))  # noqa: B023
        mine = sapp.ISpaSP()
        run(mine)
        seconds = median_seconds(lambda: run(mine))  # noqa: B023
        sums = collect(model, [group], [x], False)[group.name]
        iterations = median_seconds(lambda: mine.select(sums, kept))  # noqa: B023
        quick = median_seconds(lambda: run(sapp.GreedyForward()))  # noqa: B023
        kernel, bias = model.layers[0].get_weights()
        hidden = np.maximum(x @ kernel + bias, 0)
        weights = model.layers[1].get_weights()[0]
        steps = kept if width <= 256 else 1
        start = time.perf_counter()
        literal_greedy(hidden, weights, steps)
        # A step looks at the units that are left.
        candidates = sum(width - step for step in range(kept))
        looked_at = sum(width - step for step in range(steps))
        literal = (time.perf_counter() - start) * candidates / looked_at
        rows.append(
            [
                f"{width}",
                f"{1e3 * forward:.2f}",
                f"{1e3 * seconds:.1f}",
                f"{1e3 * iterations / mine.iterations:.3f}",
                f"{seconds / mine.iterations / forward:.2f}",
                f"{1e3 * quick:.0f}",
                f"{quick / seconds:.0f}",
                f"{literal:.1f}",
                f"{literal / seconds:.0f}",
            ]
        )
    head = [
        "units",
        "forward, ms",
        "i-SpaSP, ms",
        "an iteration, ms",
        "whole / iterations / forward",
        "greedy by products, ms",
        "times i-SpaSP",
        "greedy as published, s (extrapolated)",
        "times i-SpaSP ",
    ]
    write("cost", head, rows)
    from matplotlib.figure import Figure

    figure = Figure((6, 3.6), layout="constrained")
    axis = figure.subplots()
    widths = [int(row[0]) for row in rows]
    for column, scale, label in (
        (7, 1e3, "greedy forward, as published"),
        (5, 1, "greedy forward, from products"),
        (2, 1, "i-SpaSP, 20 iterations"),
        (1, 1, "one forward pass"),
    ):
        axis.loglog(
            widths,
            [scale * float(row[column]) for row in rows],
            marker="o",
            label=label,
        )
    axis.set(xlabel="hidden units", ylabel="ms", xticks=widths)
    axis.set_xticklabels([str(width) for width in widths])
    axis.minorticks_off()
    axis.grid(alpha=0.3)
    axis.legend(frameon=False, fontsize=8)
    figure.savefig(os.path.join(FLAGS.output_dir, "cost.png"), dpi=150)


def decay(units: int = 256, samples: int = 512, outputs: int = 64) -> None:
    """Measures the residual for representations of known compressibility.

    Each sample's hidden units, sorted, fall off as `i^(-1/p)` (arXiv
    2112.04905, Section 4): the smaller `p`, the faster the residual falls.
    """
    from matplotlib.figure import Figure

    rng = np.random.default_rng(0)
    shares = np.array([0.02, 0.04, 0.08, 0.12, 0.2, 0.3, 0.4, 0.5, 0.7])
    rows = []
    figure = Figure((6, 3.8), layout="constrained")
    axis = figure.subplots()
    for p in (0.3, 0.5, 0.7, 0.9):
        strength = np.arange(1, units + 1) ** (-1 / p)
        hidden = strength * rng.uniform(0.5, 1.5, (samples, units))
        weights = rng.normal(size=(units, outputs)) / np.sqrt(outputs)
        part = Part(
            weights,
            np.arange(units),
            hidden.sum(0, keepdims=True),
            np.ones((1, units), bool),
            hidden.T @ hidden,
        )
        statistics = Statistics(units, hidden.sum(0), np.ones(units), (part,))
        kept = [max(1, round(share * units)) for share in shares]
        found = [
            statistics.residual(sapp.ISpaSP().select(statistics, count))
            for count in kept
        ]
        # What stays outside of the best s falls as s^(1 - 1/p).
        bound = np.array(kept, float) ** (1 - 1 / p)
        bound *= found[0] / bound[0]
        rows += [
            [f"{p}", f"{count}", f"{value:.3e}", f"{limit:.3e}"]
            for count, value, limit in zip(kept, found, bound)
        ]
        (line,) = axis.loglog(kept, found, marker="o", label=f"p = {p}")
        axis.loglog(kept, bound, ls=":", color=line.get_color())
    axis.set(
        xlabel="units kept of 256",
        ylabel="residual, share of the output",
    )
    axis.set_title("dotted: the bound's decay, s^(1 - 1/p)", fontsize=9)
    axis.legend(frameon=False)
    axis.grid(alpha=0.3)
    head = ["p", "units kept", "residual", "bound, scaled to the first"]
    write("decay", head, rows)
    figure.savefig(os.path.join(FLAGS.output_dir, "decay.png"), dpi=150)


def latency() -> None:
    """Measures ResNet-34 and MobileNetV2 as the paper prunes them."""
    rows = []
    rng = np.random.default_rng(0)
    data = rng.normal(size=(16, 224, 224, 3)).astype(np.float32)
    for name in ("resnet34", "mobilenet_v2"):
        keras.utils.set_random_seed(0)
        model = networks.make(name)
        smaller = sapp.prune_structured(
            model, data, networks.keep(name), batch_size=8
        )
        with tempfile.TemporaryDirectory() as folder:
            files = {}
            for label, one in (("dense", model), ("smaller", smaller)):
                files[label] = os.path.join(folder, f"{label}.tflite")
                sapp.export_tflite(one, files[label])
            before, after = sapp.benchmark(files, threads=1).timings
        rows.append(
            [
                name,
                f"{sapp.count_flops(model) / 1e6:.1f}",
                f"{sapp.count_flops(smaller) / 1e6:.1f}",
                f"{before.size / 1e6:.1f}",
                f"{after.size / 1e6:.1f}",
                f"{before.median_ms:.1f}",
                f"{after.median_ms:.1f}",
                f"{after.speed_up:.2f}",
            ]
        )
    head = [
        "network",
        "M multiply-adds",
        "smaller",
        "MB",
        "smaller ",
        "ms",
        "smaller  ",
        "speed-up",
    ]
    write("latency", head, rows)


def main(argv: list[str]) -> None:
    """Runs the parts that are named, or all that need no data."""
    parts = {
        "cost": cost,
        "quality": quality.quality,
        "alone": quality.alone,
        "decay": decay,
        "latency": latency,
    }
    for name in argv[1:] or ["cost", "decay", "latency"]:
        if name not in parts:
            raise app.UsageError(f"No part {name!r}; there are {list(parts)}.")
        parts[name]()


if __name__ == "__main__":
    app.run(main)
