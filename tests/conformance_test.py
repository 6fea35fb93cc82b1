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
"""What holds for every scorer under every schedule.

A new scorer or schedule is one line in `SCORERS` or `SCHEDULES`.
"""

import dataclasses
import functools
import itertools

import numpy as np
import pytest

import tfmot_sapp as sapp
from tfmot_sapp.blocks.selection import kept_blocks
from tfmot_sapp.frameworks.which_keras import keras_of

SCORERS = {
    "attention": sapp.SequentialAttention(),
    "attention_per_output": sapp.SequentialAttention(per_output=True),
    "attention_times_norm": sapp.SequentialAttention(times=sapp.Magnitude()),
    "attention_times_taylor": sapp.SequentialAttention(times=sapp.Taylor()),
    "magnitude": sapp.Magnitude(),
    "largest_weight": sapp.Magnitude(order=float("inf")),
    "power_propagation": sapp.PowerPropagation(),
    "power_propagation_elementwise": sapp.PowerPropagation(3, True),
    "movement": sapp.Movement(),
    "taylor": sapp.Taylor(),
    "second_moment": sapp.SecondMoment(),
    "diff_prune_moments": sapp.DiffPrune(),
    "diff_prune_sigmoid": sapp.DiffPrune("sigmoid", stochastic=True),
    "hard_concrete": sapp.HardConcrete(),
}

STEPS, PER_EPOCH = 16, 2
EPOCHS = STEPS // PER_EPOCH
# Ends of epochs in the dense, the sparsification and the sparse phase.
SAVED = 1, 4, 7
SCHEDULES = {
    "constant": lambda s: sapp.ConstantSparsity(s, 3, frequency=2),
    "polynomial": lambda s: sapp.PolynomialDecay(0.0, s, 2, 12, frequency=3),
    "attention": lambda s: sapp.SequentialAttentionSchedule(
        s, STEPS, cycles=1, reset_optimizer=True
    ),
    "acdc": lambda s: sapp.ACDCSchedule(s, STEPS, cycles=2),
    "early_ramp": lambda s: sapp.EarlyRamp(s, STEPS),
    "one_shot": lambda s: sapp.OneShot(s, STEPS),
    "swaps": lambda s: sapp.BlockSwaps(
        sapp.EarlyRamp(s, STEPS), fraction=0.8, frequency=2
    ),
}

# What a mode of training, or the second Keras, does depends on the scorer alone
# or on the schedule alone: there each of either is enough. So it is for a
# scorer that differs from another one in a formula alone.
SOME = list(zip(SCORERS, itertools.cycle(SCHEDULES)))
ALIKE = {
    "attention_per_output",
    "attention_times_norm",
    "largest_weight",
    "power_propagation_elementwise",
}
PAIRS = [
    pytest.param(name, scorer, schedule, id=f"{name}-{scorer}-{schedule}")
    for name, scorer, schedule in itertools.product(
        ("keras", "tf_keras"), SCORERS, SCHEDULES
    )
    if (scorer, schedule) in SOME or (name == "keras" and scorer not in ALIKE)
]
# Both half precisions for each scorer and each schedule, one in each Keras.
HALVES = [
    pytest.param(name, scorer, schedule, policy, place, id=f"{scorer}-{policy}")
    for i, name in enumerate(("keras", "tf_keras"))
    for j, (scorer, schedule) in enumerate(SOME)
    for policy, place in [
        [("mixed_bfloat16", 2**-7), ("mixed_float16", 2**-10)][(i + j) % 2]
    ]
]
SPARSITY = 0.7


def make_data():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(8, 10)).astype(np.float32)
    return x, (x @ rng.normal(size=(10, 9))).astype(np.float32)


def make_dense(keras):
    keras.utils.set_random_seed(1)
    return keras.Sequential(
        [
            keras.Input((10,)),
            keras.layers.Dense(14, activation="tanh"),
            keras.layers.Dense(9),
        ]
    )


def make_model(keras, scorer, schedule, sparsity=SPARSITY, **compiling):
    dense = make_dense(keras)
    keras.utils.set_random_seed(2)
    model = sapp.prune_blocks(
        dense,
        SCHEDULES[schedule](sparsity),
        (4, 3),
        SCORERS[scorer],
        pruning_policy=sapp.MinimumBlocks(1),
    )
    model.compile(keras.optimizers.Adam(0.01), "mse", **compiling)
    return dense, model


def train(model, begin=0, end=EPOCHS, callbacks=()):
    x, y = make_data()
    model.fit(
        x,
        y,
        batch_size=len(x) // PER_EPOCH,
        initial_epoch=begin,
        epochs=end,
        shuffle=False,
        verbose=0,
        callbacks=list(callbacks),
    )
    return model


def fit(model, begin=0, end=EPOCHS, callbacks=()):
    return train(model, begin, end, [sapp.UpdatePruningStep(), *callbacks])


def check_exact(model):
    rows = sapp.report(model).pruned
    assert len(rows) == 2
    for row in rows:
        assert row.kept == kept_blocks(row.blocks, SPARSITY)


def assert_equal(some, others):
    """Asserts that two lists hold the same arrays, to the bit."""
    for one, other in zip(some, others, strict=True):
        np.testing.assert_array_equal(one, other)


def state(model):
    """Returns all that training changes, as arrays."""
    variables = (*model.weights, *model.optimizer.variables)
    return [variable.numpy() for variable in variables]


def observer(keras, folder=None):
    """Returns a callback that notes states, and saves the model to `folder`."""

    class Observe(keras.callbacks.Callback):
        def __init__(self):
            super().__init__()
            self.states = {}

        def on_epoch_end(self, epoch, logs=None):
            self.states[epoch + 1] = state(self.model)
            if folder is not None and epoch + 1 in SAVED:
                self.model.save(folder / f"{epoch + 1}.keras")

    return Observe()


