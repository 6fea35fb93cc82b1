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
"""A packed LiteRT graph computes what its source computes."""

import dataclasses

import numpy as np
import pytest
from litert_graphs import GraphBuilder
from random_graphs import random_file
from target_costs import OfPieces

from tfmot_sapp.compiler.ir.evaluate import run_subgraph
from tfmot_sapp.compiler.ir.graph import Graph, Signature, Subgraph
from tfmot_sapp.compiler.ir.make import make_operation
from tfmot_sapp.compiler.ir.values import Value
from tfmot_sapp.compiler.pack_litert import _refusals, pack_litert
from tfmot_sapp.compiler.readers.tflite import read_tflite
from tfmot_sapp.compiler.writers.tflite import write_tflite
from tfmot_sapp.export.tflite.packing import compare_files, packed_content
from tfmot_sapp.targets.cpu_target import CpuTarget
from tfmot_sapp.targets.gpu_target import GpuTarget

# More rounding than one model of a user has: many sums of many sums.
TOLERANCE = 3e-5


class OfGroups(CpuTarget):
    """Where operations are dear, so that blocks are gathered."""

    def costs(self, quantize=None):
        return dataclasses.replace(
            super().costs(quantize), mac=1.0, operation=1e4
        )


TARGETS = [CpuTarget(), OfPieces(), OfGroups(), OfPieces(threads=2)]


def packed(content, target=TARGETS[0]):
    return packed_content(content, target)


def weights_in(content):
    return sum(
        value.contents.size
        for subgraph in read_tflite(content).subgraphs
        for value in subgraph.values
        if value.is_constant and value.dtype == "float32"
    )


@pytest.mark.parametrize("seed", range(60))
def test_random_graphs_compute_the_same_in_the_runtime(seed):
    content = random_file(seed)

    found, rows = packed(content, TARGETS[seed % len(TARGETS)])

    assert rows or found is content
    compare_files(content, found, TOLERANCE)


@pytest.mark.parametrize("seed", range(60, 90))
def test_random_graphs_compute_the_same_in_numpy(seed):
    source, graph = (read_tflite(random_file(seed)) for _ in range(2))
    pack_litert(graph, TARGETS[seed % len(TARGETS)])
    rng = np.random.default_rng(seed)
    inputs = [
        rng.normal(size=value.shape).astype(np.float32)
        for value in source.main.inputs
    ]

    expected = run_subgraph(source.main, inputs)
    found = run_subgraph(graph.main, inputs)

    for left, right in zip(expected, found):
        scale = np.abs(left).max()
        assert np.abs(left - right).max() <= TOLERANCE * scale


def test_a_file_that_computes_something_else_is_refused():
    b = GraphBuilder(0)
    x = b.input(1, 32)
    content = b.file([b.dense(x, 32)])
    graph = read_tflite(content)
    (operation,) = graph.main.operations
    kernel = operation.inputs[1].contents.copy()
    kernel.reshape(-1)[np.flatnonzero(kernel)[:8]] = 0
    operation.inputs[1].stored = kernel.reshape(-1).view(np.uint8)

    with pytest.raises(ValueError, match="doesn't compute"):
        compare_files(content, write_tflite(graph))


def test_names_of_inputs_and_outputs_stay():
    b = GraphBuilder(0)
    x = b.input(1, 32)
    y = b.dense(b.dense(x, 32, "RELU"), 32)
    content = b.file([y, x])

    found, rows = packed(content, OfPieces())

    assert rows
    before, after = read_tflite(content), read_tflite(found)
    assert [v.name for v in after.main.inputs] == [
        v.name for v in before.main.inputs
    ]
    assert list(after.signatures[0].outputs) == ["out0", "out1"]
    assert after.main.outputs[1].name == "x0"


