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
"""What a packed model says about itself: one row for each layer."""

import dataclasses
import math
from typing import Any

import numpy as np

from tfmot_sapp.compiler.choose.plan import Plan, linear_lowering, uniform_block
from tfmot_sapp.compiler.emit.packed_layer import PackedComputation
from tfmot_sapp.compiler.graph import Graph, Linear, Packable


def packing_of(model: Any) -> list[dict[str, Any]]:
    """Says what `pack_blocks` chose for each layer of a packed model, and why.

    It is read from the layers' configs, so it's the same after saving and
    loading.

    Args:
        model: A model that `pack_blocks` returned, of either Keras.

    Returns:
        A list of dictionaries, one for each layer with weights:

        - `layer`: names of the layers it was made from, joined by " + ";
        - `lowering`: "list", "sum", "dense", "group", "gather_matmul" or
          "unchanged";
        - `shape`: of the kernel, with the channels last, or `None`;
        - `block_size`: (in, out) as found, or `None`;
        - `kept_blocks`, `blocks`: of that size;
        - `parameters`, `parameters_before`: weights that are stored;
        - `macs`, `macs_before`: multiply-adds of one example, with axes of
          unknown extent taken as 1;
        - `parameter_density`, `mac_density`: their ratios;
        - `why`: the reason of the choice.

    Example:

    >>> import keras
    >>> inputs = keras.Input((64,))
    >>> model = keras.Model(inputs, keras.layers.Dense(64, name="d")(inputs))
    >>> from tfmot_sapp.verbs.pack import pack_blocks
    >>> packing_of(pack_blocks(model))[0]["lowering"]
    'dense'
    """
    rows = []
    for layer in model.layers:
        if isinstance(layer, PackedComputation):
            if layer.row is not None:
                rows.append(dict(layer.row))
        elif layer.weights:
            count = sum(math.prod(w.shape) for w in layer.weights)
            rows.append(
                {
                    "layer": layer.name,
                    "lowering": "unchanged",
                    "shape": None,
                    "block_size": None,
                    "kept_blocks": None,
                    "blocks": None,
                    "parameters": count,
                    "parameters_before": count,
                    "macs": None,
                    "macs_before": None,
                    "parameter_density": 1.0,
                    "mac_density": None,
                    "why": f"{type(layer).__name__} passes through",
                }
            )
    return rows


def write_rows(graph: Graph, plan: Plan, costs: Any) -> None:
    """Puts a row in the choice of every Linear.

    Args:
        graph: The graph after all passes.
        plan: The plan; its choices get their rows.
        costs: For a node, the reason of its choice.
    """
    for node in graph.nodes:
        if isinstance(node, Packable) and isinstance(node.core, Linear):
            plan.choices[node].row = _row(node, plan, costs(node))


def _row(node: Packable, plan: Plan, why: str) -> dict[str, Any]:
    core, choice = node.core, plan.choices[node]
    assert isinstance(core, Linear)
    lowering = linear_lowering(node, choice, plan)
    stored = sum(
        math.prod(shape)
        for name, shape in lowering.weights()
        if name.startswith("kernel")
    )
    before = core.kernel.size // core.groups
    is_transposed = core.window and core.window.transposed
    multiplied = node.inputs[0] if is_transposed else node.output
    positions = multiplied.positions(1)
    found = _found_blocks(node, plan)
    return {
        "layer": " + ".join(node.sources),
        "lowering": choice.lowering,
        "shape": [int(n) for n in core.kernel.shape],
        "block_size": None if found is None else list(found.block),
        "kept_blocks": None if found is None else found.kept,
        "blocks": None if found is None else found.blocks,
        "parameters": int(stored),
        "parameters_before": int(before),
        "macs": int(stored * positions),
        "macs_before": int(before * positions),
        "parameter_density": stored / before,
        "mac_density": stored / before,
        "why": why,
    }


@dataclasses.dataclass(frozen=True)
class _Blocks:
    block: tuple[int, int]
    blocks: int
    kept: int


def _found_blocks(node: Packable, plan: Plan) -> _Blocks | None:
    """The blocks of a Linear, where its channels are cut at all."""
    core = node.core
    assert isinstance(core, Linear)
    values = (node.inputs[0], node.output)
    if node.shared is not None or all(
        len(plan.channels[value].edges) < 3 for value in values
    ):
        return None
    rows, columns = uniform_block(node, plan)
    ins, outs = map(plan.live_channels, values)
    used = np.asarray(core.by_tap().any(axis=0))[ins[:, None], outs]
    used = used.reshape(len(ins) // rows, rows, -1, columns)
    given, made = core.kernel.shape[-2:]
    return _Blocks(
        (int(rows), int(columns)),
        math.ceil(given / rows) * math.ceil(made / columns),
        int(used.any(axis=(1, 3)).sum()),
    )
