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
"""What the packer says of a plan: a copy of the model, with random masks."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from tfmot_sapp.allocations.allocation import Allocation
from tfmot_sapp.blocks.grid import expand
from tfmot_sapp.compiler.analysis.channel_classes import channel_classes
from tfmot_sapp.compiler.graph import Packable
from tfmot_sapp.compiler.pack_keras import Estimate, estimate
from tfmot_sapp.compiler.readers.keras_model import read_graph
from tfmot_sapp.frameworks.channel_operations import Linear
from tfmot_sapp.frameworks.copying import same_layer
from tfmot_sapp.planning.layers import PlannedKernel, find_layers
from tfmot_sapp.planning.options import Option
from tfmot_sapp.targets.target import Target


class Trial:
    """A copy of a model that gets the masks of one plan after the other.

    Args:
        model: The model; it stays as it is.
        batch_size: Samples in a call.
        target: Where it will run.
    """

    def __init__(self, model: Any, batch_size: int, target: Target):
        self._model = same_layer(model)
        self._batch_size = batch_size
        self._target = target
        self._kernels = find_layers(self._model, batch_size)
        # Before anything is zero, which might tell channels apart.
        self.channels = _channels(self._model, self._kernels)

    def estimate(
        self, picked: Mapping[str, Option], allocation: Allocation
    ) -> Estimate:
        """Asks the packer how long the model takes with masks at random.

        Args:
            picked: What is done with each layer, by its name.
            allocation: Decides which blocks stay.
        """
        generator = np.random.default_rng(0)
        blocked: dict[str, tuple[PlannedKernel, Any]] = {}
        scores: dict[str, np.ndarray] = {}
        for planned in self._kernels:
            block = picked[planned.layer.name].block
            variable = planned.kernel.variable
            if block is None:
                variable.assign(np.ones(planned.kernel.shape, np.float32))
                continue
            grid = planned.kernel.grid(block)
            axes = planned.kernel.axes(grid)
            drawn = generator.random(grid.cells)
            scores[planned.name] = np.moveaxis(drawn, axes, (-2, -1))
            blocked[planned.name] = planned, (grid, axes)
        alive = {name: np.ones(s.shape, bool) for name, s in scores.items()}
        # Each kernel has a target of its own.
        masks = allocation.allocate(scores, alive, 1.0, 1.0)
        for name, (planned, (grid, axes)) in blocked.items():
            mask = np.moveaxis(masks[name], (-2, -1), axes)
            value = expand(mask.astype(np.float32), grid)
            planned.kernel.variable.assign(value)
        return estimate(self._model, self._batch_size, self._target)


def _channels(
    model: Any, kernels: list[PlannedKernel]
) -> dict[str, tuple[str | None, str | None]]:
    """The `channels` of a `GroupedAllocation`, as far as they are known."""
    graph = read_graph(model)
    classes = channel_classes(graph)
    named = {
        each: None if each.is_fixed else f"channels_{i}"
        for i, each in enumerate(classes.values())
    }
    names = {kernel.name for kernel in kernels}
    found = {}
    for node in graph.nodes:
        if not isinstance(node, Packable) or not isinstance(node.core, Linear):
            continue
        if (name := node.sources[0]) in names and node.shared is None:
            reads, makes = classes[node.inputs[0]], classes[node.output]
            found[name] = named[reads], named[makes]
    return found