@pytest.mark.parametrize("seed", [0, 3, 104])
def test_operations_with_wrong_channels_pass_through(seed):
    content = random_file(seed)
    for index in range(len(read_tflite(content).main.operations)):
        for channels in (1, 1 << 16):
            graph = read_tflite(content)
            operation = graph.main.operations[index]
            output = operation.outputs[0]
            output.shape = (*output.shape[:-1], channels)

            pack_litert(graph, CpuTarget())

            assert write_tflite(graph)


def test_what_is_made_has_names_of_its_own():
    graph = read_tflite(random_file(2))
    read = {value.name for value in graph.main.values}
    before = set(graph.main.values)

    pack_litert(graph, OfPieces())

    made = [v.name for v in graph.main.used_values() if v not in before]
    assert len(made) > 20
    assert len(set(made)) == len(made)
    assert not read.intersection(made)


def test_only_kept_blocks_are_stored():
    b = GraphBuilder(0, (32, 32), 0.1)
    x = b.input(4, 256)
    content = b.file([b.dense(b.dense(x, 512, "RELU"), 256)])

    found, rows = packed(content)

    assert weights_in(found) < 0.25 * weights_in(content)
    assert [row["blocks"] for row in rows] == [128, 128]


def test_without_blocks_the_file_stays_as_it_is():
    b = GraphBuilder(0, density=1.0)
    x = b.input(1, 32)
    content = b.file([b.dense(x, 32)])

    assert packed(content)[0] is content


def test_channels_that_hold_constants_of_their_own_stay_in_their_places():
    b = GraphBuilder(4, (8, 8), 0.3)
    x = b.input(2, 6, 5, 64)
    content = b.file([b.conv(b.prelu(b.conv(x, 64)), 48)])

    for target in TARGETS:
        found, rows = packed(content, target)
        assert rows
        compare_files(content, found, TOLERANCE)


def test_numbers_for_few_channels_are_repeated_along_the_positions():
    b = GraphBuilder(0, (32, 32), 0.2)
    x = b.input(1, 12, 9, 3)
    y = b.binary("MUL", x, b.constant(np.full(3, 1 / 255, np.float32)))
    y = b.binary("SUB", y, b.vector(3))
    content = b.file([b.conv(b.conv(y, 256, stride=2), 256)])

    found, rows = packed(content)

    assert rows
    compare_files(content, found)
    shapes = {
        operation.kind: operation.inputs[1].shape
        for operation in read_tflite(found).main.operations[:2]
    }
    assert shapes == {"MUL": (), "ADD": (9, 3)}


def test_a_value_that_scales_all_channels_reaches_every_piece():
    b = GraphBuilder(1, (16, 16), 0.3)
    x = b.input(2, 6, 6, 64)
    h = b.conv(x, 64, fused="RELU")
    squeezed = b.reduce("MEAN", h, [1, 2], True)
    gate = b.unary("LOGISTIC", b.conv(b.conv(squeezed, 32, 1), 64, 1))
    content = b.file([b.conv(b.binary("MUL", h, gate), 32, 1)])

    for target in TARGETS:
        found, rows = packed(content, target)
        assert rows
        compare_files(content, found, TOLERANCE)


@pytest.mark.parametrize("zero_bias", [True, False])
def test_pieces_that_read_nothing_are_what_is_added_to_them(zero_bias):
    b = GraphBuilder(2, (32, 32), 0.2)
    x = b.unary("RELU", b.input(1, 28, 28, 256))
    for _ in range(3):
        branch = b.conv(b.conv(x, 128, 1, fused="RELU"), 256, 1)
        if zero_bias:
            b.operations[-1].inputs[2].stored[:] = 0
        x = b.binary("ADD", branch, x, "RELU")
    content = b.file([x])

    found, rows = packed(content)

    assert rows
    compare_files(content, found, TOLERANCE)
    written = read_tflite(found).main.operations
    kernels = [op.inputs[1].contents for op in written if "CONV" in op.kind]
    assert len(kernels) > 3
    assert all(kernel.any() for kernel in kernels)
    if zero_bias:
        # What a ReLU gave isn't activated again.
        assert [op.kind for op in written].count("RELU") <= 8


