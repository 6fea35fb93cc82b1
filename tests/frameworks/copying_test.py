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
"""A copy is the model: state, vocabularies, class, structure and flags.

What is asked of wrapping and stripping is asked of packing too where packing
copies layers.
"""

import numpy as np
import pytest
import tensorflow as tf

import tfmot_sapp as sapp
from tfmot_sapp.frameworks.copying import same_layer

RNG = np.random.default_rng(0)


def prune(model):
    return sapp.prune_blocks(
        model,
        sapp.SequentialAttentionSchedule(0.5, end_step=100),
        block_size=(8, 8),
        pruning_policy=sapp.MinimumBlocks(1),
    )


def normals(*shape):
    return RNG.standard_normal(shape).astype(np.float32)


def assert_same(model, x, *copies):
    expected = np.asarray(model(x))
    for copy in copies:
        np.testing.assert_allclose(
            np.asarray(copy(x)), expected, rtol=1e-5, atol=1e-5
        )


def paths(model):
    layers = model.layers
    return [
        pruned.kernel.path
        for layer in layers
        for pruned in getattr(layer, "pruned_kernels", ())
    ]


def test_adapted_statistics_are_kept(keras):
    norm = keras.layers.Normalization()
    x = 4 * normals(100, 16) + 3
    norm.adapt(x)
    model = keras.Sequential([keras.Input((16,)), norm, keras.layers.Dense(8)])
    pruned = prune(model)
    assert_same(
        model,
        x[:5],
        pruned,
        sapp.strip_pruning(pruned),
        sapp.pack_blocks(model),
        same_layer(model),
    )
    smaller = sapp.prune_structured(
        keras.Sequential(
            [keras.Input((16,)), *model.layers, keras.layers.Dense(2)]
        ),
        x,
        keep=0.5,
    )
    layer = next(v for v in smaller.layers if hasattr(v, "adapt"))
    np.testing.assert_allclose(layer(x), norm(x), rtol=1e-5, atol=1e-5)


def test_statistics_assigned_as_weights_are_kept(keras):
    model = keras.Sequential(
        [
            keras.Input((16,)),
            keras.layers.Normalization(),
            keras.layers.Dense(8),
        ]
    )
    values = [np.full(w.shape, 2.0) for w in model.layers[0].get_weights()[:2]]
    norm = model.layers[0]
    norm.set_weights([*values, *norm.get_weights()[2:]])
    norm.finalize_state()
    pruned = prune(model)
    assert_same(model, normals(3, 16), pruned, sapp.strip_pruning(pruned))


VOCABULARIES = {
    "string": ("StringLookup", {"output_mode": "multi_hot"}),
    "tf_idf": ("StringLookup", {"output_mode": "tf_idf"}),
    "integer": ("IntegerLookup", {"output_mode": "multi_hot"}),
    "text": ("TextVectorization", {"output_mode": "multi_hot"}),
    "text_tf_idf": ("TextVectorization", {"output_mode": "tf_idf"}),
}


@pytest.mark.parametrize("name", VOCABULARIES)
def test_adapted_vocabularies_are_kept(keras, name):
    kind, options = VOCABULARIES[name]
    layer = getattr(keras.layers, kind)(**options)
    data = {
        "StringLookup": np.array([["a", "b"], ["a", "c"]]),
        "IntegerLookup": np.array([[5, 7], [9, 5]]),
        "TextVectorization": np.array(["a b c", "a d"]),
    }[kind]
    dtype = "int64" if kind == "IntegerLookup" else "string"
    layer.adapt(data)
    size = layer.vocabulary_size()
    model = keras.Sequential(
        [
            keras.Input((1,), dtype=dtype),
            layer,
            keras.layers.Rescaling(1.0),
            keras.layers.Reshape((size,)),
            keras.layers.Dense(8),
        ]
    )
    values = [[5], [9], [1]] if dtype == "int64" else [["a"], ["c"], ["z"]]
    x = tf.constant(values, dtype)
    model(x)
    pruned = prune(model)
    assert_same(model, x, pruned, sapp.strip_pruning(pruned))
    assert_same(model, x, sapp.pack_blocks(model))


