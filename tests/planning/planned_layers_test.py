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
"""Which kernels a plan sees, and how much is multiplied with each."""

import pytest
from transformer_models import LENGTH, WIDTH, transformer

import tfmot_sapp as sapp
from tfmot_sapp.compiler.choose.layer_options import LayerShape
from tfmot_sapp.frameworks.unfolding import opened, unfolded_calls
from tfmot_sapp.planning.layers import find_layers
from tfmot_sapp.planning.taken_apart import taken_apart


def test_every_kernel_has_the_rows_that_it_multiplies(keras):
    model = transformer(keras)

    found = {kernel.name: kernel for kernel in find_layers(model, 3)}

    dense = LayerShape(3 * LENGTH, 0, WIDTH, WIDTH)
    expected = {"table": LayerShape(0, 0, 500, WIDTH)}
    for i in range(2):
        for name in ("query", "key", "value", "output"):
            expected[f"block_{i}/attention.{name}_dense"] = dense
        expected[f"block_{i}/up"] = LayerShape(3 * LENGTH, 0, WIDTH, 4 * WIDTH)
        expected[f"block_{i}/down"] = LayerShape(
            3 * LENGTH, 0, 4 * WIDTH, WIDTH
        )
    expected["classes"] = LayerShape(3 * LENGTH, 0, WIDTH, 10)
    assert found.keys() == expected.keys()
    for name, kernel in found.items():
        if name == "table":
            assert kernel.steps == 0
        else:
            assert (kernel.shape, kernel.steps) == (expected[name], 1), name
    # The names are those that `prune_blocks` has.
    pruned = sapp.prune_blocks(
        model, sapp.ConstantSparsity(0.5, begin_step=0), block_size=(16, 16)
    )
    assert found.keys() <= {row.name for row in sapp.report(pruned).rows}


def test_loops_multiply_once_a_step(keras):
    inputs = keras.Input((20, 64))
    lstm = keras.layers.LSTM(128, name="loop")
    model = keras.Model(inputs, keras.layers.Dense(10)(lstm(inputs)))

    loop = [k for k in find_layers(model, 2) if k.layer is lstm]

    assert [(k.name, k.steps) for k in loop] == [
        ("loop/cell", 20),
        ("loop/cell.recurrent_kernel", 20),
    ]
    assert loop[0].shape == LayerShape(2, 0, 64, 512)
    assert loop[1].shape == LayerShape(2, 0, 128, 512)


def test_an_einsum_contracts_what_it_says(keras):
    layers = keras.layers
    inputs = keras.Input((10, 6, 16))
    # Heads and their width are summed over; then each head has a kernel.
    merged = layers.EinsumDense("abcd,cde->abe", (10, 32), name="merged")
    heads = layers.EinsumDense("abcd,cde->abce", (10, 6, 8), name="heads")
    model = keras.Model(inputs, [merged(inputs), heads(inputs)])

    found = {kernel.name: kernel.shape for kernel in find_layers(model, 1)}

    assert found["merged"] == LayerShape(10, 0, 96, 32)
    multiply_adds = {
        name: shape.rows * shape.parameters for name, shape in found.items()
    }
    assert multiply_adds == {"merged": 10 * 96 * 32, "heads": 10 * 6 * 16 * 8}


@pytest.mark.parametrize("fixed", [False, True])
def test_lengths_that_only_the_outer_model_knows(fixed):
    import keras

    inner = transformer(keras, None)
    inputs = keras.Input((96 if fixed else None,), dtype="int32")
    model = keras.Model(inputs, inner(inputs))

    copy = taken_apart(model, 1)

    rows = {name: each.shape.rows for name, each in copy.kernels.items()}
    assert len(rows) == 14
    assert rows["block_1/up"] == rows["classes"] == (96 if fixed else 14)


def test_windows_of_a_sample_are_rows():
    """A layer of windows takes them for samples, as Swin's attention does."""
    import keras

    layers = keras.layers

    class Windows(layers.Layer):
        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            self.mix = layers.Dense(32)

        def build(self, shape):
            self.mix.build((None, 4, shape[-1]))

        def call(self, x):
            cut = keras.ops.reshape(x, (-1, 4, x.shape[-1]))
            return keras.ops.reshape(self.mix(cut), (-1, x.shape[1], 32))

    inputs = keras.Input((LENGTH, 16))
    outputs = layers.Dense(8, name="last")(Windows(name="windows")(inputs))
    model = keras.Model(inputs, outputs)

    kernels = taken_apart(model, 3).kernels

    rows = {name: each.shape.rows for name, each in kernels.items()}
    assert rows == {"windows": 3 * LENGTH, "last": 3 * LENGTH}


def test_lengths_that_an_attention_loses():
    """They are those of what was multiplied before."""
    import keras

    layers = keras.layers
    inputs = keras.Input((20, 64))
    x = layers.EinsumDense("abc,cde->abde", (None, 4, 16), name="in")(inputs)
    x = layers.EinsumDense("abcd,cde->abe", (None, 64), name="out")(x)
    model = keras.Model(inputs, x)

    rows = {kernel.name: kernel.shape.rows for kernel in find_layers(model, 2)}

    assert rows == {"in": 40, "out": 40}


def test_a_copy_is_opened_without_another():
    import keras

    model = transformer(keras)
    boxes = {id(box) for call in unfolded_calls(model) for box in call.inside}
    owned, own = opened(model, boxes), opened(model, boxes, copied=False)

    ours = {id(weight) for weight in model.weights}
    assert {id(weight) for weight in own.weights} == ours
    assert not ours & {id(weight) for weight in owned.weights}
    assert len(own.layers) == len(owned.layers) > len(model.layers)
