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
"""`CpuTarget`: LiteRT on a CPU, with its default delegate XNNPACK.

The figures were fitted on one x86 core with AVX-512. Packed models are the same
on every machine for it: measuring on the machine itself is what
`pack_blocks(model, tune=...)` is for.

The delegate takes CONCATENATION of up to 5 inputs, SPLIT into up to 4, and no
GATHER; whatever it does not take cuts the graph in partitions and runs on one
thread.
"""

import dataclasses

from tfmot_sapp.targets.costs import Costs
from tfmot_sapp.targets.operators import Operators
from tfmot_sapp.targets.target import Target

# One thread, float32.
_COSTS = Costs(
    mac=1 / 48_000,
    lanes=8.0,
    depthwise=4.0,
    operation=0.4,
    copied_row=0.006,
    copied_byte=1 / 20_000,
    weight_byte=1 / 25_000,
    stored_byte=1 / 10_000,
    outside=2.5,
    gathered=1.5,
    scattered=4.0,
    summed=4.0,
    filled=0.5,
    cut=0.1,
    margin=1.05,
    tap_blocks=0.35,
    narrowest_piece=4,
    narrowest_gather=8,
)
# How many times faster products are in 8 bits; all else takes as long.
_INT8_SPEED = 3.0


@dataclasses.dataclass(frozen=True)
class CpuTarget(Target):
    """LiteRT on a CPU.

    Attributes:
        threads: Threads that the model runs on, at least 1.

    Example:

    >>> CpuTarget(threads=2).operators("int8").widest_concatenation
    5
    """

    threads: int = 1

    def costs(self, quantize: str | None = None) -> Costs:
        """Returns what work costs, see `Target`.

        Threads share the products; what leaves the delegate runs on one of
        them while the others wait.
        """
        speed = self.threads * (_INT8_SPEED if quantize == "int8" else 1.0)
        return dataclasses.replace(
            _COSTS,
            mac=_COSTS.mac / speed,
            outside=_COSTS.outside * self.threads,
        )

    def operators(self, quantize: str | None = None) -> Operators:
        """Returns how packed layers are written, see `Target`."""
        return Operators(
            widest_concatenation=5,
            grouped_dense=True,
            additions_round=quantize in ("dynamic_int8", "int8"),
            constant_weights=True,
        )

    def block_size(self, inputs: int, outputs: int) -> tuple[int, int] | None:
        """Returns blocks that a packed layer is fast with, see `Target`.

        Blocks of 32 inputs, but at most an eighth of them, so that an output
        block can read few; and of up to 128 outputs, but at least eight output
        blocks. Blocks narrower than 16 are slower than they are sparse
        (`benchmarks/latency/layers.py`).
        """
        block = (
            min(32, 16 * (inputs // 128)),
            min(128, 16 * (outputs // 128)),
        )
        return block if min(block) >= 16 else None
