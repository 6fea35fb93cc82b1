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
"""Writes the files that `threads.py` measures."""

import itertools
import json
import pathlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from benchmarks.latency.layer_forms import (
    LAYERS,
    Form,
    join,
    repeating,
    weights,
)
from benchmarks.latency.networks import NETWORKS, Network, prune_at_random
from benchmarks.shared.small_files import write_compressed
from tfmot_sapp.base.silence import quiet
from tfmot_sapp.export.serving import serving_of
from tfmot_sapp.export.tflite.conversion import convert
from tfmot_sapp.export.tflite.packing import compare_files, packed_content
from tfmot_sapp.targets.cpu_target import CpuTarget

_REPEATED = 16
# Networks are packed for so many threads each.
_THREADS = (1, 2, 4, 8)
# Networks by their names in `NETWORKS`.
_NETWORKS = (
    "feed_forward_128_tokens_32x32",
    "feed_forward_128_tokens_64x64",
    "feed_forward_1_token_32x32",
    "mobilenet_v2_32x32",
    "resnet50_32x32",
    "resnet50_32x128_balanced",
    "resnet50_64x64",
    "resnet50_16x16",
)


def write_groups(folder: pathlib.Path, kinds: Sequence[str]) -> None:
    """Writes all groups of some kinds, compressed, and `groups.json`.

    Args:
        folder: Where; groups of other kinds that are there stay.
        kinds: Some of `network`, `layer` and `operations`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    index = folder / "groups.json"
    groups: list[dict[str, Any]] = []
    if index.exists():
        groups = json.loads(index.read_text())
    writers = {
        "layer": _layers,
        "operations": _operations,
        "network": _networks,
    }
    for kind in kinds:
        for name, repeated, files in writers[kind]():
            forms = {}
            for form, content in files:
                path = folder / name / f"{form}.tflite.xz"
                path.parent.mkdir(parents=True, exist_ok=True)
                write_compressed(path, content)
                forms[form] = repeated
            groups = [group for group in groups if group["name"] != name]
            groups.append({"name": name, "kind": kind, "forms": forms})
            index.write_text(json.dumps(groups, indent=1) + "\n")
            print(name, *forms, flush=True)


_Group = tuple[str, int, Iterator[tuple[str, bytes]]]


def _layers() -> Iterator[_Group]:
    for layer in LAYERS:
        yield (
            layer.name,
            1,
            ((name, converted(form)) for name, form in layer.forms()),
        )


def converted(form: Form) -> bytes:
    """Returns a form of a layer as a file."""
    function, shapes = form
    traced = tf.function(
        function,
        input_signature=[tf.TensorSpec(shape, tf.float32) for shape in shapes],
        autograph=False,
    )
    with quiet():
        converter = tf.lite.TFLiteConverter.from_concrete_functions(
            [traced.get_concrete_function()], tf.Module()
        )
        return converter.convert()


# --- many equal operations ----------------------------------------------------


def _operations() -> Iterator[_Group]:
    for side in (7, 14, 28, 56):
        yield f"products-{side}", _REPEATED, _products(side)
        yield f"copies-{side}", _REPEATED, _copies(side)
    for rows in (1, 48, 128):
        yield f"dense-products-{rows}", _REPEATED, _dense_products(rows)


def _products(side: int) -> Iterator[tuple[str, bytes]]:
    for taps, depth, width in (
        (1, 32, 32),
        (1, 96, 32),
        (1, 96, 128),
        (1, 256, 128),
        (1, 512, 32),
        (3, 32, 32),
        (3, 96, 32),
        (3, 64, 128),
    ):
        shape = (taps, taps, depth, width)
        form = _each(_convolution, shape), [(1, side, side, depth)]
        yield f"{taps}x{taps}-{depth}-{width}", converted(form)


def _dense_products(rows: int) -> Iterator[tuple[str, bytes]]:
    for depth, width in (
        (32, 32),
        (96, 32),
        (96, 128),
        (256, 128),
        (384, 32),
        (384, 384),
    ):
        form = _each(_matmul, (depth, width)), [(rows, depth)]
        yield f"{depth}-{width}", converted(form)


def _each(
    call: Callable[[Any, Any, Any], Any], shape: tuple[int, ...]
) -> Callable[[Any], list[Any]]:
    def function(x: Any) -> list[Any]:
        return [
            call(x, weights(shape), weights(shape[-1:]))
            for _ in range(_REPEATED)
        ]

    return function


def _convolution(x: Any, kernel: Any, bias: Any) -> Any:
    return tf.nn.relu(tf.nn.conv2d(x, kernel, 1, "SAME") + bias)


def _matmul(x: Any, kernel: Any, bias: Any) -> Any:
    return tf.nn.relu(tf.matmul(x, kernel) + bias)


def _copies(side: int) -> Iterator[tuple[str, bytes]]:
    """Copies, and what is as short as they are."""
    whole = (1, side, side, 1024)
    index = np.arange(0, 32, 4, dtype=np.int32)

    def gathered(x: Any) -> list[Any]:
        blocks = tf.reshape(x, (side * side, 32, 32))
        # Another constant for each, or they would be one operation.
        return [
            tf.gather(blocks, (index + i) % 32, axis=1)
            for i in range(_REPEATED)
        ]

    def sliced(x: Any) -> list[Any]:
        return [x[..., 32 * i : 32 * i + 32] for i in range(_REPEATED)]

    def depthwise(x: Any) -> list[Any]:
        made = []
        for _ in range(_REPEATED):
            kernel = weights((3, 3, 64, 1))
            made.append(tf.nn.depthwise_conv2d(x, kernel, [1] * 4, "SAME"))
        return made

    def added(*pieces: Any) -> list[Any]:
        pairs = itertools.combinations(pieces, 2)
        return [a + b for a, b in itertools.islice(pairs, _REPEATED)]

    yield "gather-8x32", converted((gathered, [whole]))
    yield "slice-32", converted((sliced, [whole]))
    yield "depthwise-64", converted((depthwise, [(1, side, side, 64)]))
    for width in (32, 128):
        piece = (1, side, side, width)
        yield f"add-{width}", converted((added, [piece] * 7))
        for count in (2, 4, 5):
            joined = _joined(count)
            form = joined, [piece] * 8
            yield f"join-{count}x{width}", converted(form)
    piece = (1, side, side, 32)
    form = _joined_at_once, [piece] * _REPEATED
    yield "join-8x32-at-once", converted(form)


def _joined(count: int) -> Callable[..., list[Any]]:
    def function(*pieces: Any) -> list[Any]:
        return [
            join([pieces[(i + j * (1 + i // 8)) % 8] for j in range(count)])
            for i in range(_REPEATED)
        ]

    return function


def _joined_at_once(*pieces: Any) -> list[Any]:
    return [
        tf.concat([pieces[(i + j) % _REPEATED] for j in range(8)], -1)
        for i in range(_REPEATED)
    ]


# --- whole networks -----------------------------------------------------------


def _networks() -> Iterator[_Group]:
    for name in _NETWORKS:
        yield name, 1, _network(NETWORKS[name])


def _network(network: Network) -> Iterator[tuple[str, bytes]]:
    model, _ = prune_at_random(network)
    for i, layer in enumerate(model.layers):
        kernel = getattr(layer, "kernel", None)
        if kernel is not None and len(kernel.shape) > 1:
            kept = kernel.numpy() != 0
            kernel.assign(repeating(tuple(kernel.shape), 11 * i) * kept)
    serving = serving_of(model, network.batch_size, None)
    dense = convert(serving, None, None, "float32", None, CpuTarget())
    yield "dense", dense
    for threads in _THREADS:
        packed, _ = packed_content(dense, CpuTarget(threads))
        compare_files(dense, packed)
        yield f"for-{threads}", packed
