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
"""Arguments of the right kind that can't be right are named, too.

Data that don't fit or aren't finite, block sizes and names that fit no layer,
and users' functions and objects that answer with something else. An error names
the argument, says what was received, stands on one line, and changes nothing.
"""

import functools

import keras
import numpy as np
import pytest
import tensorflow as tf
import tf_keras

import tfmot_sapp as sapp

SMALL = {"pruning_policy": sapp.MinimumBlocks(1)}
QUIET = {"block_size": (4, 4), "verbose": False, **SMALL}
X = np.random.default_rng(0).normal(size=(16, 8)).astype(np.float32)


def make_model():
    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input((8,)),
            layers.Dense(8, activation="relu", name="a"),
            layers.Dense(8, name="b"),
        ]
    )


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(0)
    return make_model()


def spoiled(value, dtype=np.float32):
    x = X.astype(dtype)
    x[9, 3] = value
    return x


def batches(*given):
    return (batch for batch in given)


def wrong_data():
    """Data by what is wrong with them, made anew since some are used up."""
    slices = tf.data.Dataset.from_tensor_slices
    return {
        "too narrow": X[:, :7],
        "empty": X[:0],
        "one sample without a batch": X[0],
        "number": np.float32(3),
        "nan": spoiled(np.nan),
        "inf": spoiled(-np.inf),
        "inf in float32": spoiled(1e300, np.float64),
        "inf in float16": spoiled(np.inf, np.float16),
        "tensor": tf.constant(spoiled(np.nan)),
        "inputs and labels": (spoiled(np.nan), np.zeros(16)),
        "symbol": keras.Input((8,)),
        "complex": X * 1j,
        "objects": np.full((4, 8), None),
        "text": np.full((4, 8), "a"),
        "another name": {"typo": X},
        "nothing": [],
        "no entry": {},
        "spent": batches(),
        "batch of nothing": batches(None),
        "nan in the second": batches(X, spoiled(np.nan)),
        "too narrow in the second": batches(X, X[:, :7]),
        "dataset of nan": slices(spoiled(np.nan)).batch(4),
        "dataset without a batch axis": slices(X),
        "empty dataset": slices(X).batch(4).take(0),
    }


def verbs(model):
    wide = keras.Sequential([keras.Input((8,)), keras.layers.Dense(512)])
    tuning = {"seconds": 0.01, "quantize": "int8"}
    return {
        "prune_post_training": (
            "data",
            lambda x: sapp.prune_post_training(model, x, 0.5, **QUIET),
        ),
        "prune_family": (
            "data",
            lambda x: sapp.prune_family(model, x, [0.5], **QUIET),
        ),
        "prune_structured": (
            "data",
            lambda x: sapp.prune_structured(model, x, 0.5, verbose=False),
        ),
        "plan_pruning": (
            "data",
            lambda x: sapp.plan_pruning(wide, sapp.LatencyBudget(1.1), data=x),
        ),
        "distillation": (
            "data",
            lambda x: sapp.Distillation(1)(model, model, x, verbose=False),
        ),
        "export_tflite": (
            "representative_data",
            lambda x: sapp.export_tflite(
                model, "m.tflite", quantize="int8", representative_data=x
            ),
        ),
        "export_saved_model": (
            "representative_data",
            lambda x: sapp.export_saved_model(
                model, "m", representative_data=x
            ),
        ),
        "pack_blocks": (
            "representative_data",
            lambda x: sapp.pack_blocks(
                model, tune=sapp.Tuning(representative_data=x, **tuning)
            ),
        ),
    }


def refused(argument, call, *given):
    with pytest.raises((TypeError, ValueError)) as raised:
        call(*given)
    text = str(raised.value)
    assert f"`{argument}" in text, text
    assert "Received: " in text, text
    assert "\n" not in text, text


