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
"""A packed model computes what its source computes, from fewer weights."""

import dataclasses

import keras as keras3
import numpy as np
import pytest
from packable_models import (
    BOTH,
    MODELS,
    assert_same,
    data,
    packed_layers,
    prune,
    residual,
    run,
)

from tfmot_sapp.compiler.choose.node_options import NodeOptions
from tfmot_sapp.compiler.choose.search import Chooser
from tfmot_sapp.compiler.pack_keras import packed_model
from tfmot_sapp.targets.cpu_target import CpuTarget
from tfmot_sapp.verbs.pack import pack_blocks, packing_of


@BOTH
@pytest.mark.parametrize("make", MODELS)
@pytest.mark.parametrize("sparsity", [0.0, 0.6, 0.95, 1.0])
def test_packed_equals_source(keras, make, sparsity):
    model = make(keras)
    prune(model, (16, 16), sparsity)
    before = [w.numpy() for w in model.weights]
    packed = pack_blocks(model)
    assert_same(model, packed)
    # Folding gives every product a bias. Without any weights there is still a
    # product to carry the shape.
    if sparsity < 1:
        assert packed.count_params() <= 1.02 * model.count_params()
    assert all(np.array_equal(w, v) for w, v in zip(before, model.weights))


def packed_for_free(model, keras):
    """Packs under the assumption that copies cost nothing."""
    target = CpuTarget()
    free = dataclasses.replace(
        target.costs(),
        operation=0,
        copied_row=0,
        copied_byte=0,
        outside=0,
        margin=0.1,
    )
    return packed_model(model, keras, 1, target, free)


@BOTH
@pytest.mark.parametrize("make", MODELS)
def test_lists_equal_source(keras, make):
    """Where copies cost nothing, pieces are used everywhere."""
    model = make(keras)
    prune(model, (8, 8), 0.8, seed=3)
    packed = packed_for_free(model, keras)
    assert_same(model, packed)
    kinds = {row["lowering"] for row in packing_of(packed)}
    assert kinds & {"list", "sum", "group", "gather_matmul", "cut_list"}


@pytest.mark.parametrize(
    "lowering",
    [
        "list",
        "sum",
        "cut_list",
        "cut_list_dense",
        "cut_sum",
        "group",
        "group_dense",
        "sliced_group",
        "gather_matmul",
    ],
)
def test_each_lowering_equals_source(lowering, monkeypatch):
    layers = keras3.layers
    inputs = keras3.Input((6, 128))
    x = layers.Dense(96, activation="relu")(inputs)
    x = layers.Dense(128)(x)
    if lowering in ("sum", "group", "cut_sum", "cut_list"):
        inputs = keras3.Input((6, 5, 128))
        x = layers.Conv2D(96, 1, activation="relu")(inputs)
        x = layers.Conv2D(128, 3, padding="same")(x)
    model = keras3.Model(inputs, x)
    prune(model, (16, 32), 0.6, every_output=True)
    lowering = lowering.partition("_dense")[0]
    options = NodeOptions.of

    def only(self, node):
        found = dict(options(self, node))
        if not self.pieces_allowed:
            # The dense model, which it is compared with.
            return [(k, 1e9) for k in found]
        return [(k, c) for k, c in found.items() if k[0] == lowering]

    monkeypatch.setattr(NodeOptions, "of", only)
    monkeypatch.setattr(Chooser, "why", lambda self, node: "test")
    packed = pack_blocks(model)
    assert {row["lowering"] for row in packing_of(packed)} == {lowering}
    assert_same(model, packed)


@BOTH
def test_saved_and_loaded(keras, assert_close, tmp_path):
    model = residual(keras)
    prune(model, (16, 16), 0.8)
    packed = pack_blocks(model)
    packed.save(tmp_path / "packed.keras")
    again = keras.models.load_model(tmp_path / "packed.keras")
    arrays = data(model)
    for mine, theirs in zip(again.get_weights(), packed.get_weights()):
        np.testing.assert_array_equal(mine, theirs)
    assert_close(run(again, arrays)[0], run(packed, arrays)[0])
    assert packing_of(again) == packing_of(packed)


@BOTH
@pytest.mark.parametrize("strides", [1, 2])
@pytest.mark.parametrize("padding", ["same", "valid"])
@pytest.mark.parametrize("extent", [9, 10, None])
def test_blocks_of_single_taps(keras, strides, padding, extent):
    inputs = keras.Input((extent, 9, 32))
    layer = keras.layers.Conv2D(48, 3, strides=strides, padding=padding)
    model = keras.Model(inputs, layer(keras.layers.ReLU()(inputs)))
    prune(model, (16, 16), 0.0)
    mask = np.random.default_rng(0).random((3, 3, 2, 3)) < 0.1
    kernel = layer.kernel.numpy()
    kernel *= np.kron(mask, np.ones((1, 1, 16, 16)))
    layer.kernel.assign(kernel)
    packed = packed_for_free(model, keras)
    shape = (2, extent or 10, 9, 32)
    arrays = [np.random.default_rng(1).normal(size=shape).astype("float32")]
    before, after = run(model, arrays)[0], run(packed, arrays)[0]
    assert np.abs(before - after).max() <= 1e-5 * np.abs(before).max()
    if strides == 1 or extent is not None:
        (row,) = packing_of(packed)
        assert row["parameters"] < 0.5 * kernel.size


