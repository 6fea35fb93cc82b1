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
"""A file is read whole, or refused in one sentence."""

import random
import struct
import time
import tracemalloc

import numpy as np
import pytest

from tfmot_sapp.compiler.ir.graph import Graph, Subgraph
from tfmot_sapp.compiler.ir.make import make_operation
from tfmot_sapp.compiler.ir.values import Value
from tfmot_sapp.compiler.readers.tflite import read_tflite
from tfmot_sapp.compiler.writers.tflite import write_tflite

EXTREMES = [0, 1, 2**31 - 1, 2**31, 2**32 - 1]


def cut(content, generator):
    return content[: generator.randrange(len(content))]


def flip_bytes(content, generator):
    for _ in range(generator.randrange(1, 20)):
        content[generator.randrange(len(content))] = generator.randrange(256)
    return content


def change_lengths(content, generator):
    """Overwrites numbers, most of which are lengths and offsets."""
    for _ in range(generator.randrange(1, 4)):
        place = generator.randrange(0, len(content) - 4) & ~3
        chosen = generator.choice([*EXTREMES, len(content)])
        struct.pack_into("<I", content, place, chosen)
    return content


def shift_numbers(content, generator):
    for _ in range(generator.randrange(1, 4)):
        place = generator.randrange(0, len(content) - 4) & ~3
        (number,) = struct.unpack_from("<I", content, place)
        shift = generator.choice([-100, -4, -1, 1, 4, 100])
        struct.pack_into("<I", content, place, (number + shift) % 2**32)
    return content


def clear(content, generator):
    start = generator.randrange(len(content))
    end = min(start + generator.randrange(1, 200), len(content))
    content[start:end] = bytes(end - start)
    return content


def remove(content, generator):
    start = generator.randrange(len(content))
    del content[start : start + generator.randrange(1, 200)]
    return content


MUTATIONS = [cut, flip_bytes, change_lengths, shift_numbers, clear, remove]


