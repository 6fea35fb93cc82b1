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
"""Models that tests of the export share."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest


def _sparse_mlp(keras, block=(16, 16), width=256, sparsity=0.9):
    generator = np.random.default_rng(0)
    layers = keras.layers
    inputs = keras.Input((width,), name="x")
    hidden = layers.Dense(width, activation="relu", name="a")(inputs)
    model = keras.Model(inputs, layers.Dense(width, name="b")(hidden))
    for name in "ab":
        cells = (-(-width // block[0]), -(-width // block[1]))
        mask = np.kron(generator.random(cells) >= sparsity, np.ones(block))
        kernel = generator.normal(size=(width, width)) / 5
        bias = generator.normal(size=width)
        model.get_layer(name).set_weights([kernel * mask[:width, :width], bias])
    return model


@pytest.fixture
def sparse_mlp() -> Callable[..., Any]:
    """Makes two Dense layers, random, with blocks of zeros."""
    return _sparse_mlp
