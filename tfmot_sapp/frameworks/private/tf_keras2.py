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
"""What tf_keras keeps private. Called with objects of tf_keras only."""

from contextlib import AbstractContextManager
from typing import Any


def is_functional(model: Any) -> bool:
    """Returns whether a model holds the graph of a Functional one."""
    return bool(getattr(model, "_is_graph_network", False))


def call_spec_of(layer: Any) -> tuple[Any, Any] | None:
    """Returns what a layer was first called with.

    Args:
        layer: A layer.

    Returns:
        Positional arguments and arguments by name, tensors as `tf.TensorSpec`
        and what is no tensor as `None`; or `None` for one not called.
    """
    return layer._get_save_spec(dynamic_batch=True, inputs_only=False)


def without_autocast() -> AbstractContextManager:
    """Returns a scope in which variables of mixed precision aren't rounded."""
    from tf_keras.src.mixed_precision import autocast_variable

    return autocast_variable.enable_auto_cast_variables(None)


def is_saving() -> bool:
    """Returns whether tf_keras is tracing a layer to save a SavedModel."""
    from tf_keras.src.engine import base_layer_utils

    return bool(base_layer_utils.call_context().saving)


def forget_calls(layer: Any) -> None:
    """Takes the nodes off a layer that hold the graph it was called in."""
    layer._inbound_nodes_value.clear()
    layer._outbound_nodes_value.clear()


def set_policy(layer: Any, name: str) -> None:
    """Gives a layer another dtype policy, which it computes by from then on."""
    layer._set_dtype_policy(name)


def stop_training(layer: Any, variable: Any) -> None:
    """Makes a variable of a layer's own one that is not trained.

    The flag of a variable can't be changed; the layer's lists tell.
    """
    trained = layer._trainable_weights
    if any(variable is other for other in trained):
        trained[:] = [other for other in trained if other is not variable]
        layer._non_trainable_weights.append(variable)
