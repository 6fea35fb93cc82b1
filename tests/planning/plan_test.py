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
"""A plan meets its budget, says why, and goes into what prunes."""

import itertools
import json

import keras
import numpy as np
import pytest

import tfmot_sapp as sapp
from tfmot_sapp import LatencyBudget
from tfmot_sapp.compiler.choose.layer_options import (
    LayerShape,
    blocked_time,
    dense_time,
    grouped_time,
)
from tfmot_sapp.compiler.pack_keras import estimate
from tfmot_sapp.planning.layer_times import MeasuredTimes
from tfmot_sapp.planning.layers import find_layers
from tfmot_sapp.planning.losses import (
    block_energy,
    expected_loss,
    expected_loss_of_groups,
)
from tfmot_sapp.planning.options import Option, chosen


@pytest.fixture(scope="module")
def model():
    layers = keras.layers
    keras.utils.set_random_seed(0)
    inputs = keras.Input((14, 14, 128))
    x = layers.Conv2D(256, 3, padding="same", name="wide")(inputs)
    x = layers.ReLU()(layers.BatchNormalization()(x))
    x = layers.Conv2D(256, 1, activation="relu", name="pointwise")(x)
    x = layers.Conv2D(8, 1, name="narrow")(x)
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(inputs, layers.Dense(10, name="classes")(x))


def with_masks(model, plan):
    """A copy with blocks gone as a trained model's would be."""
    schedule = sapp.OneShot(0.9, 1, 0, 0.0)
    pruned = sapp.prune_blocks(model, schedule, scorer=sapp.Magnitude(), **plan)
    pruned.compile("sgd", "mse", run_eagerly=True)
    x = np.zeros((1, 14, 14, 128), np.float32)
    pruned.fit(
        x,
        np.zeros((1, 10)),
        epochs=2,
        verbose=0,
        callbacks=[sapp.UpdatePruningStep()],
    )
    return sapp.strip_pruning(pruned)


@pytest.mark.parametrize("threads, speedup", [(1, 1.5), (1, 3.0), (2, 2.0)])
def test_the_packed_model_meets_the_budget(model, threads, speedup):
    target = sapp.CpuTarget(threads)

    plan = sapp.plan_pruning(model, LatencyBudget(speedup=speedup), target)

    # A model of two layers has only so many plans.
    assert 0.99 * speedup <= plan.speedup <= 1.25 * speedup
    stripped = with_masks(model, plan)
    sparsities = {
        row.name: row.sparsity for row in sapp.report(stripped).pruned
    }
    for layer in plan.layers:
        if layer.block_size:
            assert sparsities[layer.name] == pytest.approx(
                layer.sparsity, abs=0.02
            )
        else:
            assert layer.name not in sparsities
    found = estimate(stripped, 1, target)
    assert found.dense / found.packed == pytest.approx(plan.speedup, rel=0.2)


def test_several_threads_get_groups():
    layers = keras.layers
    keras.utils.set_random_seed(0)
    inputs = keras.Input((128, 256))
    x = layers.Dense(1024, activation="relu", name="up")(inputs)
    model = keras.Model(inputs, layers.Dense(256, name="down")(x))
    target = sapp.CpuTarget(4)

    plan = sapp.plan_pruning(model, LatencyBudget(speedup=2.5), target)

    allocation = plan["allocation"]
    assert isinstance(allocation, sapp.GroupedAllocation)
    # The order of what comes in and goes out is not ours to change.
    (first, made), (read, last) = (
        allocation.channels[name] for name in ("up", "down")
    )
    assert first is None and last is None and made == read is not None
    schedule = sapp.OneShot(0.9, 1, 0, 0.0)
    pruned = sapp.prune_blocks(model, schedule, scorer=sapp.Magnitude(), **plan)
    pruned.compile("sgd", "mse", run_eagerly=True)
    pruned.fit(
        *(np.zeros((1, 128, 256), np.float32) for _ in range(2)),
        epochs=2,
        verbose=0,
        callbacks=[sapp.UpdatePruningStep()],
    )
    stripped = sapp.strip_pruning(pruned)
    groups = plan.layers[0].groups
    side = 256 // groups
    kernel = np.array(stripped.get_layer("up").kernel)
    for i in range(groups):
        makes = kernel[i * side : (i + 1) * side].any(axis=0)
        assert makes.sum() == 1024 // groups
    found = estimate(stripped, 1, target)
    assert found.dense / found.packed == pytest.approx(plan.speedup, rel=0.01)
    assert f"{groups} groups" in str(plan)

    # Two numbers of groups come closer than one.
    plan = sapp.plan_pruning(model, LatencyBudget(speedup=1.6), target)
    up, down = plan.layers
    assert (up.groups, down.groups) in [(4, 2), (2, 4)]
    assert 1.6 <= plan.speedup <= 1.8


