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
"""The packer from end to end: a Keras model in, a packed Keras model out."""

from typing import Any

from tfmot_sapp.compiler.analysis.channels import (
    analyse_channels,
    whole_channels,
)
from tfmot_sapp.compiler.choose.cost import Machine
from tfmot_sapp.compiler.choose.plan import Plan
from tfmot_sapp.compiler.choose.search import Chooser
from tfmot_sapp.compiler.emit.keras_model import emit
from tfmot_sapp.compiler.emit.packing_rows import write_rows
from tfmot_sapp.compiler.graph import Graph
from tfmot_sapp.compiler.passes.passes import (
    fold_scales,
    fuse_steps,
    sort_blocks,
    split_taps,
)
from tfmot_sapp.compiler.readers.keras_model import read_graph
from tfmot_sapp.frameworks.private.layers import functional_of, structure_of


def dense_model(model: Any, keras: Any) -> Any:
    """The model as it is, but for folded batch norms."""
    graph = read_graph(model, take_apart=False)
    fold_scales(graph)
    fuse_steps(graph)
    plan = Plan(whole_channels(graph))
    machine = Machine(pieces_allowed=False)
    Chooser(graph, plan, 1, machine).run()
    write_rows(graph, plan, lambda node: "the whole model is dense")
    return _written(model, keras, graph, plan)


def packed_model(
    model: Any, keras: Any, batch_size: int, machine: Machine
) -> Any:
    graph = read_graph(model)
    fold_scales(graph)
    fuse_steps(graph)
    sort_blocks(graph)
    split_taps(graph)
    plan = Plan(analyse_channels(graph))
    chooser = Chooser(graph, plan, batch_size, machine)
    chooser.run()
    write_rows(graph, plan, chooser.why)
    return _written(model, keras, graph, plan)


def _written(model: Any, keras: Any, graph: Graph, plan: Plan) -> Any:
    functional = functional_of(model)
    inputs = [_input_like(keras, tensor) for tensor in functional.inputs]
    outputs = emit(graph, plan, inputs, keras)
    return keras.Model(
        _structured(functional, "inputs", functional.inputs, inputs),
        _structured(functional, "outputs", functional.outputs, outputs),
        name=model.name,
    )


def _input_like(keras: Any, tensor: Any) -> Any:
    dtype = getattr(tensor.dtype, "name", tensor.dtype)
    name = getattr(tensor, "name", None)
    return keras.Input(batch_shape=tuple(tensor.shape), dtype=dtype, name=name)


def _structured(model: Any, which: str, old: list[Any], new: list[Any]) -> Any:
    table = dict(zip(map(id, old), new))

    def replaced(part: Any) -> Any:
        if isinstance(part, dict):
            return {key: replaced(item) for key, item in part.items()}
        if isinstance(part, list | tuple):
            return [replaced(item) for item in part]
        return table[id(part)]

    return replaced(structure_of(model, which))
