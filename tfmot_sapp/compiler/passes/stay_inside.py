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
"""The pass `stay_inside`: what the CPU's delegate takes, written for it.

What XNNPACK doesn't take runs on one thread, by plain loops, and cuts the graph
in partitions. Converters write such operations where others do the same.
"""

import dataclasses
from collections.abc import Callable

from tfmot_sapp.compiler.ir.graph import Operation, Subgraph
from tfmot_sapp.compiler.passes.gather_rows import gather_rows
from tfmot_sapp.compiler.passes.join_transposes import join_transposes
from tfmot_sapp.compiler.passes.mask_scores import mask_scores
from tfmot_sapp.compiler.passes.rewriting import Rewriting
from tfmot_sapp.compiler.passes.take_one import take_one

_Pass = Callable[[Rewriting, Operation], bool]
# How many inputs each kind has that a pass looks at; in a damaged file it may
# have others.
_INPUTS = {
    "BATCH_MATMUL": 2,
    "GATHER": 2,
    "SELECT": 3,
    "SELECT_V2": 3,
    "STRIDED_SLICE": 4,
    "TRANSPOSE": 2,
    "UNPACK": 1,
}
_MOVING: tuple[_Pass, ...] = (take_one, gather_rows, join_transposes)


def stay_inside(subgraph: Subgraph, rounded: bool = False) -> Subgraph:
    """Rewrites operations that the CPU's delegate doesn't take.

    Args:
        subgraph: The subgraph. It isn't changed.
        rounded: Whether activations will be rounded to integers, so that no
            value may have a wider range than before.

    Returns:
        One that computes the same. What is no longer read is still there.
    """
    passes = _MOVING if rounded else (*_MOVING, mask_scores)
    rewriting = Rewriting(subgraph)
    for given in subgraph.operations:
        operation = rewriting.up_to_date(given)
        if _is_whole(operation):
            rewriting.name = operation.outputs[0].name
            if any(write(rewriting, operation) for write in passes):
                continue
        rewriting.append(operation)
    return dataclasses.replace(subgraph, operations=rewriting.operations)


def _is_whole(operation: Operation) -> bool:
    made = len(operation.outputs)
    return len(operation.inputs) == _INPUTS.get(operation.kind) and (
        made == 1 or (made > 1 and operation.kind == "UNPACK")
    )
