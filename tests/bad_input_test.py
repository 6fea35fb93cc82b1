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
"""Bad input gets an error that names the argument and the remedy.

What a model takes part in is asked of both Keras.
"""

import os

import numpy as np
import pytest

import tfmot_sapp as sapp


def make_model(keras):
    return keras.Sequential(
        [
            keras.layers.Input((16,)),
            keras.layers.Dense(16, activation="relu", name="hidden"),
            keras.layers.Dense(4, name="logits"),
        ]
    )


def make_pruned(keras, **options):
    settings = {
        "pruning_schedule": sapp.SequentialAttentionSchedule(0.5, 10),
        "block_size": (4, 4),
        "pruning_policy": sapp.MinimumBlocks(1),
    }
    return sapp.prune_blocks(make_model(keras), **{**settings, **options})


@pytest.mark.parametrize(
    "sparsity", [-0.1, 1.0, 1.5, float("nan"), float("inf"), "0.5", None, True]
)
def test_sparsity_outside_its_range_is_named(sparsity):
    with pytest.raises((ValueError, TypeError)) as error:
        sapp.SequentialAttentionSchedule(sparsity, end_step=10)

    assert "target_sparsity" in str(error.value)
    assert "Received" in str(error.value)


@pytest.mark.parametrize(
    "arguments",
    [
        {"end_step": 0},
        {"end_step": -5},
        {"end_step": 10, "begin_step": 10},
        {"end_step": 2.5},
        {"end_step": 10, "cycles": -1},
        {"end_step": 10, "cycles": 0.5},
        {"end_step": 10, "dense_fraction": 1.2},
        {"end_step": 10, "dense_fraction": 0.8, "cycles_fraction": 0.5},
        {"end_step": 10, "steepness": 0},
        {"end_step": 10, "frequency": 0},
        {"end_step": 10, "cycle_shares": (1, 1)},
        {"end_step": 10, "cycle_shares": (1, -1, 1)},
    ],
)
def test_schedule_arguments_are_checked(arguments):
    with pytest.raises((ValueError, TypeError)) as error:
        sapp.SequentialAttentionSchedule(0.5, **arguments)

    named = [f"`{name}`" in str(error.value) for name in arguments]
    assert any(named)
    assert "Received" in str(error.value)


@pytest.mark.parametrize(
    "block_size",
    [
        (0, 4),
        (-4, 4),
        (4.5, 4),
        (4.0, 4),
        (True, 4),
        ("4", 4),
        (),
        (4, 4, 4, 4, 4, 4),
        32,
        "32x32",
        None,
        {},
        {"hidden": (0, 4)},
    ],
)
def test_block_size_is_checked(keras, block_size):
    with pytest.raises((ValueError, TypeError)) as error:
        make_pruned(keras, block_size=block_size)

    assert "`block_size`" in str(error.value)
    assert "Received" in str(error.value)


def test_block_size_of_another_rank_prunes_nothing(keras):
    with pytest.raises(ValueError, match="rank 2") as error:
        make_pruned(keras, block_size=(1, 1, 4, 4))

    assert "`to_prune`" in str(error.value)


@pytest.mark.parametrize(
    "argument, value",
    [
        ("pruning_schedule", None),
        ("pruning_schedule", 0.5),
        ("pruning_schedule", sapp.ConstantSparsity),
        ("pruning_schedule", lambda step: None),
        ("scorer", "magnitude"),
        ("scorer", sapp.Magnitude),
        ("allocation", "uniform"),
        ("allocation", sapp.UniformAllocation),
        ("pruning_policy", "all"),
        ("pruning_policy", sapp.MinimumBlocks),
    ],
)
def test_wrong_pieces_are_named(keras, argument, value):
    with pytest.raises(TypeError) as error:
        make_pruned(keras, **{argument: value})

    assert f"`{argument}`" in str(error.value)
    assert "Received" in str(error.value)


