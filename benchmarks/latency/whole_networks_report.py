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
"""The table and the picture of `whole_networks.py`.

Rows are as in the CSV file: dictionaries from columns to text. Rows that differ
in nothing but the seed are put together: the median, and the range.
"""

import pathlib
import statistics
from collections.abc import Sequence

from matplotlib.figure import Figure

from benchmarks.latency.networks import NETWORKS
from tfmot_sapp.base.tables import render

COLUMNS = (
    "network",
    "threads",
    "quantize",
    "tuned",
    "seed",
    "block",
    "sparsity",
    "batch",
    "mac_density",
    "ideal",
    "dense_ms",
    "packed_ms",
    "encoded_ms",
    "speed_up",
    "encoded_speed_up",
    "of_ideal",
    "dense_bytes",
    "packed_bytes",
    "encoded_bytes",
    "partitions",
    "export_seconds",
    "export_peak_gb",
    "error",
    "lowerings",
)
KEY = ("network", "threads", "quantize", "tuned", "seed")

Rows = Sequence[dict[str, str]]


def grouped(rows: Rows) -> list[list[dict[str, str]]]:
    """Puts the seeds of one variant together, in the order of the networks."""
    groups: dict[tuple[str, ...], list[dict[str, str]]] = {}
    for row in rows:
        groups.setdefault(tuple(row[k] for k in KEY[:-1]), []).append(row)
    names = list(NETWORKS)
    formats = ["float32", "float16", "dynamic_int8", "int8"]

    def place(key: tuple[str, ...]) -> tuple[int, int, int, str]:
        network, threads, quantize, tuned = key
        return (
            names.index(network),
            formats.index(quantize),
            int(threads),
            tuned,
        )

    return [groups[key] for key in sorted(groups, key=place)]


def median(rows: Rows, column: str) -> float:
    """Returns the median of a column; a missing one is an error."""
    return statistics.median(float(row[column]) for row in rows)


def spread(rows: Rows, column: str) -> str:
    """Returns a column's median as text, and its range if there is one."""
    values = [float(row[column]) for row in rows]
    text = f"{statistics.median(values):.2f}x"
    if len(values) > 1:
        text += f" ({min(values):.2f}-{max(values):.2f})"
    return text


def _target(row: dict[str, str]) -> float | None:
    if row["quantize"] != "float32":
        return None
    return NETWORKS[row["network"]].targets.get(int(row["threads"]))


def _label(row: dict[str, str]) -> str:
    title = NETWORKS[row["network"]].title
    parts = [f"{title}, {row['block']}, {100 * float(row['sparsity']):g} %"]
    if row["quantize"] != "float32":
        parts.append(row["quantize"])
    if row["threads"] != "1":
        parts.append(f"{row['threads']} threads")
    if row["tuned"] == "True":
        parts.append("tuned")
    return ", ".join(parts)


def speed_table(rows: Rows) -> str:
    """Tabulates how fast the networks are.

    Args:
        rows: Rows as in the CSV file.

    Returns:
        A table as text: medians over seeds, with ranges.
    """
    head = [
        "network",
        "MAC density",
        "ideal",
        "target",
        "packed",
        "of ideal",
        "TFLite's encoding",
        "dense ms",
        "packed ms",
    ]
    lines = []
    for group in grouped(rows):
        target = _target(group[0])
        encoded = [row for row in group if row["encoded_ms"]]
        lines.append(
            [
                _label(group[0]),
                f"{median(group, 'mac_density'):.3f}",
                f"{median(group, 'ideal'):.2f}x",
                f"{target:g}x" if target else "",
                spread(group, "speed_up"),
                f"{median(group, 'of_ideal'):.2f}",
                spread(encoded, "encoded_speed_up") if encoded else "",
                f"{median(group, 'dense_ms'):.3g}",
                f"{median(group, 'packed_ms'):.3g}",
            ]
        )
    return render(head, lines, numeric=range(1, len(head)))


def file_table(rows: Rows) -> str:
    """Tabulates the files, and what it took to write the packed ones.

    Args:
        rows: Rows as in the CSV file.

    Returns:
        A table as text: sizes are medians over seeds, what writing took and
        errors are the largest.
    """
    head = [
        "network",
        "dense MB",
        "packed MB",
        "encoded MB",
        "export s",
        "peak GB",
        "error",
        "lowerings",
    ]
    lines = []
    for group in grouped(rows):
        encoded = [row for row in group if row["encoded_ms"]]
        size = (
            f"{median(encoded, 'encoded_bytes') / 1e6:.3g}" if encoded else ""
        )
        lines.append(
            [
                _label(group[0]),
                f"{median(group, 'dense_bytes') / 1e6:.3g}",
                f"{median(group, 'packed_bytes') / 1e6:.3g}",
                size,
                f"{_highest(group, 'export_seconds'):.0f}",
                f"{_highest(group, 'export_peak_gb'):.1f}",
                f"{_highest(group, 'error'):.0e}",
                group[0]["lowerings"],
            ]
        )
    return render(head, lines, numeric=range(1, len(head) - 1))


