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
"""How the operations of a packed LiteRT graph are written."""

import numpy as np
import pytest
from litert_graphs import GraphBuilder
from target_costs import OfPieces

from tfmot_sapp.compiler.readers.tflite import read_tflite
from tfmot_sapp.compiler.writers.tflite import write_tflite
from tfmot_sapp.export.tflite.packing import compare_files, packed_content


def test_products_keep_the_axes_of_their_inputs():
    # XNNPACK copies the inputs of those that don't, for each product.
    b = GraphBuilder(0)
    source = b.file([b.dense(b.input(48, 256), 256)])

    content, rows = packed_content(source, OfPieces())

    assert rows
    attributes = [
        operation.attributes
        for operation in read_tflite(content).main.operations
        if operation.kind == "FULLY_CONNECTED"
    ]
    assert len(attributes) > 1
    assert all(each["keep_num_dims"] for each in attributes)


@pytest.mark.parametrize("shape", [(48, 64), (2, 24, 64), (2, 3, 8, 64)])
def test_short_pieces_are_stacked_for_several_threads(shape):
    b = GraphBuilder(0)
    x = b.input(*shape)
    if len(shape) == 4:
        y = b.conv(b.unary("TANH", b.conv(x, 64, 1)), 64, 1)
    else:
        y = b.dense(b.unary("TANH", b.dense(x, 64)), 64)
    source = b.file([y])

    content, _ = packed_content(source, OfPieces(threads=2))

    compare_files(source, content)
    # As far apart as pieces are long.
    dilations = {
        operation.attributes["dilation_h_factor"]
        for operation in read_tflite(content).main.operations
        if operation.kind == "CONV_2D"
    }
    assert 48 in dilations
    alone, _ = packed_content(source, OfPieces(threads=1))
    assert not any(
        operation.attributes.get("dilation_h_factor", 1) > 1
        for operation in read_tflite(alone).main.operations
    )


def test_equal_constants_are_computed_once():
    b = GraphBuilder(0)
    graph = read_tflite(b.file([b.dense(b.input(48, 64), 192, bias=False)]))
    (operation,) = graph.main.operations
    kernel = operation.inputs[1].contents.copy()
    kernel[np.arange(192) // 32 % 2 == 1] = 0
    operation.inputs[1].stored = kernel.reshape(-1).view(np.uint8)
    content = write_tflite(graph)

    found, _ = packed_content(content, OfPieces())

    compare_files(content, found)
    constants = [
        operation
        for operation in read_tflite(found).main.operations
        if operation.kind == "ADD"
    ]
    assert len(constants) == 1
