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
"""`GpuTarget`: LiteRT's GPU accelerator.

What it takes is read from its sources and its refusals: tensors of rank 4 at
most, GATHER with constant int32 indices of rank 1, no GATHER_ND, no
UNSORTED_SEGMENT_SUM, BATCH_MATMUL with a constant right side only, no sparse
tensors. A grouped convolution is taken, and as fast as dense at the sizes of
known networks: what counts there is how few operations there are.
"""

import dataclasses

from tfmot_sapp.targets.costs import Costs
from tfmot_sapp.targets.operators import Operators
from tfmot_sapp.targets.target import Target, check_quantize, eighths

# An H200 through WebGPU. A call costs 800 us whatever is in it, and an
# operation 4 us: ResNet-50 takes 2.6 to 3.5 ms dense and 8.3 to 10.9 ms as
# 2,298 operations.
_COSTS = Costs(
    call=800.0,
    mac=1 / 2_500_000,
    lanes=32.0,
    depthwise=8.0,
    operation=4.0,
    copied_row=0.0,
    copied_byte=1 / 500_000,
    weight_byte=1 / 1_000_000,
    stored_byte=0.0,
    outside=0.0,
    gathered=2.0,
    scattered=1.0,
    summed=4.0,
    filled=0.5,
    cut=4.0,
    # A grouped convolution takes as long as a dense one, with all groups.
    grouped=8.0,
    margin=1.2,
    tap_blocks=0.2,
    narrowest_piece=16,
    narrowest_gather=16,
)

_TAKEN = frozenset(
    {
        "ADD", "AVERAGE_POOL_2D", "BATCH_MATMUL", "CONCATENATION", "CONV_2D",
        "DEPTHWISE_CONV_2D", "DIV", "ELU", "EXP", "FULLY_CONNECTED", "GATHER",
        "GELU", "HARD_SWISH", "LEAKY_RELU", "LOG", "LOGISTIC", "MAXIMUM",
        "MAX_POOL_2D", "MEAN", "MINIMUM", "MUL", "NEG", "PAD", "POW", "PRELU",
        "RELU", "RELU6", "RELU_N1_TO_1", "RESHAPE", "RESIZE_BILINEAR",
        "RESIZE_NEAREST_NEIGHBOR", "RSQRT", "SLICE", "SOFTMAX", "SPLIT",
        "SPLIT_V", "SQRT", "SQUARE", "SQUARED_DIFFERENCE", "STRIDED_SLICE",
        "SUB", "SUM", "TANH", "TILE", "TRANSPOSE", "TRANSPOSE_CONV",
    }
)  # fmt: skip


@dataclasses.dataclass(frozen=True, eq=False)
class GpuTarget(Target):
    """LiteRT's GPU accelerator, for float models.

    Every operation of a file that is packed for it is one that the accelerator
    takes. Blocks are wide, since a product of narrow ones takes as long as a
    wide one does; a model for which dense is faster stays dense.

    Example:

    >>> GpuTarget().operators().highest_rank
    4
    """

    def costs(self, quantize: str | None = None) -> Costs:
        """Returns what work costs, see `Target`."""
        check_quantize(quantize)
        return _COSTS

    def operators(self, quantize: str | None = None) -> Operators:
        """Returns what operations may be, see `Target`."""
        check_quantize(quantize)
        return Operators(
            # Wider ones are taken; every operation costs a launch.
            widest_concatenation=16,
            grouped_dense=True,
            additions_round=False,
            constant_weights=True,
            names=_TAKEN,
            highest_rank=4,
            index_types=("int32",),
            constant_left=False,
            sums=False,
            must_take_all=True,
        )

    def block_size(self, inputs: int, outputs: int) -> tuple[int, int] | None:
        """Returns blocks that a packed layer is fast with, see `Target`.

        128 by 128 channels, but at most an eighth of either side; blocks
        narrower than 64 are slower than they are sparse.
        """
        return eighths(inputs, outputs, widest=(128, 128), least=64)