def test_layers_that_gain_nothing_stay_dense(model):
    plan = sapp.plan_pruning(model, LatencyBudget(speedup=2.0))

    by_name = {layer.name: layer for layer in plan.layers}
    assert list(by_name) == ["wide", "pointwise", "narrow", "classes"]
    assert by_name["wide"].block_size and by_name["wide"].sparsity > 0.3
    for name in ("narrow", "classes"):
        assert by_name[name].block_size is None
        assert by_name[name].before == by_name[name].after
    assert set(plan) == {"block_size", "allocation", "pruning_policy"}
    text = str(plan)
    for part in ("3x3 128-256", "stays dense", "estimated", "whole model"):
        assert part in text


def test_units_meet_the_same_budget(model):
    plan = sapp.plan_pruning(model, LatencyBudget(speedup=2.0))

    smaller = sapp.prune_structured(
        model,
        np.ones((4, 14, 14, 128), np.float32),
        plan.keep,
        sapp.UnitMagnitude(),
        verbose=False,
    )

    before, after = (
        sum(
            dense_time(kernel.shape, sapp.CpuTarget())
            for kernel in find_layers(each, 1)
        )
        for each in (model, smaller)
    )
    assert before / after == pytest.approx(2.0, rel=0.1)


def test_a_size(model):
    plan = sapp.plan_pruning(model, sapp.SizeBudget(0.5))

    assert 0.45e6 < plan.packed_bytes <= 0.5e6 < plan.dense_bytes
    kernels = find_layers(with_masks(model, plan), 1)
    stored = 4 * sum(np.count_nonzero(k.weights()) for k in kernels)
    assert stored <= plan.packed_bytes


def test_data_weigh_layers(model):
    """A layer that reads nothing has nothing to lose."""
    x = np.random.default_rng(0).normal(size=(8, 14, 14, 128))
    x[..., 32:] = 0

    blind, seeing = (
        sapp.plan_pruning(model, LatencyBudget(speedup=1.5), data=data).layers[
            0
        ]
        for data in (None, x.astype(np.float32))
    )

    assert seeing.after < 0.6 * seeing.before
    assert seeing.why.endswith("loss of 0.0")
    assert not blind.why.endswith("loss of 0.0")


def test_what_cannot_be_met(model):
    with pytest.raises(ValueError, match="`budget` can't be met") as raised:
        sapp.plan_pruning(model, LatencyBudget(speedup=100.0))
    assert "Received: " in str(raised.value)
    with pytest.raises(ValueError, match="`budget` can't be met"):
        sapp.plan_pruning(model, sapp.SizeBudget(0.01))
    with pytest.raises(ValueError, match="`budget` must need some layer"):
        sapp.plan_pruning(model, LatencyBudget(milliseconds=1000.0))
    with pytest.raises(ValueError, match="one of the two"):
        LatencyBudget()
    with pytest.raises(ValueError, match="`measure` must be left out"):
        sapp.plan_pruning(
            model, LatencyBudget(speedup=2.0), sapp.GpuTarget(), measure=True
        )
    with pytest.raises(ValueError, match="`cache` is for times"):
        sapp.plan_pruning(model, LatencyBudget(speedup=2.0), cache="a.json")


def test_measured_times_are_carried_to_another_machine(model, tmp_path):
    """What stands in the file is not measured again."""
    path = tmp_path / "times.json"
    layers = {}
    for kernel in find_layers(model, 1):
        shape = kernel.shape
        name = (
            f"{shape.rows:g} rows, {shape.taps} taps, "
            f"{shape.inputs} to {shape.outputs}"
        )
        # Twice as slow as the target's processor, and as blocks gain.
        layers[name] = {"dense": 2 * dense_time(shape, sapp.CpuTarget())}
        blocks = ("16x16", "16x32", "32x32")
        for block, sparsity in itertools.product(blocks, (0.75, 0.9, 0.95)):
            what = f"{block} {sparsity:g}"
            layers[name][what] = (1.1 - sparsity) * layers[name]["dense"]
    entry = {"processor": "another", "layers": layers}
    path.write_text(json.dumps({repr(sapp.CpuTarget()): entry}))
    before = path.read_bytes()

    plan = sapp.plan_pruning(
        model, LatencyBudget(speedup=2.0), measure=True, cache=path
    )

    assert path.read_bytes() == before
    estimated = sapp.plan_pruning(model, LatencyBudget(speedup=2.0))
    assert plan.dense_ms == pytest.approx(2 * estimated.dense_ms, rel=0.01)
    assert "measured on" in str(plan)
    path.write_text(
        '{"CpuTarget(threads=1)": {"layers": {"x": {"dense": -1}}}}'
    )
    with pytest.raises(ValueError, match="`cache` must be a file"):
        sapp.plan_pruning(
            model, LatencyBudget(speedup=2.0), measure=True, cache=path
        )


