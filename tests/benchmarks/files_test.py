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
"""Files that others wrote: how they are found, pruned and described."""

import io
import random
import tarfile
import zipfile

import numpy as np
import pytest
from litert_graphs import GraphBuilder

from benchmarks.files import mutated_files
from benchmarks.files.one_file import copy_file, prune_and_pack
from benchmarks.files.sources import _models
from benchmarks.files.variants import zero_blocks
from tfmot_sapp.compiler.readers.tflite import read_tflite


def dense_file():
    b = GraphBuilder(0, (256, 256), 1.0)
    x = b.input(1, 4, 4, 128)
    y = b.conv(x, 128)
    return b.file([b.dense(b.reduce("MEAN", y, [1, 2], False), 16)])


def test_files_in_archives_are_found():
    model = dense_file()
    inner, outer = io.BytesIO(), io.BytesIO()
    with zipfile.ZipFile(inner, "w") as archive:
        archive.writestr("deep/model.tflite", model)
        archive.writestr("pointer.tflite", b"version 1")
    with tarfile.open(fileobj=outer, mode="w:gz") as archive:
        member = tarfile.TarInfo("package.zip")
        member.size = len(inner.getvalue())
        archive.addfile(member, io.BytesIO(inner.getvalue()))

    found = list(_models("package.tgz", outer.getvalue()))

    assert found == [("deep/model.tflite", model)]


def test_blocks_of_wide_kernels_are_zeroed():
    graph = read_tflite(dense_file())

    zeroed = zero_blocks(graph, 0.75)

    assert (zeroed.kernels, zeroed.products) == (1, 2)
    convolution, *_, dense = graph.main.operations
    kernel = convolution.inputs[1].contents
    blocks = kernel.reshape(4, 32, 9, 4, 32).any(axis=(1, 4))
    assert blocks.mean() == pytest.approx(0.25)
    assert (kernel != 0).mean() == pytest.approx(0.25)
    assert np.all(dense.inputs[1].contents != 0)
    # 16 positions of the convolution, one of the other layer.
    products = 16 * 9 * 128 * 128, 128 * 16
    left = 0.25 * products[0] + products[1]
    assert zeroed.density == pytest.approx(left / sum(products))


def test_a_file_is_described(tmp_path):
    content = dense_file()

    row = copy_file(content) | prune_and_pack(content, tmp_path, 0.75, 0.01)

    assert row["copy"] == "same"
    assert row["operators"] == 3
    assert row["packed"] == "packed"
    assert float(row["error"]) < 1e-5
    assert float(row["speed_up"]) > 0


@pytest.mark.parametrize("name", ["overwrite", "cut", "shift", "exchange"])
def test_damage_is_done(name):
    content = dense_file()

    mutated = getattr(mutated_files, name)(content, random.Random(1))

    assert isinstance(mutated, bytes)
    assert mutated != content
