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
"""What is cut from one tensor for products that read parts of it.

Neighbouring blocks that an output block reads are cut at once: one copy, where
blocks that are cut one by one are copied again to lie side by side.
"""

import numpy as np

from tfmot_sapp.compiler.lowerings.arrangement import runs_of

Spans = list[tuple[int, int]]


def cuts_of(mask: np.ndarray) -> tuple[Spans, list[list[int]]]:
    """Finds the runs of input blocks that output blocks read.

    Args:
        mask: Boolean array of shape (input blocks, output blocks).

    Returns:
        First and last-but-one input block of each run, every run once; and
        for each output block the indices of the runs that it reads.

    Example:

    >>> cuts_of(np.array([[1, 1], [1, 0], [0, 0], [1, 1]], bool))
    ([(0, 2), (3, 4), (0, 1)], [[0, 1], [2, 1]])
    """
    numbers: dict[tuple[int, int], int] = {}
    reads = [
        [
            numbers.setdefault(run, len(numbers))
            for run in runs_of(np.flatnonzero(column).tolist())
        ]
        for column in mask.T
    ]
    return list(numbers), reads
