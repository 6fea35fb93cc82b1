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
"""What parts of a model share, the parts of its copies share, or it is refused.

Each model has a head that multiplies with the embeddings.
"""

import numpy as np
import pytest
import tensorflow as tf

import tfmot_sapp as sapp
from tfmot_sapp.frameworks.references import rebound, referred

TOKENS = np.random.default_rng(0).integers(0, 32, (8, 5)).astype(np.int32)


def product(hidden, embeddings):
    return tf.matmul(hidden, tf.convert_to_tensor(embeddings), transpose_b=True)


def prune(model):
    return sapp.prune_blocks(
        model,
        sapp.SequentialAttentionSchedule(0.5, end_step=2),
        block_size=(8, 8),
        pruning_policy=sapp.MinimumBlocks(1),
    )


def graph(keras, head):
    inputs = keras.Input((5,), dtype="int32")
    embedding = keras.layers.Embedding(32, 16, name="embedding")
    hidden = keras.layers.Dense(16, name="dense")(embedding(inputs))
    return keras.Model(inputs, head(keras, embedding, hidden))


def by_lambda(keras, embedding, hidden):
    return keras.layers.Lambda(lambda x: product(x, embedding.embeddings))(
        hidden
    )


def by_layer(keras, embedding, hidden):
    class Head(keras.layers.Layer):
        def __init__(self, tied, **kwargs):
            super().__init__(**kwargs)
            self.tied = tied

        def call(self, x):
            return product(x, self.tied.embeddings)

        def get_config(self):
            return {**super().get_config(), "tied": self.tied}

    return Head(embedding)(hidden)


def subclassed(keras):
    class Tied(keras.Model):
        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            self.embedding = keras.layers.Embedding(32, 16, name="embedding")
            self.dense = keras.layers.Dense(16)

        def call(self, x):
            hidden = self.dense(self.embedding(x))
            return product(hidden, self.embedding.embeddings)

        def get_config(self):
            return {}

        @classmethod
        def from_config(cls, config):
            return cls()

    model = Tied()
    model(TOKENS)
    return model


TIED = {
    "lambda": lambda keras: graph(keras, by_lambda),
    "layer": lambda keras: graph(keras, by_layer),
    "subclassed": subclassed,
}


@pytest.mark.filterwarnings("ignore:.*Variables were used in a Lambda")
@pytest.mark.parametrize("name", TIED)
def test_tied_weights_stay_tied(keras, name, assert_close):
    model = TIED[name](keras)
    before = np.asarray(model(TOKENS))
    pruned = prune(model)
    assert_close(pruned(TOKENS), before)
    pruned.compile("sgd", "mse", run_eagerly=True)
    pruned.fit(
        TOKENS,
        np.zeros((8, 5, 32)),
        batch_size=4,
        verbose=0,
        callbacks=[sapp.UpdatePruningStep()],
    )
    np.testing.assert_array_equal(model(TOKENS), before)
    assert [row.kept for row in sapp.report(pruned).pruned] == [4, 2]
    stripped = sapp.strip_pruning(pruned)
    assert_close(stripped(TOKENS), pruned(TOKENS))
    for layer in stripped.layers:
        if layer.name.startswith("embedding"):
            layer.set_weights([np.zeros((32, 16))])
    assert not np.any(np.asarray(stripped(TOKENS)))


@pytest.mark.filterwarnings("ignore:.*Only 33 % of the weights")
def test_a_weight_that_an_operation_reads_is_left_alone():
    keras = pytest.importorskip("keras")
    model = graph(
        keras,
        lambda keras, embedding, hidden: keras.ops.einsum(
            "btd,vd->btv", hidden, embedding.embeddings
        ),
    )
    pruned = prune(model)
    assert "reads it by itself" in sapp.report(pruned).skipped["embedding"]
    pruned.get_layer("embedding").set_weights([np.zeros((32, 16))])
    assert not np.any(np.asarray(pruned(TOKENS)))
    assert np.any(np.asarray(model(TOKENS)))


def test_a_constant_taken_from_a_weight_is_refused(keras):
    model = graph(
        keras,
        lambda keras, embedding, hidden: (
            keras.ops.matmul(hidden, keras.ops.transpose(embedding.embeddings))
            if keras.__name__ == "keras"
            else tf.matmul(hidden, tf.transpose(embedding.embeddings))
        ),
    )
    with pytest.raises(ValueError, match=r"constant.*embedding/embeddings"):
        prune(model)


def test_a_weight_out_of_sight_is_refused(keras):
    def hidden_away(keras, embedding, hidden):
        holder = {"embedding": embedding}
        return keras.layers.Lambda(
            lambda x: product(x, holder["embedding"].embeddings)
        )(hidden)

    with pytest.raises(ValueError, match="the original's weight"):
        prune(graph(keras, hidden_away))


def test_what_a_config_does_not_tell_is_found(keras):
    class Scaled(keras.layers.Layer):
        factor = 1.0

        def call(self, x):
            return self.factor * x

        def compute_output_shape(self, shape):
            return shape

    scaled = Scaled(name="scaled")
    scaled.factor = 3.0
    model = keras.Sequential(
        [keras.Input((16,)), keras.layers.Dense(16), scaled]
    )
    with pytest.raises(ValueError, match="does not compute what"):
        prune(model)


def test_functions_refer_to_what_they_are_given():
    outer, other, known = object(), object(), object()

    def function(x, default=known):
        return (lambda: outer)(), default

    assert outer in list(referred(function))
    again = rebound(function, lambda item: other if item is outer else item)
    assert again(0) == (other, known)
    assert function(0) == (outer, known)
    assert rebound(function, lambda item: item) is function
