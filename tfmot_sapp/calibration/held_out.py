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
"""Samples that kernels aren't fitted to, to judge by what is fitted to others.

By some of them the layers are weighed: the rest of the network is run on them
again and again, for each layer. The more layers there are, the fewer samples
it is run on, so that the time grows with the layers and not with their square.
"""

from collections.abc import Sequence
from typing import Any

from tfmot_sapp.calibration.sweep import Held, Store
from tfmot_sapp.frameworks.calls import is_graph
from tfmot_sapp.frameworks.private.layers import functional_of

# Of fewer samples none are held out: too few would be left to judge by.
_LEAST_SAMPLES = 64
# Kernels times samples that the rest of the network is run on for each, and the
# fewest and the most samples.
_PROBED, _LEAST_PROBED, _MOST_PROBED = 1024, 4, 64


def probed_samples(kernels: int) -> int:
    """Returns how many samples the rest of a network is run on.

    Args:
        kernels: For how many kernels it is run.
    """
    each = _PROBED // max(kernels, 1)
    return min(max(each, _LEAST_PROBED), _MOST_PROBED)


def in_parts(
    model: Any,
    batches: list[list[Held]],
    store: Store,
    probed: int,
    parts: int = 4,
) -> list[list[Held]]:
    """Cuts batches, so that some samples can be held out, and few of them run.

    Args:
        model: The model that they are for.
        batches: Batches, with a value for each of the model's inputs.
        store: Where they are held.
        probed: Of the first batch that is held out so many samples become a
            batch of their own.
        parts: How many to make of a single batch.

    Returns:
        The batches; as they are if the model takes as many samples as it is
        made for, or may.
    """
    if not is_graph(model):
        return batches
    if any(spec.shape[0] is not None for spec in functional_of(model).inputs):
        return batches
    if len(batches) == 1:
        size = -(-batches[0][0].samples // parts)
        batches = _cut(batches[0], size, store)
    sizes = [batch[0].samples for batch in batches]
    first = (held_out_batches(sizes) or [0])[0]
    if sizes[first] <= probed:
        return batches
    few, *rest = _cut(batches[first], probed, store, most=2)
    return [*batches[:first], few, *rest, *batches[first + 1 :]]


def held_out_batches(sizes: Sequence[int]) -> list[int]:
    """Returns batches to judge by what is fitted to the others.

    About a quarter of the samples, the last ones, and never more than half of
    them; none where there are few samples or only one batch.

    Args:
        sizes: Number of samples of each batch.
    """
    held: list[int] = []
    samples, count = sum(sizes), 0
    if samples < _LEAST_SAMPLES:
        return held
    for batch in reversed(range(len(sizes))):
        more = count + sizes[batch]
        if 4 * count >= samples or 2 * more > samples:
            break
        held.append(batch)
        count = more
    return held[::-1]


def _cut(
    batch: list[Held], size: int, store: Store, most: int | None = None
) -> list[list[Held]]:
    """Cuts a batch in parts of a size; the last of `most` has the rest."""
    samples = batch[0].samples
    starts = list(range(0, samples, size))[:most]
    found = []
    for start, stop in zip(starts, [*starts[1:], samples]):
        part = [Held(value.get()[start:stop]) for value in batch]
        for value in part:
            store.hold(value)
        found.append(part)
    return found
