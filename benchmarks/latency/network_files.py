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
"""Writes the files of a whole network, each kind in a process of its own.

So the time and the memory that packing and exporting take can be measured: a
fresh process builds the model, packs it, writes it and says what its peak was.
"""

import concurrent.futures
import dataclasses
import multiprocessing
import pathlib
import re
import time
from collections.abc import Callable
from typing import Any

import numpy as np

import tfmot_sapp as sapp
from benchmarks.latency.networks import NETWORKS, prune_at_random
from benchmarks.latency.sparse_encoding import write_sparse_encoding
from tfmot_sapp.verbs.pack import Tuning, packing_of


@dataclasses.dataclass(frozen=True)
class Variant:
    """What is written.

    Attributes:
        network: A name in `NETWORKS`.
        seed: Seed of weights and masks.
        quantize: As in `export_tflite`.
        threads: Threads to pack for.
        tune: Whether the packed model is chosen by timing.
    """

    network: str
    seed: int = 0
    quantize: str | None = None
    threads: int = 1
    tune: bool = False


@dataclasses.dataclass(frozen=True)
class Packed:
    """What writing the packed file took.

    Attributes:
        density: Share of multiply-adds that is left.
        seconds: Time to pack, convert and check.
        peak_gb: Peak memory of the process, from before the model was built,
            in 1e9 bytes; 0 where the system doesn't say.
        error: Largest difference from the source over the output scale; for a
            quantized file, the relative root mean square.
        lowerings: How many layers have each lowering.
    """

    density: float
    seconds: float
    peak_gb: float
    error: float
    lowerings: str


def in_fresh_process(function: Callable[..., Any], *arguments: Any) -> Any:
    """Calls a function in a process that is started for it.

    Args:
        function: A function of an importable module.
        *arguments: Its arguments.

    Returns:
        What it returns.
    """
    with concurrent.futures.ProcessPoolExecutor(
        1, multiprocessing.get_context("spawn")
    ) as pool:
        return pool.submit(function, *arguments).result()


def write_references(variant: Variant, folder: pathlib.Path) -> None:
    """Writes `dense.tflite`, and `encoded.tflite` in float32.

    Args:
        variant: What to write.
        folder: Where.
    """
    network = NETWORKS[variant.network]
    model, _ = prune_at_random(network, variant.seed)
    sapp.export_tflite(
        model,
        folder / "dense.tflite",
        quantize=variant.quantize,
        representative_data=_data(variant, model),
        batch_size=network.batch_size,
    )
    if variant.quantize is None:
        write_sparse_encoding(
            model, folder / "encoded.tflite", network.batch_size
        )


def write_packed(variant: Variant, folder: pathlib.Path) -> Packed:
    """Writes `packed.tflite`.

    Args:
        variant: What to write.
        folder: Where.

    Returns:
        What it took.
    """
    network = NETWORKS[variant.network]
    model, density = prune_at_random(network, variant.seed)
    data = _data(variant, model)
    tune = None
    if variant.tune:
        tune = Tuning(variant.threads, variant.quantize, data)
    start = time.perf_counter()
    packed = sapp.pack_blocks(
        model,
        batch_size=network.batch_size,
        tune=tune,
        target=sapp.CpuTarget(variant.threads),
    )
    result = sapp.export_tflite(
        packed,
        folder / "packed.tflite",
        quantize=variant.quantize,
        representative_data=data,
        batch_size=network.batch_size,
    )
    seconds = time.perf_counter() - start
    names = [row["lowering"] for row in packing_of(packed)]
    counts = {name: names.count(name) for name in sorted(set(names))}
    return Packed(
        density=density,
        seconds=seconds,
        peak_gb=_peak_memory() / 1e9,
        error=result.rms_error if variant.quantize else result.max_error,
        lowerings=" ".join(f"{name}:{n}" for name, n in counts.items()),
    )


def _data(variant: Variant, model: Any) -> np.ndarray | None:
    if variant.quantize != "int8":
        return None
    batch = NETWORKS[variant.network].batch_size
    shape = (4 * batch, *model.input_shape[1:])
    return np.random.default_rng(1).normal(size=shape).astype("float32")


def _peak_memory() -> int:
    """Returns this process's peak in bytes."""
    # `getrusage` would count what the parent held when it forked.
    status = pathlib.Path("/proc/self/status")
    if not status.exists():
        return 0
    found = re.search(r"VmHWM:\s*(\d+) kB", status.read_text())
    return 1024 * int(found[1]) if found else 0
