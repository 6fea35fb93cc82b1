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
"""What an axis is taken for that a model leaves open, other than the batch.

A model may have a longest sequence, as position embeddings do, or a shortest,
as convolutions without padding do, and need not say so.
"""

from collections.abc import Callable
from typing import TypeVar

Result = TypeVar("Result")

# The usual one, shorter ones, longer ones.
OPEN_EXTENTS = (32, 16, 8, 4, 2, 1, 64, 128)


def at_open_extent(
    attempt: Callable[[int], Result],
    is_open: bool,
    failures: tuple[type[Exception], ...],
) -> Result:
    """Does something with the first extent with which it can be done.

    Args:
        attempt: Function of an extent.
        is_open: Whether there is such an axis at all.
        failures: What `attempt` raises where the extent doesn't fit.

    Returns:
        What `attempt` returned.

    Raises:
        Exception: What it raised at first, if none fits.

    Example:

    >>> import numpy as np
    >>> at_open_extent(
    ...     lambda extent: np.zeros(10)[:9].reshape(extent, -1),
    ...     True,
    ...     (ValueError,),
    ... ).shape
    (1, 9)
    """
    first: Exception | None = None
    for extent in OPEN_EXTENTS if is_open else OPEN_EXTENTS[:1]:
        try:
            return attempt(extent)
        except failures as error:
            first = first or error
    assert first is not None
    raise first
