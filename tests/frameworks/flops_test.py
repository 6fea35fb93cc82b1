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
"""Multiply-adds, counted by hand and as papers give them."""

import pytest

import tfmot_sapp as sapp


def test_layers_counted_by_hand(keras):
    layers = keras.layers
    inputs = keras.Input((9, 9, 4))
    x = layers.Conv2D(8, 3, strides=2, padding="same")(inputs)  # 5 x 5
    x = layers.BatchNormalization()(x)
    x = layers.DepthwiseConv2D(3, padding="valid")(x)  # 3 x 3
    x = layers.SeparableConv2D(6, 3, padding="same")(x)
    x = layers.Conv2D(6, 1, groups=2)(x)
    x = layers.Conv2DTranspose(5, 2, strides=2)(x)  # 6 x 6
    x = layers.GlobalAveragePooling2D()(x)
    shared = layers.Dense(5)
    model = keras.Model(inputs, shared(shared(x)))

    assert sapp.count_flops(model) == sum(
        (
            25 * 9 * 4 * 8,
            9 * 9 * 8,
            9 * (9 * 8 + 8 * 6),
            9 * 3 * 6,
            9 * 4 * 6 * 5,
            2 * 5 * 5,
        )
    )


def test_dense_layers_count_every_place_and_nested_models(keras):
    inner = keras.Sequential([keras.Input((7, 4)), keras.layers.Dense(3)])
    model = keras.Sequential(
        [keras.Input((7, 5)), keras.layers.Dense(4), inner]
    )

    assert sapp.count_flops(model) == 7 * 5 * 4 + 7 * 4 * 3


def test_mobilenet_v2_has_the_published_count(keras):
    model = keras.applications.MobileNetV2(weights=None)

    assert sapp.count_flops(model) / 1e6 == pytest.approx(300.8, abs=0.05)


def test_a_model_without_a_graph_is_refused(keras):
    with pytest.raises(ValueError, match="`model`.*Received"):
        sapp.count_flops(keras.Sequential([keras.layers.Dense(3)]))
