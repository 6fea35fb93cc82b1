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
gone ("EagleEye", arXiv 2007.02491, section 3: adaptive batch normalization).
The moments are those of all samples together, layer by layer, each one on what
those before it give with their new statistics.
"""

from typing import Any

import numpy as np

from tfmot_sapp.calibration.sweep import Sweep
from tfmot_sapp.frameworks.layers.table import effect_of
from tfmot_sapp.frameworks.walking import flatten_layers
from tfmot_sapp.frameworks.which_keras import host_value, is_layer


def reestimate(sweep: Sweep) -> list[Any]:
    """Gives a model's batch norms the statistics of what they read.

    A batch norm that is called more than once, or within a compiled function,
    keeps the ones that it has, as do all without data.

    Args:
        sweep: The model, before its first step.

    Returns:
        The batch norms that have new ones.
    """
    done: list[Any] = []
    steps = sweep.programs[-1].steps
    called = [id(step.layer) for step in steps]
    for index, step in enumerate(steps):
        if not is_layer(step.layer) or called.count(id(step.layer)) > 1:
            continue
        norms = [
            layer
            for layer in flatten_layers(step.layer)
            if effect_of(layer) == "scale"
        ]
        if not norms:
            continue
        sweep.advance(index)
        for number in sweep.called(norms) if len(norms) > 1 else [0]:
            if _measured(sweep, norms[number]):
                done.append(norms[number])
    return done


def _measured(sweep: Sweep, norm: Any) -> bool:
    axis = norm.axis[0] if isinstance(norm.axis, (list, tuple)) else norm.axis
    # Around the old mean less is lost of a small variance.
    centre = host_value(norm.moving_mean)
    count, total, squares = 0, 0.0, 0.0
    for batch in range(sweep.batches):
        reads = sweep.inputs_of([norm], batch)
        if reads is None:
            return False
        values = np.moveaxis(reads.values[0], axis, -1)
        if reads.mask is not None and _over_rows(reads.mask, values):
            values = values[reads.mask]
        rows = values.reshape(-1, values.shape[-1]) - centre
        count += len(rows)
        total += rows.sum(axis=0, dtype=np.float64)
        squares += np.square(rows).sum(axis=0, dtype=np.float64)
    if not count:
        return False
    mean = total / count
    norm.moving_mean.assign(centre + mean)
    norm.moving_variance.assign(np.maximum(squares / count - mean**2, 0.0))
    return True


def _over_rows(mask: np.ndarray, values: np.ndarray) -> bool:
    return mask.shape == values.shape[: mask.ndim] and mask.ndim < values.ndim