@functools.cache
def trained_dense(keras):
    """Returns the weights that the same training gives the dense model."""
    dense = make_dense(keras)
    dense.compile(keras.optimizers.Adam(0.01), "mse", run_eagerly=True)
    return train(dense).get_weights()


@pytest.mark.parametrize("keras, scorer, schedule", PAIRS, indirect=["keras"])
def test_training_stops_resumes_and_strips(
    keras, scorer, schedule, assert_close, tmp_path
):
    _, model = make_model(keras, scorer, schedule, run_eagerly=True)
    x, _ = make_data()

    whole = observer(keras, tmp_path)
    fit(model, callbacks=[whole])

    check_exact(model)
    outputs = model.predict(x, verbose=0)
    stripped = sapp.strip_pruning(model)
    assert_close(stripped.predict(x, verbose=0), outputs)
    for row in sapp.report(stripped).pruned:
        (kernel,) = [
            layer.kernel.numpy()
            for layer in stripped.layers
            if layer.name == row.name
        ]
        zero = np.repeat(np.repeat(~row.mask, 4, 0), 3, 1)
        assert not np.any(kernel[zero[: kernel.shape[0], : kernel.shape[1]]])
    for begin, end in itertools.pairwise((*SAVED, EPOCHS)):
        resumed = keras.models.load_model(tmp_path / f"{begin}.keras")
        resumed.run_eagerly = True
        again = observer(keras)
        fit(resumed, begin, end, [again])
        assert_equal(again.states[end], whole.states[end])
    assert_equal(state(resumed), state(model))


@pytest.mark.parametrize("scorer, schedule", SOME)
def test_zero_sparsity_is_the_dense_model_to_the_bit(keras, scorer, schedule):
    _, model = make_model(keras, scorer, schedule, 0.0, run_eagerly=True)
    for layer in model.layers:
        # A schedule that resets the optimizer does so at any sparsity.
        schedule = getattr(layer, "pruning_schedule", None)
        if getattr(schedule, "reset_optimizer", False):
            layer.pruning_schedule = dataclasses.replace(
                schedule, reset_optimizer=False
            )
    fit(model)

    stripped = sapp.strip_pruning(model)

    assert_equal(stripped.get_weights(), trained_dense(keras))


@pytest.mark.parametrize("scorer, schedule", SOME)
def test_wrapping_leaves_an_inference_model_usable(keras, scorer, schedule):
    """Nothing needs the callback but training."""
    dense, model = make_model(keras, scorer, schedule)
    x, _ = make_data()

    outputs = model(x)

    assert np.all(np.isfinite(outputs))
    if "prune" not in scorer and "concrete" not in scorer:
        # Gates start half open; every other factor starts at one.
        np.testing.assert_allclose(outputs, dense(x), atol=1e-6)


@pytest.mark.parametrize("scorer, schedule", SOME)
def test_compiled_by_xla(keras, scorer, schedule):
    _, model = make_model(keras, scorer, schedule, jit_compile=True)

    check_exact(fit(model))


@pytest.mark.parametrize(
    "keras, scorer, schedule, policy, last_place", HALVES, indirect=["keras"]
)
def test_mixed_precision(
    keras, scorer, schedule, policy, last_place, assert_close
):
    set_policy = keras.mixed_precision.set_global_policy
    set_policy(policy)
    try:
        _, model = make_model(keras, scorer, schedule)
    finally:
        set_policy("float32")
    x, _ = make_data()

    fit(model)

    check_exact(model)
    stripped = sapp.strip_pruning(model)
    assert keras_of(stripped) is keras
    assert_close(stripped(x), model(x), 4 * last_place)


@pytest.mark.parametrize("scorer, schedule", SOME)
def test_plain_gradient_descent_of_several_steps_at_once(
    keras, scorer, schedule
):
    _, model = make_model(keras, scorer, schedule)
    optimizer = keras.optimizers.SGD(0.01, momentum=0.9)
    if scorer == "second_moment":
        # It needs an optimizer that has them, and says so.
        optimizer = keras.optimizers.Adam(0.01)
    model.compile(optimizer, "mse", steps_per_execution=2)

    check_exact(fit(model))


@pytest.mark.parametrize("scorer, schedule", SOME)
def test_distributed(keras, scorer, schedule):
    import tensorflow as tf

    strategy = tf.distribute.MirroredStrategy(["CPU:0"])
    with strategy.scope():
        _, model = make_model(keras, scorer, schedule)
        x, y = make_data()
        data = tf.data.Dataset.from_tensor_slices((x, y)).batch(4)
    model.fit(
        data,
        epochs=EPOCHS,
        shuffle=False,
        verbose=0,
        callbacks=[sapp.UpdatePruningStep()],
    )

    check_exact(model)


@pytest.mark.parametrize(
    "allocation",
    ["Uniform", "Balanced", "Bundled", "Grouped", "Global", "Connected"],
)
@pytest.mark.parametrize("scorer", SCORERS)
def test_any_allocation(scorer, allocation):
    import keras

    model = sapp.prune_blocks(
        make_dense(keras),
        sapp.EarlyRamp(SPARSITY, STEPS),
        (4, 3),
        SCORERS[scorer],
        allocation=getattr(sapp, f"{allocation}Allocation")(),
        pruning_policy=sapp.MinimumBlocks(1),
    )
    model.compile("adam", "mse")

    rows = sapp.report(fit(model)).pruned

    if allocation == "Global":
        blocks = sum(row.blocks for row in rows)
        kept = sum(row.kept for row in rows)
        assert kept == kept_blocks(blocks, SPARSITY)
    else:
        for row in rows:
            assert row.kept == kept_blocks(row.blocks, SPARSITY)
