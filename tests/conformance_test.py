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
"""What holds for every scorer under every schedule."""

import dataclasses
import functools
import itertools
import pathlib
import tempfile

import numpy as np
import pytest
from branches import (
    ALLOCATED,
    ALLOCATIONS,
    BESIDE,
    EPOCHS,
    HALVES,
    LAST_PLACES,
    OUTPUTS,
    PER_EPOCH,
    SAVED,
    SCHEDULES,
    SHARES,
    SOME,
    SPARSITY,
    assert_equal,
    branches_of,
    check_exact,
    compiled,
    fit,
    joined,
    make_branch,
    make_data,
    make_model,
    observer,
    outputs_of,
    prune,
    rows_of,
    train,
)

import tfmot_sapp as sapp
from tfmot_sapp.blocks.selection import kept_blocks
from tfmot_sapp.frameworks.which_keras import keras_of


@functools.cache
def stopped_and_resumed(keras, schedule):
    """Trains through, and from each stop to the next one."""
    model = make_model(keras, BESIDE[keras.__name__, schedule])
    # Of the optimizers with the moments that a scorer needs, the fastest and
    # the most used one.
    optimizer = "Adam" if schedule == "any" else "RMSprop"
    compiled(keras, model, optimizer, run_eagerly=True)
    parts = {}
    with tempfile.TemporaryDirectory() as folder:
        whole = observer(keras, pathlib.Path(folder))
        fit(model, callbacks=[whole])
        for begin, end in itertools.pairwise((*SAVED, EPOCHS)):
            resumed = keras.models.load_model(f"{folder}/{begin}.keras")
            resumed.run_eagerly = True
            parts[end] = observer(keras)
            fit(resumed, begin, end, [parts[end]])
    stripped = sapp.strip_pruning(model)
    reports = sapp.report(model), sapp.report(stripped)
    return model, stripped, reports, whole, parts


@pytest.mark.parametrize(
    "keras, together, scorer, schedule",
    [(*key, *pair) for key, pairs in BESIDE.items() for pair in pairs],
    indirect=["keras"],
)
def test_training_stops_resumes_and_strips(
    keras, together, scorer, schedule, assert_close
):
    pair, name = (scorer, schedule), f"{scorer}-{schedule}"
    pairs = BESIDE[keras.__name__, together]
    model, stripped, reports, whole, parts = stopped_and_resumed(
        keras, together
    )

    check_exact(reports[0], name)
    assert_close(
        outputs_of(stripped, pairs)[pair], outputs_of(model, pairs)[pair]
    )
    (row,) = rows_of(reports[1], name)
    kernel = stripped.get_layer(name).layers[-1].kernel.numpy()
    zero = np.repeat(np.repeat(~row.mask, 4, 0), 3, 1)
    assert not np.any(kernel[zero[: kernel.shape[0], : kernel.shape[1]]])
    assert set(parts) == {*SAVED[1:], EPOCHS}
    for end, part in parts.items():
        assert_equal(part.branches[end][name], whole.branches[end][name])
        # Those of all branches.
        assert_equal(part.optimizers[end], whole.optimizers[end])


# Each pair under one of the two.
in_shares = pytest.mark.parametrize(
    "keras, scorer, schedule",
    [(name, *pair) for name, pairs in SHARES.items() for pair in pairs],
    indirect=["keras"],
)


@functools.cache
def of_zero_sparsity(keras):
    """Returns the weights of the branches, pruned to 0 %, and of dense ones."""

    def without_resets(name):
        # A schedule that resets the optimizer does so at any sparsity.
        schedule = SCHEDULES[name](0.0)
        if getattr(schedule, "reset_optimizer", False):
            schedule = dataclasses.replace(schedule, reset_optimizer=False)
        return schedule

    pairs = SHARES[keras.__name__]
    pruned = make_model(keras, pairs, make_schedule=without_resets)
    fit(compiled(keras, pruned, run_eagerly=True))
    dense = joined(
        keras, [make_branch(keras, "-".join(pair)) for pair in pairs]
    )
    train(compiled(keras, dense, run_eagerly=True))
    return branches_of(sapp.strip_pruning(pruned)), branches_of(dense)


@in_shares
def test_zero_sparsity_is_the_dense_model_to_the_bit(keras, scorer, schedule):
    pruned, dense = of_zero_sparsity(keras)

    name = f"{scorer}-{schedule}"
    assert_equal(pruned[name], dense[name])