@pytest.mark.parametrize(
    "thing", [None, 3, "model", np.ones(3), [None], object]
)
def test_what_is_no_model_is_refused(thing):
    schedule = sapp.SequentialAttentionSchedule(0.5, 10)

    with pytest.raises(TypeError, match="`to_prune`"):
        sapp.prune_blocks(thing, schedule)
    with pytest.raises(TypeError, match="`model`"):
        sapp.strip_pruning(thing)
    with pytest.raises(TypeError, match="`model`"):
        sapp.report(thing)
    with pytest.raises(TypeError, match="`model`"):
        sapp.pack_blocks(thing)


def test_a_model_without_prunable_layers_says_why(keras):
    schedule = sapp.SequentialAttentionSchedule(0.5, 10)

    with pytest.raises(ValueError) as error:
        sapp.prune_blocks(make_model(keras), schedule)

    assert "`hidden`: 1 blocks, fewer than 100" in str(error.value)
    assert "MinimumBlocks" in str(error.value)


def test_an_empty_list_is_refused():
    schedule = sapp.SequentialAttentionSchedule(0.5, 10)

    with pytest.raises(ValueError, match="`to_prune`"):
        sapp.prune_blocks([], schedule)


def test_wrapping_twice_is_refused(keras):
    pruned = make_pruned(keras)

    with pytest.raises(ValueError, match="pruned already.*strip_pruning"):
        sapp.prune_blocks(pruned, sapp.SequentialAttentionSchedule(0.5, 10))


def test_stripping_a_plain_model_is_refused(keras):
    with pytest.raises(ValueError, match="no pruned layers"):
        sapp.strip_pruning(make_model(keras))


def test_packing_a_wrapped_model_is_refused(keras):
    with pytest.raises(ValueError, match="strip_pruning"):
        sapp.pack_blocks(make_pruned(keras))


def test_fit_without_the_callback_is_refused(keras):
    pruned = make_pruned(keras)
    before = pruned.get_weights()
    pruned.compile("sgd", "mse")

    with pytest.raises(ValueError, match="UpdatePruningStep"):
        pruned.fit(np.ones((4, 16)), np.ones((4, 4)), verbose=0)

    for old, new in zip(before, pruned.get_weights()):
        np.testing.assert_array_equal(old, new)


def test_inference_without_the_callback_is_allowed(keras):
    pruned = make_pruned(keras)

    assert pruned.predict(np.ones((4, 16)), verbose=0).shape == (4, 4)


def test_the_callback_refuses_a_model_that_is_not_pruned(keras):
    model = make_model(keras)
    model.compile("sgd", "mse")

    with pytest.raises(ValueError, match="prune_blocks"):
        model.fit(
            np.ones((4, 16)),
            np.ones((4, 4)),
            verbose=0,
            callbacks=[sapp.UpdatePruningStep()],
        )


def test_files_that_cannot_be_written_leave_nothing_behind(keras, tmp_path):
    blocker = tmp_path / "file"
    blocker.write_text("in the way")
    model = make_model(keras)
    target = os.fspath(blocker / "model.tflite")

    with pytest.raises(ValueError, match="`path`"):
        sapp.export_tflite(model, target)
    with pytest.raises(ValueError, match="`path`"):
        sapp.export_saved_model(model, os.fspath(blocker / "model"))
    with pytest.raises(ValueError, match="`path`"):
        sapp.plot_masks(make_pruned(keras), os.fspath(blocker / "masks.png"))

    assert os.listdir(tmp_path) == ["file"]
    assert blocker.read_text() == "in the way"


def test_exporting_a_wrapped_model_is_refused(keras, tmp_path):
    with pytest.raises(ValueError, match="strip_pruning"):
        sapp.export_tflite(make_pruned(keras), tmp_path / "model.tflite")
    with pytest.raises(ValueError, match="strip_pruning"):
        sapp.export_saved_model(make_pruned(keras), tmp_path / "model")

    assert os.listdir(tmp_path) == []


def test_another_backend_is_refused(monkeypatch):
    import keras

    monkeypatch.setattr(keras.backend, "backend", lambda: "torch")

    with pytest.raises(ValueError, match="torch.*KERAS_BACKEND=tensorflow"):
        make_pruned(keras)
