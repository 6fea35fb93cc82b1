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
"""`NpuTarget`: neural processors, through LiteRT's compiler plugins.

What the vendors' plugins take is read from their lists of operators. Their
common subset is CONV_2D, FULLY_CONNECTED, equal SPLIT or SLICE, CONCATENATION
of up to 5, ADD, depthwise convolutions and pooling. No such processor was at
hand: costs are assumed, and say no more than that operations should be few and
products large.
"""

import dataclasses

from tfmot_sapp.base.checks import check_choice
from tfmot_sapp.targets.costs import Costs
from tfmot_sapp.targets.operators import Operators
from tfmot_sapp.targets.target import Target, check_quantize, eighths

VENDORS = (None, "mediatek", "qualcomm")

_COSTS = Costs(
    call=200.0,
    mac=1 / 1_000_000,
    lanes=32.0,
    depthwise=8.0,
    operation=2.0,
    copied_row=0.0,
    copied_byte=1 / 50_000,
    weight_byte=1 / 50_000,
    stored_byte=0.0,
    outside=0.0,
    gathered=2.0,
    scattered=2.0,
    summed=4.0,
    filled=0.5,
    cut=2.0,
    grouped=8.0,
    margin=1.2,
    tap_blocks=0.2,
    narrowest_piece=16,
    narrowest_gather=16,
)

_COMMON = frozenset(
    {
        "ADD", "AVERAGE_POOL_2D", "CONCATENATION", "CONV_2D",
        "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "GELU", "HARD_SWISH",
        "LEAKY_RELU", "LOGISTIC", "MAX_POOL_2D", "MEAN", "MUL", "PAD", "RELU",
        "RELU6", "RESHAPE", "SLICE", "SOFTMAX", "SPLIT", "SUB", "TANH",
        "TRANSPOSE",
    }
)  # fmt: skip
_MORE = {
    None: frozenset[str](),
    "mediatek": frozenset({"BATCH_MATMUL", "STRIDED_SLICE"}),
    "qualcomm": frozenset(
        {
            "BATCH_MATMUL", "GATHER", "GATHER_ND", "SPLIT_V", "STRIDED_SLICE",
            "UNSORTED_SEGMENT_SUM",
        }
    ),
}  # fmt: skip


@dataclasses.dataclass(frozen=True, eq=False)
class NpuTarget(Target):
    """A neural processor, through LiteRT's compiler plugins.

    Args:
        vendor: `"qualcomm"` or `"mediatek"`; `None`, the default, for what the
            plugins of all vendors take.

    Raises:
        TypeError: If `vendor` is no text.
        ValueError: If it is none of these.

    Example:

    >>> NpuTarget().operators().gathers
    False
    """

    vendor: str | None = None

    def __post_init__(self) -> None:
        """Checks the arguments."""
        self._set(vendor=check_choice(self.vendor, "vendor", VENDORS))

    def costs(self, quantize: str | None = None) -> Costs:
        """Returns what work costs, see `Target`."""
        check_quantize(quantize)
        return _COSTS

    def operators(self, quantize: str | None = None) -> Operators:
        """Returns what operations may be, see `Target`."""
        check_quantize(quantize)
        names = _COMMON | _MORE[self.vendor]
        return Operators(
            widest_concatenation=5,
            grouped_dense=False,
            additions_round=quantize in ("dynamic_int8", "int8"),
            constant_weights=True,
            names=names,
            highest_rank=4,
            index_types=("int32",),
            constant_left=False,
            gathers="GATHER" in names,
            sums="UNSORTED_SEGMENT_SUM" in names,
            must_take_all=True,
        )

    def block_size(self, inputs: int, outputs: int) -> tuple[int, int] | None:
        """Returns blocks that a packed layer is fast with, see `Target`.

        128 by 128 channels, but at most an eighth of either side.
        """
        return eighths(inputs, outputs, widest=(128, 128), least=32)
