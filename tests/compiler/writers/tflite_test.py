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
"""A graph is written whole, without copies of its weights, or refused."""

import io
import struct
import tracemalloc
import zipfile

import flatbuffers
import numpy as np
import pytest

from tfmot_sapp.compiler.ir.graph import Graph, Operation, Subgraph
from tfmot_sapp.compiler.ir.make import make_operation
from tfmot_sapp.compiler.ir.values import Value
from tfmot_sapp.compiler.readers.tflite import read_tflite
from tfmot_sapp.compiler.schema import schema_module
from tfmot_sapp.compiler.writers.tflite import tflite_pieces, write_tflite


def layer(weights):
    """A graph of one layer."""
    x = Value("x", (None, weights.shape[1]), "float32")
    y = Value("y", (None, weights.shape[0]), "float32")
    w = Value.constant("w", weights)
    operation = make_operation("FULLY_CONNECTED", [x, w, None], [y])
    return Graph([Subgraph("main", [x], [y], [operation])])


def test_everything_is_written(every_feature, assert_same_graph):
    graph = every_feature()

    copy = read_tflite(write_tflite(graph))

    subgraphs = zip(graph.subgraphs, copy.subgraphs)
    for ours, theirs in subgraphs:
        for operation, read in zip(ours.operations, theirs.operations):
            # Options that were left out are read as the format's defaults.
            assert read.attributes.items() >= operation.attributes.items()
            operation.attributes = read.attributes
    assert_same_graph(graph, copy)


def test_contents_are_aligned(every_feature):
    content = write_tflite(every_feature())

    start = np.frombuffer(content, np.uint8).__array_interface__["data"][0]
    values = read_tflite(content).main.used_values()
    stored = [v.stored for v in values if v.stored is not None]

    assert len(stored) > 5
    for array in stored:
        assert (array.__array_interface__["data"][0] - start) % 16 == 0


def test_shared_contents_are_written_once():
    weights = np.arange(1000, dtype=np.float32)
    x, y = Value("x", (1000,), "float32"), Value("y", (1000,), "float32")
    z = Value("z", (1000,), "float32")
    w = Value.constant("w", weights)
    again = Value("again", (1000,), "float32", stored=w.stored)
    operations = [
        make_operation("ADD", [x, w], [y]),
        make_operation("MUL", [y, again], [z]),
    ]

    content = write_tflite(Graph([Subgraph("main", [x], [z], operations)]))

    assert len(content) < 6000
    values = {v.name: v for v in read_tflite(content).main.values}
    np.testing.assert_array_equal(values["w"].contents, weights)
    np.testing.assert_array_equal(values["again"].contents, weights)


def test_weights_are_not_copied():
    graph = layer(np.ones((1000, 5000), np.float32))

    tracemalloc.start()
    pieces = tflite_pieces(graph)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert sum(len(piece) for piece in pieces) > 20_000_000
    assert peak < 1_000_000
    assert b"".join(pieces) == write_tflite(graph)


def test_reading_copies_no_weights():
    content = write_tflite(layer(np.ones((1000, 5000), np.float32)))

    tracemalloc.start()
    graph = read_tflite(content)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert peak < 1_000_000
    assert graph.main.operations[0].inputs[1].contents.shape == (1000, 5000)


def test_more_than_2_gb_is_refused():
    # Never touched, so never in memory.
    graph = layer(np.zeros((2**15, 2**14), np.float32))

    with pytest.raises(ValueError, match="at most 2 GB"):
        tflite_pieces(graph)


def test_weights_behind_the_flatbuffer_are_read(assert_same_graph):
    """Files of over 2 GB refer to their weights by their place."""
    weights = np.arange(12, dtype=np.float32).reshape(3, 4)
    content = write_tflite(layer(weights))
    objects = schema_module().ModelT.InitFromPackedBuf(content)
    place = 1 << 16
    for buffer in objects.buffers:
        if buffer.data is not None:
            buffer.data = None
            buffer.offset, buffer.size = place, weights.nbytes
    builder = flatbuffers.Builder()
    builder.Finish(objects.Pack(builder), file_identifier=b"TFL3")
    tables = bytes(builder.Output())

    large = tables.ljust(place, b"\0") + weights.tobytes()

    assert_same_graph(read_tflite(large), read_tflite(content))
    with pytest.raises(ValueError, match="behind its end"):
        read_tflite(large[:-1])


def test_what_nothing_refers_to_is_left_out():
    graph = layer(np.ones((3, 4), np.float32))
    unused = Value.constant("unused", np.ones(1000, np.float32))
    graph.main.values = [unused, graph.main.outputs[0]]

    content = write_tflite(graph)

    names = [value.name for value in read_tflite(content).main.values]
    assert names == ["y", "x", "w"]
    assert len(content) < 2000


def test_associated_files_are_found_in_the_file():
    graph = layer(np.ones((3, 4), np.float32))
    graph.associated_files = {"labels.txt": b"cat\ndog\n"}

    content = write_tflite(graph)

    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert archive.read("labels.txt") == b"cat\ndog\n"
        (entry,) = archive.infolist()
        offset = entry.header_offset
    # Positions are in the whole file, as other readers take them.
    assert content[offset : offset + 4] == b"PK\x03\x04"
    end = content.rindex(b"PK\x05\x06")
    size, start = struct.unpack_from("<II", content, end + 12)
    assert start + size == end


def test_half_precision(run_litert):
    weights = np.arange(12).reshape(3, 4).astype(np.float16)
    x = Value("x", (1, 4), "float32")
    w = Value.constant("w", weights)
    wide, y = Value("wide", (3, 4), "float32"), Value("y", (1, 3), "float32")
    operations = [
        make_operation("DEQUANTIZE", [w], [wide], version=3),
        make_operation("FULLY_CONNECTED", [x, wide, None], [y]),
    ]
    content = write_tflite(Graph([Subgraph("main", [x], [y], operations)]))

    (found,) = run_litert(content, [np.ones((1, 4), np.float32)])

    np.testing.assert_allclose(found, [weights.sum(1, np.float32)])


@pytest.mark.parametrize(
    "change,message",
    [
        ({"kind": "CONVOLUTION"}, "'CONVOLUTION'"),
        ({"attributes": {"stride": 2}}, "'stride'"),
        ({"attributes": {"fused_activation_function": "SWISH"}}, "'SWISH'"),
    ],
)
def test_what_the_format_does_not_have_is_refused(change, message):
    graph = layer(np.ones((3, 4), np.float32))
    for name, setting in change.items():
        setattr(graph.main.operations[0], name, setting)

    with pytest.raises(ValueError, match=message):
        write_tflite(graph)


def test_unknown_type_is_refused():
    graph = layer(np.ones((3, 4), np.float32))
    graph.main.inputs[0].dtype = "float31"

    with pytest.raises(ValueError, match="'float31'"):
        write_tflite(graph)


def test_constant_that_does_not_fill_its_shape_is_refused():
    graph = layer(np.ones((3, 4), np.float32))
    graph.main.operations[0].inputs[1].shape = (3, 5)

    with pytest.raises(ValueError, match="must store 60 bytes. Received: 48"):
        write_tflite(graph)


def test_region_that_is_no_subgraph_of_the_graph_is_refused():
    graph = layer(np.ones((3, 4), np.float32))
    x, y = graph.main.outputs[0], Value("z", (None, 3), "float32")
    lost = Subgraph("lost")
    graph.main.operations.append(
        Operation("CALL", [x], [y], regions={"callee": (lost,)})
    )

    with pytest.raises(ValueError, match="must hold all subgraphs"):
        write_tflite(graph)
