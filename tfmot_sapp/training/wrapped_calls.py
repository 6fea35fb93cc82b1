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
"""What stands in the place of methods of a layer that is wrapped."""

import inspect
from collections.abc import Callable
from typing import Any


def refuse_to_quantize(name: str, *args: Any, **kwargs: Any) -> None:
    """Takes the place of `quantize` in what is wrapped.

    Args:
        name: Name of the layer or model.
        *args: Ignored.
        **kwargs: Ignored.

    Raises:
        ValueError: Always: quantizing would bypass the masks.
    """
    raise ValueError(
        f"`{name}` is being pruned and cannot be quantized. Call "
        "`tfmot_sapp.strip_pruning(model)` first and quantize its result."
    )


def call_like(layer: Any, function: Callable[..., Any]) -> Callable[..., Any]:
    """Gives a wrapper's `call` the signature of the wrapped layer's.

    Keras reads a layer's abilities (`training`, masks, several inputs) off the
    signature of its `call`. A `training` argument is added where the layer has
    none, since a scorer may behave differently in training.

    Args:
        layer: The wrapped layer.
        function: The wrapper's own `call`, taking any arguments.

    Returns:
        A function that calls `function`, with that signature.
    """
    signature = inspect.signature(layer.call)
    parameters = list(signature.parameters.values())
    if "training" not in signature.parameters:
        training = inspect.Parameter(
            "training", inspect.Parameter.KEYWORD_ONLY, default=None
        )
        at = len(parameters)
        if parameters and parameters[-1].kind is inspect.Parameter.VAR_KEYWORD:
            at -= 1
        parameters.insert(at, training)

    def call(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)

    signature = signature.replace(parameters=parameters)
    described: Any = call
    described.__signature__ = signature
    return described
