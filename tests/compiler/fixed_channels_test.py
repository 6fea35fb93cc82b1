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
"""Channels that are known at every position are not computed for a mean."""

import dataclasses

import numpy as np
import pytest
from litert_graphs import GraphBuilder

from tfmot_sapp.compiler.ir.evaluate import run_subgraph
from tfmot_sapp.compiler.pack_litert import pack_litert
from tfmot_sapp.compiler.readers.tflite import read_tflite
from tfmot_sapp.export.tflite.packing import compare_files, packed_content
from tfmot_sapp.targets.cpu_target import CpuTarget

TOLERANCE = 1e-5
BLOCK, HIDDEN = 8, 128


class OfSmallProducts(CpuTarget):
    """Where a smaller product is always better."""

    def costs(self, quantize=None):
        free = {"copied_row": 0.0, "copied_byte": 0.0, "operation": 0.0}
        return dataclasses.replace(super().costs(quantize), mac=1.0, **free)


def squeeze_and_excite(b, x, depthwise):
    """A mobile block whose squeeze reads all of its hidden channels."""
    h = swish(b, b.conv(x, HIDDEN, 1))
    expansion = b.operations[-3].inputs[1].contents
    h = swish(b, depthwise(b, h))
    b.density = 1.0
    mean = b.reduce("MEAN", h, [1, 2], True)
    squeezed = swish(b, b.conv(mean, 4, 1))
    gate = b.unary("LOGISTIC", b.conv(squeezed, HIDDEN, 1))
    b.density = 0.3
    y = b.conv(b.binary("MUL", h, gate), 32, 1)
    projection = b.operations[-1].inputs[1].contents
    makes = blocks(expansion[:, 0, 0].any(axis=1))
    reads = blocks(projection[:, 0, 0].any(axis=0))
    return y, makes, reads


def blocks(channels):
    return channels.reshape(-1, BLOCK).any(axis=1)


def swish(b, x):
    return b.binary("MUL", x, b.unary("LOGISTIC", x))


def padded(b, x):
    return b.depthwise(b.pad(x), 2, "VALID", taps=5)


def widths_of(content, kind):
    return sum(
        operation.outputs[0].shape[-1]
        for operation in read_tflite(content).main.operations
        if operation.kind == kind
    )


@pytest.mark.parametrize(
    "depthwise",
    [
        lambda b, x: b.depthwise(x),
        lambda b, x: b.depthwise(x, 2, taps=5, fused="RELU6"),
        lambda b, x: b.depthwise(b.binary("MUL", x, b.vector(HIDDEN))),
        padded,
    ],
    ids=["same", "strided", "scaled", "padded"],
)
@pytest.mark.parametrize("batch", [1, 2])
def test_what_nothing_makes_is_neither_computed_nor_squeezed(depthwise, batch):
    b = GraphBuilder(3, (BLOCK, BLOCK), 0.3)
    x = b.input(batch, 12, 13, 16)
    y, makes, reads = squeeze_and_excite(b, x, depthwise)
    content = b.file([y])

    found, _ = packed_content(content, OfSmallProducts())

    compare_files(content, found, TOLERANCE)
    assert np.any(reads & ~makes)
    assert np.any(~reads & ~makes)
    made = BLOCK * np.count_nonzero(makes)
    assert widths_of(found, "DEPTHWISE_CONV_2D") == made
    assert widths_of(found, "MEAN") == made


def test_what_is_large_is_not_stored_but_computed_where_it_is_projected():
    b = GraphBuilder(3, (BLOCK, BLOCK), 0.3)
    x = b.input(1, 40, 60, 16)
    y, makes, reads = squeeze_and_excite(b, x, lambda b, x: b.depthwise(x))
    content = b.file([y])

    found, _ = packed_content(content, OfSmallProducts())

    compare_files(content, found, TOLERANCE)
    live = BLOCK * np.count_nonzero(makes | reads)
    assert widths_of(found, "DEPTHWISE_CONV_2D") == live
    made = BLOCK * np.count_nonzero(makes)
    assert widths_of(found, "MEAN") == made


@pytest.mark.parametrize("kind", ["MEAN", "SUM"])
@pytest.mark.parametrize("axes", [[1, 2], [0]])
def test_a_batch_may_be_open(kind, axes):
    b = GraphBuilder(3, (BLOCK, BLOCK), 0.3)
    x = b.input(None, 6, 7, 16)
    h = b.depthwise(b.unary("LOGISTIC", b.conv(x, HIDDEN, 1)))
    mean = b.reduce("MEAN", b.reduce(kind, h, axes, True), [1, 2], True)
    content = b.file([b.conv(mean, 32, 1)])
    source, graph = (read_tflite(content) for _ in range(2))

    pack_litert(graph, OfSmallProducts())

    samples = b.rng.normal(size=(3, 6, 7, 16)).astype("float32")
    (expected,) = run_subgraph(source.main, [samples])
    (found,) = run_subgraph(graph.main, [samples])
    np.testing.assert_allclose(found, expected, 1e-4, 1e-4)
    assert len(graph.main.operations) != len(source.main.operations)


def test_pieces_that_are_always_the_same_are_not_multiplied():
    b = GraphBuilder(4, (BLOCK, BLOCK), 0.3)
    x = b.input(1, 12, 13, 16)
    h = b.conv(x, HIDDEN, 1, fused="RELU6")
    makes = blocks(b.operations[-1].inputs[1].contents[:, 0, 0].any(axis=1))
    y = b.conv(b.depthwise(h, fused="RELU6"), 32, 1)
    content = b.file([y])

    found, _ = packed_content(content, OfSmallProducts())

    compare_files(content, found, TOLERANCE)
    assert not makes.all()
    operations = read_tflite(found).main.operations
    kernels = [op.inputs[1].contents for op in operations if "CONV" in op.kind]
    assert all(kernel.any() for kernel in kernels)
    assert widths_of(found, "DEPTHWISE_CONV_2D") <= BLOCK * makes.sum()
