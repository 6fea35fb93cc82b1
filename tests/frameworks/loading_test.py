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
"""A model's file is read by another process before it is read by this one."""

import keras
import pytest

from tfmot_sapp.base import hdf5_trial
from tfmot_sapp.frameworks.loading import load_model


@pytest.fixture(params=[".keras", ".h5"])
def path(request, tmp_path):
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(4)])
    model.save(tmp_path / f"model{request.param}")
    return tmp_path / f"model{request.param}"


@pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5")
@pytest.mark.parametrize(
    ("program", "words"),
    [
        ("import time; time.sleep(60)", "took more than"),
        ("import os; os.abort()", "ended the process"),
    ],
)
def test_what_hangs_or_ends_a_process_is_refused(
    path, program, words, monkeypatch
):
    hdf5_trial.check_readable(path)
    monkeypatch.setattr(hdf5_trial, "_SECONDS", 0.5)
    monkeypatch.setattr(hdf5_trial, "_PROGRAM", program)

    with pytest.raises(ValueError, match=words) as error:
        load_model(path)

    assert path.name in str(error.value)
    assert "save the model again" in str(error.value)


def test_all_weights_are_read(path, monkeypatch):
    read = []
    monkeypatch.setattr(hdf5_trial, "_read", read.append)

    hdf5_trial.read_all(path)

    assert len(read) == 1