def _highest(rows: Rows, column: str) -> float:
    return max(float(row[column]) for row in rows)


_COLOURS = {"float32": "#3ca951", "int8": "#4269d0"}


def draw(rows: Rows, path: pathlib.Path) -> None:
    """Draws a bar for every variant, from dense at 1 to the packed speed-up.

    Args:
        rows: Rows as in the CSV file.
        path: The PNG file to write.
    """
    groups = grouped(rows)
    figure = Figure(
        figsize=(10, 1.5 + 0.36 * len(groups)), layout="constrained", dpi=150
    )
    ax = figure.subplots()
    ax.axvspan(0.1, 1, color="#cc0000", alpha=0.07, linewidth=0)
    for y, group in enumerate(groups):
        speed_up = median(group, "speed_up")
        quantize = group[0]["quantize"]
        ax.barh(
            y,
            speed_up - 1,
            left=1,
            height=0.62,
            color=_COLOURS.get(quantize, "#efb118"),
            zorder=2,
        )
        values = [float(row["speed_up"]) for row in group]
        ax.plot([min(values), max(values)], [y, y], color="#222222", zorder=4)
        ideal = median(group, "ideal")
        ax.plot(ideal, y, "|", color="#222222", markersize=14, zorder=3)
        end = max(speed_up, max(values), 1.0)
        # The figure stands behind the mark of the ideal, if that is near.
        x = ideal if end < ideal < 1.4 * end else end
        ax.text(
            1.04 * x, y, f"{speed_up:.2f}x", va="center", fontsize=9, zorder=5
        )
        target = _target(group[0])
        if target:
            ax.plot(target, y + 0.42, "^", color="#cc0000", markersize=5)
        encoded = [row for row in group if row["encoded_ms"]]
        if encoded:
            ax.plot(
                median(encoded, "encoded_speed_up"),
                y,
                "x",
                color="#666666",
                markersize=6,
                zorder=6,
            )
    ax.set_yticks(range(len(groups)), [_label(g[0]) for g in groups])
    ax.tick_params(axis="y", length=0, labelsize=9)
    ax.set_ylim(len(groups) - 0.4, -0.6)
    ax.set_xscale("log", base=2)
    highest = max(
        max(median(g, "ideal"), median(g, "speed_up")) for g in groups
    )
    lowest = min(median(g, "speed_up") for g in groups)
    encodings = [
        float(row["encoded_speed_up"]) for row in rows if row["encoded_ms"]
    ]
    ax.set_xlim(0.85 * min([lowest, 0.9, *encodings]), 1.35 * highest)
    ticks = [
        t for t in (0.25, 0.5, 1, 2, 4, 8, 16, 32, 64) if t < 1.35 * highest
    ]
    ticks = [t for t in ticks if t >= ax.get_xlim()[0]]
    ax.set_xticks(ticks, [f"{t:g}x" for t in ticks])
    ax.minorticks_off()
    ax.set_xlabel("speed-up over the dense model, same runtime, batch, threads")
    ax.grid(axis="x", alpha=0.25, zorder=0)
    ax.spines[["top", "right", "left"]].set_visible(False)
    handles = [
        ax.barh(0, 0, color=_COLOURS[q], label=f"packed, {q}")
        for q in _COLOURS
        if any(row["quantize"] == q for row in rows)
    ]
    for marker, colour, label in (
        ("|", "#222222", "ideal: 1 / MAC density"),
        ("^", "#cc0000", "target"),
        ("x", "#666666", "TFLite's sparse encoding"),
    ):
        handles += ax.plot(
            [], [], marker, color=colour, label=label, markersize=8
        )
    figure.legend(
        handles=handles,
        loc="outside lower center",
        ncols=len(handles),
        frameon=False,
        fontsize=9,
    )
    figure.suptitle(
        "Whole networks with random block masks on LiteRT, 1 thread where not "
        "said; lines: range over masks",
        fontsize=11,
    )
    figure.savefig(path)
