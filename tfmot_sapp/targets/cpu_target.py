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

The figures were fitted on a 16-core x86 with AVX-512, to layers in several
forms and to whole networks at 1, 2, 4 and 8 threads
(`benchmarks/latency/results/threads.csv`, `masked_networks.csv`). On several
threads, speed-ups of ResNet-50, MobileNetV2 and a feed-forward block with three
kinds of masks are estimated at 0.8 to 1.2 of what was measured, in one case of
27 at 1.5. The same model is packed the same way on every machine: measuring on
the machine itself is what `pack_blocks(model, tune=...)` is for.

The delegate takes CONCATENATION of up to 5 inputs, SPLIT into up to 4, and no
GATHER; whatever it does not take cuts the graph in partitions and runs on one
thread.
"""

import dataclasses
import math
from typing import Any

from tfmot_sapp.base.checks import check_count
from tfmot_sapp.targets.costs import Costs
from tfmot_sapp.targets.operators import Operators
from tfmot_sapp.targets.target import (
    Target,
    check_quantize,
    check_target,
    eighths,
)

# One thread, float32.
_COSTS = Costs(
    mac=1 / 48_000,
    lanes=4.0,
    depthwise=3.0,
    operation=0.3,
    copied_row=0.0035,
    copied_byte=1 / 35_000,
    weight_byte=1 / 25_000,
    stored_byte=1 / 10_000,
    outside=2.5,
    gathered=1.3,
    scattered=3.5,
    summed=4.0,
    filled=0.5,
    cut=0.1,
    switched=2.6,
    margin=1.05,
    tap_blocks=0.35,
    narrowest_piece=4,
    narrowest_gather=8,
    grouped_points=2.0,
)
# How many times faster products are in 8 bits; all else takes as long.
_INT8_SPEED = 3.0
# To hand an operation to one more thread and to wait for it; more of them cost
# less each.
_SHARING, _FALLING = 0.9, 0.5
_LEAST_SHARED = 0.1
_UNEVEN = 0.05
# Narrow products are shared worse: with blocks of 16, layers take 1.4 times as
# long on two threads, and 1.7 times on four, as what is above says.
_LANES_WITH_EACH_DOUBLING = 4.0
# How fast threads are shared out differs more from machine to machine than how
# fast one of them is.
_MARGIN_OF_SEVERAL, _LEAST_SAVED = 1.15, 60.0
# Of 324 layers alone those that one thread took longer for were estimated to
# be faster by less than this; in what is as short as this, a smaller file is
# worth more.
_FASTER_ON_ONE, _SHORT = 1.06, 500.0
# Of 648 layers alone, each packed for 2 or 4 threads, hardly one that was
# estimated to be faster by more than this was slower than dense
# (`benchmarks/latency/layer_grid.py`).
_SURELY_FASTER, _FOR_EACH_THREAD, _AT_MOST = 1.0, 0.15, 1.6
# Threads share all products, but copies of at most so many bytes are one's.
_COPIED_BY_ONE = 1 << 14
# What leaves the delegate finds the threads asleep afterwards.
_WOKEN_AGAIN = 5.0


@dataclasses.dataclass(frozen=True, eq=False)
class CpuTarget(Target):
    """LiteRT on a CPU, with its default delegate XNNPACK.

    Args:
        threads: Threads that the model runs on, at least 1.

    Raises:
        TypeError: If `threads` is no integer.
        ValueError: If it is less than 1.

    Example:

    >>> CpuTarget(threads=2).operators("int8").widest_concatenation
    5
    """

    threads: int = 1

    def __post_init__(self) -> None:
        """Checks the arguments."""
        self._set(threads=check_count(self.threads, "threads"))

    def costs(self, quantize: str | None = None) -> Costs:
        """Returns what work costs, see `Target`."""
        check_quantize(quantize)
        speed = _INT8_SPEED if quantize == "int8" else 1.0
        surely = min(_SURELY_FASTER + _FOR_EACH_THREAD * self.threads, _AT_MOST)
        sharing = _SHARING * (self.threads - 1) ** _FALLING
        return dataclasses.replace(
            _COSTS,
            mac=_COSTS.mac / speed,
            lanes=_COSTS.lanes
            + _LANES_WITH_EACH_DOUBLING * math.log2(self.threads),
            outside=_COSTS.outside + _WOKEN_AGAIN * sharing,
            margin=_COSTS.margin if self.threads == 1 else _MARGIN_OF_SEVERAL,
            least_saved=0.0 if self.threads == 1 else _LEAST_SAVED,
            surely_faster=_FASTER_ON_ONE if self.threads == 1 else surely,
            short=_SHORT if self.threads == 1 else 0.0,
            threads=self.threads,
            sharing=sharing,
            least_shared=_LEAST_SHARED,
            uneven=_UNEVEN,
        )

    def operators(self, quantize: str | None = None) -> Operators:
        """Returns what operations may be, see `Target`."""
        check_quantize(quantize)
        return Operators(
            widest_concatenation=5,
            grouped_dense=True,
            additions_round=quantize in ("dynamic_int8", "int8"),
            constant_weights=True,
            widest_split=4,
            stacked_bytes=(
                _COPIED_BY_ONE
                if self.threads > 1 and quantize in (None, "float16")
                else 0
            ),
        )

    def block_size(self, inputs: int, outputs: int) -> tuple[int, int] | None:
        """Returns blocks that a packed layer is fast with, see `Target`.

        Blocks of 32 inputs, but at most an eighth of them, so that an output
        block can read few; and of up to 128 outputs, but at least eight output
        blocks. Blocks narrower than 16 are slower than they are sparse
        (`benchmarks/latency/layers.py`).
        """
        return eighths(inputs, outputs, widest=(32, 128))


def target_for(target: Any, threads: int) -> Target:
    """Returns the target that is meant by a target and a number of threads.

    Args:
        target: A `Target`, or `None` for a CPU.
        threads: Threads of a CPU, where `target` doesn't say.

    Raises:
        TypeError: If `target` is none.
        ValueError: If the two say different things.
    """
    if target is None:
        return CpuTarget(threads)
    found = check_target(target)
    if threads not in (1, getattr(found, "threads", 1)):
        raise ValueError(
            "`threads` must be left out where `target` is given: write "
            f"`target=tfmot_sapp.CpuTarget(threads={threads})`. "
            f"Received: threads={threads} and target={target!r}."
        )
    return found
