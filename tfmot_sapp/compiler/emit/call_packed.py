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
"""Calling a model with its packed layers written for a runtime."""

import collections
import dataclasses
from typing import Any

from tfmot_sapp.compiler.emit.packed_computation import PackedComputation
from tfmot_sapp.compiler.emit.packing_report import is_packed
from tfmot_sapp.frameworks.calls import calls_of, is_graph
from tfmot_sapp.frameworks.run_calls import (
    fits,
    functional_of,
    run_calls,
    run_for_inference,
)
from tfmot_sapp.targets.operators import Operators


def call_packed(model: Any, inputs: Any, operators: Operators) -> Any:
    """Calls a model for inference, its packed layers written for a runtime.

    Packed layers are found in the model's graph and in those of Functional and
    Sequential models nested in it. One that is hidden in a layer's own `call`
    computes as it does in Keras.

    Args:
        model: Any model of either Keras.
        inputs: Tensors in the structure of its inputs.
        operators: How packed layers are written.

    Returns:
        What `model(inputs, training=False)` returns, but for rounding.
    """
    if not is_graph(model) or not is_packed(model):
        return model(inputs, training=False)
    counts = collections.Counter(_called(model))
    # The weights of a layer that is called more than once stay one set.
    shared = dataclasses.replace(operators, constant_weights=False)

    def call(layer: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if isinstance(layer, PackedComputation):
            own = operators if counts[id(layer)] == 1 else shared
            return layer(*args, **kwargs, operators=own)
        if is_packed(layer) and fits(layer, args, kwargs):
            return run_calls(layer, args[0], call)
        return layer(*args, **kwargs)

    return run_for_inference(
        model, inputs, lambda given: run_calls(model, given, call)
    )


def _called(model: Any) -> list[int]:
    """Identities of the layers that are called, once for every call."""
    found = []
    for call in calls_of(functional_of(model)):
        found.append(id(call.layer))
        if is_packed(call.layer) and is_graph(call.layer):
            found += _called(call.layer)
    return found
