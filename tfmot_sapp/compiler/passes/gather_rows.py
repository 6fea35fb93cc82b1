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
"""The pass `gather_rows`: gathers of single numbers become gathers of rows.

Attention by relative positions picks a number for each pair of positions, by
the same indices in each head:

    y[b, h, i, j] = x[b, h, i, index[i, j]]

The runtime copies number by number. With the heads innermost it copies as many
numbers at a time as there are heads.
"""

import math

import numpy as np

from tfmot_sapp.compiler.ir.graph import Operation
from tfmot_sapp.compiler.passes.rewriting import HIGHEST_RANK, Rewriting


def gather_rows(rewriting: Rewriting, operation: Operation) -> bool:
    """Writes a gather by constant indices that several axes share.

    Args:
        rewriting: Where it is written.
        operation: The operation.

    Returns:
        Whether it was written; if not, it is none of these.
    """
    if operation.kind != "GATHER":
        return False
    x, numbers = operation.inputs
    (output,) = operation.outputs
    batch = operation.attributes.get("batch_dims", 0)
    if x is None or numbers is None or x.is_constant or x.dtype != "float32":
        return False
    index, axis = numbers.contents, operation.attributes.get("axis", 0)
    if index is None or axis != batch or None in x.shape:
        return False
    if not 1 <= batch < len(x.shape) or index.shape[:batch] != x.shape[:batch]:
        return False
    extent = x.shape[axis] or 0
    if index.size == 0 or index.min() < 0 or index.max() >= extent:
        return False
    shared = [
        n
        for n in range(batch)
        if (x.shape[n] or 1) > 1
        and np.array_equal(
            index, np.broadcast_to(index.take([0], n), index.shape)
        )
    ]
    own = [n for n in range(batch) if n not in shared]
    rest = list(range(axis + 1, len(x.shape)))
    if not shared or index.ndim + len(rest) > HIGHEST_RANK:
        return False

    moved = rewriting.transpose(x, [*own, axis, *rest, *shared])
    inner = math.prod(x.shape[n] or 1 for n in (*rest, *shared))
    outer = [x.shape[n] or 1 for n in own]
    rows = rewriting.reshape(moved, (math.prod(outer) * extent, inner))
    picked = index[
        tuple(0 if n in shared else slice(None) for n in range(batch))
    ]
    first = np.arange(math.prod(outer)).reshape(
        *outer, *[1] * (picked.ndim - len(outer))
    )
    places = (picked + extent * first).astype(np.int32).reshape(-1)
    gathered = rewriting.write(
        "GATHER",
        [rows, rewriting.constant(places, "places")],
        (places.size, inner),
        axis=0,
        batch_dims=0,
    )
    made = index.shape[batch:]
    whole = rewriting.reshape(
        gathered, (*outer, *made, *(x.shape[n] for n in (*rest, *shared)))
    )
    # Where each axis of the output is.
    order = [
        *own,
        *(("made", n) for n in range(len(made))),
        *rest,
        *shared,
    ]
    wanted = [
        *range(batch),
        *(("made", n) for n in range(len(made))),
        *rest,
    ]
    rewriting.transpose(whole, [order.index(each) for each in wanted], output)
    return True
