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
import tensorflow as tf
import tf_keras as keras2

from tfmot_sapp.compiler.choose import search as choosing
from tfmot_sapp.compiler.emit.packed_computation import PackedComputation
from tfmot_sapp.compiler.pipeline import dense_model, packed_model
from tfmot_sapp.export import tuning
from tfmot_sapp.export.tflite.file import export_tflite
from tfmot_sapp.targets.cpu_target import CpuTarget
from tfmot_sapp.verbs.pack import Tuning, pack_blocks, packing_of

BOTH = pytest.mark.parametrize("keras", [keras3, keras2], ids=["k3", "k2"])


def prune(model, block, sparsity, seed=0, every_output=False):
    """Random weights everywhere; blocks of zeros in the kernels."""
    rng = np.random.default_rng(seed)
    for layer in model._flatten_layers(include_self=False, recursive=True):
        for weight in layer.weights:
            shape = tuple(weight.shape)
            if "variance" in weight.name:
                weight.assign(rng.uniform(0.5, 2, shape))
            elif len(shape) > 1:
                fan = np.prod(shape[:-1])
                weight.assign(rng.normal(size=shape) / np.sqrt(fan))
            elif weight.dtype in ("float32", tf.float32):
                weight.assign(rng.normal(size=shape))
        kernel = getattr(layer, "kernel", None)
        if kernel is None or "Depthwise" in type(layer).__name__:
            continue
        rows, columns = kernel.shape[-2:]
        grid = (-(-rows // block[0]), -(-columns // block[1]))
        mask = rng.random(grid) >= sparsity
        if every_output:
            mask[rng.integers(grid[0], size=grid[1]), np.arange(grid[1])] = True
        full = np.kron(mask, np.ones(block))[:rows, :columns]
        kernel.assign(kernel.numpy() * full)


def data(model, batch=3, seed=1):
    rng = np.random.default_rng(seed)
    arrays = []
    for tensor in model.inputs:
        shape = [5 if n is None else int(n) for n in tensor.shape[1:]]
        arrays.append(rng.normal(size=(batch, *shape)).astype("float32"))
    return arrays


def run(model, arrays):
    outputs = model(arrays if len(arrays) > 1 else arrays[0], training=False)
    if isinstance(outputs, dict):
        outputs = [outputs[key] for key in sorted(outputs)]
    if not isinstance(outputs, list):
        outputs = [outputs]
    return [np.asarray(tf.convert_to_tensor(y)) for y in outputs]


def assert_same(model, packed, batch=3):
    arrays = data(model, batch)
    for before, after in zip(run(model, arrays), run(packed, arrays)):
        assert before.shape == after.shape
        scale = np.abs(before).max()
        assert np.abs(before - after).max() <= 1e-5 * scale


def packed_layers(model):
    return [x for x in model.layers if isinstance(x, PackedComputation)]


def _mlp(keras):
    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input((64,)),
            layers.Dense(96, activation="relu"),
            layers.BatchNormalization(),
            layers.Dropout(0.5),
            layers.Dense(100, activation="gelu"),
            layers.Dense(10, activation="softmax"),
        ]
    )


def _residual(keras):
    layers = keras.layers
    inputs = keras.Input((13, 13, 32))
    x = layers.Conv2D(64, 3, padding="same", use_bias=False)(inputs)
    x = short = layers.ReLU()(layers.BatchNormalization()(x))
    x = layers.Conv2D(64, 1)(x)
    x = layers.ReLU(6.0)(layers.BatchNormalization()(x))
    x = layers.Conv2D(70, 3, padding="same", dilation_rate=2)(x)
    x = layers.BatchNormalization()(x)
    x = layers.Add()([x, layers.Conv2D(70, 1)(short)])
    x = layers.Activation("relu")(x)
    x = layers.ZeroPadding2D(1)(x)
    x = layers.Conv2D(48, 3, strides=2, activation="swish")(x)
    x = layers.MaxPooling2D(2, padding="same")(x)
    y = layers.AveragePooling2D(2, padding="same")(x)
    x = layers.Concatenate()([layers.MaxPooling2D(2, padding="same")(x), y])
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(inputs, layers.Dense(10)(x))


