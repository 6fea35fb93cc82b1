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
"""What a model computes beside its kernels: norms, attention, activations.

No plan makes it faster, so the more of it there is, the sparser the rest must
be. Operations are counted as a runtime has them, by the passes over their
output that they amount to. How long these take was fitted to 35 plans on one
and two threads, most of them for transformers
(`benchmarks/latency/planned_networks.py`): several threads gain nothing in what
is as short.
"""

import dataclasses
import math
from collections.abc import Iterator
from typing import Any

from tfmot_sapp.compiler.graph import (
    UNKNOWN_EXTENT,
    Graph,
    Node,
    Opaque,
    Packable,
    Value,
)
from tfmot_sapp.frameworks.kernels import find_kernels
from tfmot_sapp.frameworks.layers.table import effect_of
from tfmot_sapp.frameworks.private.attention import number_of_heads
from tfmot_sapp.frameworks.private.layers import operation_name
from tfmot_sapp.frameworks.which_keras import is_layer
from tfmot_sapp.targets.costs import Costs

# Bytes of a value that count as copied; most are found in a cache.
_BYTES = 4
# Passes that computing an exponential, or another function by it, amounts to.
_CURVED, _SOFTMAX = 2.3, 3.0
# What has both sides made anew, a runtime must arrange before it multiplies.
_ARRANGED = 1.2
# Of a layer norm: differences, squares, factor and offset over all values;
# means and roots over few.
_NORM_PASSES, _NORM_SMALL = 4, 4
_PRODUCTS = frozenset({"einsum", "matmul"})
# They arrange nothing, or are folded into what is beside them.
_NOTHING = frozenset(
    {
        "arange", "broadcastto", "cast", "equal", "expanddims", "full",
        "getitem", "identity", "ones", "relu", "reshape", "shape", "squeeze",
        "where", "zeros",
    }
)  # fmt: skip
_FOLDED = frozenset({"flatten", "map", "nothing", "reshape", "scale"})
_STRAIGHT = frozenset({"linear", "relu", "relu6"})


@dataclasses.dataclass(frozen=True)
class _Work:
    """One operation of a runtime.

    Attributes:
        values: How many it makes.
        passes: What it does to each of them, in copies.
        multiply_adds: Those of a product.
    """

    values: float
    passes: float = 1.0
    multiply_adds: float = 0.0


def other_time(graph: Graph, batch_size: int, costs: Costs) -> float:
    """Estimates what takes as long in every plan.

    Args:
        graph: A model as it was read.
        batch_size: Samples in a call.
        costs: Figures of the runtime.

    Returns:
        Microseconds of what is neither a product with a kernel nor something
        that packing reads.
    """
    byte, total = _BYTES * costs.copied_byte, 0.0
    for node in graph.nodes:
        for work in _works(node, batch_size):
            total += costs.operation + costs.sharing
            total += work.values * work.passes * byte
            total += costs.shared(work.multiply_adds * costs.mac)
    return total


def _works(node: Node, batch_size: int) -> Iterator[_Work]:
    if isinstance(node, Packable):
        for step in node.steps:
            if _is_curved(step.operation):
                yield _Work(_values(node.output, batch_size), _CURVED)
    if not isinstance(node, Opaque) or not node.inputs or not node.outputs:
        return
    layer = node.layer
    values = max(_values(value, batch_size) for value in node.outputs)
    kind = (operation_name(layer) or type(layer).__name__).lower()
    effect = effect_of(layer) if is_layer(layer) else None
    if effect in ("heads", "head_groups"):
        yield from _attention(node, batch_size)
    elif is_layer(layer) and find_kernels(layer):
        # It is estimated by itself; what else is in it, nobody knows.
        return
    elif kind.endswith("norm") or kind.endswith("normalization"):
        yield from [_Work(values)] * _NORM_PASSES
        small = values / max(node.output.channels, 1)
        yield from [_Work(small)] * _NORM_SMALL
    elif kind == "softmax":
        yield _Work(values, _SOFTMAX)
    elif kind in _PRODUCTS and len(node.inputs) > 1:
        yield from _product(node, batch_size)
    elif kind == "dotproductattention" and len(node.inputs) > 1:
        samples, length, heads, width = _extents(node.inputs[0], batch_size)
        looked = _extents(node.inputs[1], batch_size)[1]
        yield from _mixed(samples * length, looked, heads, heads * width)
    elif _is_curved(layer):
        yield _Work(values, _CURVED)
    elif kind not in _NOTHING and effect not in _FOLDED:
        yield _Work(values)


def _is_curved(layer: Any) -> bool:
    """Whether it is an activation that is an operation of its own."""
    if effect_of(layer) == "activation":
        name = getattr(layer.activation, "__name__", "")
        return name not in _STRAIGHT
    name = operation_name(layer)
    return name in ("gelu", "sigmoid", "silu", "softplus", "tanh")


def _attention(node: Opaque, batch_size: int) -> Iterator[_Work]:
    """An attention of which only the projections have kernels."""
    layer, asking, looked_at = node.layer, node.inputs[0], node.inputs[-1]
    asked = _values(asking, batch_size) / max(asking.channels, 1)
    # One sequence is looked at from each place of the other.
    looked = math.prod(_extents(looked_at, batch_size)[1:-1])
    first = find_kernels(layer)[0]
    width = math.prod(first.shape) / first.shape[0]
    yield from _mixed(asked, looked, number_of_heads(layer), width)


def _mixed(
    asked: float, looked: float, heads: float, width: float
) -> Iterator[_Work]:
    """Scores, their softmax and what they choose, with all transpositions."""
    scores, multiply_adds = heads * asked * looked, asked * looked * width
    yield from [_Work(asked * width)] * 4
    yield _Work(scores, 1.0, _ARRANGED * multiply_adds)
    yield _Work(scores, _SOFTMAX)
    yield _Work(asked * width, 1.0, _ARRANGED * multiply_adds)


def _product(node: Opaque, batch_size: int) -> Iterator[_Work]:
    """A product of two values that are both computed."""
    left, right = (_extents(value, batch_size) for value in node.inputs[:2])
    made = _extents(node.outputs[0], batch_size)
    # A product of matrices, unless an equation says otherwise.
    multiply_adds = float(math.prod(made) * left[-1])
    equation = getattr(node.layer, "subscripts", None)
    if isinstance(equation, str) and "." not in equation:
        operands = equation.replace(" ", "").partition("->")[0].split(",")
        extent = dict(zip("".join(operands), (*left, *right)))
        multiply_adds = float(math.prod(extent.values()))
    yield _Work(math.prod(made), 1.0, _ARRANGED * multiply_adds)
    yield _Work(math.prod(left))
    yield _Work(math.prod(right))


def _values(value: Value, batch_size: int) -> float:
    """How many numbers it holds."""
    return float(math.prod(_extents(value, batch_size)))


def _extents(value: Value, batch_size: int) -> list[int]:
    """What it measures; one number has an axis of one."""
    first, *others = value.shape or (1,)
    return [first or batch_size, *(n or UNKNOWN_EXTENT for n in others)]
