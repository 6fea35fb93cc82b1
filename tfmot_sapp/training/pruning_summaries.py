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
"""TensorBoard summaries of a training that prunes."""

import contextlib
import os
import pathlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorflow as tf

from tfmot_sapp.base.checks import check_pathlike, check_whole
from tfmot_sapp.base.paths import made_folders
from tfmot_sapp.base.wording import brief, received
from tfmot_sapp.frameworks.optimizers import iterations
from tfmot_sapp.training.callback import TrainingCallback
from tfmot_sapp.training.pruned_kernel import PrunedKernel
from tfmot_sapp.training.pruning_group import (
    PruningGroup,
    forgotten_steps,
    pruned_layers,
    pruning_groups,
)

_PHASES = ("dense", "sparsification", "sparse")


class PruningSummaries(TrainingCallback):
    """Writes sparsity, phase, attention and masks for TensorBoard.

    At the end of each epoch it writes, for every pruned kernel, the sparsity
    over its blocks and its mask as an image, and a histogram of each variable
    of the scorer, such as the attention logits; for every schedule the phase
    (0 dense, 1 sparsification, 2 sparse) and the sparsity asked for. Steps are
    the optimizer's.

    Args:
        log_dir: Directory for the event files. TensorBoard's own callback may
            use the same one.
        update_freq: "epoch", or a number of batches after which summaries are
            written as well. Defaults to "epoch".

    Raises:
        ValueError: If `log_dir` is empty or `update_freq` is neither "epoch"
            nor a positive number.

    Example:

    >>> import tempfile
    >>> summaries = PruningSummaries(tempfile.mkdtemp())
    """

    _chief_worker_only = True

    def __init__(
        self, log_dir: str | os.PathLike, update_freq: int | str = "epoch"
    ):
        super().__init__()
        self.log_dir = check_pathlike(log_dir, "log_dir", "a directory")
        self.update_freq = update_freq
        if not (isinstance(update_freq, str) and update_freq == "epoch"):
            try:
                self.update_freq = check_whole(
                    update_freq, "update_freq", least=1
                )
            except TypeError as error:
                raise ValueError(
                    '`update_freq` must be "epoch" or a positive number of '
                    f"batches. {received('update_freq', update_freq)}"
                ) from error
        self._writer: Any = None
        self._batches = 0

    def on_train_begin(self, logs: Any = None) -> None:
        """Opens the event file."""
        folder = pathlib.Path(self.log_dir, "pruning")
        with self._as_value_error(), made_folders(folder):
            there = set(os.listdir(folder))
            try:
                self._writer = tf.summary.create_file_writer(str(folder))
                self._writer.flush()
            except BaseException:
                for name in {*os.listdir(folder)} - there:
                    os.unlink(folder / name)
                raise

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Writes summaries every `update_freq` batches."""
        self._batches += 1
        every = self.update_freq
        if isinstance(every, int) and self._batches % every == 0:
            self._write()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Writes the summaries of the epoch."""
        self._write()

    def on_train_end(self, logs: Any = None) -> None:
        """Writes the final masks and closes the event file."""
        self._write()
        self._writer.close()

    def _write(self) -> None:
        optimizer = getattr(self._trained, "optimizer", None)
        layers = pruned_layers(self._trained)
        offset = forgotten_steps(layers)
        step = self._batches if optimizer is None else iterations(optimizer)
        with (
            self._as_value_error(),
            self._writer.as_default(step=step + offset),
        ):
            for index, group in enumerate(pruning_groups(layers)):
                _write_schedule(group, index, step + offset)
                for name, kernel in group.kernels.items():
                    _write_kernel(name, kernel)
            self._writer.flush()

    @contextlib.contextmanager
    def _as_value_error(self) -> Iterator[None]:
        try:
            yield
        except (OSError, tf.errors.OpError) as error:
            raise ValueError(
                "`log_dir` can't be written. "
                f"Received: log_dir={self.log_dir!r}: {brief(error)}."
            ) from error

    def _implements_train_batch_hooks(self) -> bool:
        return self.update_freq != "epoch"


def _write_schedule(group: PruningGroup, index: int, step: int) -> None:
    name = "schedule" if index == 0 else f"schedule_{index}"
    phase = getattr(group.schedule, "phase", None)
    if phase is not None:
        tf.summary.scalar(f"{name}/phase", _PHASES.index(phase(step)))
    masks = [kernel.mask_array() for kernel in group.kernels.values()]
    kept = sum(int(mask.sum()) for mask in masks)
    total = sum(mask.size for mask in masks)
    tf.summary.scalar(f"{name}/sparsity", 1.0 - kept / total)


def _write_kernel(name: str, kernel: PrunedKernel) -> None:
    mask = kernel.mask_array()
    tf.summary.scalar(f"{name}/sparsity", 1.0 - mask.mean())
    matrix = np.reshape(mask, (1, -1, mask.shape[-1], 1)).astype(np.float32)
    tf.summary.image(f"{name}/mask", matrix)
    for label, variable in kernel.state.items():
        tf.summary.histogram(f"{name}/{label}", tf.convert_to_tensor(variable))
    attention = getattr(kernel.scorer, "attention", None)
    if attention is not None:
        tf.summary.histogram(
            f"{name}/attention",
            attention(
                tf.convert_to_tensor(kernel.state["logits"]),
                kernel.target_sparsity,
            ),
        )
