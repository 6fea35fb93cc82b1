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
"""A value that one thread sees is hidden from others and leaves no trace."""

import threading

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

import tfmot_sapp as sapp
from tfmot_sapp.frameworks.thread_values import seen_as


class Holder:
    def __init__(self):
        self.value = "own"
        self.other = "own"


def test_a_thread_sees_its_own_value():
    holder = Holder()
    seen = []
    with seen_as(holder, "value", "mine"):
        thread = threading.Thread(target=lambda: seen.append(holder.value))
        thread.start()
        thread.join()
        seen.append(holder.value)
        with seen_as(holder, "value", "inner"), seen_as(holder, "other", 1):
            seen.append(holder.value)
        seen.append(holder.value)
    assert seen == ["own", "mine", "inner", "mine"]
    assert (holder.value, holder.other) == ("own", "own")
    assert type(holder) is Holder


def test_the_class_comes_back_after_an_error():
    holder = Holder()
    with pytest.raises(KeyError), seen_as(holder, "value", "mine"):
        raise KeyError
    assert type(holder) is Holder
    assert vars(holder) == {"value": "own", "other": "own"}


def test_threads_that_leave_in_any_order_leave_no_trace():
    holder = Holder()
    entered, leave = threading.Barrier(2), threading.Event()

    def first():
        with seen_as(holder, "value", 1):
            entered.wait()

    def second():
        with seen_as(holder, "value", 2):
            entered.wait()
            leave.wait()
            assert holder.value == 2

    threads = [threading.Thread(target=f) for f in (first, second)]
    for thread in threads:
        thread.start()
    threads[0].join()
    assert holder.value == "own"
    leave.set()
    threads[1].join()
    assert type(holder) is Holder


def test_a_wrapped_model_is_called_by_many_threads_at_once():
    model = sapp.prune_blocks(
        tf_keras.Sequential(
            [tf_keras.Input((16,)), tf_keras.layers.Dense(16, name="hidden")]
        ),
        sapp.SequentialAttentionSchedule(0.5, end_step=100),
        (8, 8),
        pruning_policy=sapp.MinimumBlocks(1),
    )
    hidden = model.layers[-1].layer
    kernel = hidden.kernel
    x = np.ones((2, 16), np.float32)
    expected = model(x).numpy()
    errors, start = [], threading.Barrier(4)

    def infer():
        start.wait()
        try:
            for _ in range(50):
                np.testing.assert_allclose(model(x), expected, rtol=1e-6)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=infer) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    assert hidden.kernel is kernel
    assert isinstance(kernel, tf.Variable)
    assert type(hidden) is tf_keras.layers.Dense