@pytest.mark.parametrize("scorer, schedule", SOME)
def test_wrapping_leaves_an_inference_model_usable(keras, scorer, schedule):
    """Nothing needs the callback but training."""
    dense = make_branch(keras, "dense")
    model = prune(dense, scorer, SCHEDULES[schedule](SPARSITY))
    x, _ = make_data()

    outputs = model(x)

    assert np.all(np.isfinite(outputs))
    if "prune" not in scorer and "concrete" not in scorer:
        # Gates start half open; every other factor starts at one.
        np.testing.assert_allclose(outputs, dense(x), atol=1e-6)


@functools.cache
def compiled_by_xla(keras):
    model = make_model(keras, SHARES[keras.__name__])
    return sapp.report(fit(compiled(keras, model, jit_compile=True)))


@in_shares
def test_compiled_by_xla(keras, scorer, schedule):
    check_exact(compiled_by_xla(keras), f"{scorer}-{schedule}")


@functools.cache
def in_mixed_precision(keras, policy):
    set_policy = keras.mixed_precision.set_global_policy
    set_policy(policy)
    try:
        model = make_model(keras, HALVES[keras.__name__, policy])
        compiled(keras, model)
    finally:
        set_policy("float32")
    return sapp.report(fit(model)), model, sapp.strip_pruning(model)


@pytest.mark.parametrize(
    "keras, policy, scorer, schedule",
    [(*key, *pair) for key, pairs in HALVES.items() for pair in pairs],
    indirect=["keras"],
)
def test_mixed_precision(keras, policy, scorer, schedule, assert_close):
    pair, pairs = (scorer, schedule), HALVES[keras.__name__, policy]
    report, model, stripped = in_mixed_precision(keras, policy)

    check_exact(report, f"{scorer}-{schedule}")
    assert keras_of(stripped) is keras
    assert_close(
        outputs_of(stripped, pairs)[pair],
        outputs_of(model, pairs)[pair],
        4 * LAST_PLACES[policy],
    )


@functools.cache
def distributed(keras, pairs):
    import tensorflow as tf

    strategy = tf.distribute.MirroredStrategy(["CPU:0"])
    with strategy.scope():
        model = make_model(keras, pairs)
        optimizer = keras.optimizers.SGD(0.01 * len(pairs), momentum=0.9)
        if any(scorer == "second_moment" for scorer, _ in pairs):
            # It needs an optimizer that has them, and says so.
            optimizer = keras.optimizers.Adam(0.01)
        model.compile(optimizer, "mse", steps_per_execution=2)
        data = tf.data.Dataset.from_tensor_slices(make_data(len(pairs)))
    model.fit(
        data.batch(4),
        epochs=EPOCHS,
        shuffle=False,
        verbose=0,
        callbacks=[sapp.UpdatePruningStep()],
    )
    return sapp.report(model)


@in_shares
def test_distributed_plain_gradient_descent_of_several_steps_at_once(
    keras, scorer, schedule
):
    alike = scorer == "second_moment"
    pairs = [
        pair
        for pair in SHARES[keras.__name__]
        if (pair[0] == "second_moment") == alike
    ]

    report = distributed(keras, tuple(pairs))

    check_exact(report, f"{scorer}-{schedule}")


@functools.cache
def with_allocations():
    import keras

    # Kernels with one schedule and one allocation share their blocks out among
    # each other, so every scorer has a schedule of its own.
    branches = [
        prune(
            make_branch(keras, f"{scorer}-{name}", (14, OUTPUTS)),
            scorer,
            sapp.EarlyRamp(SPARSITY, 3 * PER_EPOCH + i),
            allocation=ALLOCATIONS[name],
        )
        for i, (scorer, name) in enumerate(ALLOCATED)
    ]
    model = compiled(keras, joined(keras, branches), run_eagerly=True)
    return sapp.report(fit(model, end=3))


@pytest.mark.parametrize("scorer, allocation", ALLOCATED)
def test_any_allocation(scorer, allocation):
    rows = rows_of(with_allocations(), f"{scorer}-{allocation}")

    assert len(rows) == 2
    if allocation == "global":
        blocks = sum(row.blocks for row in rows)
        kept = sum(row.kept for row in rows)
        assert kept == kept_blocks(blocks, SPARSITY)
    else:
        for row in rows:
            assert row.kept == kept_blocks(row.blocks, SPARSITY)
