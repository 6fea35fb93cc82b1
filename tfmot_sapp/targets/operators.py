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
"""How packed layers are best written for a runtime."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Operators:
    """The operators of a runtime, as far as packed layers depend on them.

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
        most_depthwise_taps: Taps of a depthwise convolution that is fast; one
            of more is taken apart. XNNPACK's kernels end at 25, and what is
            larger is twelve times slower for each tap.
    """

    widest_concatenation: int
    grouped_dense: bool
    additions_round: bool
    constant_weights: bool
    most_depthwise_taps: int = 25
