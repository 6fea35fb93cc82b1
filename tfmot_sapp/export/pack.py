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
"""`pack_blocks`: a model that stores and multiplies only the kept blocks."""

from typing import Any

from tfmot_sapp.export.emit import emit
from tfmot_sapp.export.packed_layers import PackedComputation
from tfmot_sapp.export.passes import (
    analyse_channels,
    fold_scales,
    fuse_steps,
)
from tfmot_sapp.export.planning import Plan, default_choices
from tfmot_sapp.export.read_keras import is_graph, read_graph
from tfmot_sapp.frameworks import is_model, keras_of


def pack_blocks(model: Any) -> Any:
    keras = _checked(model)
    graph = read_graph(model)
    fold_scales(graph)
    fuse_steps(graph)
    plan = Plan(analyse_channels(graph))
    default_choices(graph, plan)
    return _build(model, keras, graph, plan)


def _build(model: Any, keras: Any, graph: Any, plan: Plan) -> Any:
    functional = getattr(model, "_functional", None) or model
    inputs = [_input_like(keras, t) for t in functional.inputs]
    outputs = emit(graph, plan, inputs, keras)
    return keras.Model(
        _structure(functional, "inputs", functional.inputs, inputs),
        _structure(functional, "outputs", functional.outputs, outputs),
        name=model.name,
    )


def _input_like(keras, tensor):
    return keras.Input(
        batch_shape=tuple(tensor.shape),
        dtype=str(tensor.dtype),
        name=tensor.name,
    )


def _structure(model, which, old, new):
    struct = getattr(model, f"_{which}_struct", None)
    if struct is None:
        struct = getattr(model, f"_nested_{which}")
    table = dict(zip(map(id, old), new))
    return _map(struct, table)


def _map(struct, table):
    if isinstance(struct, dict):
        return {k: _map(v, table) for k, v in struct.items()}
    if isinstance(struct, list | tuple):
        return [_map(v, table) for v in struct]
    return table[id(struct)]


def _checked(model: Any) -> Any:
    return keras_of(model)