@pytest.mark.parametrize("dtype", ["int32", "int64"])
@pytest.mark.parametrize("rows", [1000, 1024])
def test_tables_store_only_kept_blocks(dtype, rows):
    b = GraphBuilder(5, (32, 32), 0.15)
    numbers = b.input(2, 9, dtype=dtype)
    h = b.look_up(numbers, rows, 128)
    content = b.file([b.dense(b.unary("TANH", h), 64), h])

    found, packing = packed(content)

    assert weights_in(found) < 0.5 * weights_in(content)
    assert packing[0]["lowering"] == "lookup"
    compare_files(content, found, TOLERANCE)
    # Every row, not only those that random numbers name.
    everything = np.arange(rows // 18 * 18, dtype=dtype).reshape(-1, 2, 9)
    for graphs in (read_tflite(content), read_tflite(found)):
        outputs = [run_subgraph(graphs.main, [x])[1] for x in everything]
        if graphs.main.operations[0].kind == "GATHER":
            expected = outputs
    np.testing.assert_array_equal(outputs, expected)


def test_half_precision_weights_stay_in_half_precision():
    b = GraphBuilder(2, (32, 32), 0.2)
    x = b.input(1, 512)
    half = b.kernel(512, 512).T.astype(np.float16)
    kernel = b.write("DEQUANTIZE", [b.constant(half)], (512, 512), version=3)
    y = b.write(
        "FULLY_CONNECTED",
        [x, kernel, b.vector(512)],
        (1, 512),
        fused_activation_function="NONE",
        weights_format="DEFAULT",
        keep_num_dims=False,
    )
    content = b.file([y])

    found, rows = packed(content)

    assert rows and len(found) < len(content) / 2
    compare_files(content, found)


def test_bodies_of_loops_are_packed():
    content = loop_file()

    found, rows = packed(content)

    assert rows
    assert len(found) < len(content) / 2
    compare_files(content, found, TOLERANCE)


def loop_file():
    """A dense layer with blocks of zeros, three times over."""
    body = GraphBuilder(3, (32, 32), 0.2)
    count = body.input(dtype="int32")
    state = body.input(2, 512)
    one = body.constant(np.array(1, np.int32))
    raised = Value("raised", (), "int32")
    body.operations.append(
        make_operation(
            "ADD", [count, one], [raised], fused_activation_function="NONE"
        )
    )
    after = body.unary("TANH", body.dense(state, 512))
    steps = Subgraph("body", body.inputs, [raised, after], body.operations)
    asked = GraphBuilder(0)
    given = asked.input(dtype="int32")
    asked.input(2, 512)
    less = Value("less", (), "bool")
    three = asked.constant(np.array(3, np.int32))
    asked.operations.append(make_operation("LESS", [given, three], [less]))
    condition = Subgraph("cond", asked.inputs, [less], asked.operations)
    x = Value("x", (2, 512), "float32")
    ends = [Value("n", (), "int32"), Value("y", (2, 512), "float32")]
    start = Value.constant("zero", np.array(0, np.int32))
    loop = make_operation("WHILE", [start, x], ends)
    loop.regions = {"cond": (condition,), "body": (steps,)}
    main = Subgraph("main", [x], [ends[1]], [loop])
    graph = Graph(
        [main, condition, steps],
        [Signature("serving_default", main, {"x": x}, {"y": ends[1]})],
    )
    return write_tflite(graph)


@pytest.mark.parametrize("seed", range(0, 12, 3))
def test_a_gpu_takes_all_that_is_packed_for_it(seed):
    """Where nothing costs anything, so that all of it is packed."""

    class Free(GpuTarget):
        def costs(self, quantize=None):
            return OfGroups().costs(quantize)

    source, graph = (read_tflite(random_file(seed)) for _ in range(2))
    pack_litert(graph, Free())

    before, after = (
        _refusals(g.main.operations, GpuTarget().operators())
        for g in (source, graph)
    )
    assert after <= before
