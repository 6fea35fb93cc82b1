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
"""Tables and the picture of `layers.py`.

Rows are as in the CSV file: dictionaries from columns to text.
"""

import pathlib
from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from tfmot_sapp.base.tables import render

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
    "encoded_runs_sparse",
    "size_ratio",
    "max_error",
    "lowering",
)
KEY = ("layer", "batch", "block", "sparsity", "threads", "tuned")

# A ratio within 3 % of 1 is as fast as dense.
LOSS = 0.97

Rows = Sequence[dict[str, str]]


def untuned(rows: Rows) -> list[dict[str, str]]:
    """Returns the rows that the cost model chose."""
    return [row for row in rows if row["tuned"] == "False"]


def tuned(rows: Rows) -> dict[tuple[str, ...], dict[str, str]]:
    """Returns the rows that were chosen by timing, by cell."""
    return {_cell(row): row for row in rows if row["tuned"] == "True"}


def _cell(row: dict[str, str]) -> tuple[str, ...]:
    return tuple(row[k] for k in KEY[:-1])


def geometric_mean(values: Sequence[float]) -> float:
    """Returns the geometric mean of positive numbers."""
    return float(np.exp(np.mean(np.log(values))))


def _mean(rows: Rows, column: str) -> float:
    return geometric_mean([float(row[column]) for row in rows])


def overview(rows: Rows) -> str:
    """Tabulates geometric means over all layers, by block and sparsity.

    The sparse encoding's mean is over the layers that the runtime has a sparse
    kernel for. Sparsities of held-out layers are put together.

    Args:
        rows: Rows as in the CSV file.

    Returns:
        A table as text.
    """
    return _means(rows, ["block", "sparsity"])


def summary(rows: Rows) -> str:
    """Tabulates geometric means like `overview`, for each network by itself.

    Args:
        rows: Rows as in the CSV file.

    Returns:
        A table as text.
    """
    return _means(rows, ["layers of", "block", "sparsity"])


def _means(rows: Rows, by: list[str]) -> str:
    head = [
        *by,
        "layers",
        "ideal",
        "packed",
        "of ideal",
        "sparse encoding",
        "smaller file",
        "slower than dense",
        "slowest",
        "when tuned",
    ]
    by_tuning = tuned(rows)
    groups: dict[tuple[str, ...], list[dict[str, str]]] = {}
    for row in sorted(untuned(rows), key=_place):
        names = _names(row)
        groups.setdefault(tuple(names[k] for k in by), []).append(row)
    if "layers of" in by:
        groups = dict(sorted(groups.items(), key=lambda item: item[0][0]))
    lines = []
    for names, group in groups.items():
        encoded = [r for r in group if r["encoded_runs_sparse"] == "yes"]
        slowest = min(float(row["speed_up"]) for row in group)
        best = min(
            float(by_tuning.get(_cell(row), row)["speed_up"]) for row in group
        )
        lines.append(
            [
                *names,
                str(len(group)),
                f"{_mean(group, 'ideal'):.2f}x",
                f"{_mean(group, 'speed_up'):.2f}x",
                f"{_mean(group, 'of_ideal'):.2f}",
                f"{_mean(encoded, 'encoded_speed_up'):.2f}x" if encoded else "",
                f"{_mean(group, 'size_ratio'):.1f}x",
                str(sum(float(r["speed_up"]) < LOSS for r in group)),
                f"{slowest:.2f}x",
                f"{best:.2f}x",
            ]
        )
    return render(head, lines, numeric=range(len(by), len(head)))


def _place(row: dict[str, str]) -> tuple[int, float]:
    return int(row["block"]), float(row["sparsity"])


def _names(row: dict[str, str]) -> dict[str, str]:
    network = row["layer"].partition("/")[0]
    sparsity = f"{100 * float(row['sparsity']):g} %"
    if network == "held-out":
        sparsity = "85-90 %"
    return {
        "layers of": _NAMES[network],
        "block": f"{row['block']}x{row['block']}",
        "sparsity": sparsity,
    }


def losing(rows: Rows) -> str:
    """Tabulates the cells in which packing is slower than dense.

    Args:
        rows: Rows as in the CSV file.

    Returns:
        A table as text, the slowest first.
    """
    columns = ["layer", "batch", "block", "sparsity", "lowering"]
    by_tuning = tuned(rows)
    lines = []
    for row in sorted(untuned(rows), key=lambda row: float(row["speed_up"])):
        if float(row["speed_up"]) < LOSS:
            other = by_tuning.get(_cell(row))
            lines.append(
                [
                    *(row[k] for k in columns),
                    f"{float(row['speed_up']):.2f}x",
                    f"{float(other['speed_up']):.2f}x" if other else "",
                ]
            )
    return render([*columns, "packed", "tuned"], lines, numeric=(1, 2, 3, 5, 6))


