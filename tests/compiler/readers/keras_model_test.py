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
"""Reading Keras models: types, masks, structures and layers in two places."""

import keras as keras3
import numpy as np
import pytest
import tensorflow as tf
from packable_models import BOTH, packed_layers, prune

from tfmot_sapp.compiler.emit import keras_model as emitting
from tfmot_sapp.verbs.pack import pack_blocks
from tfmot_sapp.verbs.report import report


def _assert_packed_right(model, *arrays):
    """Packs a model and compares both on some inputs."""
    given = arrays[0] if len(arrays) == 1 else list(arrays)
    packed = pack_blocks(model, batch_size=10_000)
    mine = tf.nest.flatten(model(given, training=False))
    theirs = tf.nest.flatten(packed(given, training=False))
    for before, after in zip(mine, theirs, strict=True):
        before, after = np.asarray(before), np.asarray(after)
        assert before.shape == after.shape
        assert np.abs(before - after).max() <= 1e-5 * np.abs(before).max()
    return packed


def _floats(*shape):
    return np.random.default_rng(5).normal(size=shape).astype("float32")


def _reads_half(layer, first):
    """A kernel of which only one half of the inputs is kept."""
    kernel = _floats(*layer.kernel.shape)
    half = kernel.shape[-2] // 2
    kernel[..., half:, :][...] = kernel[..., half:, :] * (not first)
    kernel[..., :half, :][...] = kernel[..., :half, :] * first
    layer.kernel.assign(kernel)


@BOTH
@pytest.mark.parametrize("kind", ["norm", "depthwise"])
def test_shared_layers_whose_readers_keep_other_channels(keras, kind):
    layers = keras.layers
    shape = (32,) if kind == "norm" else (5, 5, 32)
    inputs = [keras.Input(shape), keras.Input(shape)]
    if kind == "norm":
        shared = [layers.Dense(32, "relu"), layers.BatchNormalization()]
        readers = [layers.Dense(16), layers.Dense(16)]
    else:
        shared = [layers.DepthwiseConv2D(3)]
        readers = [layers.Conv2D(16, 1), layers.Conv2D(16, 1)]
    outputs = []
    for x, reader in zip(inputs, readers):
        for layer in shared:
            x = layer(x)
        outputs.append(reader(x))
    model = keras.Model(inputs, outputs)
    prune(model, (8, 8), 0.0)
    for reader, first in zip(readers, (True, False)):
        _reads_half(reader, first)
    x = _floats(3, *shape)
    _assert_packed_right(model, x, -x)


def _integers(keras, kind):
    """A model that takes whole numbers, and some."""
    layers = keras.layers
    inputs = keras.Input((16,), dtype="int32")
    array = np.arange(64, dtype="int32").reshape(4, 16) % 7
    x = inputs
    if kind == "flat":
        inputs = keras.Input((4, 4), dtype="uint8")
        x = layers.Flatten()(inputs)
        array = array.astype("uint8").reshape(4, 4, 4)
    elif kind == "add":
        x = layers.Add()([x, x])
    elif kind == "concatenate":
        x = layers.Concatenate()([x, layers.ReLU()(layers.Add()([x, x]))])
    elif kind == "nested":
        inner = keras.Input((16,))
        x = keras.Model(inner, layers.Dense(16)(inner))(x)
    elif kind == "lookup":
        inputs = keras.Input((1,), dtype="string")
        words = [f"w{i}" for i in range(15)]
        lookup = layers.StringLookup(vocabulary=words, output_mode="one_hot")
        x, array = lookup(inputs), tf.constant([["w3"], ["w14"], ["no"]])
    elif kind == "one_hot":
        x = keras.ops.one_hot(inputs[:, 0], 16, dtype="int32")
    x = layers.Dense(24, "relu")(x)
    return keras.Model(inputs, layers.Dense(16)(x)), array


@BOTH
@pytest.mark.parametrize(
    "kind",
    ["dense", "flat", "add", "concatenate", "nested", "lookup", "one_hot"],
)
def test_whole_numbers_are_cast(keras, kind):
    if kind == "one_hot" and keras is not keras3:
        pytest.skip("an operation of Keras 3")
    model, array = _integers(keras, kind)
    prune(model, (8, 8), 0.8)
    packed = _assert_packed_right(model, array)
    assert packed.count_params() < model.count_params()