def test_adapted_boundaries_are_kept(keras):
    layer = keras.layers.Discretization(num_bins=4, output_mode="one_hot")
    layer.adapt(normals(100, 1))
    model = keras.Sequential([keras.Input((1,)), layer, keras.layers.Dense(8)])
    pruned = prune(model)
    assert_same(model, normals(9, 1), pruned, sapp.strip_pruning(pruned))


def fit(model):
    model.compile("sgd", "mse")
    return model.fit(
        normals(8, 16),
        normals(8, 8),
        verbose=0,
        callbacks=[sapp.UpdatePruningStep()],
    ).history


def test_a_subclass_of_sequential_keeps_its_training_step(keras):
    class Trained(keras.Sequential):
        def train_step(self, *data):
            self.seen = True
            return {"mine": tf.constant(42.0)}

    model = Trained([keras.Input((16,)), keras.layers.Dense(8)])
    model.note = ["kept"]
    pruned = prune(model)
    fit(pruned)
    assert type(pruned) is Trained
    assert pruned.seen
    assert not hasattr(model, "seen")
    stripped = sapp.strip_pruning(pruned)
    assert type(stripped) is Trained
    assert list(stripped.note) == ["kept"]


def test_a_model_that_is_made_in_its_constructor_keeps_its_class(keras):
    class Made(keras.Model):
        def __init__(self, width=32, **kwargs):
            inputs = keras.Input((16,))
            hidden = keras.layers.Dense(width)
            outputs = keras.layers.Dense(8)(hidden(inputs))
            super().__init__(inputs, outputs, **kwargs)
            self.hidden = hidden
            self.inner = {"hidden": [hidden]}
            self.tracker = keras.metrics.Mean(name="mine")
            self.beta = 0.5
            self.teacher = keras.Sequential(
                [keras.Input((16,)), keras.layers.Dense(8)]
            )

        def train_step(self, data):
            self.tracker.update_state(84 * self.beta)
            return {"mine": self.tracker.result()}

        def get_config(self):
            return {"width": 32}

    model = Made()
    pruned = prune(model)
    assert_same(model, normals(3, 16), pruned)
    assert fit(pruned)["mine"] == [42.0]
    for copy in (pruned, sapp.strip_pruning(pruned)):
        assert type(copy) is Made
        assert copy.hidden in copy.layers
        assert copy.inner["hidden"][0] is copy.hidden
        assert copy.hidden is not model.hidden
        assert copy.tracker is not model.tracker
        assert copy.teacher is not model.teacher
        assert_same(model.teacher, normals(3, 16), copy.teacher)


@pytest.fixture
def block(keras):
    """A layer without a `build` of its own, as examples have it."""

    class Block(keras.layers.Layer):
        def __init__(self, width, **kwargs):
            super().__init__(**kwargs)
            self.width = width
            self.feed_forward = keras.Sequential(
                [
                    keras.layers.Dense(2 * width, activation="relu"),
                    keras.layers.Dense(width),
                ]
            )
            self.norm = keras.layers.LayerNormalization()
            self.attention = keras.layers.MultiHeadAttention(2, 8)

        def call(self, x):
            return self.norm(x + self.feed_forward(x) + self.attention(x, x))

        def compute_output_shape(self, shape):
            return shape

        def get_config(self):
            return {**super().get_config(), "width": self.width}

    return Block


KERNELS = 6


