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
"""Channels between layers are put in an order that needs no gathering."""

import collections

import numpy as np
import pytest
from litert_graphs import GraphBuilder

from tfmot_sapp.compiler.readers.tflite import read_tflite
from tfmot_sapp.export.tflite.packing import compare_files, packed_content
from tfmot_sapp.targets.cpu_target import CpuTarget

GROUPS, BLOCK = 4, 32


class Aligned(GraphBuilder):
    """Draws kernels whose groups of blocks agree between layers."""

    def __init__(self, seed=0):
        super().__init__(seed)
        self.groups = {}
        self.sides = ()

    def kernel(self, *shape):
        *taps, inputs, outputs = shape
        rows, columns = (
            self._groups(name, n) for name, n in zip(self.sides, shape[-2:])
        )
        mask = np.kron(rows[:, None] == columns, np.ones((BLOCK, BLOCK)))
        scale = np.sqrt(np.prod(taps) * inputs / GROUPS)
        return (self.rng.normal(size=shape) * mask / scale).astype(np.float32)

    def _groups(self, name, channels):
        if name not in self.groups:
            each = channels // BLOCK // GROUPS
            drawn = np.repeat(np.arange(GROUPS), each)
            # What a model takes and gives is in an order already.
            free = name not in ("given", "made")
            self.groups[name] = self.rng.permutation(drawn) if free else drawn
        return self.groups[name]

    def between(self, *sides):
        self.sides = sides
        return self


def operators(content):
    return collections.Counter(
        operation.kind for operation in read_tflite(content).main.operations
    )


@pytest.mark.parametrize("threads", [1, 4])
def test_groups_that_agree_need_no_gather(threads):
    b = Aligned()
    x = b.input(8, 8 * BLOCK)
    hidden = b.between("given", "hidden").dense(x, 16 * BLOCK, "RELU")
    y = b.between("hidden", "made").dense(hidden, 8 * BLOCK)
    content = b.file([y])
    packed, _ = packed_content(content, CpuTarget(threads))

    found = operators(packed)

    assert set(found) <= {
        "CONCATENATION", "CONV_2D", "FULLY_CONNECTED", "RESHAPE", "SLICE"
    }  # fmt: skip
    assert found.total() <= 3 * GROUPS + 2
    compare_files(content, packed)


def test_additions_and_depthwise_convolutions_follow():
    b = Aligned()
    x = b.input(1, 6, 6, 4 * BLOCK)
    stem = b.between("given", "stream").conv(x, 8 * BLOCK, taps=1)
    inner = b.between("stream", "inner").conv(stem, 8 * BLOCK, fused="RELU")
    inner = b.depthwise(inner)
    back = b.between("inner", "stream").conv(inner, 8 * BLOCK, taps=1)
    total = b.binary("ADD", stem, back, fused="RELU")
    scaled = b.binary("MUL", total, b.vector(8 * BLOCK))
    y = b.between("stream", "made").conv(scaled, 4 * BLOCK, taps=1)
    content = b.file([y])
    packed, _ = packed_content(content, CpuTarget(4))

    assert "GATHER" not in operators(packed)
    compare_files(content, packed)


def test_channels_that_somebody_else_knows_stay():
    """A softmax among the channels passes through; its input isn't ours."""
    b = Aligned()
    x = b.input(8, 8 * BLOCK)
    hidden = b.between("given", "hidden").dense(x, 16 * BLOCK)
    both = [b.unary("SOFTMAX", hidden), hidden]
    content = b.file(
        [b.between("hidden", "made").dense(h, 8 * BLOCK) for h in both]
    )
    packed, _ = packed_content(content, CpuTarget())

    compare_files(content, packed)
