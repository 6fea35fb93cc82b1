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
"""The pass `mask_scores`: masks of attention, as arithmetic.

XNNPACK has no selection. In front of a softmax, what is masked becomes a number
that is lower than any score, and the lower of a score and a bound is the same:

    where(mask, x, -1e9)  =  minimum(x, where(mask, largest, -1e9))

The bounds are worked out once for all layers that share a mask. Behind the
softmax, where nothing is infinite, what becomes zero is multiplied by zero.
"""

import math

import numpy as np

from tfmot_sapp.compiler.ir.graph import Operation
from tfmot_sapp.compiler.ir.values import Shape, Value, broadcast_shape
from tfmot_sapp.compiler.passes.rewriting import Rewriting, extent_of

# No score is lower.
_LOWEST_SCORE = -1e8
_SELECTIONS = ("SELECT", "SELECT_V2")
# What they make is finite.
_FINITE = ("LOGISTIC", "SOFTMAX")


def mask_scores(rewriting: Rewriting, operation: Operation) -> bool:
    """Writes the selection of scores and weights of attention.

    Args:
        rewriting: Where it is written.
        operation: The operation.

    Returns:
        Whether it was written; if not, it is none of these.
    """
    if operation.kind not in _SELECTIONS:
        return False
    mask, *sides = operation.inputs
    (output,) = operation.outputs
    if mask is None or output.dtype != "float32":
        return False
    for place in (0, 1):
        x, other = sides[place], sides[1 - place]
        if x is None or other is None or x.is_constant:
            continue
        fill = other.contents
        if fill is None or tuple(x.shape) != tuple(output.shape):
            continue
        bounds = broadcast_shape(mask.shape, other.shape)
        if len(bounds) > len(output.shape):
            continue
        if not _pays(rewriting, mask, bounds, output):
            continue
        sort = _sort_of(rewriting, x, fill, output)
        if sort is None:
            continue
        kind, kept = sort
        whole = rewriting.constant(np.array(kept, np.float32), "kept")
        chosen = [whole, other] if place == 0 else [other, whole]
        key = (kind, mask, place, fill.shape, fill.tobytes())
        bound = rewriting.once(key, "SELECT_V2", [mask, *chosen], bounds)
        if kind == "MUL":
            rewriting.write(
                kind, [x, bound], output, fused_activation_function="NONE"
            )
        else:
            rewriting.write(kind, [x, bound], output)
        return True
    return False


def _sort_of(
    rewriting: Rewriting, x: Value, fill: np.ndarray, output: Value
) -> tuple[str, float] | None:
    """What does the same, and its operand where the value is kept."""
    if np.all(fill <= _LOWEST_SCORE):
        if rewriting.only_read_by(output, "SOFTMAX"):
            return "MINIMUM", float(np.finfo(np.float32).max)
        return None
    maker = rewriting.maker(x)
    if not np.any(fill) and maker is not None and maker.kind in _FINITE:
        return "MUL", 1.0
    return None


def _pays(
    rewriting: Rewriting, mask: Value, bounds: Shape, output: Value
) -> bool:
    """Whether the bounds are fewer than what is selected."""
    size, whole = extent_of(bounds), extent_of(output.shape)
    shared = sum(op.kind in _SELECTIONS for op in rewriting.readers[mask])
    if size is None or whole is None:
        # Unknown extents are those of both.
        known = [n or 1 for n in bounds], [n or 1 for n in output.shape]
        size, whole = math.prod(known[0]), math.prod(known[1])
    return size < whole * shared
