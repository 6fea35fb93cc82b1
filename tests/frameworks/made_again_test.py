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
"""Optimizers and metrics made again do what the others did at first."""

import importlib

import numpy as np
import pytest
import tensorflow as tf
from compiled_models import X, Y, absolute_error, assert_unused, mlp, prune

import tfmot_sapp as sapp
from tfmot_sapp.frameworks.made_again import metric_again, optimizer_again


class NoConfig:
    """A schedule as tutorials write it."""

    def __init__(self, rate):
        self.rate = rate

    def __call__(self, step):
        return self.rate / (1.0 + tf.cast(step, tf.float32))


def schedule_without_config(keras):
    base = keras.optimizers.schedules.LearningRateSchedule
    return type("Own", (NoConfig, base), {})(0.25)


def scaled(keras):
    scaled = (
        keras.optimizers if keras.__name__ == "keras" else keras.mixed_precision
    ).LossScaleOptimizer
    inner = keras.optimizers.Adam(schedule_without_config(keras))
    return scaled(inner, initial_scale=8.0, dynamic_growth_steps=3)


OPTIMIZERS = {
    "schedule": lambda keras: keras.optimizers.SGD(
        keras.optimizers.schedules.ExponentialDecay(0.25, 10, 0.5)
    ),
    "schedule_without_config": lambda keras: keras.optimizers.RMSprop(
        schedule_without_config(keras), momentum=0.5
    ),
    "scaled": scaled,
    "averages": lambda keras: keras.optimizers.Nadam(
        0.25, use_ema=True, ema_momentum=0.5, ema_overwrite_frequency=3
    ),
    "clipped": lambda keras: keras.optimizers.Adagrad(0.25, clipnorm=0.5),
    "adafactor": lambda keras: keras.optimizers.Adafactor(0.25),
    "accumulated": lambda keras: keras.optimizers.Adam(
        0.25, gradient_accumulation_steps=3
    ),
    "several": lambda keras: keras.optimizers.MultiOptimizer(
        keras.optimizers.OptimizerMap(
            keras.optimizers.SGD(0.25), {".*bias": keras.optimizers.Adam(0.5)}
        )
    ),
    "callable": lambda keras: keras.optimizers.Adam(lambda: 0.25),
    "legacy": lambda keras: keras.optimizers.legacy.SGD(
        0.25, momentum=0.5, nesterov=True
    ),
    "legacy_transformed": lambda keras: keras.optimizers.legacy.Adam(
        schedule_without_config(keras),
        gradient_transformers=[
            lambda pairs: [(2.0 * gradient, v) for gradient, v in pairs]
        ],
    ),
}
ONLY = {
    "keras": {"accumulated", "several", "callable"},
    "tf_keras": {"legacy", "legacy_transformed"},
}


@pytest.mark.parametrize("kind", OPTIMIZERS)
def test_an_optimizer_made_again_does_the_same(keras, kind):
    """Two weights take the same steps with it as with the original."""
    (other,) = set(ONLY) - {keras.__name__}
    if kind in ONLY[other] or (
        kind == "several" and not hasattr(keras.optimizers, "MultiOptimizer")
    ):
        pytest.skip(f"{keras.__name__} has none.")
    make = keras.Variable if keras.__name__ == "keras" else tf.Variable

    def steps(optimizer):
        weights = [make(np.ones((3, 2), np.float32)) for _ in range(2)]
        for step in range(4):
            gradients = [tf.fill((3, 2), 0.5 + step), tf.fill((3, 2), -0.5)]
            optimizer.apply_gradients(zip(gradients, weights))
        return np.stack([np.array(weight) for weight in weights])

    original = OPTIMIZERS[kind](keras)
    expected = steps(original)
    assert np.ptp(expected) > 0
    again = optimizer_again(original, [], lambda variable: None)
    assert_unused(again, original)
    np.testing.assert_array_equal(steps(again), expected)
    # Nothing was taken from the original for long.
    np.testing.assert_array_equal(
        steps(optimizer_again(original, [], lambda variable: None)), expected
    )


def test_the_same_weights_do_not_decay(keras):
    model = mlp(keras)
    optimizer = keras.optimizers.AdamW(1.0, weight_decay=0.5)
    optimizer.exclude_from_weight_decay(
        var_list=[model.layers[-1].kernel], var_names=["bias"]
    )
    model.set_weights([np.ones(w.shape) for w in model.get_weights()])
    # No gradient, so that weights change by their decay alone.
    model.compile(optimizer, "mse", loss_weights=0.0, run_eagerly=True)
    wrapped = prune(model, scorer=sapp.Magnitude())
    stripped = sapp.strip_pruning(wrapped)
    driver = sapp.UpdatePruningStep()
    for copy in (wrapped, stripped):
        copy.fit(X, Y, verbose=0, callbacks=[driver] if copy is wrapped else [])
        # Beside removed blocks.
        found = [float(np.max(w)) for w in copy.trainable_weights]
        assert found == [0.5, 1.0, 1.0, 1.0]


@pytest.fixture
def half_precision(keras):
    if keras.__name__ == "keras":
        put = keras.config.set_dtype_policy
    else:
        put = keras.mixed_precision.set_global_policy
    put("mixed_float16")
    yield keras
    put("float32")


def test_losses_are_scaled_once(half_precision):
    keras = half_precision
    model = mlp(keras)
    model.compile(keras.optimizers.SGD(0.25), "mse")
    copy = sapp.strip_pruning(prune(model))
    assert_unused(copy.optimizer, model.optimizer)
    assert_unused(
        copy.optimizer.inner_optimizer, model.optimizer.inner_optimizer
    )
    assert isinstance(copy.optimizer.inner_optimizer, keras.optimizers.SGD)
    if keras.__name__ == "keras":
        model.compile("sgd", "mse", auto_scale_loss=False)
        assert isinstance(prune(model).optimizer, keras.optimizers.SGD)


@pytest.mark.parametrize("registered", [False, True])
def test_metrics_of_functions_are_made_again(keras, registered):
    module = importlib.import_module(f"{keras.__name__}.metrics")
    function = module.mean_squared_error if registered else absolute_error
    metric = module.MeanMetricWrapper(function, name="mine")
    metric.update_state(Y, 2 * Y)
    again = metric_again(metric)
    assert again.name == "mine"
    assert float(again.result()) == 0.0
    again.update_state(Y, 2 * Y)
    assert float(again.result()) == float(metric.result()) > 0
