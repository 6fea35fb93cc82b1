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
"""Whole networks, packed beside dense, on the same runtime in one run.

```
python benchmarks/whole_networks.py
python benchmarks/whole_networks.py --network=resnet50_32x32 --threads=1,2
python benchmarks/whole_networks.py --quantize=int8
```

Masks are drawn at random; every output block keeps at least one block, so that
no part of a network dies. `MAC density` is the share of multiply-adds that is
left, over the whole network; its inverse is the ideal, which no lowering can
pass but by dropping channels that nothing reads any more. A ratio below 1 is a
loss and is printed like any other.
"""

import dataclasses
import math
import pathlib
import tempfile
import time
from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np
import rich.console
import rich.table
from absl import app, flags

import tfmot_sapp as sapp

_NETWORK = flags.DEFINE_multi_string(
    "network", [], "Networks to run, by the names in the table; all by default."
)
_THREADS = flags.DEFINE_list("threads", ["1"], "Numbers of threads.")
_QUANTIZE = flags.DEFINE_string("quantize", None, "As for `export_tflite`.")
_ROUNDS = flags.DEFINE_integer("rounds", 60, "Rounds of turns.", 3)


@dataclasses.dataclass(frozen=True)
class Network:
    """One row: a model, its masks and the batch it runs at.

    Attributes:
        build: Makes the dense model.
        block: Channels of an input and of an output block.
        sparsity: Fraction of blocks that go.
        in_blocks_at_least: Input blocks are narrowed until there are this many.
        balanced: Whether every output block keeps equally many.
        batch_size: Batch to run.
    """

    build: Callable[[], Any]
    block: tuple[int, int]
    sparsity: float
    in_blocks_at_least: int = 1
    balanced: bool = False
    batch_size: int = 1


def _resnet50() -> Any:
    return keras.applications.ResNet50(weights=None)


def _mobilenet_v2() -> Any:
    return keras.applications.MobileNetV2(weights=None)


def _criteo() -> Any:
    inputs = keras.Input((390,))
    x = inputs
    for _ in range(3):
        x = keras.layers.Dense(400, activation="relu")(x)
    return keras.Model(inputs, keras.layers.Dense(1)(x))


def _feed_forward(*positions: int) -> Callable[[], Any]:
    def build() -> Any:
        inputs = keras.Input((*positions, 768))
        x = keras.layers.Dense(3072, activation="gelu")(inputs)
        return keras.Model(inputs, keras.layers.Dense(768)(x))

    return build


NETWORKS = {
    "resnet50_32x32": Network(_resnet50, (32, 32), 0.9),
    "resnet50_32x32_balanced": Network(_resnet50, (32, 32), 0.9, balanced=True),
    "resnet50_32x128_balanced": Network(
        _resnet50, (32, 128), 0.9, in_blocks_at_least=8, balanced=True
    ),
    "resnet50_16x16": Network(_resnet50, (16, 16), 0.8),
    "resnet50_64x64": Network(_resnet50, (64, 64), 0.9),
    "mobilenet_v2_32x32": Network(_mobilenet_v2, (32, 32), 0.9),
    "feed_forward_128_tokens_32x32": Network(_feed_forward(128), (32, 32), 0.9),
    "feed_forward_128_tokens_64x64": Network(_feed_forward(128), (64, 64), 0.9),
    "feed_forward_1_token_32x32": Network(
        _feed_forward(), (32, 32), 0.9, balanced=True
    ),
    "criteo_20x20": Network(_criteo, (20, 20), 0.95, batch_size=256),
}


def prune_at_random(network: Network, seed: int = 0) -> tuple[Any, float]:
    """Builds a network with random masks.

    Args:
        network: What to build.
        seed: Seed of weights' masks.

    Returns:
        The model, and its density of multiply-adds.
    """
    keras.utils.set_random_seed(seed)
    model = network.build()
    rng = np.random.default_rng(seed)
    before = after = 0
    for layer in model.layers:
        for variable in layer.weights:
            if variable.name in ("beta", "bias", "moving_mean"):
                variable.assign(0.1 * rng.normal(size=variable.shape))
        kernel = getattr(layer, "kernel", None)
        if kernel is None:
            continue
        positions = math.prod(layer.output.shape[1:-1])
        array = kernel.numpy()
        before += array.size * positions
        if "Depthwise" not in type(layer).__name__ and array.shape[-2] > 3:
            array = array * _mask(array.shape[-2:], network, rng)
            kernel.assign(array)
        after += np.count_nonzero(array) * positions
    return model, after / before


