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
"""The pass `join_transposes`: transpositions one behind the other are one.

A product with a constant on its left is one with a constant on its right, seen
across:

    c @ transpose(x)  =  transpose(x @ transpose(c))

so that runtimes may pack the constant beforehand; the transpositions around it
join those that are there.
"""

import numpy as np

from tfmot_sapp.compiler.ir.graph import Operation
from tfmot_sapp.compiler.ir.values import Value
from tfmot_sapp.compiler.passes.rewriting import Rewriting, axes_of


def join_transposes(rewriting: Rewriting, operation: Operation) -> bool:
    """Writes transpositions, and products with a constant on their left.

    Args:
        rewriting: Where it is written.
        operation: The operation.

    Returns:
        Whether it was written; if not, it is none of these.
    """
    axes = axes_of(operation)
    x = operation.inputs[0] if operation.inputs else None
    if axes is not None and x is not None:
        if axes_of(rewriting.maker(x)) is None or x.shape.count(None) > 1:
            return False
        rewriting.transpose(x, axes, operation.outputs[0])
        return True
    if operation.kind == "BATCH_MATMUL":
        return _turned(rewriting, operation)
    return False


def _turned(rewriting: Rewriting, operation: Operation) -> bool:
    left, x = operation.inputs
    (output,) = operation.outputs
    options = operation.attributes
    if left is None or x is None or output.dtype != "float32":
        return False
    matrix = left.contents
    if matrix is None or matrix.dtype != np.float32 or matrix.ndim < 2:
        return False
    if options.get("adj_x") or options.get("adj_y"):
        return False
    # Otherwise there were more transpositions than before.
    if axes_of(rewriting.maker(x)) is None:
        return False
    if not rewriting.only_read_by(output, "TRANSPOSE"):
        return False
    if not len(left.shape) == len(x.shape) == len(output.shape):
        return False
    if None in x.shape or None in output.shape:
        return False
    across = _across(output)
    turned = rewriting.write(
        "BATCH_MATMUL",
        [
            rewriting.transpose(x, _across(x)),
            rewriting.constant(
                np.ascontiguousarray(matrix.swapaxes(-1, -2)), "right"
            ),
        ],
        tuple(output.shape[axis] for axis in across),
        adj_x=False,
        adj_y=False,
    )
    rewriting.transpose(turned, across, output)
    return True


def _across(value: Value) -> list[int]:
    *leading, row, column = range(len(value.shape))
    return [*leading, column, row]