# Keras 3 says of every model with such a layer, wrapped or not, that it may not
# be built when it is loaded.
@pytest.mark.filterwarnings("ignore:`build:UserWarning")
def test_kernels_of_a_layer_without_build_are_found(keras, block, tmp_path):
    inputs = keras.Input((5, 16))
    model = keras.Model(inputs, block(16)(inputs))
    pruned = prune(model)
    assert len(paths(pruned)) == KERNELS
    assert_same(model, normals(2, 5, 16), pruned, sapp.strip_pruning(pruned))
    pruned.save(tmp_path / "pruned.keras")
    with keras.saving.custom_object_scope({"Block": block}):
        loaded = keras.models.load_model(tmp_path / "pruned.keras")
    assert len(paths(loaded)) == KERNELS
    assert_same(model, normals(2, 5, 16), loaded)


def test_kernels_of_such_a_layer_in_a_subclassed_model_are_found(keras, block):
    class Subclassed(keras.Model):
        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            self.block = block(16)
            self.out = keras.layers.Dense(8)

        def call(self, x):
            return self.out(self.block(x))

        def get_config(self):
            return {}

    model = Subclassed()
    x = normals(2, 5, 16)
    model(x)
    pruned = prune(model)
    pruned(x)
    assert len(pruned.block.pruned_kernels) == KERNELS
    assert_same(model, x, pruned, sapp.strip_pruning(pruned))


def test_kernels_of_a_model_inside_a_layer_are_found(keras):
    inner = keras.Sequential(
        [keras.Input((16,)), *(keras.layers.Dense(n) for n in (32, 16, 8))]
    )
    model = keras.Sequential(
        [keras.Input((5, 16)), keras.layers.TimeDistributed(inner)]
    )
    pruned = prune(model)
    assert paths(pruned) == [f"layer.{n}.kernel" for n in range(3)]
    assert_same(model, normals(2, 5, 16), pruned, sapp.strip_pruning(pruned))


def test_a_layer_whose_config_is_broken_comes_from_its_model(keras):
    class Broken(keras.layers.Layer):
        def __init__(self, width, **kwargs):
            super().__init__(**kwargs)
            self.dense = keras.layers.Dense(width)

        def build(self, shape):
            self.dense.build(shape)
            self.built = True

        def call(self, x):
            return self.dense(x)

        def get_config(self):
            return {"name": self.name}

    class Whole(keras.Model):
        def __init__(self, width=16, nested=False, **kwargs):
            inputs = keras.Input((16,))
            features = Broken(width)(inputs)
            if nested:
                taken = keras.Input((16,))
                features = keras.Model(taken, Broken(width)(taken))(inputs)
            outputs = keras.layers.Dense(8)(features)
            super().__init__(inputs, outputs, **kwargs)
            self.arguments = {"width": width, "nested": nested}

        def get_config(self):
            return dict(self.arguments)

        @classmethod
        def from_config(cls, config):
            return cls(**config)

    for model in (Whole(), Whole(nested=True)):
        pruned = prune(model)
        assert len(sapp.report(pruned).pruned) == 2
        assert_same(model, normals(3, 16), pruned, sapp.strip_pruning(pruned))

    inputs = keras.Input((16,))
    alone = keras.Model(inputs, Broken(8)(inputs))
    with pytest.raises(ValueError, match=r"`broken.*cannot be copied"):
        prune(alone)


def test_states_of_recurrent_layers_go_on(keras):
    inputs = keras.Input(batch_shape=(2, 5, 16))
    hidden = keras.layers.GRU(16, stateful=True)(inputs)
    model = keras.Model(inputs, keras.layers.Dense(8)(hidden))
    x = normals(2, 5, 16)
    model(x)
    pruned = prune(model)
    for _ in range(2):
        assert_same(model, x, pruned)


def test_flags_of_frozen_models_and_layers_are_kept(keras):
    inner = keras.Sequential([keras.Input((16,)), keras.layers.Dense(16)])
    model = keras.Sequential(
        [keras.Input((16,)), inner, keras.layers.Dense(8, trainable=False)]
    )
    inner.trainable = False
    copy = same_layer(model)
    assert [layer.trainable for layer in copy.layers] == [False, False]
    assert not copy.trainable_weights
    assert not prune(model).layers[0].trainable
