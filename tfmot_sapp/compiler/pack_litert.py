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
"""Packing of LiteRT graphs, from whatever framework they come."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from tfmot_sapp.compiler.choose.planning import has_blocks, plan_packed
from tfmot_sapp.compiler.emit.litert_subgraph import write_subgraph
from tfmot_sapp.compiler.emit.value_names import name_apart
from tfmot_sapp.compiler.ir.graph import Graph, Operation, Subgraph
from tfmot_sapp.compiler.ir.values import Value
from tfmot_sapp.compiler.passes.layer_norms import normalise_first
from tfmot_sapp.compiler.passes.stay_inside import stay_inside
from tfmot_sapp.compiler.readers.subgraph import read_subgraph
from tfmot_sapp.targets import refusals
from tfmot_sapp.targets.operators import Operators
from tfmot_sapp.targets.target import Target

# It names operations by their index.
_BY_INDEX = ("model_control_dependencies",)


def pack_litert(
    graph: Graph, target: Target, quantize: str | None = None
) -> list[Mapping[str, Any]]:
    """Lets a LiteRT graph store and multiply only the kept blocks.

    Every subgraph is packed by itself, the bodies of loops too. One without
    pruned blocks stays as it is.

    Args:
        graph: The graph; its subgraphs are changed.
        target: What the result is for.
        quantize: What it will be rounded to afterwards, as in `export_tflite`.

    Returns:
        What was chosen for each product, as `packing_of` describes it.
    """
    rows: list[Mapping[str, Any]] = []
    changed = False
    read = {v for subgraph in graph.subgraphs for v in subgraph.used_values()}
    for subgraph in graph.subgraphs:
        found = _pack_subgraph(subgraph, target, quantize)
        changed = changed or found is not None
        rows += found or []
    if changed:
        name_apart(graph, read)
        graph.metadata = [
            each for each in graph.metadata if each.name not in _BY_INDEX
        ]
    return rows


def _pack_subgraph(
    subgraph: Subgraph, target: Target, quantize: str | None
) -> list[Mapping[str, Any]] | None:
    costs, operators = target.costs(quantize), target.operators(quantize)
    rewritten = dataclasses.replace(
        subgraph, operations=normalise_first(subgraph)
    )
    if not operators.must_take_all:
        rewritten = stay_inside(rewritten, quantize == "int8")
    channels = read_subgraph(rewritten)
    if not has_blocks(channels, costs.narrowest_piece):
        return None
    choices = plan_packed(channels, 1, costs, operators)
    if choices.is_slower:
        return None
    write_subgraph(rewritten, channels, choices.plan, operators)
    if operators.must_take_all and not (
        _refusals(rewritten.operations, operators)
        <= _refusals(subgraph.operations, operators)
    ):
        # Dense, it is taken.
        return None
    subgraph.operations = rewritten.operations
    return list(choices.explanation.values())


def _refusals(
    operations: Sequence[Operation], operators: Operators
) -> set[tuple[str, str]]:
    """What an accelerator doesn't take of some operations, and why."""
    plain = [
        refusals.Operation(
            operation.kind,
            tuple(_plain(v) for v in operation.inputs if v is not None),
            tuple(_plain(v) for v in operation.outputs),
            operation.attributes,
        )
        for operation in operations
    ]
    return {(r.name, r.why) for r in refusals.refused(plain, operators)}


def _plain(value: Value) -> refusals.Tensor:
    shape = tuple(-1 if n is None else n for n in value.shape)
    return refusals.Tensor(shape, value.dtype, value.is_constant)
