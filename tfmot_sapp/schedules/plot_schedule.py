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
from typing import Any

from tfmot_sapp.base.figures import KEPT, finish, new_figure, plain_spines

_PHASE_COLORS = {
    "dense": "#dfe9f5",
    "sparsification": "#f7dfc4",
    "sparse": "#dff0de",
}


def plot_schedule(schedule: Any, path: str | os.PathLike | None = None) -> Any:
    """Draws a schedule's sparsity over steps, its phases shaded.

    Args:
        schedule: A `SteppedSchedule`.
        path: File to write. Defaults to `None`: nothing is written.

    Returns:
        The `matplotlib.figure.Figure`.
    """
    figure = new_figure((8.0, 3.2))
    axis = figure.subplots()
    updates = schedule.updates
    ends = [update.step for update in updates[1:]] + [schedule.end_step]
    labelled = set()
    for update, end in zip(updates, ends):
        label = None if update.phase in labelled else update.phase
        labelled.add(update.phase)
        axis.axvspan(
            update.step,
            max(end, update.step),
            color=_PHASE_COLORS[update.phase],
            linewidth=0,
            label=label,
        )
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
