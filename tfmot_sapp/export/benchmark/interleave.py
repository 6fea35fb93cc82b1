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
"""Times functions fairly: they take turns.

A machine's clock and load drift over seconds, so times taken one after the
other compare the moments, not the functions. Here every round times every
function once, in an order drawn anew.
"""

import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

# Time that one round of one model should take at least, so that the clock's
# resolution and a single interrupt don't count.
_ROUND_SECONDS = 0.002
_WARM_UP = 3
_FEWEST_ROUNDS, _MOST_ROUNDS = 5, 500


def interleave(
    calls: Mapping[str, Callable[[], Any]], rounds: int, seed: int = 0
) -> dict[str, list[float]]:
    """Times functions in turn, in an order drawn anew for every round.

    Args:
        calls: Functions by name.
        rounds: Number of rounds, at least 1.
        seed: Seed of the orders.

    Returns:
        Dictionary from names to the seconds of one call in every round.
    """
    generator = np.random.default_rng(seed)
    names = list(calls)
    repeats = {name: _repeats(calls[name]) for name in names}
    times: dict[str, list[float]] = {name: [] for name in names}
    for _ in range(rounds):
        for i in generator.permutation(len(names)):
            name = names[i]
            call, count = calls[name], repeats[name]
            # The first call after another model's finds the caches cold.
            call()
            start = time.perf_counter()
            for _ in range(count):
                call()
            times[name].append((time.perf_counter() - start) / count)
    return times


def interleave_for(
    calls: Mapping[str, Callable[[], Any]], seconds: float, seed: int = 0
) -> dict[str, list[float]]:
    """Times functions in turn for about as long as is asked for.

    Args:
        calls: Functions by name.
        seconds: Time to spend, positive; a few rounds are run in any case.
        seed: Seed of the orders.

    Returns:
        Dictionary from names to the seconds of one call in every round.
    """
    start = time.perf_counter()
    interleave(calls, 1, seed)
    taken = time.perf_counter() - start
    rounds = int(np.clip(seconds / taken, _FEWEST_ROUNDS, _MOST_ROUNDS))
    return interleave(calls, rounds, seed)


def _repeats(call: Callable[[], Any]) -> int:
    for _ in range(_WARM_UP):
        start = time.perf_counter()
        call()
        seconds = time.perf_counter() - start
    return max(1, int(np.ceil(_ROUND_SECONDS / max(seconds, 1e-7))))
