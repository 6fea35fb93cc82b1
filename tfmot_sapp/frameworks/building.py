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
"""Builds a copy of a layer as the layer was built, for both Keras."""

import contextlib
import warnings
from collections.abc import Callable
from typing import Any

from tfmot_sapp.frameworks.private import keras3
from tfmot_sapp.frameworks.which_keras import is_model, keras_of


def built_like(original: Any, make: Callable[[], Any]) -> Any:
    """Makes a copy of a layer and builds it.

    Args:
        original: A built layer.
        make: Makes a layer from its config.

    Returns:
        A layer with the original's variables; or one that is not built, and
        may come to have them when it is called.
    """
    ways: tuple[Callable[[Any, Any], None], ...]
    ways = (_build_by_config, _build_by_call, _build_by_shapes)
    if keras_of(original).__name__ == "tf_keras":
        from tfmot_sapp.frameworks.tf_keras_building import build_like

        ways = (build_like,)
    for build in ways:
        # A layer that leaves building those inside it to its first call is
        # taken for built when its config has been used.
        copy = make()
        # Whether it went well is told by the variables.
        with contextlib.suppress(Exception), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            build(original, copy)
        # The layers of a model are replaced, and need not be built.
        if is_model(original) or has_same_variables(original, copy):
            return copy
    return make()


def _build_by_config(original: Any, copy: Any) -> None:
    config = original.get_build_config()
    if config and not copy.built:
        copy.build_from_config(config)


def _build_by_call(original: Any, copy: Any) -> None:
    call = keras3.first_call_of(original)
    if call is not None:
        keras3.build_by_call(copy, *call)


def has_same_variables(layer: Any, other: Any) -> bool:
    """Returns whether two layers have variables of the same shapes."""
    try:
        return _shapes(layer) == _shapes(other)
    except ValueError:
        # Models of tf_keras don't tell before they are built.
        return False


def _shapes(layer: Any) -> list[tuple[int | None, ...]]:
    return [tuple(getattr(v, "shape", ())) for v in layer.variables]


def _build_by_shapes(original: Any, copy: Any) -> None:
    """Calls a layer on inputs of the shapes that the original was built for."""
    shapes = keras3.build_shapes_of(original)
    single = len(shapes) == 1
    for dtype in (original.compute_dtype, "int32"):
        tensors = {
            name.removesuffix("_shape"): keras3.symbolic(shape, dtype)
            for name, shape in shapes.items()
        }
        args = tuple(tensors.values()) if single else ()
        kwargs = {} if single else tensors
        # A dtype that it doesn't take, or arguments of other names.
        with contextlib.suppress(Exception):
            keras3.build_by_call(copy, args, kwargs)
        if has_same_variables(original, copy):
            return


def build_as_noted(layer: Any, config: dict[str, Any]) -> bool:
    """Builds a layer of Keras 3 as another was built.

    One without a `build` of its own leaves the layers inside it to its first
    call, and would be marked as built without them.

    Args:
        layer: A layer that is not built.
        config: What the other's `get_build_config` returned.

    Returns:
        Whether it is built; if not it has to be called.
    """
    if not keras3.is_built_by_call(layer):
        layer.build_from_config(config)
        return bool(layer.built)
    shapes = config.get("shapes_dict") or config
    for dtype in (layer.compute_dtype, "int32"):
        tensors = {
            name.removesuffix("_shape"): keras3.symbolic(shape, dtype)
            for name, shape in shapes.items()
        }
        args = tuple(tensors.values()) if len(tensors) == 1 else ()
        # A dtype that it doesn't take, or extents that it must know.
        with contextlib.suppress(Exception):
            keras3.build_by_call(layer, args, {} if args else tensors)
            return True
    return False
