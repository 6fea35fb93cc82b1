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
"""`report`: what was pruned, by how much, and what was not and why."""

from typing import Any

from tfmot_sapp.blocks.report import Report
from tfmot_sapp.compiler.emit.packing_report import is_packed, packing_report
from tfmot_sapp.training.pruning_rows import pruning_report


def report(model: Any) -> Report:
    """Reports what is pruned in a model, layer by layer.

    Args:
        model: A wrapped, stripped or packed model, a layer or a list of layers,
            of either Keras. For a model that was pruned elsewhere, or loaded
            from a file after stripping, it counts zeros.

    Returns:
        A `Report`: print it, or take `to_dict()`. For a packed model it is a
        `PackingReport`, which says what was chosen for each layer and why.

    Raises:
        TypeError: If `model` is none of these.

    Example:

    >>> import keras, tfmot_sapp as sapp
    >>> model = keras.Sequential(
    ...     [keras.Input((64,)), keras.layers.Dense(100, name="hidden")])
    >>> schedule = sapp.SequentialAttentionSchedule(0.9, end_step=1000)
    >>> pruned = sapp.prune_blocks(model, schedule, block_size=(4, 4))
    >>> [(row.name, row.kept, row.blocks) for row in report(pruned).rows]
    [('hidden', 400, 400)]
    """
    if is_packed(model):
        return packing_report(model)
    return pruning_report(model)
