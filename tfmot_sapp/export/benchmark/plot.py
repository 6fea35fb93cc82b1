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
"""The picture of a benchmark: latency and size of every model as bars."""

import io
from typing import Any

import numpy as np


def draw_bars(result: Any) -> bytes:
    """Draws a benchmark's latencies and sizes.

    Args:
        result: A `BenchmarkResult`.

    Returns:
        The bytes of a PNG file.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    timings = result.timings[::-1]
    names = [t.name for t in timings]
    height = 1.2 + 0.45 * len(timings)
    figure = Figure(figsize=(9, height), layout="constrained", dpi=150)
    latency, size = figure.subplots(1, 2, sharey=True)
    medians = np.array([t.median_ms for t in timings])
    spread = [
        medians - np.array([t.low_ms for t in timings]),
        np.array([t.high_ms for t in timings]) - medians,
    ]
    bars = latency.barh(
        names, medians, xerr=np.maximum(spread, 0.0), color="#4269d0"
    )
    labels = [f" {t.median_ms:.3g} ms, {t.speed_up:.2f}x" for t in timings]
    latency.bar_label(bars, labels, padding=4)
    latency.set_xlabel("latency, ms: median, 10-90 %")
    megabytes = [t.size / 1e6 for t in timings]
    bars = size.barh(names, megabytes, color="#efb118")
    size.bar_label(bars, [f" {m:.3g} MB" for m in megabytes], padding=4)
    size.set_xlabel("size, MB")
    for axes in (latency, size):
        axes.spines[["top", "right"]].set_visible(False)
        axes.margins(x=0.45)
        axes.set_xlim(left=0)
    figure.suptitle(
        f"{result.runtime}, batch {result.batch_size}, {result.place}",
        fontsize=10,
    )
    buffer = io.BytesIO()
    FigureCanvasAgg(figure).print_png(buffer)
    return buffer.getvalue()
