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
"""The legacy optimizers of tf_keras, which keep their state by other names."""

import numpy as np
import pytest
import tf_keras

import tfmot_sapp as sapp


@pytest.mark.parametrize("reset", [False, True], ids=["plain", "reset"])
@pytest.mark.parametrize("name", ["Adam", "SGD"])
def test_legacy_optimizers_of_tf_keras_prune_and_reset(name, reset):
    schedule = sapp.SequentialAttentionSchedule(0.75, 8, reset_optimizer=reset)
    rate = tf_keras.optimizers.schedules.CosineDecay(0.05, 16)
    model = sapp.prune_blocks(
        tf_keras.Sequential([tf_keras.Input((16,)), tf_keras.layers.Dense(8)]),
        schedule,
        (4, 4),
        pruning_policy=sapp.MinimumBlocks(4),
    )
    model.compile(getattr(tf_keras.optimizers.legacy, name)(rate), "mse")
    optimizer = model.optimizer
    rates = []

    class Record(tf_keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            schedule = optimizer._hyper["learning_rate"]
            rates.append(float(schedule(optimizer.iterations)))

    x = np.random.default_rng(0).normal(size=(16, 16))
    y = x[:, :8]

    model.fit(
        x,
        y,
        batch_size=4,
        epochs=3,
        verbose=0,
        callbacks=[sapp.UpdatePruningStep(), Record()],
    )

    (row,) = sapp.report(model).rows
    assert (row.kept, row.blocks) == (2, 8)
    assert (int(optimizer.iterations) < 12) == reset
    # The rate goes on, whatever is reset.
    expected = [float(rate(step)) for step in range(1, 13)]
    np.testing.assert_allclose(rates, expected, rtol=1e-5)
    assert optimizer._hyper["learning_rate"] is rate
