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
"""Files of wrapped models whose class does not know of the wrappers.

The config of a model with a constructor of its own tells what the plain model
is made from. In a file it is joined by the wrappers, in the order in which the
copier meets the layers: what is loaded is the plain model, wrapped again.
"""

import functools
from collections.abc import Sequence
from typing import Any

from tfmot_sapp.frameworks.calls import holds_graph
from tfmot_sapp.frameworks.copying import Cloner, Copy
from tfmot_sapp.frameworks.which_keras import is_model, keras_of
from tfmot_sapp.training.pruning_group import pruned_layers
from tfmot_sapp.training.wrapped_calls import refuse_to_quantize
from tfmot_sapp.training.wrapper import PruneBlocksMixin

# The name that files know such a model by, in either Keras.
NAME = "PrunedModel"
PACKAGE = "tfmot_sapp"


def finish_wrapped(
    model: Any, plain: dict[str, Any] | None, parts: Sequence[Any]
) -> None:
    """Gives a wrapped model what its class has not.

    Args:
        model: A wrapped model.
        plain: What Keras writes of the plain model to files, or `None` for one
            that it can't write.
        parts: The layers that the copier made, in its order.
    """
    if hasattr(model, "quantize"):
        # Before any of its layers are.
        model.quantize = functools.partial(refuse_to_quantize, model.name)
    if plain is None or _is_told_by_config(model):
        return
    model.save = functools.partial(_save, model, plain, tuple(parts))


def plain_config(model: Any) -> dict[str, Any] | None:
    """Returns what Keras writes of a plain model to files, if it can."""
    try:
        config = keras_of(model).saving.serialize_keras_object(model)
    except Exception:
        # Whoever saves the model is told then.
        return None
    # The optimizer is that of the model that is saved.
    config.pop("compile_config", None)
    return config


def _is_told_by_config(model: Any) -> bool:
    """Whether the config of a model names all the wrappers in it."""
    told: set[int] = set()

    def visit(part: Any) -> None:
        for layer in part.layers:
            if isinstance(layer, PruneBlocksMixin):
                told.add(id(layer))
            elif is_model(layer) and _is_kerass(layer):
                visit(layer)

    if _is_kerass(model):
        visit(model)
    return told == set(map(id, pruned_layers(model)))


def _is_kerass(model: Any) -> bool:
    root = type(model).__module__.partition(".")[0]
    return root in ("keras", "tf_keras") and holds_graph(model)


def _save(
    model: Any,
    plain: dict[str, Any],
    parts: Sequence[Any],
    filepath: Any,
    *args: Any,
    **kwargs: Any,
) -> Any:
    """Takes the place of a wrapped model's `save`."""
    cls = type(model)
    config = {
        "model": plain,
        "wrappers": [
            part.get_own_config()
            if isinstance(part, PruneBlocksMixin)
            else None
            for part in parts
        ],
    }

    # Keras writes the name of the class and asks it for a config.
    model.__class__ = type(
        f"{PACKAGE}>{NAME}", (cls,), {"get_config": lambda self: config}
    )
    try:
        return cls.save(model, filepath, *args, **kwargs)
    finally:
        model.__class__ = cls


def wrapped_again(
    plain: Any, wrappers: Sequence[Any], wrapper_class: Any
) -> Any:
    """Wraps a plain model as one was wrapped that has been saved.

    Args:
        plain: The plain model.
        wrappers: The wrappers' configs, `None` for a layer that has none, in
            the order of the copier.
        wrapper_class: The `PruneBlocks` of its Keras.

    Raises:
        ValueError: If the model has other layers than the one that was saved.
    """
    config = plain_config(plain)
    left = list(wrappers)
    parts = []

    def replace(layer: Any, copy: Copy) -> Any:
        if not left:
            raise ValueError(_others(plain))
        own = left.pop(0)
        part = copy(layer)
        if own is not None:
            part = wrapper_class.around(part, own)
        parts.append(part)
        return part

    model = Cloner(replace).clone(plain)
    if left:
        raise ValueError(_others(plain))
    finish_wrapped(model, config, parts)
    return model


def _others(model: Any) -> str:
    return (
        f"The model `{model.name}` has other layers than the wrapped one that "
        "was saved. Its class has changed, or its `get_config()` does not "
        "return everything that its layers depend on. Load the weights into a "
        "model that was wrapped by `prune_blocks` again."
    )
