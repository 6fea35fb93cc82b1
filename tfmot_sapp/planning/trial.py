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

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tfmot_sapp.allocations.allocation import Allocation
from tfmot_sapp.blocks.grid import expand
from tfmot_sapp.compiler.analysis.channel_classes import channel_classes
from tfmot_sapp.compiler.choose.estimates import LayerCost
from tfmot_sapp.compiler.graph import Graph, Packable
from tfmot_sapp.compiler.pack_keras import Estimate, estimate
from tfmot_sapp.compiler.readers.keras_model import read_graph
from tfmot_sapp.frameworks.channel_operations import Linear
from tfmot_sapp.planning.layer_times import LayerTimes
from tfmot_sapp.planning.layers import PlannedKernel
from tfmot_sapp.planning.options import Option
from tfmot_sapp.planning.other_work import other_time
from tfmot_sapp.planning.taken_apart import TakenApart
from tfmot_sapp.targets.target import Target


class Trial:
    """A copy of a model that gets the masks of one plan after the other.

    The packer of Keras models sees no products in the loop of an LSTM, or in an
    attention that is masked, where that of files does. What they cost is
    estimated by itself: so they are packed in a file, too.

    Args:
        copy: A copy of a model, in which layers that are made of others are
            taken apart. Its kernels lose their values.
        kernels: The kernels of the model.
        batch_size: Samples in a call.
        target: Where it will run.
    """

    def __init__(
        self,
        copy: TakenApart,
        kernels: Sequence[PlannedKernel],
        batch_size: int,
        target: Target,
    ):
        self._model = copy.model
        self._kernels = kernels
        self._batch_size = batch_size
        self._target = target
        self._times = LayerTimes(target)
        # Before anything is zero, which might tell channels apart.
        graph = read_graph(self._model)
        seen = _products(graph)
        # Kernels in the copy that the packer sees, and what it calls them.
        self._copies = {
            name: each
            for name, each in copy.kernels.items()
            if id(each.kernel.owner) in seen
        }
        self._names = {
            seen[id(each.kernel.owner)].sources[0]: name
            for name, each in self._copies.items()
        }
        self.channels = _channels(graph, self._names)
        self._other = other_time(graph, batch_size, target.costs())

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
            copy = self._copies.get(planned.name)
            if copy is not None and block is None:
                ones = np.ones(copy.kernel.shape, np.float32)
                copy.kernel.variable.assign(ones)
            if block is None:
                continue
            grid = planned.kernel.grid(block)
            axes = planned.kernel.axes(grid)
            drawn = generator.random(grid.cells)
            scores[planned.name] = np.moveaxis(drawn, axes, (-2, -1))
            if copy is not None:
                blocked[planned.name] = copy, (grid, axes)
        alive = {name: np.ones(s.shape, bool) for name, s in scores.items()}
        # Each kernel has a target of its own.
        masks = allocation.allocate(scores, alive, 1.0, 1.0)
        for name, (copy, (grid, axes)) in blocked.items():
            mask = np.moveaxis(masks[name], (-2, -1), axes)
            value = expand(mask.astype(np.float32), grid)
            copy.kernel.variable.assign(value)
        found = estimate(self._model, self._batch_size, self._target)
        layers = {
            self._names[name]: cost
            for name, cost in found.layers.items()
            if name in self._names
        }
        alone = {
            planned.name: self._alone(planned, picked[planned.layer.name])
            for planned in self._kernels
            if planned.name not in self._copies
        }
        return Estimate(
            found.dense
            + self._other
            + sum(cost.dense for cost in alone.values()),
            found.packed
            + self._other
            + sum(cost.chosen for cost in alone.values()),
            layers | alone,
        )

    def _alone(self, planned: PlannedKernel, option: Option) -> LayerCost:
        """What a layer costs that takes and gives one tensor."""
        dense = chosen = planned.steps * self._times.dense(planned.shape)
        # One turn of a loop is too short to be packed for several threads.
        is_loop = planned.steps > 1
        if option.block and not (is_loop and self._target.costs().threads > 1):
            chosen = planned.steps * self._times.blocked(
                planned.shape,
                option.block,
                option.sparsity_of(planned),
                alone=True,
            )
        lowering = "alone" if chosen < dense else "dense"
        return LayerCost(lowering, dense, chosen)


def _products(graph: Graph) -> dict[int, Packable]:
    """The products that the packer sees, by the `id` of the layer."""
    return {
        id(node.made_from): node
        for node in graph.nodes
        if isinstance(node, Packable)
        and isinstance(node.core, Linear)
        and node.made_from is not None
        and node.shared is None
    }


def _channels(
    graph: Graph, names: Mapping[str, str]
) -> dict[str, tuple[str | None, str | None]]:
    """The `channels` of a `GroupedAllocation`, as far as they are known."""
    classes = channel_classes(graph)
    named = {
        each: None if each.is_fixed else f"channels_{i}"
        for i, each in enumerate(classes.values())
    }
    found = {}
    for node in graph.nodes:
        if not isinstance(node, Packable) or not isinstance(node.core, Linear):
            continue
        if node.sources[0] in names and node.shared is None:
            reads, makes = classes[node.inputs[0]], classes[node.output]
            found[names[node.sources[0]]] = named[reads], named[makes]
    return found
