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
"""The pass `fold_constants`: what can be computed now is."""

import numpy as np

from tfmot_sapp.compiler.ir.evaluate import evaluate, has_meaning
from tfmot_sapp.compiler.ir.graph import Subgraph
from tfmot_sapp.compiler.ir.values import Value

# Kinds that make nothing larger than what they read.
_ARRANGE = frozenset({"RESHAPE", "TRANSPOSE", "SQUEEZE", "EXPAND_DIMS"})


def arrange_constants(subgraph: Subgraph) -> None:
    """Reshapes and transposes constants now, in place of at every call.

    Args:
        subgraph: The subgraph. What nothing but these operations read of its
            constants is let go.
    """
    kept = []
    for operation in subgraph.operations:
        given = [value for value in operation.inputs if value is not None]
        if (
            operation.kind in _ARRANGE
            and all(value.contents is not None for value in given)
            and has_meaning(operation)
        ):
            (made,) = evaluate(operation, [value.contents for value in given])
            _fill(operation.outputs[0], made)
        else:
            kept.append(operation)
    subgraph.operations = kept
    used = set(subgraph.used_values())
    subgraph.values = [value for value in subgraph.values if value in used]


def _fill(value: Value, array: np.ndarray) -> None:
    contents = Value.constant(value.name, array)
    value.shape, value.stored = contents.shape, contents.stored
    value.allocated = None
