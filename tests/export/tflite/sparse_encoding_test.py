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
"""TFLite's sparse encoding is written where the runtime computes with it."""

import importlib

import numpy as np
import pytest

from tfmot_sapp.export import serving, verify
from tfmot_sapp.export.tflite.conversion import convert
from tfmot_sapp.export.tflite.file import export_tflite
from tfmot_sapp.targets.cpu_target import CpuTarget


def test_the_check_catches_dynamic_int8_with_the_sparse_encoding(
    sparse_mlp, tmp_path
):
    model = sparse_mlp(importlib.import_module("keras"))
    served = serving.serving_of(model, 1)
    content = convert(
        served, "dynamic_int8", "sparse", "float32", None, CpuTarget()
    )
    inputs = [
        {"x": np.random.default_rng(0).normal(size=(1, 256)).astype("float32")}
    ]
    expected = verify.source_outputs(served, inputs)

    with pytest.raises(ValueError, match="nothing was written"):
        verify.check_quantized(content, inputs, expected)

    # Without the sparse encoding the same format passes.
    content = convert(
        served, "dynamic_int8", None, "float32", None, CpuTarget()
    )
    verify.check_quantized(content, inputs, expected)


@pytest.mark.parametrize("quantize", ["dynamic_int8", "float16"])
def test_wrong_combinations_with_sparse_encoding_are_refused(
    sparse_mlp, tmp_path, quantize
):
    model = sparse_mlp(importlib.import_module("keras"))

    with pytest.raises(ValueError, match="`encoding.*wrong numbers"):
        export_tflite(
            model,
            tmp_path / "model.tflite",
            quantize=quantize,
            encoding="sparse",
        )


@pytest.mark.parametrize("quantize", [None, "int8"])
def test_sparse_encoding_of_what_the_runtime_has_a_kernel_for(
    sparse_mlp, keras, tmp_path, quantize
):
    model = sparse_mlp(keras)
    data = np.random.default_rng(0).normal(size=(8, 256)).astype("float32")
    options = {"quantize": quantize, "representative_data": data}

    result = export_tflite(
        model, tmp_path / "sparse.tflite", **options, encoding="sparse"
    )
    dense = export_tflite(model, tmp_path / "dense.tflite", **options)

    assert result.size < 0.3 * dense.size
    assert "DENSIFY" not in result.ops


@pytest.mark.parametrize("block", [(1, 16), (1, 1)])
def test_sparse_encoding_that_would_be_undone_is_refused(
    sparse_mlp, tmp_path, block
):
    model = sparse_mlp(importlib.import_module("keras"), block)

    with pytest.raises(ValueError, match="DENSIFY"):
        export_tflite(model, tmp_path / "model.tflite", encoding="sparse")


def test_sparse_encoding_of_a_dense_model_is_refused(sparse_mlp, tmp_path):
    model = sparse_mlp(importlib.import_module("keras"), sparsity=0.0)

    with pytest.raises(ValueError, match="encoded nothing"):
        export_tflite(model, tmp_path / "model.tflite", encoding="sparse")
