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
"""Where models are timed."""

import keras
import numpy as np
import pytest

import tfmot_sapp as sapp
from tfmot_sapp.export.accelerated import on_gpu
from tfmot_sapp.verbs.pack import packing_of


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(0)
    inputs = keras.Input((256,))
    model = keras.Model(inputs, keras.layers.Dense(256, name="d")(inputs))
    mask = np.random.default_rng(0).random((8, 8)) < 0.1
    mask[0] = True
    kernel = model.get_layer("d").kernel
    kernel.assign(kernel.numpy() * np.kron(mask, np.ones((32, 32))))
    return model


@pytest.fixture(scope="module")
def path(model, tmp_path_factory):
    path = tmp_path_factory.mktemp("files") / "dense.tflite"
    sapp.export_tflite(model, path)
    return path


def test_threads_are_those_of_the_target(path):
    result = sapp.benchmark({"a": path}, rounds=2, target=sapp.CpuTarget(2))
    assert result.threads == 2 and "2 threads" in str(result)
    with pytest.raises(ValueError, match="`threads` must be left out"):
        sapp.benchmark({"a": path}, threads=2, target=sapp.CpuTarget(4))
    with pytest.raises(ValueError, match="`target` must be one that models"):
        sapp.benchmark({"a": path}, target=sapp.NpuTarget())
    with pytest.raises(ValueError, match="`target` must be one that models"):
        sapp.Tuning(target=sapp.NpuTarget())
    with pytest.raises(ValueError, match="`threads` must be left out"):
        sapp.Tuning(threads=2, target=sapp.CpuTarget(4))


def test_files_run_on_a_gpu(path):
    try:
        loaded = on_gpu(path.read_bytes())
    except ValueError as error:
        assert "Received: " in str(error)
        pytest.skip("no driver for LiteRT's GPU accelerator")
    assert loaded.is_whole
    result = sapp.benchmark({"a": path}, rounds=2, target=sapp.GpuTarget())
    assert "GPU" in str(result)


def test_packing_for_a_target(model):
    """What is short stays dense where threads or a GPU have to share it."""
    kinds = {
        target: packing_of(sapp.pack_blocks(model, target=target))[0]
        for target in (sapp.CpuTarget(), sapp.CpuTarget(8), sapp.GpuTarget())
    }
    assert kinds[sapp.CpuTarget()]["lowering"] != "dense"
    assert kinds[sapp.GpuTarget()]["lowering"] == "dense"
    with pytest.raises(ValueError, match="`target` must be what `tune` is for"):
        sapp.pack_blocks(
            model, tune=sapp.Tuning(threads=2), target=sapp.CpuTarget(4)
        )
    with pytest.raises(TypeError, match="`target` must be where"):
        sapp.pack_blocks(model, target="cpu")