@BOTH
def test_projections_of_attention_are_packed(keras, tmp_path):
    layers = keras.layers
    inputs = keras.Input((7, 128))
    attention = layers.MultiHeadAttention(4, 32, name="mha")
    x = layers.Add()([inputs, attention(inputs, inputs)])
    other = layers.EinsumDense("abc,cde->abde", (7, 4, 64), bias_axes="de")
    x = other(x)
    model = keras.Model(inputs, x)
    prune(model, (16, 16), 0.0)
    rng = np.random.default_rng(0)
    for layer in (
        attention._query_dense,
        attention._key_dense,
        attention._value_dense,
        attention._output_dense,
        other,
    ):
        array = layer.kernel.numpy()
        rows = array.shape[0] if layer is not attention._output_dense else 128
        flat = array.reshape(rows, -1)
        mask = rng.random((rows // 32, flat.shape[1] // 32)) < 0.3
        flat = flat * np.kron(mask, np.ones((32, 32)))
        layer.kernel.assign(flat.reshape(array.shape))
    packed = pack_blocks(model)
    assert_same(model, packed)
    names = {row["layer"].split(" + ")[0] for row in packing_of(packed)}
    assert {"mha_query", "mha_key", "mha_value", "mha_output"} <= names
    assert packed.count_params() < 0.7 * model.count_params()
    packed.save(tmp_path / "packed.keras")
    assert_same(packed, keras.models.load_model(tmp_path / "packed.keras"))


def test_stores_only_kept_blocks():
    inputs = keras3.Input((512,))
    model = keras3.Model(inputs, keras3.layers.Dense(512)(inputs))
    prune(model, (64, 64), 0.8, every_output=True)
    kept = np.count_nonzero(model.layers[1].kernel.numpy())
    packed = pack_blocks(model)
    assert packed.count_params() == kept + 512
    (row,) = packing_of(packed)
    assert row["parameters"] == kept
    assert row["parameter_density"] == kept / 512**2
    assert row["blocks"] == 64
    assert row["kept_blocks"] == kept / 64**2


def test_blocks_between_layers_are_computed_in_place():
    """The order of hidden channels is free: those of equal counts together."""
    inputs = keras3.Input((512,))
    hidden = keras3.layers.Dense(1024, activation="relu")(inputs)
    model = keras3.Model(inputs, keras3.layers.Dense(512)(hidden))
    prune(model, (32, 32), 0.85, every_output=True)
    packed = pack_blocks(model)

    first, second = [layer.lowering for layer in packed_layers(packed)]
    assert (first.kind, second.kind) == ("group", "group")
    assert list(first.order) == sorted(first.order)
    assert list(second.order) != sorted(second.order)
    assert_same(model, packed)


def test_unread_channels_vanish_backwards():
    layers = keras3.layers
    inputs = keras3.Input((8, 8, 32))
    x = layers.Conv2D(64, 3, padding="same", name="first")(inputs)
    x = layers.BatchNormalization()(x)
    x = layers.DepthwiseConv2D(3, padding="same")(layers.ReLU()(x))
    model = keras3.Model(inputs, layers.Conv2D(32, 1, name="last")(x))
    prune(model, (16, 16), 0.0)
    kernel = model.get_layer("last").kernel.numpy()
    kernel[:, :, 16:48] = 0
    model.get_layer("last").kernel.assign(kernel)
    packed = pack_blocks(model)
    assert_same(model, packed)
    first, last = packing_of(packed)
    assert first["parameters"] == 9 * 32 * 32
    assert last["parameters"] == 32 * 32


@pytest.mark.parametrize("padding", ["same", "valid"])
def test_constant_channels_fold_into_readers(padding):
    layers = keras3.layers
    inputs = keras3.Input((8, 8, 32))
    x = layers.Conv2D(64, 1, activation="relu", name="first")(inputs)
    model = keras3.Model(inputs, layers.Conv2D(32, 3, padding=padding)(x))
    prune(model, (16, 16), 0.0)
    kernel = model.get_layer("first").kernel.numpy()
    kernel[..., 16:] = 0
    model.get_layer("first").kernel.assign(kernel)
    packed = pack_blocks(model)
    assert_same(model, packed)
    assert packed.count_params() < model.count_params() / 2
