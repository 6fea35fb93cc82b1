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

import dataclasses
from typing import Any

from tfmot_sapp.compiler.choose.estimates import LayerCost
from tfmot_sapp.compiler.choose.explanation import Explanation, explanation_of
from tfmot_sapp.compiler.choose.plan import Plan
from tfmot_sapp.compiler.choose.planning import plan_dense, plan_packed
from tfmot_sapp.compiler.emit.keras_model import emit
from tfmot_sapp.compiler.graph import Graph
from tfmot_sapp.compiler.readers.keras_model import read_graph
from tfmot_sapp.frameworks.run_calls import functional_of, structured
from tfmot_sapp.targets.costs import Costs
from tfmot_sapp.targets.target import Target


def dense_model(
    model: Any,
    keras: Any,
    target: Target,
    why: str = "the whole model is dense",
) -> Any:
    """Makes a model of packed layers that are all dense.

    Args:
        model: A Functional or Sequential model.
        keras: Its Keras, the module.
        target: What the result is for.
        why: The reason, for the report.

    Returns:
        A Functional model with the operators of the source, but for folded
        batch norms.
    """
    graph = read_graph(model, take_apart=False)
    chooser = plan_dense(graph, 1, target.costs(), target.operators())
    explanation = explanation_of(graph, chooser.plan, lambda node: why)
    return _written(model, keras, graph, chooser.plan, explanation)


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
        A Functional model; a dense one if that is estimated to be faster.
    """
    costs = target.costs() if costs is None else costs
    graph = read_graph(model)
    choices = plan_packed(
        graph, batch_size, costs, target.operators(), pieces_allowed
    )
    if choices.is_slower:
        return dense_model(
            model,
            keras,
            target,
            "the whole model is estimated to take "
            f"{choices.chooser.total():.0f} packed and "
            f"{choices.dense_cost:.0f} dense",
        )
    return _written(model, keras, graph, choices.plan, choices.explanation)


@dataclasses.dataclass(frozen=True)
class Estimate:
    """How long a model is estimated to take, in microseconds.

    Attributes:
        dense: The dense model.
        packed: The packed one; never more.
        layers: What each layer with a kernel costs, by its name; none where
            the whole model stays dense.
    """

    dense: float
    packed: float
    layers: dict[str, LayerCost]


def estimate(model: Any, batch_size: int, target: Target) -> Estimate:
    """Estimates how long a model takes, without making another.

    Args:
        model: A Functional or Sequential model.
        batch_size: Batch to estimate for.
        target: Where it runs.
    """
    costs = target.costs()
    choices = plan_packed(
        read_graph(model), batch_size, costs, target.operators()
    )
    dense, packed = choices.dense_time, choices.packed_time
    layers = {}
    if not choices.is_slower:
        layers = choices.chooser.in_time().layer_costs()
    return Estimate(
        float(costs.call + dense),
        float(costs.call + min(dense, packed)),
        layers,
    )


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
