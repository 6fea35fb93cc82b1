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
"""`plot_masks`: a picture of the blocks that are kept."""

import math
import os
from typing import Any

import numpy as np

from tfmot_sapp.base.figures import KEPT, finish, new_figure
from tfmot_sapp.blocks.report import Row
from tfmot_sapp.training.pruning_rows import pruning_report

_REMOVED, _INK = "#e9edf2", "#333a45"
_TALLEST = 96


def plot_masks(model: Any, path: str | os.PathLike | None = None) -> Any:
    """Draws which blocks of each kernel are kept.

    One panel a kernel: input blocks run down, output blocks to the right, kept
    blocks are dark. Kernels cut along more axes, as in the layout of arXiv
    2402.17902 with one block row per tap, are drawn as that layout's matrix.

    Args:
        model: A wrapped model, or a stripped one in the process that stripped
            it.
        path: File to write, its format taken from the ending. Defaults to
            `None`: nothing is written.

    Returns:
        The `matplotlib.figure.Figure`.

    Raises:
        ValueError: If the model has no kernel whose blocks are known, or `path`
            cannot be written.

    Example:

    >>> import keras, tfmot_sapp as sapp
    >>> model = keras.Sequential(
    ...     [keras.Input((64,)), keras.layers.Dense(100, name="hidden")])
    >>> schedule = sapp.SequentialAttentionSchedule(0.9, end_step=1000)
    >>> pruned = sapp.prune_blocks(model, schedule, block_size=(4, 4))
    >>> len(plot_masks(pruned).axes)
    1
    """
    rows = [row for row in pruning_report(model).pruned if row.mask is not None]
    if not rows:
        raise ValueError(
            "`model` has no pruned kernel whose blocks are known. Received: "
            f"{model!r}. Pass the model that `prune_blocks` returned, or what "
            "`strip_pruning` made of it, not one loaded from a file."
        )
    masks = [_as_matrix(row.mask) for row in rows if row.mask is not None]
    across = min(4, len(rows))
    down = math.ceil(len(rows) / across)
    figure = new_figure((3.4 * across + 0.4, 3.3 * down + 0.6))
    axes = figure.subplots(down, across, squeeze=False)
    for axis in axes.flat[len(rows) :]:
        axis.remove()
    for axis, row, mask in zip(axes.flat, rows, masks):
        _draw_mask(axis, row, mask)
    return finish(figure, path)


def _draw_mask(axis: Any, row: Row, mask: np.ndarray) -> None:
    from matplotlib.colors import ListedColormap

    axis.imshow(
        mask,
        cmap=ListedColormap([_REMOVED, KEPT]),
        vmin=0,
        vmax=1,
        interpolation="nearest",
        aspect="auto" if max(mask.shape) > 4 * min(mask.shape) else "equal",
    )
    if max(mask.shape) <= _TALLEST:
        # White lines keep blocks apart as long as they are wide enough.
        axis.set_xticks(np.arange(0.5, mask.shape[1] - 1), minor=True)
        axis.set_yticks(np.arange(0.5, mask.shape[0] - 1), minor=True)
        axis.grid(which="minor", color="white", linewidth=0.5)
        axis.tick_params(which="minor", length=0)
    axis.set_xticks([])
    axis.set_yticks([])
    block = " x ".join(str(extent) for extent in row.block or ())
    axis.set_title(
        f"{row.name}\n{row.kept:,} of {row.blocks:,} blocks of {block}",
        fontsize=9,
        color=_INK,
        loc="left",
    )
    axis.set_xlabel(f"output blocks ({mask.shape[1]})", fontsize=8, color=_INK)
    axis.set_ylabel(f"input blocks ({mask.shape[0]})", fontsize=8, color=_INK)
    for spine in axis.spines.values():
        spine.set_visible(False)


def _as_matrix(mask: np.ndarray) -> np.ndarray:
    return np.reshape(mask, (-1, mask.shape[-1]))
