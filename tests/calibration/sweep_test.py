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
"""Models run over held data, with the masks that Keras gives values."""

import numpy as np
import pytest
from trained_models import pruned, randomized

from tfmot_sapp.calibration.data import held_batches
from tfmot_sapp.calibration.programs import program_of
from tfmot_sapp.calibration.sweep import Store, Sweep


@pytest.mark.parametrize("limit", [1e9, 0])
def test_masks_are_there_however_often_a_layer_is_run(keras, limit):
    layers = keras.layers
    words = keras.Input((None,), dtype="int32")
    x = layers.Embedding(20, 8, mask_zero=True)(words)
    attention = layers.MultiHeadAttention(2, 4)
    x = layers.Add()([x, attention(x, x)])
    model = keras.Model(words, layers.Dense(3)(x))
    data = np.array([[3, 4, 5, 0, 0], [6, 7, 8, 9, 1]])
    wanted = np.asarray(model(data))
    program = program_of(model)
    step = next(i for i, s in enumerate(program.steps) if s.layer is attention)

    with Store(limit) as store:
        batches, _ = held_batches(model, data, 2, store)
        sweep = Sweep([program, program], batches, store)
        sweep.advance(step)
        for owner in (attention._query_dense, attention._output_dense):
            reads = sweep.inputs_of([owner, owner], 0)
            np.testing.assert_array_equal(reads.mask, data != 0)
        ahead = sweep.fork()
        ahead.advance(step + 2)
        for each in (ahead, sweep, sweep):
            (found,) = each.outputs(1, 0)
            np.testing.assert_allclose(found, wanted, atol=1e-5)


def test_what_is_filled_up_to_a_length_is_no_data(keras):
    layers = keras.layers
    words = keras.Input((None,), dtype="int32")
    x = layers.Embedding(20, 8, mask_zero=True)(words)
    x = layers.Dense(8, "tanh", name="hidden")(x)
    model = keras.Model(words, layers.GlobalAveragePooling1D()(x))
    randomized(model)
    short = np.random.default_rng(0).integers(1, 20, (16, 5))
    padded = np.pad(short, [(0, 0), (0, 7)])

    one, other = (
        pruned(model, data, 0.5, {"hidden": (2, 2)}) for data in (short, padded)
    )

    np.testing.assert_allclose(
        np.asarray(other.get_layer("hidden").kernel),
        np.asarray(one.get_layer("hidden").kernel),
        atol=1e-5,
    )
