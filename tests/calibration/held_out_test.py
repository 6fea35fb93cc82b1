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
"""What is held out, and how many samples of it layers are weighed by."""

import numpy as np
import pytest
from trained_models import normal

from tfmot_sapp.calibration.data import held_batches
from tfmot_sapp.calibration.held_out import (
    held_out_batches,
    in_parts,
    probed_samples,
)
from tfmot_sapp.calibration.sweep import Store


@pytest.mark.parametrize(
    ("sizes", "held_out"),
    [
        ([16] * 8, [6, 7]),
        ([32] * 3, [2]),
        ([32, 32, 32, 4], [2, 3]),
        ([64, 6], [1]),
        ([128], []),
        ([16, 16, 16, 15], []),
    ],
)
def test_about_a_quarter_is_held_out(sizes, held_out):
    assert held_out_batches(sizes) == held_out


def _model(keras, samples=None):
    inputs = keras.Input(batch_shape=(samples, 4))
    return keras.Model(inputs, keras.layers.Dense(3)(inputs))


@pytest.mark.parametrize(
    ("samples", "size", "probed", "sizes"),
    [
        (128, 32, 64, [32, 32, 32, 32]),
        (128, 32, 10, [32, 32, 32, 10, 22]),
        (256, 32, 16, [32] * 6 + [16, 16, 32]),
        (128, 128, 32, [32, 32, 32, 32]),
        (128, 128, 4, [32, 32, 32, 4, 28]),
        # None are held out: the first are run.
        (40, 20, 8, [8, 12, 20]),
        (1, 20, 8, [1]),
    ],
)
def test_few_samples_are_a_batch_of_their_own(
    keras, samples, size, probed, sizes
):
    model = _model(keras)
    data = normal(samples, 4)
    with Store() as store:
        batches, _ = held_batches(model, data, size, store)
        parts = in_parts(model, batches, store, probed)
        assert [part[0].samples for part in parts] == sizes
        together = np.concatenate([part[0].get() for part in parts])
    np.testing.assert_array_equal(together, data)
    held_out = held_out_batches(sizes)
    first = sizes[(held_out or [0])[0]]
    assert first == min(probed, size, samples, 32)


def test_a_model_of_so_many_samples_takes_no_fewer(keras):
    model = _model(keras, 32)
    with Store() as store:
        batches, _ = held_batches(model, normal(128, 4), 32, store)
        assert in_parts(model, batches, store, 4) is batches


@pytest.mark.parametrize("kernels", [1, 16, 17, 64, 100, 256])
def test_with_more_kernels_each_is_weighed_by_fewer_samples(kernels):
    samples = probed_samples(kernels)
    assert 4 <= samples <= 64
    # What is run for all of them does not grow with the square.
    assert kernels * samples <= 1024
