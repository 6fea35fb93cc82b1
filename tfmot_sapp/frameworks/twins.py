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
"""A model made anew from its own config, as a source of copies of its layers.

A model whose own config is good may hold layers whose configs are not.
"""

from collections.abc import Container
from typing import Any

from tfmot_sapp.frameworks.building import has_same_variables
from tfmot_sapp.frameworks.initial_values import begin_like
from tfmot_sapp.frameworks.layer_state import variables_of
from tfmot_sapp.frameworks.private import keras3, tf_keras2
from tfmot_sapp.frameworks.walking import paired_layers
from tfmot_sapp.frameworks.which_keras import keras_of


def twins_of(model: Any, made: Container[int]) -> dict[int, Any]:
    """Makes a model again, and returns the layers in it.

    Args:
        model: A model. Wrappers of pruning in it are seen through.
        made: The `id`s of layers that need no twin.

    Returns:
        For the `id` of each layer that has one, the layer in its place, which
        no graph holds; none if the model can't be made again.
    """
    try:
        with begin_like(variables_of(model)):
            again = type(model).from_config(model.get_config())
    except Exception:
        # What is wrong with the layer itself is what the user is told.
        return {}
    forget: Any = keras3.forget_calls
    if keras_of(model).__name__ == "tf_keras":
        forget = tf_keras2.forget_calls
    pairs = paired_layers(model, again)
    for _, twin in pairs:
        forget(twin)
    return {
        id(layer): twin
        for layer, twin in pairs
        if id(layer) not in made and has_same_variables(layer, twin)
    }
