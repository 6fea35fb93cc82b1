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
"""Packing from a Keras model to a Keras model."""

from typing import Any

from tfmot_sapp.compiler.choose.explanation import Explanation
from tfmot_sapp.compiler.choose.plan import Plan
from tfmot_sapp.compiler.choose.planning import plan_dense, plan_packed
from tfmot_sapp.compiler.emit.keras_model import emit
from tfmot_sapp.compiler.graph import Graph
from tfmot_sapp.compiler.readers.keras_model import read_graph
from tfmot_sapp.frameworks.run_calls import functional_of, structured
from tfmot_sapp.targets.costs import Costs
from tfmot_sapp.targets.target import Target


def dense_model(model: Any, keras: Any, target: Target) -> Any:
    """Makes a model of packed layers that are all dense.

    Args:
        model: A Functional or Sequential model.
        keras: Its Keras, the module.
        target: What the result is for.

    Returns:
        A Functional model with the operators of the source, but for folded
        batch norms.
    """
    graph = read_graph(model, take_apart=False)
    plan, explanation = plan_dense(graph, target.costs(), target.operators())
    return _written(model, keras, graph, plan, explanation)


def packed_model(
    model: Any,
    keras: Any,
    batch_size: int,
    target: Target,
    costs: Costs | None = None,
    pieces_allowed: bool = True,
) -> Any:
    """Makes a model of packed layers.

    Args:
        model: A Functional or Sequential model.
        keras: Its Keras, the module.
        batch_size: Batch to choose for.
        target: What the result is for.
        costs: Figures to choose by in place of the target's own.
        pieces_allowed: Whether anything but dense layers may be chosen.

    Returns:
        A Functional model.
    """
    costs = target.costs() if costs is None else costs
    graph = read_graph(model)
    plan, explanation = plan_packed(
        graph, batch_size, costs, target.operators(), pieces_allowed
    )
    return _written(model, keras, graph, plan, explanation)


def _written(
    model: Any, keras: Any, graph: Graph, plan: Plan, explanation: Explanation
) -> Any:
    functional = functional_of(model)
    inputs = [_input_like(keras, tensor) for tensor in functional.inputs]
    outputs = emit(graph, plan, explanation, inputs, keras)
    return keras.Model(
        structured(functional, "inputs", functional.inputs, inputs),
        structured(functional, "outputs", functional.outputs, outputs),
        name=model.name,
    )


def _input_like(keras: Any, tensor: Any) -> Any:
    dtype = getattr(tensor.dtype, "name", tensor.dtype)
    name = getattr(tensor, "name", None)
    return keras.Input(batch_shape=tuple(tensor.shape), dtype=dtype, name=name)