_COLOURS = {
    "resnet50": "#4269d0",
    "mobilenetv2": "#efb118",
    "bert": "#3ca951",
    "criteo": "#a463f2",
    "held-out": "#4269d0",
}
_NAMES = {
    "resnet50": "ResNet-50",
    "mobilenetv2": "MobileNetV2",
    "bert": "BERT-base feed-forward",
    "criteo": "Criteo MLP",
    "held-out": "drawn at random",
}


def draw(rows: Rows, path: pathlib.Path) -> None:
    """Draws speed-up over ideal, a panel for each block size.

    Args:
        rows: Rows as in the CSV file.
        path: The PNG file to write.
    """
    blocks = sorted({int(row["block"]) for row in rows})
    figure = Figure(
        figsize=(3.6 + 2.5 * len(blocks), 4.8), layout="constrained", dpi=150
    )
    panels = figure.subplots(
        1, len(blocks), sharex=True, sharey=True, squeeze=False
    )[0]
    by_tuning = tuned(rows)
    for ax, block in zip(panels, blocks):
        ax.axhspan(0.01, 1, color="#cc0000", alpha=0.07, linewidth=0)
        ax.plot([1, 64], [1, 64], color="#444444", linewidth=1)
        ax.annotate(
            "ideal",
            (16, 16),
            (-4, 3),
            textcoords="offset points",
            rotation=45,
            rotation_mode="anchor",
            transform_rotates_text=True,
            ha="center",
            va="bottom",
        )
        for row in untuned(rows):
            if int(row["block"]) != block:
                continue
            ideal, speed_up = float(row["ideal"]), float(row["speed_up"])
            network = row["layer"].partition("/")[0]
            if row["encoded_runs_sparse"] == "yes":
                encoded = float(row["encoded_speed_up"])
                ax.plot(ideal, encoded, "x", color="#999999", markersize=5)
            ax.plot(
                ideal,
                speed_up,
                "o",
                color=_COLOURS[network],
                markersize=5.5,
                alpha=0.8,
                markeredgewidth=0,
            )
            other = by_tuning.get(_cell(row))
            if other and speed_up < 1:
                ax.plot(
                    ideal,
                    float(other["speed_up"]),
                    "o",
                    markerfacecolor="none",
                    markeredgecolor="#222222",
                    markersize=5.5,
                    markeredgewidth=0.8,
                )
        of_ideal = _mean(
            [r for r in untuned(rows) if int(r["block"]) == block], "of_ideal"
        )
        ax.set_title(f"{block}x{block}: {of_ideal:.2f} of ideal", fontsize=11)
        ax.set_xscale("log", base=2)
        ax.set_yscale("log", base=2)
        ax.set_xlim(2.4, 36)
        ax.set_ylim(0.25, 36)
        ticks = [0.25, 0.5, 1, 2, 4, 8, 16, 32]
        ax.set_yticks(ticks, [f"{tick:g}x" for tick in ticks])
        ax.set_xticks(ticks[4:], [f"{tick:g}x" for tick in ticks[4:]])
        ax.set_xlabel("1 / density")
        ax.grid(alpha=0.25)
        ax.spines[["top", "right"]].set_visible(False)
    panels[0].set_ylabel("speed-up over the dense layer")
    panels[0].text(34, 0.95, "slower than dense", ha="right", va="top")
    networks = dict.fromkeys(row["layer"].partition("/")[0] for row in rows)
    handles = [
        panels[0].plot([], [], "o", color=_COLOURS[n], label=_NAMES[n])[0]
        for n in networks
    ]
    ring = {"markerfacecolor": "none", "markeredgecolor": "#222222"}
    handles += panels[0].plot([], [], "o", label="tuned, where it lost", **ring)
    handles += panels[0].plot(
        [], [], "x", color="#999999", label="TFLite's sparse encoding (Dense)"
    )
    figure.legend(
        handles=handles,
        loc="outside lower center",
        ncols=len(handles),
        frameon=False,
        fontsize=9,
    )
    threads = "/".join(sorted({row["threads"] for row in rows}))
    figure.suptitle(
        f"Single layers on LiteRT, float32, {threads} thread(s); each alone in "
        "its model",
        fontsize=11,
    )
    figure.savefig(path)
