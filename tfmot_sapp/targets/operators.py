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
"""What operations may be on a runtime, and how packed layers are written."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Operators:
    """The operators of a runtime, as far as packed layers depend on them.

    An accelerator takes the operations that keep its limits. On a CPU what it
    does not take runs beside it, on one thread; elsewhere a file is to be made
    of what it takes alone (`must_take_all`). `refused` in `targets/refusals.py`
    applies the limits to a file's operations.

    Attributes:
        widest_concatenation: Inputs that a concatenation inside the delegate
            takes; a wider one is taken apart.
        grouped_dense: Whether a grouped convolution is how to multiply gathered
            blocks of a Dense; otherwise it is a batched product.
        additions_round: Whether an addition rounds its result, so that one
            larger product is better than a sum of small ones.
        constant_weights: Whether weights are constants of the graph. A
            runtime may hand variables to every call, which takes longer than
            a small packed layer does; and what is done to constants before
            they are multiplied is done once, when the model is written.
        names: Operators that the accelerator takes, by their names in LiteRT's
            schema. `None` for any.
        highest_rank: Highest rank of a tensor that it takes; `None` for any.
        widest_split: Outputs of a split that it takes; `None` for any.
        index_types: Types of a gather's indices that it takes.
        constant_left: Whether the left side of a batched product may be
            constant.
        gathers: Whether blocks may be gathered at all.
        sums: Whether products may be summed by output block
            (UNSORTED_SEGMENT_SUM).
        must_take_all: Whether every operation has to be one that the
            accelerator takes.
        most_depthwise_taps: Taps of a depthwise convolution that is fast; one
            of more is taken apart. XNNPACK's kernels end at 25, and what is
            larger is twelve times slower for each tap.
        stacked_bytes: Pieces of at most so many bytes that a product reads are
            put one after the other, for a convolution with a tap for each, and
            not side by side.
    """

    widest_concatenation: int
    grouped_dense: bool
    additions_round: bool
    constant_weights: bool
    names: frozenset[str] | None = None
    highest_rank: int | None = None
    widest_split: int | None = None
    index_types: tuple[str, ...] = ("int32", "int64")
    constant_left: bool = True
    gathers: bool = True
    sums: bool = True
    must_take_all: bool = False
    most_depthwise_taps: int = 25
    stacked_bytes: int = 0
