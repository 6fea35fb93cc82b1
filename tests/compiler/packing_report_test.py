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
"""`report` of a packed model says what was chosen where, and why."""

import importlib
import json

import numpy as np
import pytest

import tfmot_sapp as sapp


@pytest.fixture(params=["keras", "tf_keras"])
def packed(request):
    keras = importlib.import_module(request.param)
    generator = np.random.default_rng(0)
    inputs = keras.Input((8, 8, 256))
    x = keras.layers.Conv2D(256, 3, padding="same", name="conv")(inputs)
    x = keras.layers.LayerNormalization(name="norm")(x)
    x = keras.layers.GlobalAveragePooling2D()(x)
    model = keras.Model(inputs, keras.layers.Dense(7, name="classes")(x))
    mask = generator.permutation(np.arange(64) < 16).reshape(8, 8)
    mask[np.arange(8), np.arange(8)] = True
    kernel, bias = model.get_layer("conv").get_weights()
    kernel *= np.kron(mask, np.ones((32, 32)))
    model.get_layer("conv").set_weights([kernel, bias])
    return sapp.pack_blocks(model), int(mask.sum())


def test_blocks_densities_and_reasons(packed):
    model, kept = packed
    report = sapp.report(model)
    conv, classes = [row for row in report.rows if row.name != "norm"]

    assert (conv.lowering, conv.kept, conv.blocks) == ("list", kept, 64)
    assert conv.block == (32, 32)
    assert conv.shape == (3, 3, 256, 256)
    assert conv.kept_weights == kept * 9 * 32 * 32
    assert conv.sparsity == 1 - kept / 64
    assert conv.macs == conv.kept_weights * 64
    assert "cost" in conv.why
    assert report.pruned == (conv,)
    assert list(report.skipped) == ["norm", "classes"]
    assert classes.skipped == classes.why

    before = 9 * 256**2 + 256 * 7
    assert report.kept_parameters == model.count_params()
    assert report.parameters == before + 256 + 7 + 2 * 256
    macs = 64 * conv.kept_weights + 256 * 7
    assert report.mac_density == macs / (64 * 9 * 256**2 + 256 * 7)


def test_it_prints_and_renders_to_plain_values(packed):
    model, kept = packed
    report = sapp.report(model)

    assert f"{kept} / 64" in str(report)
    assert report.rows[0].why in str(report)
    plain = json.loads(json.dumps(report.to_dict()))
    assert plain["total"]["mac_density"] == report.mac_density
    assert plain["layers"][0]["lowering"] == "list"
    assert plain["layers"][0]["blocks_kept"] == kept
