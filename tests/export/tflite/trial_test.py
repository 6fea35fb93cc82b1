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
"""A file that makes no sense is refused, and doesn't end the process."""

import numpy as np
import pytest
from litert_graphs import GraphBuilder

import tfmot_sapp as sapp
from tfmot_sapp.compiler.readers.tflite import read_tflite
from tfmot_sapp.compiler.writers.tflite import write_tflite
from tfmot_sapp.export.tflite import trial


@pytest.fixture
def graph():
    """Two layers with blocks, and what is computed from them."""
    b = GraphBuilder(0, (32, 32), 0.1)
    x = b.input(2, 256)
    y = b.dense(x, 256, "RELU")
    y = b.write("SUB", [b.vector(256), y], (2, 256))
    y = b.write("LOGISTIC", [y], (2, 256))
    return read_tflite(b.file([b.dense(y, 256)]))


def leave_out_an_input(operations):
    operations[1].inputs[0] = None


def take_another_operator(operations):
    operations[2].kind = "SPLIT"


def take_an_unknown_type(operations):
    operations[2].outputs[0].dtype = "bool"


def take_a_kernel_for_another(operations):
    operations[3].inputs[1] = operations[3].inputs[0]


@pytest.mark.parametrize(
    "change",
    [
        leave_out_an_input,
        take_another_operator,
        take_an_unknown_type,
        take_a_kernel_for_another,
    ],
)
def test_a_senseless_file_is_refused(graph, change, tmp_path):
    change(graph.main.operations)
    source = tmp_path / "senseless.tflite"
    source.write_bytes(write_tflite(graph))
    before = source.read_bytes()

    with pytest.raises(ValueError, match="`source` must be a file that") as e:
        sapp.pack_tflite(source, source)

    if change is leave_out_an_input:
        # Reading what isn't there ends the process, or is noticed.
        reasons = ("ended the process that tried it", "doesn't run")
        assert any(reason in str(e.value) for reason in reasons)
    assert source.read_bytes() == before


def test_a_file_with_a_wrong_shape_in_it_is_packed_right_or_refused(
    graph, tmp_path
):
    # The runtime works out the shapes between anew.
    graph.main.operations[0].outputs[0].shape = (3, 256)
    source = tmp_path / "shape.tflite"
    source.write_bytes(write_tflite(graph))

    try:
        result = sapp.pack_tflite(source, tmp_path / "packed.tflite")
    except ValueError as error:
        assert "nothing was written" in str(error)
    else:
        assert result.max_error < 1e-5


def test_a_file_that_does_not_end_is_refused(graph, tmp_path, monkeypatch):
    monkeypatch.setattr(trial, "_SECONDS", 0.0)
    monkeypatch.setattr(trial, "_SECONDS_PER_BYTE", 0.0)
    source = tmp_path / "dense.tflite"
    source.write_bytes(write_tflite(graph))

    with (
        pytest.raises(ValueError, match="ran for more than 0 s"),
        trial.Trial(source) as tried,
    ):
        tried.wait()


def test_a_process_that_can_not_begin_says_nothing(
    graph, tmp_path, monkeypatch
):
    monkeypatch.setattr(trial, "_PROGRAM", "raise ImportError")
    source = tmp_path / "dense.tflite"
    source.write_bytes(write_tflite(graph))

    result = sapp.pack_tflite(source, tmp_path / "packed.tflite")

    assert result.packing
    assert np.isfinite(result.max_error)
