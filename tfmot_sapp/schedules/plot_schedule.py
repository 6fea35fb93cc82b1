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
"""A picture of a schedule."""

import os
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from tfmot_sapp.base.figures import KEPT, finish, new_figure, plain_spines
from tfmot_sapp.schedules.updates import Stretch, Update

_PHASE_COLORS = {
    "dense": "#dfe9f5",
    "sparsification": "#f7dfc4",
    "sparse": "#dff0de",
}

# Updates of one phase: more would lie on the same pixels.
_MOST_SHOWN = 500


def plot_schedule(
    schedule: Any, path: str | os.PathLike[str] | None = None
) -> Any:
    """Draws a schedule's sparsity over steps, its phases shaded.

    Args:
        schedule: A `SteppedSchedule`.
        path: File to write. Defaults to `None`: nothing is written.

    Returns:
        The `matplotlib.figure.Figure`.
    """
    figure = new_figure((8.0, 3.2))
    axis = figure.subplots()
    updates = list(_sampled(schedule.updates.stretches))
    spans: list[tuple[str, int]] = []
    for update in updates:
        if not spans or spans[-1][0] != update.phase:
            spans.append((update.phase, update.step))
    ends = [start for _, start in spans[1:]] + [schedule.end_step]
    labelled: set[str] = set()
    for (phase, start), end in zip(spans, ends):
        axis.axvspan(
            start,
            max(end, start),
            color=_PHASE_COLORS[phase],
            linewidth=0,
            label=None if phase in labelled else phase,
        )
        labelled.add(phase)
    axis.step(
        [schedule.begin_step, *[u.step for u in updates], schedule.end_step],
        [0.0, *[100 * u.sparsity for u in updates], 100 * updates[-1].sparsity],
        where="post",
        color=KEPT,
        linewidth=1.8,
    )
    axis.set(
        xlabel="step",
        ylabel="sparsity, % of blocks",
        xlim=(schedule.begin_step, schedule.end_step),
        ylim=(0, 100),
    )
    axis.legend(
        loc="lower right", bbox_to_anchor=(1, 1), frameon=False, ncols=3
    )
    plain_spines(axis)
    return finish(figure, path)


def _sampled(stretches: Iterable[Stretch]) -> Iterator[Update]:
    """Yields the updates, of long stretches no more than can be seen."""
    for steps, at in stretches:
        shown = min(len(steps), _MOST_SHOWN)
        for place in np.linspace(0, len(steps) - 1, shown).round():
            yield at(steps[int(place)])
