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
"""Axes that a model leaves open, and not for any extent."""

import keras
import numpy as np
import pytest

from tfmot_sapp.export.benchmark.loaded_model import (
    load_file,
    load_saved_model,
)
from tfmot_sapp.export.open_extents import at_open_extent
from tfmot_sapp.export.saved_model import export_saved_model
from tfmot_sapp.export.tflite.file import export_tflite
from tfmot_sapp.verbs.pack import pack_blocks


class Positions(keras.layers.Layer):
    """Adds one of at most 16 positions."""

    def build(self, shape):
        self.table = self.add_weight(shape=(16, shape[-1]), name="table")

    def call(self, x):
        return x + self.table[: keras.ops.shape(x)[1]]


def test_a_model_of_short_sequences_is_packed_exported_and_timed(tmp_path):
    inputs = keras.Input((None, 8))
    outputs = keras.layers.Dense(4)(Positions()(inputs))
    model = keras.Model(inputs, outputs)

    export_tflite(pack_blocks(model), tmp_path / "model.tflite")
    export_saved_model(model, tmp_path / "served")

    generator = np.random.default_rng(0)
    load_file(tmp_path / "model.tflite", 1, 1, generator).call()
    load_saved_model(tmp_path / "served", 1, 1, generator).call()


def test_the_usual_extent_comes_first_and_the_first_failure_is_told():
    tried = []

    def attempt(extent):
        tried.append(extent)
        if extent != 4:
            raise ValueError(f"not {extent}")
        return np.zeros(extent)

    assert at_open_extent(attempt, True, (ValueError,)).shape == (4,)
    assert tried == [32, 16, 8, 4]
    with pytest.raises(ValueError, match="not 32"):
        at_open_extent(attempt, False, (ValueError,))
