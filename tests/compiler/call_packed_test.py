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
"""Models are called with their packed layers written for a runtime."""

import subprocess
import sys
import textwrap

import numpy as np
import pytest
import tensorflow as tf

from tfmot_sapp.compiler.emit.call_packed import call_packed
from tfmot_sapp.compiler.emit.packed_computation import PackedComputation
from tfmot_sapp.targets.cpu_target import CpuTarget
from tfmot_sapp.targets.tensorflow_target import TensorFlowTarget
from tfmot_sapp.verbs.pack import pack_blocks

OPERATORS = [
    CpuTarget().operators(),
    CpuTarget().operators("int8"),
    TensorFlowTarget(constant_weights=True).operators(),
]


def prune(model, names):
    generator = np.random.default_rng(0)
    for name in names:
        kernel, *bias = model.get_layer(name).get_weights()
        cells = [n // 8 for n in kernel.shape[-2:]]
        mask = np.kron(generator.random(cells) < 0.5, np.ones((8, 8)))
        model.get_layer(name).set_weights([kernel * mask, *bias])
    return model


def packed_mlp(keras):
    inputs = keras.Input((32,), name="x")
    hidden = keras.layers.Dense(64, activation="relu", name="a")(inputs)
    outputs = keras.layers.Dense(32, name="b")(hidden)
    return pack_blocks(prune(keras.Model(inputs, outputs), "ab"))


def nested(keras):
    """A packed model called twice, and another once, in a user's own."""
    packed = packed_mlp(keras)
    inputs = keras.Input((32,), name="x")
    x = keras.layers.Dropout(0.5)(packed(packed(inputs)))
    x = keras.Sequential([keras.Input((32,)), packed_mlp(keras)])(x)
    named = {"two": x + 1.0, "one": keras.layers.Dense(3)(x)}
    return keras.Model(inputs, named), "float32"


def masked(keras):
    """Masks go through packed layers to those that use them."""
    inputs = keras.Input((6,), dtype="int32", name="x")
    x = keras.layers.Embedding(5, 32, mask_zero=True)(inputs)
    x = keras.layers.Dense(64, activation="relu", name="a")(x)
    x = keras.layers.Dense(32, name="b")(x)
    x = keras.layers.GlobalAveragePooling1D()(x)
    model = keras.Model(inputs, x)
    return pack_blocks(prune(model, "ab")), "int32"


def shared(keras):
    layer = keras.layers.Dense(32, name="a")
    inputs = keras.Input((32,), name="x")
    model = keras.Model(inputs, layer(keras.layers.ReLU()(layer(inputs))))
    return pack_blocks(prune(model, "a")), "float32"


@pytest.mark.parametrize("operators", OPERATORS)
@pytest.mark.parametrize("make", [nested, masked, shared])
def test_it_computes_what_the_model_computes(keras, make, operators):
    model, dtype = make(keras)
    shape = (4, *model.inputs[0].shape[1:])
    x = np.random.default_rng(1).integers(0, 5, shape).astype(dtype)
    wanted = tf.nest.flatten(model(x, training=False))

    @tf.function
    def traced(given):
        return call_packed(model, given, operators)

    for call in (lambda given: call_packed(model, given, operators), traced):
        found = call(tf.constant(x))
        assert isinstance(found, dict) == (make is nested)
        for left, right in zip(tf.nest.flatten(found), wanted):
            assert np.abs(left - right).max() < 1e-5 * np.abs(right).max()


def test_every_packed_layer_is_told(keras, monkeypatch):
    model, _ = nested(keras)
    told = []
    compute = PackedComputation.compute

    def tell(self, inputs, operators=None):
        told.append(operators)
        return compute(self, inputs, operators)

    monkeypatch.setattr(PackedComputation, "compute", tell)
    operators = CpuTarget().operators()

    call_packed(model, tf.ones((1, 32)), operators)

    # Two layers twice, whose weights stay one set, and two once.
    assert None not in told
    assert [each.constant_weights for each in told] == [False] * 4 + [True] * 2
    assert all(each.grouped_dense for each in told)


def test_targets_load_nothing(fresh_environment):
    program = """
        import sys
        from tfmot_sapp.targets import cpu_target, tensorflow_target
        heavy = {"tensorflow", "keras", "tf_keras", "rich", "matplotlib"}
        print(sorted(heavy & set(sys.modules)))
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)],
        env=fresh_environment,
        capture_output=True,
        text=True,
    )

    assert done.stdout == "[]\n", done.stderr[-2000:]
