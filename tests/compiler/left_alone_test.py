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
"""What packing does not take apart stays as it is, and what it refuses."""

import keras as keras3
import numpy as np
import pytest
from packable_models import BOTH, assert_same, mlp, prune

from tfmot_sapp.verbs.pack import pack_blocks, packing_of


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
    with pytest.raises(TypeError, match="`model` must be a model of"):
        pack_blocks("model")
    with pytest.raises(TypeError, match="`model` must be a model of"):
        pack_blocks(keras.layers.Dense(3))
    with pytest.raises(ValueError, match="built Functional or Sequential"):
        pack_blocks(keras.Sequential([keras.layers.Dense(3)]))
    model = mlp(keras)
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
