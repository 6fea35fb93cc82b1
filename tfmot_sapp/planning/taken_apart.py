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
"""A copy of a model of which every layer with a kernel stands by itself."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from tfmot_sapp.frameworks.copying import input_like, same_layer
from tfmot_sapp.frameworks.layers.table import kind_of
from tfmot_sapp.frameworks.private.layers import functional_of
from tfmot_sapp.frameworks.run_calls import structured
from tfmot_sapp.frameworks.unfolding import names_in, opened, unfolded_calls
from tfmot_sapp.frameworks.which_keras import keras_of
from tfmot_sapp.planning.layers import PlannedKernel, find_layers

# How often what came to light is looked at again.
_ROUNDS = 3


@dataclasses.dataclass(frozen=True)
class TakenApart:
    """A copy of a model in which layers that are made of others come apart.

    Attributes:
        model: The copy. Where that can't be, it is made like the model.
        originals: The kernels of the model, in the order of its graph.
        kernels: The kernels of the copy by their names in the model. All
            extents that the model's inputs have are known there, also inside of
            models that could take others.
    """

    model: Any
    originals: list[PlannedKernel]
    kernels: dict[str, PlannedKernel]


def taken_apart(model: Any, batch_size: int) -> TakenApart:
    """Copies a model and takes apart what is made of others.

    Args:
        model: A model whose graph can be read; it stays as it is.
        batch_size: Samples in a call.
    """
    originals = find_layers(model, batch_size)
    copy = same_layer(model)
    if any(map(_is_inside, originals)):
        copy = _of_so_many(copy, batch_size)
    known = {kernel.name: kernel for kernel in find_layers(copy, batch_size)}
    pairs = {
        kernel.name: known[kernel.name]
        for kernel in originals
        if kernel.name in known
    }
    # What must know extents comes apart once the model around it has.
    for _ in range(_ROUNDS):
        names = names_in(unfolded_calls(copy))
        boxes = {id(box) for each in pairs.values() for box in each.call.inside}
        if not boxes:
            break
        try:
            copy = opened(copy, boxes, copied=False)
        except Exception:
            # Whatever the layers' own `call` does with symbolic tensors.
            break
        pairs = _paired(pairs, names, find_layers(copy, batch_size))
    return TakenApart(copy, originals, pairs)


def _is_inside(kernel: PlannedKernel) -> bool:
    """Whether a kernel is in a layer that is made of others."""
    return bool(kernel.call.inside) or kind_of(kernel.call.layer) is None


def _of_so_many(model: Any, batch_size: int) -> Any:
    """The same model for one number of samples, which some layers must know."""
    keras: Any = keras_of(model)
    graph = functional_of(model)
    inputs = [input_like(keras, tensor, batch_size) for tensor in graph.inputs]
    given = structured(graph, "inputs", graph.inputs, inputs)
    try:
        return keras.Model(given, model(given))
    except Exception:
        # Whatever its layers make of that number.
        return model


def _paired(
    kernels: Mapping[str, PlannedKernel],
    names: Mapping[int, str],
    copies: Sequence[PlannedKernel],
) -> dict[str, PlannedKernel]:
    """Finds kernels in a copy, of which some layers have other names."""
    found = {(each.layer.name, each.kernel.path): each for each in copies}
    found.update(((each.call.layer.name, each.place), each) for each in copies)
    pairs = {}
    for known, kernel in kernels.items():
        layer = kernel.call.layer
        name = names.get(id(layer)) if kernel.call.inside else None
        copy = found.get((name or layer.name, kernel.place))
        if copy is not None and copy.kernel.shape == kernel.kernel.shape:
            pairs[known] = copy
    return pairs
