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
"""Most hidden units of real architectures can be removed."""

import numpy as np
import pytest

import tfmot_sapp as sapp
from benchmarks.architectures.language import LANGUAGE
from tfmot_sapp.units.groups import find_groups


def test_most_units_of_a_mobile_network_form_groups():
    import keras

    model = keras.applications.MobileNetV3Small(
        input_shape=(32, 32, 3), weights=None, include_top=False
    )

    groups = find_groups(model)

    made = {
        layer.name: layer.filters
        for layer in model.layers
        if type(layer).__name__ == "Conv2D"
    }
    covered = sum(g.units * len(g.makers) for g in groups.groups)
    assert covered > 0.8 * sum(made.values())
    assert all(
        "meet others" in why or "output of" in why
        for why in groups.left_alone.values()
    )


def test_feed_forwards_and_heads_of_a_keras_hub_encoder_go():
    pytest.importorskip("keras_hub")
    (bert,) = [each for each in LANGUAGE if each.name == "Bert"]
    model = bert.make("small")
    inputs = bert.inputs(model)
    data = tuple(np.asarray(inputs[tensor.name]) for tensor in model.inputs)

    smaller = sapp.prune_structured(model, data, 0.5, verbose=False)

    units = {group.name: group.units for group in find_groups(smaller).groups}
    assert units == {
        f"transformer_layer_{index}_{name}": count
        for index in range(2)
        for name, count in (
            ("self_attention_layer", 1),
            ("feedforward_intermediate_dense", 32),
        )
    }
    assert smaller(inputs)["sequence_output"].shape == (2, 8, 32)
