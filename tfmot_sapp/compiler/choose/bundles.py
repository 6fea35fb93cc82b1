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
"""Output blocks that read the same input blocks, bundled."""

import dataclasses

import numpy as np

from tfmot_sapp.compiler.lowerings.gathered import Reads, equal_bundles


@dataclasses.dataclass(frozen=True)
class Bundles:
    """Bundles of output blocks, in the order in which they are computed.

    Attributes:
        reads: For each bundle, the input blocks that it reads.
        members: For each bundle, its output blocks.
    """

    reads: Reads
    members: tuple[tuple[int, ...], ...]

    @property
    def sizes(self) -> tuple[int, ...]:
        """Output blocks of each bundle."""
        return tuple(len(each) for each in self.members)

    @property
    def order(self) -> tuple[int, ...]:
        """Where, among the computed blocks, each output block is."""
        computed = [block for each in self.members for block in each]
        return tuple(np.argsort(computed).tolist())

    @property
    def gathered(self) -> int:
        """Input blocks that are gathered, once for each bundle."""
        return sum(len(read) for read in self.reads)

    @property
    def products(self) -> int:
        """How many products compute them."""
        return len(equal_bundles(self.reads, self.sizes))


# Blocks that one more product may gather in the other way.
_PRODUCT = 4


def bundles_of(mask: np.ndarray) -> Bundles:
    """Bundles output blocks where that takes fewer copies.

    Args:
        mask: Boolean array of shape (input blocks, output blocks).

    Returns:
        The bundles; of one output block each, if few read the same.

    Example:

    >>> mask = np.array([[1, 1, 0, 0], [0, 0, 1, 1]], bool)
    >>> bundles_of(mask).members
    ((0, 1), (2, 3))
    """
    reads = [
        tuple(np.flatnonzero(column).tolist()) or (0,) for column in mask.T
    ]
    alone = _sorted([(read, (j,)) for j, read in enumerate(reads)])
    found: dict[tuple[int, ...], list[int]] = {}
    for j, read in enumerate(reads):
        found.setdefault(read, []).append(j)
    together = _sorted([(read, tuple(js)) for read, js in found.items()])
    return min(
        (alone, together), key=lambda b: b.gathered + _PRODUCT * b.products
    )


def _sorted(
    bundles: list[tuple[tuple[int, ...], tuple[int, ...]]],
) -> Bundles:
    bundles = sorted(bundles, key=lambda b: (len(b[0]), len(b[1]), b[1]))
    return Bundles(
        tuple(read for read, _ in bundles), tuple(js for _, js in bundles)
    )
