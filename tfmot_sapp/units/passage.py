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
"""Whether anything passes through a network that blocks were removed from.

At high sparsity the blocks that a layer keeps may read nothing that the blocks
of the layer before it make. What comes out is then the same for all inputs, and
no training mends it: no gradient passes either.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from tfmot_sapp.frameworks.calls import is_graph
from tfmot_sapp.frameworks.layers.table import effect_of
from tfmot_sapp.frameworks.unfolding import unfolded_calls
from tfmot_sapp.units.carriers import (
    LeftAloneError,
    carry,
    is_sum_of_several,
    values_taken,
)
from tfmot_sapp.units.channels import Channels
from tfmot_sapp.units.groups import MAKERS


@dataclasses.dataclass(frozen=True)
class Reads:
    """Which input channels each output channel of a layer depends on.

    Attributes:
        mask: Boolean array (input blocks, output blocks).
        inputs: Integer array: the input block that each channel is in.
        outputs: Integer array: the output block that each channel is in.
    """

    mask: np.ndarray
    inputs: np.ndarray
    outputs: np.ndarray

    def passed(self, alive: np.ndarray) -> np.ndarray:
        """Returns which output channels depend on input channels."""
        if len(alive) != len(self.inputs):
            return np.full(len(self.outputs), bool(np.any(alive)))
        blocks = np.zeros(len(self.mask), bool)
        np.logical_or.at(blocks, self.inputs, alive)
        return np.any(self.mask[blocks], axis=0)[self.outputs]


@dataclasses.dataclass(frozen=True)
class _Step:
    """A call that gives new channels.

    Attributes:
        layer: The layer.
        taken: Labels of the channels that it takes: an array (terms, channels)
            if each channel that it gives depends on the same one of each term.
        given: Labels of those that it gives.
    """

    layer: Any
    taken: np.ndarray
    given: np.ndarray


class Passage:
    """Follows channels from the inputs of a model to its outputs.

    Args:
        model: A model of either Keras, with pruned layers or without. Through
            one whose graph can't be read everything passes.
    """

    def __init__(self, model: Any):
        self._channels = Channels()
        self._steps: list[_Step] = []
        self._ends: list[np.ndarray] = []
        if not is_graph(model):
            return
        for call in unfolded_calls(model):
            self._add(call)
        self._ends = [self._channels.of(tensor) for tensor in model.outputs]

    def _add(self, call: Any) -> None:
        channels = self._channels
        taken = [channels.of(tensor) for tensor in values_taken(call)]
        try:
            is_maker = effect_of(call.layer) in MAKERS
            labels = None if is_maker else carry(call, channels)
        except LeftAloneError:
            labels = None
        if labels is not None:
            channels.put(call.outputs[0], labels)
            return
        is_sum = is_sum_of_several(call)
        joined = np.concatenate([*taken, np.zeros(0, int)])
        for tensor in call.outputs:
            shape = tuple(tensor.shape)
            made = channels.new(shape[-1] or 0 if len(shape) > 1 else 0)
            channels.put(tensor, made)
            known = joined if all(map(len, taken)) else joined[:0]
            if is_sum and {*map(len, taken)} == {len(made)}:
                known = np.stack(taken)
            self._steps.append(_Step(call.layer, known, made))

    def blocked_at(self, reads: Mapping[int, Reads]) -> str | None:
        """Says where nothing passes any more, if some output gets nothing.

        Args:
            reads: What the kernels of layers read, by the layers' `id`s; others
                read everything.

        Returns:
            The name of the first layer that makes nothing of what comes, or
            `None`.
        """
        alive = np.ones(self._channels.count, bool)
        first = None
        for step in self._steps:
            comes = alive[self._channels.roots(step.taken)]
            if comes.ndim == 2:
                alive[step.given] = np.any(comes, axis=0)
                continue
            passed: Any = bool(np.any(comes)) or not len(comes)
            if passed and id(step.layer) in reads and len(comes):
                passed = reads[id(step.layer)].passed(comes)
                if not np.any(passed) and first is None:
                    first = step.layer.name
                if len(passed) != len(step.given):
                    # Its outputs are spread over several axes.
                    passed = bool(np.any(passed))
            alive[step.given] = passed
        ends = [self._channels.roots(end) for end in self._ends]
        if all(np.any(alive[end]) or not len(end) for end in ends):
            return None
        return first


def masked_reads(kernels: Mapping[int, Any]) -> dict[int, Reads]:
    """Returns what layers read by the masks of their pruned kernels.

    Args:
        kernels: `PrunedKernel`s by the `id` of the layer that holds the kernel.
    """
    found = {}
    for key, kernel in kernels.items():
        mask = np.moveaxis(kernel.mask_array(), kernel.axes, (-2, -1))
        mask = np.any(mask.reshape(-1, *mask.shape[-2:]), axis=0)
        inputs, outputs = (block_of_channel(kernel, side) for side in (0, 1))
        found[key] = Reads(mask, inputs, outputs)
    return found


def block_of_channel(kernel: Any, side: int) -> np.ndarray:
    """Returns the block that each input (0) or output (1) channel is in.

    Args:
        kernel: A `PrunedKernel`.
        side: Which channels.
    """
    axis = kernel.axes[side]
    return np.arange(kernel.grid.view[axis]) // kernel.grid.block[axis]