def _mask(
    shape: tuple[int, int], network: Network, rng: np.random.Generator
) -> np.ndarray:
    rows = min(network.block[0], max(1, shape[0] // network.in_blocks_at_least))
    columns = network.block[1]
    grid = (math.ceil(shape[0] / rows), math.ceil(shape[1] / columns))
    order = rng.random(grid)
    # The best of each output block is kept in any case.
    order[order.argmin(axis=0), np.arange(grid[1])] -= 1
    if network.balanced:
        each = max(1, round((1 - network.sparsity) * grid[0]))
        mask = order.argsort(axis=0).argsort(axis=0) < each
    else:
        count = max(grid[1], round((1 - network.sparsity) * order.size))
        mask = order.ravel().argsort().argsort().reshape(grid) < count
    return np.kron(mask, np.ones((rows, columns)))[: shape[0], : shape[1]]


def _rows(folder: pathlib.Path) -> Iterator[list[str]]:
    for name in _NETWORK.value or NETWORKS:
        network = NETWORKS[name]
        model, density = prune_at_random(network)
        paths = {
            "dense": folder / "dense.tflite",
            "packed": folder / "packed.tflite",
        }
        data = None
        if _QUANTIZE.value == "int8":
            shape = (4 * network.batch_size, *model.input_shape[1:])
            data = np.random.default_rng(1).normal(size=shape)
            data = data.astype("float32")

        def write(
            model: Any, path: pathlib.Path, *, network=network, data=data
        ) -> Any:
            return sapp.export_tflite(
                model,
                path,
                quantize=_QUANTIZE.value,
                representative_data=data,
                batch_size=network.batch_size,
            )

        write(model, paths["dense"])
        start = time.perf_counter()
        packed = sapp.pack_blocks(model, batch_size=network.batch_size)
        result = write(packed, paths["packed"])
        seconds = time.perf_counter() - start
        for threads in _THREADS.value:
            timed = sapp.benchmark(
                paths,
                threads=int(threads),
                batch_size=network.batch_size,
                rounds=_ROUNDS.value,
            )
            dense, sparse = timed.timings
            yield [
                name,
                threads,
                f"{density:.3f}",
                f"{1 / density:.2f}x",
                f"{sparse.speed_up:.2f}x",
                f"{sparse.speed_up * density:.2f}",
                f"{dense.median_ms:.4g}",
                f"{sparse.median_ms:.4g}",
                f"{dense.size / sparse.size:.2f}x",
                str(sparse.num_partitions),
                f"{result.max_error:.0e}",
                f"{seconds:.0f}",
            ]


def main(argv: list[str]) -> None:
    """Runs the networks and prints the table."""
    if len(argv) > 1:
        raise app.UsageError(f"Unexpected arguments: {argv[1:]}.")
    unknown = set(_NETWORK.value) - set(NETWORKS)
    if unknown:
        raise app.UsageError(
            f"--network must be among {list(NETWORKS)}. Received: {unknown}."
        )
    table = rich.table.Table(title=f"Packed beside dense, {_QUANTIZE.value}")
    for column in (
        "network",
        "threads",
        "MAC density",
        "ideal",
        "speed-up",
        "of ideal",
        "dense ms",
        "packed ms",
        "smaller",
        "partitions",
        "max error",
        "seconds to write",
    ):
        table.add_column(column)
    with tempfile.TemporaryDirectory() as folder:
        for row in _rows(pathlib.Path(folder)):
            table.add_row(*row)
            print("  ".join(row), flush=True)
    rich.console.Console(width=140).print(table)


if __name__ == "__main__":
    app.run(main)
