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
"""What is said of single layers must be said of some that are there."""

import numpy as np
import pytest
import tensorflow as tf

import tfmot_sapp as sapp


def make_model(keras):
    return keras.Sequential(
        [
            keras.Input((16,)),
            keras.layers.Dense(16, name="hidden"),
            keras.layers.Dense(16, name="logits"),
        ]
    )


def prune(to_prune, **options):
    return sapp.prune_blocks(
        to_prune,
        sapp.OneShot(0.5, 4),
        **{
            "block_size": (4, 4),
            "pruning_policy": sapp.MinimumBlocks(1),
            **options,
        },
    )


@pytest.mark.parametrize(
    "allocation",
    [
        lambda targets: sapp.UniformAllocation(targets),
        lambda targets: sapp.BalancedAllocation(targets),
        lambda targets: sapp.ConnectedAllocation(
            sapp.UniformAllocation(targets)
        ),
    ],
)
def test_targets_name_kernels(keras, allocation):
    for targets in ({"typo": 0.9}, {"hidden": 0.5, "*_2": 0.9}):
        with pytest.raises(ValueError, match="`targets`.*hidden.*logits"):
            prune(make_model(keras), allocation=allocation(targets))
    for targets in ({"hidden": 0.9}, {"log*": 0.9, "*": 0.5}):
        prune(make_model(keras), allocation=allocation(targets))


def test_block_sizes_name_layers(keras):
    model = make_model(keras)

    for sizes in ({"typo": (4, 4)}, {"hidden": (4, 4), "typo*": (2, 2)}):
        with pytest.raises(ValueError, match="`block_size`.*typo"):
            prune(model, block_size=sizes)
        with pytest.raises(ValueError, match="`block_size`.*typo"):
            prune(model.layers, block_size=sizes)
    prune(model, block_size={"hid*": (4, 4)})


def test_a_target_may_be_that_of_a_kernel_that_is_too_small(keras):
    model = keras.Sequential(
        [
            keras.Input((16,)),
            keras.layers.Dense(16, name="hidden"),
            keras.layers.Dense(4, name="small"),
        ]
    )

    pruned = prune(
        model,
        allocation=sapp.UniformAllocation({"small": 0.25}),
        pruning_policy=sapp.MinimumBlocks(5),
    )

    assert list(sapp.report(pruned).skipped) == ["small"]


@pytest.mark.parametrize(
    "scorer",
    [
        sapp.HardConcrete(),
        sapp.DiffPrune(),
        sapp.PowerPropagation(),
        sapp.SequentialAttention(),
    ],
    ids=lambda scorer: type(scorer).__name__,
)
def test_attention_takes_no_scorer_that_changes_weights(scorer):
    with pytest.raises(ValueError, match="`times`.*Received"):
        sapp.SequentialAttention(times=scorer)


class Fading(sapp.Scorer):
    """Has a penalty, a mask and a state that changes, and only scores."""

    def state_specs(self, grid, target_sparsity):
        return {"fading": sapp.StateSpec(grid.cells, 1.0, trainable=True)}

    def penalty(self, state, grid):
        return tf.constant(3.0)

    def anneal(self, state, progress):
        state["fading"].assign(state["fading"] * 0 + (1 - progress))

    def own_mask(self, view):
        return np.arange(view.mask.size).reshape(view.mask.shape) < 2

    def score(self, view):
        return np.asarray(view.state["fading"])


@pytest.mark.filterwarnings("ignore:Gradients do not exist")
def test_attention_passes_on_all_that_the_other_scorer_does(keras):
    model = sapp.prune_blocks(
        make_model(keras),
        sapp.LearnedSparsity(4, frequency=1),
        (4, 4),
        sapp.SequentialAttention(times=Fading()),
        pruning_policy=sapp.MinimumBlocks(1),
    )
    model.compile(keras.optimizers.SGD(0.0), "mse", run_eagerly=True)
    x = np.zeros((8, 16), np.float32)

    loss = model.fit(
        x,
        x,
        batch_size=4,
        epochs=2,
        verbose=0,
        callbacks=[sapp.UpdatePruningStep()],
    ).history["loss"]

    np.testing.assert_allclose(loss, [6.0, 6.0], rtol=1e-6)
    assert [row.kept for row in sapp.report(model).pruned] == [2, 2]
    for layer in model.layers:
        for kernel in layer.pruned_kernels:
            assert not np.any(np.asarray(kernel.state["fading"]))


class Bad(sapp.Scorer):
    def score(self, view):
        return np.full(view.grid.cells, np.nan)


class Unfit(sapp.Allocation):
    def __init__(self, made):
        self.made = made

    def allocate(self, scores, alive, sparsity, target_sparsity=None):
        return self.made(scores)


@pytest.mark.parametrize(
    "options, message",
    [
        ({"scorer": Bad()}, "Bad.score.*NaN"),
        ({"allocation": Unfit(lambda s: None)}, "Unfit.*dictionary"),
        ({"allocation": Unfit(lambda s: {})}, "Unfit.*without"),
        (
            {"allocation": Unfit(lambda s: {n: s[n][:1] > 0 for n in s})},
            "Unfit.*shape",
        ),
        ({"allocation": Unfit(lambda s: dict(s))}, "Unfit.*boolean"),
    ],
)
def test_what_users_pieces_return_is_checked(keras, options, message):
    model = prune(make_model(keras), **options)
    model.compile("sgd", "mse", run_eagerly=True)
    x = np.ones((16, 16), np.float32)

    with pytest.raises(ValueError, match=message):
        model.fit(
            x,
            x,
            batch_size=4,
            verbose=0,
            callbacks=[sapp.UpdatePruningStep()],
        )


def test_layers_are_grouped_by_schedule_and_allocation(keras):
    from tfmot_sapp.training.pruning_group import pruning_groups

    def schedule(step):
        return step == 2, 0.5

    layers = []
    for allocation in (sapp.UniformAllocation(), sapp.GlobalAllocation()):
        for _ in range(2):
            layer = keras.layers.Dense(8)
            layer.build((None, 8))
            layers.append(
                sapp.prune_blocks(layer, schedule, (4, 4), None, allocation)
            )

    groups = pruning_groups(layers)

    assert [len(group.layers) for group in groups] == [2, 2]


def test_blocks_of_an_embedding_are_swapped(keras):
    model = keras.Sequential(
        [
            keras.Input((3,), dtype="int32"),
            keras.layers.Embedding(16, 16),
            keras.layers.Flatten(),
            keras.layers.Dense(4),
        ]
    )
    model = sapp.prune_blocks(
        model,
        sapp.BlockSwaps(sapp.OneShot(0.5, 16), fraction=1.0, frequency=2),
        (4, 4),
        pruning_policy=sapp.MinimumBlocks(1),
    )
    model.compile("adam", "mse")
    rng = np.random.default_rng(0)
    x = rng.integers(0, 16, size=(32, 3))

    model.fit(
        x,
        rng.normal(size=(32, 4)),
        batch_size=4,
        epochs=2,
        verbose=0,
        callbacks=[sapp.UpdatePruningStep()],
    )

    assert sapp.report(model).pruned[0].kept == 8
    (growth,) = [
        kernel.growth()
        for layer in model.layers
        for kernel in getattr(layer, "pruned_kernels", ())
        if "embedding" in kernel.name
    ]
    assert np.all(growth > 0)