def _mobile(keras):
    layers = keras.layers
    inputs = keras.Input((12, 12, 32))
    x = layers.Conv2D(96, 1, use_bias=False)(inputs)
    x = layers.ReLU(6.0)(layers.BatchNormalization()(x))
    x = layers.DepthwiseConv2D(3, padding="same", use_bias=False)(x)
    x = layers.ReLU(6.0)(layers.BatchNormalization()(x))
    x = layers.BatchNormalization()(layers.Conv2D(32, 1)(x))
    x = layers.Add()([x, inputs])
    x = layers.SeparableConv2D(64, 3, strides=2, activation="relu")(x)
    x = layers.Conv2D(64, 3, groups=2, padding="same")(x)
    gate = layers.GlobalAveragePooling2D(keepdims=True)(x)
    gate = layers.Conv2D(64, 1, activation="sigmoid")(gate)
    x = layers.Multiply()([x, gate])
    x = layers.Conv2DTranspose(40, 3, strides=2)(x)
    return keras.Model(inputs, layers.Flatten()(x))


def _sequence(keras):
    layers = keras.layers
    inputs = keras.Input((9, 64))
    x = layers.Dense(128, activation="gelu")(inputs)
    x = layers.Dense(64)(x)
    x = layers.LayerNormalization()(layers.Add()([x, inputs]))
    x = layers.MultiHeadAttention(2, 16)(x, x)
    x = layers.Conv1D(96, 3, padding="causal", activation="relu")(x)
    x = layers.Conv1D(64, 3, padding="same", strides=2)(x)
    x = layers.SeparableConv1D(64, 3)(x)
    return keras.Model(inputs, layers.LSTM(8)(x))


def _volume(keras):
    layers = keras.layers
    inputs = keras.Input((6, 6, 6, 16))
    x = layers.Conv3D(32, 3, padding="same", activation="elu")(inputs)
    x = layers.MaxPooling3D(2)(x)
    x = layers.Conv3D(32, 2, activation=keras.activations.tanh)(x)
    return keras.Model(inputs, layers.Flatten()(x))


def _many(keras):
    layers = keras.layers
    a, b = keras.Input((32,), name="a"), keras.Input((48,), name="b")
    shared = layers.Dense(64, activation="relu")
    x = shared(a)
    y = layers.Dense(32)(b)
    y = shared(y)
    z = layers.Concatenate()([x, y])
    inner_in = keras.Input((128,))
    inner = keras.Model(
        inner_in, layers.Dense(64, activation="relu")(inner_in), name="inner"
    )
    z = inner(z)
    out = layers.Dense(32, name="one")(z)
    return keras.Model([a, b], {"one": out, "two": layers.Dense(16)(x + y)})


def _upsampling(keras):
    layers = keras.layers
    inputs = keras.Input((5, 6, 32))
    x = layers.Conv2DTranspose(64, 3, strides=2, padding="same")(inputs)
    x = layers.ReLU()(layers.BatchNormalization()(x))
    x = layers.Conv2DTranspose(48, 2, strides=3, activation="relu")(x)
    x = layers.Conv2DTranspose(32, (4, 3), strides=(1, 2))(x)
    line = layers.Reshape((30, 32))(inputs)
    line = layers.Conv1DTranspose(48, 4, strides=2, padding="same")(line)
    cube = layers.Reshape((5, 3, 2, 32))(inputs)
    cube = layers.Conv3DTranspose(16, 2, strides=2)(cube)
    return keras.Model(inputs, {"x": x, "line": line, "cube": cube})


MODELS = [_mlp, _residual, _mobile, _sequence, _volume, _many, _upsampling]


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