def repetitive():
    """Many operations and values: more tables than weights."""
    x = Value("x", (1, 16), "float32")
    values, operations = [x], []
    for index in range(60):
        values.append(Value(f"v{index}", (1, 16), "float32"))
        pair = [values[-2], values[index // 2]]
        operations.append(make_operation("ADD", pair, [values[-1]]))
    return Graph([Subgraph("main", [x], [values[-1]], operations)])


@pytest.fixture(params=["every_feature", "repetitive", "zeros"])
def content(request, every_feature):
    """A whole file."""
    if request.param == "every_feature":
        return write_tflite(every_feature())
    if request.param == "repetitive":
        return write_tflite(repetitive())
    # A pruned model is full of what looks like empty tables.
    x, y = Value("x", (1, 64), "float32"), Value("y", (1, 64), "float32")
    w = Value.constant("w", np.zeros((64, 64), np.float32))
    layer = make_operation("FULLY_CONNECTED", [x, w, None], [y])
    return write_tflite(Graph([Subgraph("main", [x], [y], [layer])]))


@pytest.mark.parametrize("mutation", MUTATIONS)
def test_mutated_file_is_read_or_refused(content, mutation):
    generator = random.Random(mutation.__name__)
    refused = 0

    for _ in range(30):
        mutated = bytes(mutation(bytearray(content), generator))
        began = time.perf_counter()
        tracemalloc.start()
        try:
            write_tflite(read_tflite(mutated))
        except ValueError as error:
            assert "\n" not in str(error)
            refused += 1
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 10 * len(mutated) + (8 << 20)
        assert time.perf_counter() - began < 10

    # Other mutations may hit weights, names or padding, and a cut the last
    # bytes of an archive that nobody needs.
    assert refused >= 28 or mutation is not cut


def _field(content, table, number):
    """Place of a table's field."""
    (back,) = struct.unpack_from("<i", content, table)
    (offset,) = struct.unpack_from("<H", content, table - back + 4 + 2 * number)
    return table + offset


def _first_subgraph(content):
    (model,) = struct.unpack_from("<I", content, 0)
    field = _field(content, model, 2)
    first = field + struct.unpack_from("<I", content, field)[0] + 4
    return first + struct.unpack_from("<I", content, first)[0]


def test_tables_that_many_offsets_share_are_refused_early():
    content = bytearray(write_tflite(repetitive()))
    subgraph = _first_subgraph(content)
    # All entries of a new list of tensors mean the first one, which is copied
    # behind them, because offsets lead forwards.
    tensors = _field(content, subgraph, 0)
    first = tensors + struct.unpack_from("<I", content, tensors)[0] + 4
    tensor = first + struct.unpack_from("<I", content, first)[0]
    count = 50_000
    start = len(content) + -len(content) % 4
    content += bytes(start - len(content))
    content += struct.pack("<I", count)
    shared = start + 4 + 4 * count
    for index in range(count):
        content += struct.pack("<I", shared - (start + 4 + 4 * index))
    (back,) = struct.unpack_from("<i", content, tensor)
    content += struct.pack("<i", shared - (tensor - back))
    content += content[tensor + 4 : tensor + 64]
    struct.pack_into("<I", content, tensors, start - tensors)

    tracemalloc.start()
    with pytest.raises(ValueError, match="more than the file has room for"):
        read_tflite(bytes(content))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert peak < 12 * len(content) + (8 << 20)


@pytest.mark.parametrize(
    "content,reason",
    [
        (b"", "mark TFL3"),
        (b"TFL3", "mark TFL3"),
        (b"\x08\x00\x00\x00TFL3", "leads nowhere"),
        (b"\xff\xff\xff\xffTFL3" + bytes(64), "leads nowhere"),
        (b"PK\x03\x04" + bytes(64), "mark TFL3"),
        (b"\x10\x00\x00\x00TFL3" + bytes(64), "impossible size"),
    ],
)
def test_what_is_no_file_is_refused(content, reason):
    with pytest.raises(ValueError, match=reason):
        read_tflite(content)


def test_bytes_that_nothing_refers_to_are_refused(every_feature):
    content = write_tflite(every_feature())
    start = content.rindex(b"PK\x03\x04", 0, content.index(b"labels.txt"))

    with pytest.raises(ValueError, match="compiled for an accelerator"):
        read_tflite(content[:start] + b"machine code " * 200)


def test_archive_that_is_cut_off_is_refused(every_feature):
    with pytest.raises(ValueError, match="archive at its end is cut off"):
        read_tflite(write_tflite(every_feature())[:-30])


@pytest.mark.parametrize("end", [bytes(4096), b"an abandoned table"])
def test_padding_at_the_end_is_nothing(assert_same_graph, end):
    content = write_tflite(repetitive())

    graph = read_tflite(content + end)

    assert_same_graph(graph, read_tflite(content))


def test_constant_that_does_not_fill_its_shape_is_refused():
    x = Value("x", (2, 3), "float32")
    w = Value.constant("w", np.ones((2, 3), np.float32))
    y = Value("y", (2, 3), "float32")
    add = make_operation("ADD", [x, w], [y])
    content = bytearray(
        write_tflite(Graph([Subgraph("main", [x], [y], [add])]))
    )
    place = content.index(struct.pack("<3I", 2, 2, 3), 0)
    while place >= 0:
        struct.pack_into("<3I", content, place, 2, 2, 7)
        place = content.find(struct.pack("<3I", 2, 2, 3), place)

    with pytest.raises(ValueError, match="'w' must have 56 bytes and has 24"):
        read_tflite(bytes(content))


def test_options_of_another_operator_are_refused():
    graph = repetitive()
    graph.main.operations[0].options = "MulOptions"

    with pytest.raises(ValueError, match="ADD has the options MulOptions"):
        read_tflite(write_tflite(graph))


def test_old_files_have_no_newer_field_of_operators():
    # The newer field is the fourth; the older, of one byte, is the first.
    graph = repetitive()
    graph.main.operations[0].kind = "MUL"
    graph.main.operations[0].options = "MulOptions"
    content = bytearray(write_tflite(graph))
    (model,) = struct.unpack_from("<I", content, 0)
    codes = _field(content, model, 1)
    vector = codes + struct.unpack_from("<I", content, codes)[0]
    entry = vector + 4
    table = entry + struct.unpack_from("<I", content, entry)[0]
    newer = _field(content, table, 3)
    assert struct.unpack_from("<i", content, newer)[0] == 18
    struct.pack_into("<i", content, newer, 0)

    kinds = [o.kind for o in read_tflite(bytes(content)).main.operations]

    assert kinds[:2] == ["MUL", "ADD"]