def test_a_layer_is_measured(tmp_path):
    layer = LayerShape(32, 0, 512, 256)
    path = tmp_path / "times.json"

    times = MeasuredTimes(sapp.CpuTarget(), path)

    dense = times.dense(layer)
    assert 0 < times.blocked(layer, (32, 32), 0.9) <= dense
    assert 0 < times.grouped(layer, 8) <= dense
    (known,) = json.loads(path.read_text())["CpuTarget(threads=1)"][
        "layers"
    ].values()
    assert known["dense"] == pytest.approx(dense)
    assert {*known} == {
        *("dense", "8 groups", "32x32 0.75", "32x32 0.9", "32x32 0.95")
    }
    again = MeasuredTimes(sapp.CpuTarget(), path)
    assert again.dense(layer) == pytest.approx(dense)


def test_the_best_of_all_choices():
    """Against every combination, for layers of few options."""
    rng = np.random.default_rng(0)
    for _ in range(20):
        options = [
            [
                Option(None, 0.0, 10 * rng.random(), 1.0, 5 * rng.random())
                for _ in range(3)
            ]
            for _ in range(4)
        ]
        budget = 0.6 * sum(
            max(o.microseconds for o in each) for each in options
        )
        combinations = [
            c
            for c in itertools.product(*options)
            if sum(o.microseconds for o in c) <= budget
        ]
        if not combinations:
            continue
        found = chosen(options, "microseconds", budget)
        assert sum(o.microseconds for o in found) <= budget
        best = min(sum(o.loss for o in c) for c in combinations)
        assert sum(o.loss for o in found) <= 1.05 * best + 1e-9


def test_losses_of_blocks():
    kernel = np.random.default_rng(0).normal(size=(9, 40, 50))
    moments = np.arange(40.0)
    energy = block_energy(kernel, (16, 32), moments)
    naive = np.zeros((3, 2))
    for i, j in itertools.product(range(40), range(50)):
        naive[i // 16, j // 32] += moments[i] * np.square(kernel[:, i, j]).sum()
    np.testing.assert_allclose(energy, naive)
    losses = [expected_loss(energy, s, (16, 32)) for s in (0.0, 0.5, 0.8)]
    assert losses[0] == 0 and losses == sorted(losses)
    assert expected_loss(np.ones(64), 0.75, (32, 32)) == pytest.approx(3.0)
    assert expected_loss(energy, 0.5, (32, 64)) > losses[1]
    # Of 2 groups of 4 x 4 blocks, by trying all.
    energy = np.random.default_rng(0).random((4, 4))
    halves = [np.isin(range(4), c) for c in itertools.combinations(range(4), 2)]
    kept = max(
        energy[np.equal.outer(rows, columns)].sum()
        for rows, columns in itertools.product(halves, halves)
    )
    assert expected_loss_of_groups(energy, 2, (32, 32)) == pytest.approx(
        (energy.sum() - kept) / kept
    )


def test_times_of_layers():
    target = sapp.CpuTarget()
    layer = LayerShape(196, 9, 256, 256)
    dense = dense_time(layer, target)
    times = [
        blocked_time(layer, (32, 32), s, target) for s in (0.0, 0.5, 0.75, 0.9)
    ]
    assert times == sorted(times, reverse=True)
    assert times[0] == dense and dense / times[-1] > 4
    alone = blocked_time(layer, (32, 32), 0.75, target, alone=True)
    assert times[2] < alone < dense
    several = sapp.CpuTarget(4)
    groups = [grouped_time(layer, n, several) for n in (1, 2, 4, 8)]
    assert groups == sorted(groups, reverse=True)
    assert groups[0] <= dense_time(layer, several) < dense
    assert groups[3] < blocked_time(layer, (32, 32), 0.875, several)