@BOTH
@pytest.mark.parametrize("make", MODELS)
def test_lists_equal_source(keras, make):
    """Where copies cost nothing, pieces are used everywhere."""
    model = make(keras)
    prune(model, (8, 8), 0.8, seed=3)
    target = CpuTarget()
    free = dataclasses.replace(
        target.costs(),
        operation=0,
        copied_row=0,
        copied_byte=0,
        outside=0,
        margin=0.1,
    )
    packed = packed_model(model, keras, 1, target, free)
    assert_same(model, packed)
    kinds = {row["lowering"] for row in packing_of(packed)}
    assert kinds & {"list", "sum", "group", "gather_matmul"}


@pytest.mark.parametrize(
    "lowering", ["list", "sum", "group", "group_dense", "gather_matmul"]
)
def test_each_lowering_equals_source(lowering, monkeypatch):
    layers = keras3.layers
    inputs = keras3.Input((6, 128))
    x = layers.Dense(96, activation="relu")(inputs)
    x = layers.Dense(128)(x)
    if lowering in ("sum", "group"):
        inputs = keras3.Input((6, 5, 128))
        x = layers.Conv2D(96, 1, activation="relu")(inputs)
        x = layers.Conv2D(128, 3, padding="same")(x)
    model = keras3.Model(inputs, x)
    prune(model, (16, 32), 0.6, every_output=True)
    lowering = lowering.partition("_dense")[0]
    options = choosing.Chooser._estimates

    def only(self, node):
        found = dict(options(self, node))
        return [(k, c) for k, c in found.items() if k[0] == lowering]

    monkeypatch.setattr(choosing.Chooser, "_estimates", only)
    monkeypatch.setattr(choosing.Chooser, "why", lambda self, node: "test")
    packed = pack_blocks(model)
    assert {row["lowering"] for row in packing_of(packed)} == {lowering}
    assert_same(model, packed)


@BOTH
def test_saved_and_loaded(keras, assert_close, tmp_path):
    model = _residual(keras)
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
    packed = pack_blocks(model)
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


def test_shared_weights_stay_one_set():
    shared = keras3.layers.Dense(64)
    inputs = keras3.Input((64,))
    model = keras3.Model(inputs, shared(shared(inputs)))
    prune(model, (16, 16), 0.8)
    packed = pack_blocks(model)
    assert_same(model, packed)
    assert packed.count_params() == model.count_params()


def test_unknown_layers_pass_through():
    @keras3.saving.register_keras_serializable(package="pack_test")
    class Twice(keras3.layers.Dense):
        def call(self, inputs):
            return 2 * super().call(inputs)

    inputs = keras3.Input((64,))
    x = Twice(64, name="custom")(inputs)
    model = keras3.Model(inputs, keras3.layers.Dense(64)(x))
    prune(model, (16, 16), 0.8)
    packed = pack_blocks(model)
    assert_same(model, packed)
    assert type(packed.get_layer("custom")) is Twice
    assert packed.get_layer("custom") is not model.get_layer("custom")
    assert packing_of(packed)[0]["lowering"] == "unchanged"


def test_subclassed_model_is_traced():
    class Net(keras3.Model):
        def __init__(self):
            super().__init__()
            self.a = keras3.layers.Dense(64, activation="relu")
            self.b = keras3.layers.Dense(8)

        def call(self, x):
            return self.b(self.a(x))

    model = Net()
    model(np.zeros((1, 64), "float32"))
    prune(model, (16, 8), 0.7)
    packed = pack_blocks(model)
    x = np.random.default_rng(0).normal(size=(4, 64)).astype("float32")
    assert np.allclose(model(x), packed(x), atol=1e-5)


