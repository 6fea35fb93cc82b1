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
"""Chooses among packed models by timing them on this machine.

Candidates are packed under different assumptions about the machine: what a
copy, an operation or leaving the delegate costs beside a multiply-add. The
first is the dense model itself. They are written as LiteRT files at the batch
size and data type asked for, and run in turns, so that whatever else the
machine does falls on all of them alike.
"""

import dataclasses
import itertools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from tfmot_sapp.base.checks import check_choice, check_count, check_real
from tfmot_sapp.base.temporary_paths import temporary_folder
from tfmot_sapp.compiler.emit.packing_report import add_reason
from tfmot_sapp.export import runtime
from tfmot_sapp.export.accelerated import check_gpu, on_gpu
from tfmot_sapp.export.benchmark.interleave import interleave_for
from tfmot_sapp.export.representative_data import check_data
from tfmot_sapp.export.tflite.file import export_tflite
from tfmot_sapp.export.tflite.options import CONVERTED
from tfmot_sapp.targets.costs import Costs
from tfmot_sapp.targets.cpu_target import CpuTarget, target_for
from tfmot_sapp.targets.target import Target

# A packed model that isn't faster than dense by this much isn't worth it.
_LEAST_GAIN = 1.1
_TOLERANCE = 1e-3
_MOST_BATCHES = 512  # Of a sample at least, as many as are calibrated with.


@dataclasses.dataclass(frozen=True)
class Tuning:
    """How to time candidates.

    Attributes:
        threads: Threads of the runtime, at least 1.
        quantize: Data type of the file, as in `export_tflite`.
        representative_data: As in `export_tflite`.
        seconds: Time to spend on running the candidates, positive.
        target: Where to run them: a `CpuTarget` in place of `threads`, or
            `GpuTarget()`. Defaults to `None`: a CPU.

    Example:

    >>> Tuning(threads=2).threads
    2
    """

    threads: int = 1
    quantize: str | None = None
    representative_data: Any = None
    seconds: float = 4.0
    target: Target | None = None

    def __post_init__(self) -> None:
        """Checks the arguments."""
        check_count(self.threads, "threads")
        check_choice(self.quantize, "quantize", CONVERTED)
        check_real(self.seconds, "seconds", above=0)
        if self.representative_data is not None:
            check_data(self.representative_data)
        where = target_for(self.target, self.threads)
        if not isinstance(where, CpuTarget):
            check_gpu(where, "target")


def target_of(tuning: Tuning) -> Target:
    """Returns the target that candidates are packed and timed for."""
    return target_for(tuning.target, tuning.threads)


def assumed_costs(tuning: Tuning) -> list[Costs]:
    """Returns the costs that candidates are packed under."""
    likely = target_of(tuning).costs(tuning.quantize)
    return [
        likely,
        dataclasses.replace(likely, mac=likely.mac * 3),
        dataclasses.replace(likely, mac=likely.mac / 3),
        dataclasses.replace(likely, gathered=likely.gathered / 4),
        dataclasses.replace(likely, gathered=likely.gathered * 8),
    ]


def fastest(candidates: list[Any], batch_size: int, tuning: Tuning) -> Any:
    """Returns the fastest of some packed models.

    All are timed in turns. The best is then timed against the dense one once
    more, loaded anew: where a runtime happens to place its memory can make a
    model some percent faster or slower for as long as it's loaded.

    Args:
        candidates: Packed models that compute the same. The first is the
            dense one, and wins unless another is clearly faster both times.
        batch_size: Batch to run them at.
        tuning: How to time them.

    Returns:
        One of the candidates.
    """
    contents = _contents(candidates, batch_size, tuning)
    distinct = {content: i for i, content in reversed([*enumerate(contents)])}
    # The dense one first.
    order = sorted(distinct, key=distinct.__getitem__)
    best, note = 0, "; there is nothing to gain by packing"
    if len(order) > 1:
        gains = _gains(order, tuning)
        best = max(range(1, len(order)), key=lambda i: gains[i].typical)
        again = _gains([order[0], order[best]], tuning)[1]
        gain = min(gains[best].typical, again.typical)
        note = f"; the best packed model measured {gain:.2f}x dense"
        if gain < _LEAST_GAIN or min(gains[best].low, again.low) < 1:
            best = 0
    chosen = candidates[distinct[order[best]]]
    add_reason(chosen, note)
    return chosen


@dataclasses.dataclass(frozen=True)
class _Batches:
    """What a generator gave, for every candidate again."""

    given: tuple[Any, ...]

    def __iter__(self) -> Iterator[Any]:
        return iter(self.given)


def _contents(
    candidates: list[Any], batch_size: int, tuning: Tuning
) -> list[bytes]:
    contents = []
    data = tuning.representative_data
    if isinstance(data, Iterator):
        data = _Batches(tuple(itertools.islice(data, _MOST_BATCHES)))
    with temporary_folder() as folder:
        for i, candidate in enumerate(candidates):
            path = folder / f"{i}.tflite"
            export_tflite(
                candidate,
                path,
                quantize=tuning.quantize,
                representative_data=data,
                batch_size=batch_size,
                # What is chosen will be compared; here it's only timed.
                tolerance=None if tuning.quantize else _TOLERANCE,
            )
            contents.append(path.read_bytes())
    return contents


@dataclasses.dataclass(frozen=True)
class _Gain:
    """How much faster than the first, over all rounds.

    Attributes:
        typical: Median of the ratios.
        low: What three rounds of four are above.
    """

    typical: float
    low: float


def _gains(contents: list[bytes], tuning: Tuning) -> list[_Gain]:
    """Times files against the first of them, for half of the time."""
    calls = {
        str(i): _call(c, target_of(tuning)) for i, c in enumerate(contents)
    }
    times = interleave_for(calls, tuning.seconds / 2)
    first = np.array(times["0"])
    ratios = [first / np.array(taken) for taken in times.values()]
    return [
        _Gain(float(np.median(each)), float(np.percentile(each, 25)))
        for each in ratios
    ]


def _call(content: bytes, target: Target) -> Callable[[], Any]:
    if isinstance(target, CpuTarget):
        interpreter = runtime.load(content, target.threads)
        interpreter.allocate_tensors()
        invoke: Callable[[], Any] = interpreter.invoke
        return invoke
    loaded = on_gpu(content)
    inputs = [np.zeros(s, d) for s, d in zip(loaded.shapes, loaded.dtypes)]
    return lambda: loaded.run(inputs)
