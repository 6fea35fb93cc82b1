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
"""Tables and the picture of `accuracy.py`."""

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tfmot_sapp.base.tables import render

# By (stage, block, sparsity), then by method, then by seed.
Figures = dict[tuple[str, int, float], dict[str, dict[int, float]]]


def collect(chosen: Mapping[Any, Mapping[str, Any]]) -> Figures:
    """Sorts the test figures of runs by cell, method and seed."""
    figures: Figures = {}
    for run, row in chosen.items():
        cell = figures.setdefault((run.stage, run.block, run.sparsity), {})
        cell.setdefault(run.method, {})[run.seed] = float(row["test"])
    return figures


def _cell_name(cell: tuple[str, int, float]) -> str:
    stage, block, sparsity = cell
    name = f"B{block} {100 * sparsity:g} %"
    return name if stage == "test" else f"{name}, {stage}ed"


def _digits(figures: Figures) -> int:
    highest = max(
        value
        for cell in figures.values()
        for seeds in cell.values()
        for value in seeds.values()
    )
    return 2 if highest > 1.5 else 4


def table(chosen: Mapping[Any, Mapping[str, Any]]) -> str:
    """Returns mean, deviation and number of seeds, method by cell."""
    figures = collect(chosen)
    digits = _digits(figures)
    cells = sorted(figures)
    methods = list(dict.fromkeys(run.method for run in chosen))

    def entry(cell: tuple[str, int, float], method: str) -> str:
        seeds = figures[cell].get(method)
        if not seeds:
            return ""
        values = list(seeds.values())
        mean = f"{np.mean(values):.{digits}f}"
        if len(values) == 1:
            return f"{mean} (1)"
        deviation = np.std(values, ddof=1)
        return f"{mean} ±{deviation:.{digits}f} ({len(values)})"

    rows = [
        [method, *(entry(cell, method) for cell in cells)] for method in methods
    ]
    head = ["method", *map(_cell_name, cells)]
    return render(head, rows, numeric=tuple(range(1, len(head))))


def choices(
    chosen: Sequence[Any], rows: Mapping[Any, Mapping[str, Any]]
) -> str:
    """Returns what was chosen on validation data, and its figure there.

    Args:
        chosen: A run with the best rate and shape for each cell and method.
        rows: Rows by run.
    """
    lines = []
    for run in chosen:
        figures = [
            float(row["validation"])
            for other, row in rows.items()
            if other.stage == "search" and other._replace(seed=run.seed) == run
        ]
        mean = np.mean(figures)
        lines.append(
            [
                _cell_name(("test", run.block, run.sparsity)),
                run.method,
                f"{run.rate:g}",
                run.shape,
                f"{mean:.{2 if mean > 1.5 else 4}f}",
            ]
        )
    head = ["cell", "method", "rate", "shape", "validation"]
    return render(head, lines, numeric=(2, 4))


def differences(chosen: Mapping[Any, Mapping[str, Any]]) -> str:
    """Returns the paired difference of every two methods in each cell."""
    figures = collect(chosen)
    digits = _digits(figures)
    rows = []
    for cell in sorted(figures):
        for one, two in itertools.combinations(figures[cell], 2):
            a, b = figures[cell][one], figures[cell][two]
            pairs = np.array([a[seed] - b[seed] for seed in a if seed in b])
            if not len(pairs):
                continue
            error = ""
            if len(pairs) > 1:
                deviation = np.std(pairs, ddof=1)
                error = f"{deviation / np.sqrt(len(pairs)):.{digits}f}"
            rows.append(
                [
                    _cell_name(cell),
                    f"{one} - {two}",
                    f"{pairs.mean():+.{digits}f}",
                    error,
                    f"{np.sum(pairs > 0)}/{len(pairs)}",
                ]
            )
    head = ["cell", "difference", "mean", "standard error", "seeds above"]
    return render(head, rows, numeric=(2, 3, 4))


def _mean(seeds: Mapping[int, float]) -> float:
    return float(np.mean(list(seeds.values())))


def _limits(means: Sequence[float]) -> tuple[float, float]:
    """Returns where an axis ends that shows what most methods differ in."""
    middle = np.median(means)
    reach = 5 * np.median(np.abs(means - middle)) or 1.0
    low, high = max(min(means), middle - reach), min(max(means), middle + reach)
    margin = 0.15 * (high - low) or 0.5
    return low - margin, high + margin


def plot(chosen: Mapping[Any, Mapping[str, Any]], path: str) -> None:
    """Draws every method's figure in each cell, with error bars.

    Args:
        chosen: Rows by run.
        path: PNG file to write.
    """
    from matplotlib.figure import Figure

    figures = collect(chosen)
    cells = sorted(figures)
    methods = list(dict.fromkeys(run.method for run in chosen))
    columns = len({sparsity for _, _, sparsity in cells})
    lines = -(-len(cells) // columns)
    figure = Figure(
        (max(5, 3.6 * columns), 0.4 + lines * (0.7 + 0.24 * len(methods))),
        layout="constrained",
    )
    axes = np.ravel(figure.subplots(lines, columns, squeeze=False, sharey=True))
    for axis in axes[len(cells) :]:
        axis.remove()
    for axis, cell in zip(axes, cells):
        low, high = _limits([*map(_mean, figures[cell].values())])
        axis.set_xlim(low, high)
        for place, method in enumerate(methods):
            seeds = figures[cell].get(method)
            if not seeds:
                continue
            mean = _mean(seeds)
            color = "#b5401f" if method.startswith("sa") else "#2c5f86"
            if not low <= mean <= high:
                axis.annotate(
                    f"{mean:.{_digits(figures)}f}",
                    (low if mean < low else high, place),
                    (12 if mean < low else -42, -3),
                    textcoords="offset points",
                    arrowprops={"arrowstyle": "->", "color": color},
                    color=color,
                    fontsize=8,
                )
                continue
            values = list(seeds.values())
            axis.errorbar(
                mean,
                place,
                xerr=np.std(values, ddof=1) if len(values) > 1 else None,
                fmt="o",
                markersize=4,
                color=color,
                capsize=2,
            )
        axis.set_title(_cell_name(cell), fontsize=10)
        axis.set_yticks(range(len(methods)), methods, fontsize=8)
        axis.set_ylim(len(methods) - 0.5, -0.5)
        axis.grid(axis="x", alpha=0.3)
        for side in ("top", "right"):
            axis.spines[side].set_visible(False)
    task = next(iter(chosen))
    figure.supxlabel(
        f"{task.dataset}, {task.model}, {task.optimizer}, {task.epochs} "
        "epochs\ntest figure: mean and deviation over seeds",
        fontsize=9,
    )
    figure.savefig(path, dpi=150)