@BOTH
def test_wrong_models_are_refused(keras):
    with pytest.raises(TypeError, match="must be a Keras model"):
        pack_blocks("model")
    with pytest.raises(TypeError, match="must be a Keras model"):
        pack_blocks(keras.layers.Dense(3))
    with pytest.raises(ValueError, match="built Functional or Sequential"):
        pack_blocks(keras.Sequential([keras.layers.Dense(3)]))
    model = _mlp(keras)
    with pytest.raises(ValueError, match="`batch_size` must be at least 1"):
        pack_blocks(model, batch_size=0)
    with pytest.raises(TypeError, match="`batch_size` must be an integer"):
        pack_blocks(model, batch_size=2.0)
    with pytest.raises(TypeError, match="`tune` must be"):
        pack_blocks(model, tune=True)
    with pytest.raises(ValueError, match="packed already"):
        pack_blocks(pack_blocks(model))


def test_wrapped_model_is_refused():
    @keras3.saving.register_keras_serializable(package="pack_test")
    class PruneBlocks(keras3.layers.Wrapper):
        def call(self, inputs):
            return self.layer(inputs)

    inputs = keras3.Input((8,))
    inner = keras3.Sequential(
        [keras3.Input((8,)), PruneBlocks(keras3.layers.Dense(4))]
    )
    model = keras3.Model(inputs, inner(inputs))
    with pytest.raises(ValueError, match="strip_pruning"):
        pack_blocks(model)


def test_tuned_model_equals_source():
    model = _mlp(keras3)
    prune(model, (16, 16), 0.8)
    packed = pack_blocks(model, batch_size=2, tune=Tuning(seconds=0.2))
    assert_same(model, packed)
    assert "measured" in packing_of(packed)[0]["why"]


@pytest.mark.parametrize("second", [1.05, 1.5])
def test_dense_wins_unless_it_loses_twice(second, monkeypatch):
    """A gain that isn't there when loaded anew is none."""
    inputs = keras3.Input((256,))
    model = keras3.Model(inputs, keras3.layers.Dense(256)(inputs))
    prune(model, (32, 32), 0.9, every_output=True)
    measured = iter([2.0, second])

    def gains(contents, _):
        gain = next(measured)
        rising = [gain + i / 1000 for i in range(1, len(contents))]
        return [tuning._Gain(each, each) for each in (1, *rising)]

    def contents(candidates, *_):
        return [bytes([i]) for i in range(len(candidates))]

    monkeypatch.setattr(tuning, "_gains", gains)
    monkeypatch.setattr(tuning, "_contents", contents)
    packed = pack_blocks(model, tune=Tuning())

    (row,) = packing_of(packed)
    assert (row["lowering"] == "dense") == (second < 1.1)
    assert f"measured {second:.2f}x dense" in row["why"]
    assert_same(model, packed)


@BOTH
def test_dense_candidate_is_the_source_itself(keras, tmp_path):
    """No cuts, no joins, nothing taken apart: the same operators."""
    layers = keras.layers
    inputs = keras.Input((6, 6, 32))
    x = layers.Conv2D(64, 3, padding="same", groups=2)(inputs)
    x = layers.Conv2D(64, 3, padding="same", use_bias=False)(x)
    x = layers.ReLU()(layers.BatchNormalization()(x))
    x = layers.Add()([x, layers.Conv2D(64, 1)(x)])
    x = layers.Reshape((36, 64))(x)
    x = layers.MultiHeadAttention(2, 32)(x, x)
    model = keras.Model(inputs, layers.Dense(64, activation="relu")(x))
    prune(model, (16, 16), 0.8)
    dense = dense_model(model, keras, CpuTarget())

    assert_same(model, dense)
    before, after = (
        export_tflite(each, tmp_path / "model.tflite").ops
        for each in (model, dense)
    )
    assert before == after


def test_tuning_checks_its_arguments():
    with pytest.raises(ValueError, match="`threads` must be at least 1"):
        Tuning(threads=0)
    with pytest.raises(TypeError, match="`threads` must be an integer"):
        Tuning(threads=1.5)
    with pytest.raises(ValueError, match="`seconds` must be positive"):
        Tuning(seconds=0)
