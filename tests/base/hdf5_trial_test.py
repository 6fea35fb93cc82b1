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
"""What another process reads of a model's file."""

import keras
import pytest

from tfmot_sapp.base import hdf5_trial


@pytest.fixture(params=[".keras", ".h5"])
def path(request, tmp_path):
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(4)])
    model.save(tmp_path / f"model{request.param}")
    return tmp_path / f"model{request.param}"


@pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5")
def test_all_weights_are_read(path, monkeypatch):
    read = []
    monkeypatch.setattr(hdf5_trial, "_read", read.append)

    hdf5_trial.read_all(path)

    assert len(read) == 1
