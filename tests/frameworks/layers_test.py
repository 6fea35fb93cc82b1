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
"""The one table of layers has an entry for every layer that a Keras has."""

import collections
import inspect

import numpy as np
import pytest
import tensorflow as tf

from tfmot_sapp.frameworks.kernels import find_kernels
from tfmot_sapp.frameworks.layers.activations import ELEMENTWISE
from tfmot_sapp.frameworks.layers.axes import einsum_roles, merge_axes
from tfmot_sapp.frameworks.layers.table import (
    KINDS,
    exact_kind_of,
    kind_of,
    may_have_kernels,
)

# Layers that say nothing of what is inside them, or are frames for others.
FRAMES = {
    *("Layer", "Wrapper", "Bidirectional", "TimeDistributed", "Pipeline"),
    *("RNN", "AbstractRNNCell", "StackedRNNCells", "SpectralNormalization"),
    *("TFSMLayer", "JaxLayer", "FlaxLayer", "TorchModuleWrapper"),
    # Kernels whose blocks nobody has defined.
    *("DenseFeatures", "LocallyConnected1D", "LocallyConnected2D"),
}


def classes(keras):
    return [
        cls
        for cls in {id(c): c for c in vars(keras.layers).values()}.values()
        if inspect.isclass(cls) and issubclass(cls, keras.layers.Layer)
    ]


def test_every_layer_has_an_entry(keras):
    known = {name for kind in KINDS for name in kind.names}
    missing = {cls.__name__ for cls in classes(keras)} - known - FRAMES
    assert not missing


def test_no_class_has_two_entries():
    names = collections.Counter(name for kind in KINDS for name in kind.names)
    assert [name for name, count in names.items() if count > 1] == []


def test_a_subclass_inherits_its_kernels_and_not_its_computation(keras):
    class Scaled(keras.layers.Dense):
        def call(self, x):
            return 2 * super().call(x)

    layer = Scaled(3)
    layer.build((None, 4))
    assert kind_of(layer).size == "units"
    assert exact_kind_of(layer) is None
    assert [k.path for k in find_kernels(layer)] == ["kernel"]


def test_a_class_of_that_name_from_elsewhere_is_not_taken_for_it(keras):
    class Dense(keras.layers.Layer):
        pass

    assert kind_of(Dense()) is None
    assert may_have_kernels(Dense())


@pytest.mark.parametrize("name", ["Identity", "ReLU", "Flatten", "Add"])
def test_layers_without_weights_have_no_kernels(keras, name):
    assert not may_have_kernels(getattr(keras.layers, name)())


@pytest.mark.parametrize("name", ["Dense", "GRU", "EinsumDense"])
def test_layers_that_will_have_kernels_are_told(keras, name):
    arguments = {"EinsumDense": ("ab,bc->ac", 3)}.get(name, (3,))
    assert may_have_kernels(getattr(keras.layers, name)(*arguments))


CONVOLUTIONS = [
    ("Conv1D", (8, 4), {}),
    ("Conv2D", (8, 7, 4), {"strides": 2, "padding": "same"}),
    ("Conv2D", (8, 7, 4), {"dilation_rate": 2}),
    ("DepthwiseConv2D", (8, 7, 4), {}),
    ("SeparableConv1D", (8, 4), {}),
    ("Conv2DTranspose", (8, 7, 4), {"strides": 2, "padding": "same"}),
]


@pytest.mark.parametrize(("name", "shape", "options"), CONVOLUTIONS)
def test_multiply_adds_are_kernel_by_places(keras, name, shape, options):
    sizes = (3,) if name.startswith("Depthwise") else (6, 3)
    layer = getattr(keras.layers, name)(*sizes, **options)
    outputs = layer(keras.Input(shape))
    given = int(np.prod(shape[:-1]))
    made = int(np.prod(outputs.shape[1:-1]))
    places = given if name.endswith("Transpose") else made
    weights = sum(
        int(np.prod(w.shape)) for w in layer.weights if len(w.shape) > 1
    )
    counted = exact_kind_of(layer).multiply_adds(layer, given, made)
    assert counted == places * weights


@pytest.mark.parametrize("kind", ["Dense", "BatchNormalization"])
def test_what_is_read_computes_what_the_layer_computes(keras, kind):
    arguments = {"Dense": (5,)}.get(kind, ())
    layer = getattr(keras.layers, kind)(*arguments)
    x = np.random.default_rng(0).standard_normal((3, 4)).astype("float32")
    layer(x)
    generator = np.random.default_rng(1)
    layer.set_weights(
        [generator.uniform(0.5, 2, w.shape) for w in layer.get_weights()]
    )
    (read,) = exact_kind_of(layer).read(layer)
    if kind == "Dense":
        expected = x @ read.kernel + read.bias
    else:
        expected = x * read.factor + read.offset
    np.testing.assert_allclose(layer(x), expected, rtol=1e-5, atol=1e-6)


def test_elementwise_activations_are_functions_of_one_value(keras):
    x = np.random.default_rng(0).standard_normal((2, 6)).astype("float32")
    for name in ELEMENTWISE - {"threshold"}:
        function = getattr(keras.activations, name, None)
        if function is None:
            continue
        whole = np.asarray(function(tf.constant(x)))
        half = np.asarray(function(tf.constant(x[:, :3])))
        np.testing.assert_allclose(whole[:, :3], half, rtol=1e-6, err_msg=name)


def test_neighbouring_axes_of_a_role_are_one():
    roles = einsum_roles("abc,cde->abde")
    assert merge_axes((4, 2, 3), roles) == ((4, 6), ("in", "out"))
