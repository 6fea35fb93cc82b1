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
"""Gradients are `None` where TensorFlow has none."""

import numpy as np
import pytest
import tensorflow as tf

from tfmot_sapp.frameworks.gradients import gradients_if_any


@tf.custom_gradient
def _refused(x):
    def gradient(upstream):
        raise tf.errors.InvalidArgumentError(None, None, "not on this CPU")

    return 2.0 * x, gradient


def _without_gradient(x):
    return tf.raw_ops.AdjustHue(images=x, delta=0.1)


@pytest.mark.parametrize(
    "operation, expected",
    [(tf.square, [[6.0], None]), (_refused, None), (_without_gradient, None)],
)
def test_gradients_if_any(operation, expected):
    x, other = tf.constant([3.0, 3.0, 3.0])[None, None], tf.constant(1.0)
    with tf.GradientTape() as tape:
        tape.watch([x, other])
        total = tf.reduce_sum(operation(x))

    found = gradients_if_any(tape, total, [x, other])

    if expected is None:
        assert found is None
    else:
        assert found[1] is None
        np.testing.assert_array_equal(found[0], [[[6.0, 6.0, 6.0]]])
