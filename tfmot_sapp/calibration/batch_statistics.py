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
"""Batch norms' statistics, measured anew on calibration data.

What a batch norm reads has another mean and variance once weights before it are
gone ("EagleEye", arXiv 2007.02491, section 3: adaptive batch normalization). A
few hundred samples have others than those that a network was trained on as
well: with theirs alone even a dense network gets worse. So what is measured is
by how much they change from the dense network to the pruned one on the same
samples, layer by layer, each one behind those that have new ones already.
"""

from typing import Any

import numpy as np

from tfmot_sapp.calibration.sweep import Sweep
from tfmot_sapp.frameworks.layers.normalization import channel_axis
from tfmot_sapp.frameworks.layers.table import effect_of
from tfmot_sapp.frameworks.walking import flatten_layers
from tfmot_sapp.frameworks.which_keras import host_value, is_layer


def reestimate(sweep: Sweep) -> list[Any]:
    """Gives a pruned model's batch norms the statistics of what they read.

    A batch norm that is called more than once, or within a compiled function,
    keeps the ones that it has, as do all without data.

    Args:
        sweep: The original and the pruned model, before their first step.

    Returns:
        The batch norms that have new ones.
    """
    done: list[Any] = []
    original, pruned = (program.steps for program in sweep.programs)
    # What reads the same with the same weights is run and held once.
    sweep.changed.update(
        index
        for index, (before, step) in enumerate(zip(original, pruned))
        if is_layer(step.layer) and _differ(before.layer, step.layer)
    )
    called = [id(step.layer) for step in pruned]
    for index, (before, step) in enumerate(zip(original, pruned)):
        if not is_layer(step.layer) or called.count(id(step.layer)) > 1:
            continue
        pairs = list(zip(_norms(before.layer), _norms(step.layer)))
        if not pairs:
            continue
        sweep.advance(index)
        owners = [copy for _, copy in pairs]
        for number in sweep.called(owners) if len(pairs) > 1 else [0]:
            if _measured(sweep, *pairs[number]):
                done.append(owners[number])
        if _differ(before.layer, step.layer):
            sweep.changed.add(index)
    return done


def _differ(one: Any, other: Any) -> bool:
    return not all(
        np.array_equal(host_value(ours), host_value(theirs))
        for ours, theirs in zip(one.weights, other.weights)
    )


def _norms(layer: Any) -> list[Any]:
    return [
        each for each in flatten_layers(layer) if effect_of(each) == "scale"
    ]


class _Moments:
    """Means and variances of channels, summed up.

    Args:
        centre: What the values are near to: around it less is lost of a small
            variance.
    """

    def __init__(self, centre: np.ndarray):
        self._centre = centre
        self.count = 0
        self._total: np.ndarray = np.zeros(centre.shape)
        self._squares: np.ndarray = np.zeros(centre.shape)

    def add(self, rows: np.ndarray) -> None:
        """Adds rows, an array (n, channels)."""
        rows = rows - self._centre
        self.count += len(rows)
        self._total += rows.sum(axis=0, dtype=np.float64)
        self._squares += np.square(rows).sum(axis=0, dtype=np.float64)

    @property
    def mean(self) -> np.ndarray:
        """The means, less the centre."""
        return self._total / self.count

    @property
    def variance(self) -> np.ndarray:
        """The variances."""
        squares = self._squares / self.count
        return np.maximum(squares - np.square(self.mean), 0.0)


def _measured(sweep: Sweep, original: Any, norm: Any) -> bool:
    axis = channel_axis(norm)
    mean = host_value(original.moving_mean).astype(np.float64)
    variance = host_value(original.moving_variance).astype(np.float64)
    before, after = sides = _Moments(mean), _Moments(mean)
    for batch in range(sweep.batches):
        reads = sweep.inputs_of([original, norm], batch)
        if reads is None:
            return False
        for moments, array in zip(sides, reads.values):
            values = np.moveaxis(array, axis, -1)
            shown = reads.mask
            if shown is not None and not _over_rows(shown, values):
                shown = None
            # A sample at a time: its copies are small.
            for index, sample in enumerate(values):
                rows = sample if shown is None else sample[shown[index]]
                moments.add(rows.reshape(-1, values.shape[-1]))
    if not after.count:
        return False
    norm.moving_mean.assign(mean + (after.mean - before.mean))
    # A channel that did not vary tells nothing of how much more it should.
    varied = before.variance > 0
    ratio = after.variance / np.where(varied, before.variance, 1.0)
    norm.moving_variance.assign(np.where(varied, variance * ratio, variance))
    return True


def _over_rows(mask: np.ndarray, values: np.ndarray) -> bool:
    return mask.shape == values.shape[: mask.ndim] and mask.ndim < values.ndim