@BOTH
@pytest.mark.parametrize("place", ["layer", "nested", "inputs"])
def test_dictionaries_whose_keys_are_in_another_order(keras, place):
    layers = keras.layers

    class Heads(layers.Layer):
        def call(self, x):
            return {"scores": 2 * x, "boxes": x - 7}

    inputs = keras.Input((16,), name="z")
    hidden = layers.Dense(32, "relu")(inputs)
    arrays = _floats(3, 16)
    if place == "layer":
        made = Heads()(hidden)
        made = {key: layers.Dense(8)(made[key]) for key in ("scores", "boxes")}
        model = keras.Model(inputs, [made["scores"], made["boxes"]])
    else:
        other = keras.Input((16,), name="a")
        made = {"scores": layers.Dense(8)(hidden), "boxes": 3 * other}
        inner = keras.Model({"z": inputs, "a": other}, made)
        z, a = keras.Input((16,), name="z"), keras.Input((16,), name="a")
        made = inner(
            {"a": a, "z": z} if place == "inputs" else {"z": z, "a": a}
        )
        model = keras.Model(
            {"z": z, "a": a},
            {"y": layers.Dense(8)(made["scores"]), "b": made["boxes"]},
        )
        arrays = {"z": arrays, "a": -2 * arrays}
    prune(model, (8, 8), 0.6, every_output=True)
    packed = _assert_packed_right(model, arrays)
    assert len(packed_layers(packed)) > 1


_MASKED = {
    "same": lambda keras, x: keras.layers.Conv1D(16, 3, padding="same")(x),
    "valid": lambda keras, x: keras.layers.Conv1D(16, 3)(x),
    "plus": lambda keras, x: x + keras.layers.Dense(16)(x),
    "pool": lambda keras, x: keras.layers.MaxPooling1D(2)(
        keras.layers.Dense(16)(x)
    ),
    "pad": lambda keras, x: keras.layers.ZeroPadding1D(2)(x),
    "add": lambda keras, x: keras.layers.Add()([x, keras.layers.Dense(16)(x)]),
    "through": lambda keras, x: keras.layers.BatchNormalization()(
        keras.layers.Dense(16, "relu")(x)
    ),
    "relu": lambda keras, x: (keras.ops if keras is keras3 else tf.nn).relu(
        keras.layers.Dense(16)(x)
    ),
}


# Keras 3 says where a mask ends.
@pytest.mark.filterwarnings("ignore:Layer .* does not support masking")
@pytest.mark.filterwarnings("ignore:.*mask.*destroyed")
@BOTH
@pytest.mark.parametrize("kind", _MASKED)
def test_masks_end_where_the_model_ends_them(keras, kind):
    layers = keras.layers
    inputs = keras.Input((12,), dtype="int32")
    x = layers.Embedding(20, 16, mask_zero=True)(inputs)
    x = layers.GlobalAveragePooling1D()(_MASKED[kind](keras, x))
    model = keras.Model(inputs, layers.Dense(16)(x))
    prune(model, (8, 8), 0.5)
    _assert_packed_right(model, np.arange(36, dtype="int32").reshape(3, 12) % 4)


@BOTH
def test_tensors_times_numbers(keras, tmp_path):
    inputs = keras.Input((64,))
    x = keras.layers.Dense(128, "relu")(inputs)
    x = keras.layers.ReLU()(keras.layers.Dense(128)(abs(x * 0.5)) + 1.0)
    model = keras.Model(inputs, keras.layers.Dense(64)(x * 2.0))
    prune(model, (32, 32), 0.8)
    packed = _assert_packed_right(model, _floats(3, 64))
    packed.save(tmp_path / "packed.keras")
    again = keras.models.load_model(tmp_path / "packed.keras")
    assert again.count_params() < model.count_params()


@BOTH
def test_an_embedding_in_two_places_is_one(keras):
    layers = keras.layers

    class Tokens(layers.Layer):
        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            self.table = layers.Embedding(64, 16)

        def build(self, shape):
            self.table.build(shape)
            super().build(shape)

        def call(self, x):
            return 2 * self.table(x)

    inputs = keras.Input((6,), dtype="int32")
    tokens = Tokens()
    model = keras.Model(inputs, tokens(inputs) + tokens.table(inputs))
    packed = pack_blocks(model, batch_size=10_000)
    assert packed.count_params() == model.count_params()
    rows = report(packed).rows
    assert "Tokens passes through" in rows[0].skipped


def test_what_computes_something_else_is_refused(monkeypatch):
    inputs = keras3.Input((64,))
    hidden = keras3.layers.Dense(64, "relu")(inputs)
    model = keras3.Model(inputs, keras3.layers.Dense(64)(hidden))
    prune(model, (16, 16), 0.5)
    compute = emitting._KerasEmitter.compute

    def wrong(self, computation):
        arrays = [array.copy() for array in computation.arrays]
        for array in arrays:
            array[..., :1] *= 0.99
        computation.arrays = arrays
        return compute(self, computation)

    monkeypatch.setattr(emitting._KerasEmitter, "compute", wrong)
    with pytest.raises(ValueError, match="the result computes something else"):
        pack_blocks(model)


def test_what_random_inputs_fail_in_is_refused():
    class Picky(keras3.layers.Layer):
        def call(self, x):
            tf.debugging.assert_greater(x, 1000.0)
            return x

    inputs = keras3.Input((16,))
    model = keras3.Model(inputs, keras3.layers.Dense(8)(Picky()(inputs)))
    with pytest.raises(ValueError, match="must run on random inputs"):
        pack_blocks(model)
