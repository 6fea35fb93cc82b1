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
"""Writes a planned graph as TensorFlow operations."""

from typing import Any

from tfmot_sapp.compiler.choose.plan import Plan
from tfmot_sapp.compiler.emit.computation import Computation
from tfmot_sapp.compiler.emit.emitter import Emitter
from tfmot_sapp.compiler.emit.tensorflow_operations import (
    TensorFlowOperations,
)
from tfmot_sapp.compiler.graph import Graph, Opaque
from tfmot_sapp.targets.operators import Operators


class TensorFlowEmitter(Emitter):
    """Computes in the graph being traced; for graphs of products alone.

    Args:
        graph: The graph after all passes.
        plan: How to compute each of its nodes.
        inputs: Tensors of the graph's inputs.
        operators: How to write it.
    """

    def __init__(
        self, graph: Graph, plan: Plan, inputs: list[Any], operators: Operators
    ):
        super().__init__(graph, plan, inputs)
        self._write = TensorFlowOperations(operators)

    def width(self, tensor: Any) -> int:
        """See `Emitter`."""
        return int(tensor.shape[-1])

    def pass_through(self, node: Opaque, tensors: list[Any]) -> list[Any]:
        """See `Emitter`; there is nothing of the kind."""
        raise ValueError(f"`graph` must hold products. Received: {node.name}.")

    def compute(self, computation: Computation) -> list[Any]:
        """See `Emitter`."""
        lowering = computation.lowering
        weights = [
            array.reshape(shape)
            for array, (_, shape) in zip(
                computation.arrays, lowering.weights(), strict=True
            )
        ]
        return list(lowering.outputs(weights, computation.tensors, self._write))
