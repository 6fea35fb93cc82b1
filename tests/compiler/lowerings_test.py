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
"""A lowering computes the same whatever runtime it's written for."""

import numpy as np
import pytest
import tensorflow as tf

from tfmot_sapp.compiler.emit.tensorflow_operations import (
    TensorFlowOperations,
)
from tfmot_sapp.compiler.lowerings.arrangement import arranged
from tfmot_sapp.compiler.lowerings.by_name import lowering_from_config
from tfmot_sapp.compiler.lowerings.gathered import GatherMatmul, Group
from tfmot_sapp.compiler.lowerings.products import Products
from tfmot_sapp.targets.cpu_target import CpuTarget
from tfmot_sapp.targets.tensorflow_target import TensorFlowTarget

OPERATORS = [
    TensorFlowTarget().operators(),
    CpuTarget().operators(),
    CpuTarget().operators("int8"),
    CpuTarget().operators("dynamic_int8"),
]
# Output blocks 0, 1 and 2 of the layer read these input blocks.
READS = ((0, 3), (1,), (2, 3))


def weights_of(lowering):
    generator = np.random.default_rng(0)
    return [
        generator.normal(size=shape).astype("float32")
        for _, shape in lowering.weights()
    ]


def outputs(lowering, weights, pieces, operators):
    """As traced: with constants, as arrays, and with tensors."""
    found = []
    for convert in (np.asarray, tf.constant):
        given = [convert(w) for w in weights]
        write = TensorFlowOperations(operators)
        made = lowering.outputs(given, pieces, write)
        found.append([y.numpy() for y in made])
    for left, right in zip(*found):
        assert np.allclose(left, right, atol=1e-5)
    return found[0]


@pytest.mark.parametrize("operators", OPERATORS)
@pytest.mark.parametrize("leading", [(1,), (5,), (2, 3)])
def test_groups_of_a_dense(operators, leading):
    # Computed in the order of counts: block 1, then 0 and 2.
    reads = (READS[1], READS[0], READS[2])
    lowering = Group((), (), (2, 3), reads, (1, 0, 2))
    one, two, bias = weights = weights_of(lowering)
    x = np.random.default_rng(1).normal(size=(*leading, 8)).astype("float32")
    kernel = np.zeros((8, 9), "float32")
    kernel[2:4, 3:6] = one[0]
    kernel[[0, 1, 6, 7], 0:3] = two[0]
    kernel[[4, 5, 6, 7], 6:9] = two[1]

    (y,) = outputs(lowering, weights, [x], operators)

    assert y.shape == (*leading, 9)
    assert np.allclose(y, x @ kernel + bias, atol=1e-5)


@pytest.mark.parametrize("operators", OPERATORS)
@pytest.mark.parametrize("sliced", [False, True])
@pytest.mark.parametrize(
    "blocks", [(0, 1, 2, 3), (0, 2, 1, 3), (2, 3, 0, 1), (3, 1, 1, 0), (1, 2)]
)
def test_blocks_are_put_in_order(operators, sliced, blocks):
    x = np.random.default_rng(0).normal(size=(2, 3, 3, 8)).astype("float32")
    expected = x.reshape(2, 3, 3, 4, 2)[..., list(blocks), :]

    found = arranged(x, blocks, 2, sliced, TensorFlowOperations(operators))

    assert np.array_equal(found, expected.reshape(2, 3, 3, -1))


@pytest.mark.parametrize("operators", OPERATORS)
def test_gathered_batches_sum_up(operators):
    lowering = GatherMatmul((2, 3), READS)
    blocks, bias = weights = weights_of(lowering)
    x = np.random.default_rng(1).normal(size=(5, 8)).astype("float32")
    expected = np.tile(bias, (5, 1))
    places = [(i, j) for j, read in enumerate(READS) for i in read]
    for block, (i, j) in zip(blocks, places):
        columns = slice(3 * j, 3 * j + 3)
        expected[:, columns] += x[:, 2 * i : 2 * i + 2] @ block

    (y,) = outputs(lowering, weights, [x], operators)

    assert np.allclose(y, expected, atol=1e-5)


@pytest.mark.parametrize("operators", OPERATORS)
def test_sums_of_products(operators):
    lowering = Products((), (), (2, 3, 4), (5, 1), (((0,), (1, 2)), ((2,),)))
    a, b, bias, c, other = weights = weights_of(lowering)
    generator = np.random.default_rng(1)
    x, y, z = pieces = [
        generator.normal(size=(4, n)).astype("float32") for n in (2, 3, 4)
    ]

    first, second = outputs(lowering, weights, pieces, operators)

    wanted = x @ a + np.concatenate([y, z], -1) @ b + bias
    assert np.allclose(first, wanted, atol=1e-5)
    assert np.allclose(second, z @ c + other, atol=1e-5)


@pytest.mark.parametrize("operators", OPERATORS)
def test_products_of_what_is_cut_from_one_tensor(operators):
    # Channels 1 to 5, 4 to 9 and 0; an output that reads nothing is what is
    # added to it.
    spans = ((1, 5), (4, 9), (0, 1))
    reads = (((0, 2), (1,)), (), ((1,),))
    lowering = Products((), (), (4, 5, 1), (3, 2, 2), reads, spans)
    a, b, bias, offset, c, other = weights = weights_of(lowering)
    generator = np.random.default_rng(1)
    x, given = (generator.normal(size=(4, n)).astype("float32") for n in (9, 2))

    found = outputs(lowering, weights, [x, tf.constant(given)], operators)

    first = x[:, [1, 2, 3, 4, 0]] @ a + x[:, 4:] @ b + bias
    wanted = [first, given + offset, x[:, 4:] @ c + other]
    for left, right in zip(wanted, found, strict=True):
        assert np.allclose(left, right, atol=1e-5)
    assert lowering_from_config(lowering.get_config()) == lowering


@pytest.mark.parametrize("padding", ["same", "valid"])
def test_transposed_convolutions_spread_every_input(padding):
    generator = np.random.default_rng(0)
    x = generator.normal(size=(2, 4, 3)).astype("float32")
    kernel = generator.normal(size=(3, 3, 5)).astype("float32")
    full = np.zeros((2, 9, 5))
    for i in range(4):
        for tap in range(3):
            full[:, 2 * i + tap] += x[:, i] @ kernel[tap]

    write = TensorFlowOperations(OPERATORS[0])
    y = write.product(x, kernel, None, ((2,), padding, (1,), True)).numpy()

    # "same" cuts off what sticks out of two outputs for each input.
    wanted = full[:, :8] if padding == "same" else full
    assert np.allclose(y, wanted, atol=1e-5)


def test_it_comes_back_from_its_config():
    lowering = Group((), (), (2, 3), READS, (0, 1, 2), sliced=True)
    config = lowering.get_config()
    config["reads"] = [list(read) for read in config["reads"]]

    assert lowering_from_config(config) == lowering