@pytest.mark.parametrize("verb", verbs(None))
def test_data_that_can_not_be_right(model, verb, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    argument, call = verbs(model)[verb]
    before = [weight.numpy() for weight in model.weights]

    given = wrong_data()
    if verb == "export_saved_model":
        # The first batches are compared, and no more is read.
        for name in [n for n in given if "second" in n or "dataset of" in n]:
            del given[name]
    if verb == "pack_blocks":
        # Every one of these comes after a conversion.
        given = {name: given[name] for name in ("nan", "spent", "too narrow")}
    for name, data in given.items():
        try:
            refused(argument, call, data)
        except BaseException as error:
            raise AssertionError(f"{name}: {error}") from error

    assert all(map(np.array_equal, before, model.get_weights()))
    assert list(tmp_path.iterdir()) == []


class Policy:
    def __init__(self, answer):
        self.answer = answer

    def allow_pruning(self, layer):
        return self.answer

    def ensure_model_supports_pruning(self, model):
        pass


@pytest.mark.parametrize(
    "argument, options",
    [
        ("block_size", {"block_size": (32,)}),
        ("block_size", {"block_size": (4, 4, 4)}),
        ("block_size", {"block_size": {"a": (4,)}}),
        ("block_size", {"block_size": {"typo": (4, 4)}}),
        ("block_size", {"block_size": lambda layer: None}),
        ("block_size", {"block_size": lambda layer: (0, 4)}),
        ("block_size", {"block_size": lambda: (4, 4)}),
        ("targets", {"allocation": sapp.UniformAllocation({"typo": 0.5})}),
        ("targets", {"allocation": sapp.BalancedAllocation({"q*": 0.5})}),
        ("pruning_policy", {"pruning_policy": Policy("no")}),
        ("pruning_policy", {"pruning_policy": Policy(None)}),
        ("pruning_policy", {"pruning_policy": Policy(1)}),
        ("pruning_policy", {"pruning_policy": Policy(False)}),
    ],
)
def test_what_fits_no_layer(model, argument, options):
    given = {"block_size": (4, 4), **SMALL, **options}
    schedule = sapp.OneShot(0.5, 4)
    refused(argument, lambda: sapp.prune_blocks(model, schedule, **given))
    given = {"verbose": False, **given}
    refused(argument, lambda: sapp.prune_post_training(model, X, 0.5, **given))
    own = vars(model.layers[0]).get("quantize")
    assert not isinstance(own, functools.partial)


class Scorer(sapp.Scorer):
    def __init__(self, answer):
        self.answer = answer

    def score(self, view):
        return self.answer


class Schedule(sapp.PruningSchedule):
    def __init__(self, answers):
        self.answers = answers

    def __call__(self, step):
        return self.answers[min(int(step), len(self.answers) - 1)]

    def get_config(self):
        return {}


@pytest.mark.parametrize(
    "argument, options",
    [
        ("scorer", {"scorer": Scorer(None)}),
        ("scorer", {"scorer": Scorer(3.0)}),
        ("scorer", {"scorer": Scorer("text")}),
        ("scorer", {"scorer": Scorer([[1], [1, 2]])}),
        ("scorer", {"scorer": Scorer(np.ones((2, 2)) * 1j)}),
        ("scorer", {"scorer": Scorer(np.full((2, 2), np.nan))}),
        ("pruning_schedule", {"pruning_schedule": [(True, 0.3), (True, 2.0)]}),
        ("pruning_schedule", {"pruning_schedule": [(True, 0.3), (True, -1)]}),
        ("pruning_schedule", {"pruning_schedule": [(True, 0.3), (True, 0.1)]}),
        ("pruning_schedule", {"pruning_schedule": [(True, 0.3), None]}),
        ("pruning_schedule", {"pruning_schedule": [(True, 0.3), (True, "1")]}),
        ("pruning_schedule", {"pruning_schedule": [(True, 0.3), ("no", 0.5)]}),
    ],
)
def test_answers_during_training(argument, options):
    given = {"pruning_schedule": [(True, 0.5)], **options}
    given["pruning_schedule"] = Schedule(given["pruning_schedule"])
    pruned = sapp.prune_blocks(
        make_model(), block_size=(4, 4), **SMALL, **given
    )
    pruned.compile("sgd", "mse", run_eagerly=True)
    callbacks = [sapp.UpdatePruningStep()]

    refused(
        argument,
        lambda: pruned.fit(X, X, epochs=3, verbose=0, callbacks=callbacks),
    )


def test_pieces_of_prune_structured(model):
    def prune(**options):
        given = {"model": model, "data": X, "keep": 0.5, "rounds": 2}
        return sapp.prune_structured(verbose=False, **{**given, **options})

    other = keras.Sequential([keras.Input((8,)), keras.layers.Dense(3)])
    pruned = sapp.prune_blocks(
        make_model(), sapp.OneShot(0.5, 4), (4, 4), **SMALL
    )
    broken = make_model()
    broken.layers[0].bias.assign(np.full(8, np.nan))

    refused("fine_tune", lambda: prune(fine_tune=lambda model: other))
    refused("fine_tune", lambda: prune(fine_tune=lambda: None))
    refused("keep", lambda: prune(keep={"typo": 0.5}))
    refused("keep", lambda: prune(keep={"b": 0.5}))
    for wrong in (pruned, broken):
        refused("model", lambda wrong=wrong: prune(model=wrong))


def test_what_a_model_does_not_take(model, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    two = [tf.TensorSpec((None, 8))] * 2

    for signature in (two, tf.TensorSpec(None), tf.TensorSpec((None, 7)), []):
        for export in (sapp.export_tflite, sapp.export_saved_model):
            refused(
                "input_signature",
                lambda export=export, signature=signature: export(
                    model, "new", input_signature=signature
                ),
            )
    refused(
        "batch_size",
        lambda: sapp.export_tflite(model, "new", batch_size=2**31 - 1),
    )
    refused(
        "layer",
        lambda: sapp.PruneBlocks(
            tf_keras.layers.Dense(3), sapp.OneShot(0.5, 9)
        ),
    )

    assert list(tmp_path.iterdir()) == []


def test_distillation_that_diverges_changes_nothing(model):
    pruned = keras.models.clone_model(model)
    before = pruned.get_weights()
    distill = sapp.Distillation(20, learning_rate=1e30)

    refused("distill", lambda: distill(pruned, model, X, verbose=False))

    assert all(map(np.array_equal, before, pruned.get_weights()))


def test_what_can_be_called_but_is_no_function_of_a_layer(model, tmp_path):
    with pytest.raises(ValueError, match="must be a function") as raised:
        sapp.prune_blocks(model, sapp.EarlyRamp(0.5, 10), block_size=model)
    assert "\n" not in str(raised.value)
    with pytest.raises(ValueError, match="`input_signature` must") as raised:
        sapp.export_saved_model(
            model, tmp_path / "new", input_signature=np.ones((4, 7), "float32")
        )
    assert "\n" not in str(raised.value) and not any(tmp_path.iterdir())
