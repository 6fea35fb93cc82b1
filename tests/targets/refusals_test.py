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
"""What accelerators don't take, by the rules."""

import pytest

import tfmot_sapp as sapp
from tfmot_sapp.targets.refusals import Operation, Tensor, refused

X = Tensor((1, 14, 14, 64), "float32")
FIVE = Tensor((1, 14, 14, 2, 32), "float32")
KERNEL = Tensor((64, 1, 1, 64), "float32", is_constant=True)


def indices(dtype="int32", shape=(4,), constant=True):
    return Tensor(shape, dtype, is_constant=constant)


def why(operation, target):
    return [found.why for found in refused([operation], target.operators())]


GOOD = [
    Operation("CONV_2D", (X, KERNEL), (X,), {"stride_h": 1}),
    Operation("CONCATENATION", (X,) * 5, (X,)),
    Operation("ADD", (X, X), (X,)),
    Operation("DEPTHWISE_CONV_2D", (X, KERNEL), (X,)),
]


@pytest.mark.parametrize(
    "target",
    [
        sapp.CpuTarget(),
        sapp.GpuTarget(),
        sapp.NpuTarget(),
        sapp.NpuTarget("mediatek"),
        sapp.NpuTarget("qualcomm"),
    ],
    ids=str,
)
def test_the_common_operations_are_taken(target):
    assert refused(GOOD, target.operators()) == []
    (one,) = refused(
        [*GOOD, Operation("WHERE", (X,), (X,))], target.operators()
    ) or [None]
    if isinstance(target, sapp.CpuTarget):
        assert one is None
    else:
        assert (one.index, one.name) == (4, "WHERE")


@pytest.mark.parametrize(
    "operation, part",
    [
        (Operation("RESHAPE", (X, indices()), (FIVE,)), "rank 5, above 4"),
        (Operation("GATHER", (X, indices("int64")), (X,)), "type int64"),
        (Operation("GATHER", (X, indices(shape=(2, 2))), (X,)), "of rank 2"),
        (Operation("GATHER", (X, indices(constant=False)), (X,)), "constant"),
        (Operation("GATHER_ND", (X, indices()), (X,)), "not among"),
        (Operation("UNSORTED_SEGMENT_SUM", (X, X), (X,)), "not among"),
        (Operation("BATCH_MATMUL", (KERNEL, X), (X,)), "constant left"),
        (
            Operation(
                "FULLY_CONNECTED",
                (X, Tensor((64, 64), "float32", True, is_sparse=True)),
                (X,),
            ),
            "sparse encoding",
        ),
        (Operation("CONCATENATION", (X,) * 17, (X,)), "17 inputs"),
    ],
    ids=lambda value: getattr(value, "name", None),
)
def test_a_gpu_refuses(operation, part):
    (reason,) = why(operation, sapp.GpuTarget())
    assert part in reason


def test_a_gpu_takes_gathers_and_products_of_constants():
    for operation in (
        Operation("GATHER", (X, indices()), (X,)),
        Operation("BATCH_MATMUL", (X, KERNEL), (X,)),
        # What a constant's own rank is doesn't matter.
        Operation("CONV_2D", (X, Tensor((1,) * 5, "float32", True)), (X,)),
    ):
        assert why(operation, sapp.GpuTarget()) == []


def test_vendors_differ():
    gather = Operation("GATHER", (X, indices()), (X,))
    assert why(gather, sapp.NpuTarget("qualcomm")) == []
    assert why(gather, sapp.NpuTarget("mediatek"))
    assert why(gather, sapp.NpuTarget())
    wide = Operation("CONCATENATION", (X,) * 6, (X,))
    assert why(wide, sapp.NpuTarget("qualcomm")) == ["6 inputs, more than 5"]


def test_the_delegate_of_a_cpu():
    operators = sapp.CpuTarget().operators()
    split = Operation("SPLIT", (X,), (X,) * 5)
    (found,) = refused([split], operators)
    assert found.why == "5 outputs, more than 4"
    assert not operators.must_take_all
