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
"""A file's pruned variant: blocks of its float kernels are zeroed at random."""

import dataclasses

import numpy as np

from tfmot_sapp.compiler.ir.graph import Graph, Subgraph
from tfmot_sapp.compiler.ir.values import Value

# Where a kernel's matrix of inputs and outputs lies: axes of the kernel.
_MATRICES = {"CONV_2D": (3, 0), "FULLY_CONNECTED": (1, 0)}
_PRODUCTS = (*_MATRICES, "DEPTHWISE_CONV_2D", "TRANSPOSE_CONV", "CONV_3D")
# From how many channels on each side a kernel is pruned by blocks of what side.
_SIDES = ((128, 32), (32, 16))


@dataclasses.dataclass(frozen=True)
class Zeroed:
    """What was zeroed.

    Attributes:
        kernels: How many kernels were pruned.
        products: How many operators multiply by a constant kernel.
        density: Share of their multiply-adds that is left.
    """

    kernels: int
    products: int
    density: float


def zero_blocks(graph: Graph, sparsity: float, seed: int = 0) -> Zeroed:
    """Zeroes blocks of a graph's float kernels.

    Kernels with 32 channels on each side have blocks of 16x16, those with 128
    blocks of 32x32; every tap of a convolution has blocks of its own.

    Args:
        graph: The graph; its constants are changed.
        sparsity: Fraction of the blocks to zero.
        seed: Seed of the choice.

    Returns:
        What was zeroed.
    """
    generator = np.random.default_rng(seed)
    shares: dict[Value, float] = {}
    kept = total = 0.0
    products = 0
    for subgraph in graph.subgraphs:
        halves = _half_precision(subgraph)
        for operation in subgraph.operations:
            if operation.kind not in _PRODUCTS:
                continue
            kernel = operation.inputs[1]
            kernel = halves.get(kernel, kernel) if kernel else None
            if kernel is None or kernel.contents is None:
                continue
            products += 1
            axes = _MATRICES.get(operation.kind)
            if kernel not in shares:
                shares[kernel] = 1.0
                if axes is not None and kernel.dtype in ("float32", "float16"):
                    shares[kernel] = _zero(kernel, axes, sparsity, generator)
            output = operation.outputs[0].initial_shape
            count = float(np.prod(output[:-1])) * kernel.contents.size
            total += count
            kept += count * shares[kernel]
    pruned = sum(share < 1 for share in shares.values())
    return Zeroed(pruned, products, kept / total if total else 1.0)


def _half_precision(subgraph: Subgraph) -> dict[Value, Value]:
    """Constants in float16 by the values that they are read as."""
    return {
        operation.outputs[0]: operation.inputs[0]
        for operation in subgraph.operations
        if operation.kind == "DEQUANTIZE" and operation.inputs[0] is not None
    }


def _zero(
    kernel: Value,
    axes: tuple[int, int],
    sparsity: float,
    generator: np.random.Generator,
) -> float:
    contents = kernel.contents
    assert contents is not None
    least = min(contents.shape[axis] for axis in axes)
    side = next((side for most, side in _SIDES if least >= most), None)
    if side is None or kernel.sparsity is not None:
        return 1.0
    pruned = np.array(contents)
    matrices = np.moveaxis(pruned, axes, (-2, -1))
    *taps, inputs, outputs = matrices.shape
    rows, columns = -(-inputs // side), -(-outputs // side)
    scores = generator.random((*taps, rows, columns))
    mask = scores >= np.quantile(scores, sparsity)
    mask = mask.repeat(side, -2).repeat(side, -1)[..., :inputs, :outputs]
    matrices *= mask
    kernel.stored = np.ascontiguousarray(pruned).reshape(-1).view(np.uint8)
    return float(mask.mean())
