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
"""`strip_pruning`: a plain Keras model with exact zeros."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from tfmot_sapp.base.wording import received
from tfmot_sapp.frameworks.compiling import keep_out_of_files
from tfmot_sapp.frameworks.copying import Cloner, Copy
from tfmot_sapp.frameworks.kernels import find_kernels
from tfmot_sapp.frameworks.optimizers import slots_of
from tfmot_sapp.frameworks.pruning_record import record_rows
from tfmot_sapp.frameworks.which_keras import is_layer, is_model
from tfmot_sapp.training.pruned_kernel import PrunedKernel
from tfmot_sapp.training.pruning_group import pruned_layers, pruning_groups
from tfmot_sapp.training.pruning_rows import pruning_rows
from tfmot_sapp.training.wrapper import NOT_STARTED, PruneBlocksMixin


def strip_pruning(model: Any) -> Any:
    """Returns the model without pruning wrappers, its weights sparse.

    Factors and masks are multiplied into the kernels, so that the stripped
    model gives the wrapped one's outputs and its removed blocks are exact
    zeros. The wrapped model stays as it is, also in the midst of its training:
    the copy is then pruned to the target as if training had ended there.

    A model is compiled as the wrapped one is, by the rules of `prune_blocks`,
    so that it can be evaluated at once. Its `.keras` file tells of that when it
    has been trained itself, and loads uncompiled before.

    Args:
        model: What `prune_blocks` returned: a model, a layer or a list of
            layers.

    Returns:
        A model of the architecture that was wrapped; for a layer the layer
        that was wrapped, its kernels sparse now; likewise for a list.

    Raises:
        TypeError: If `model` is no model, layer or list of layers.
        ValueError: If it has no pruned layers, or a layer of its own has been
            stripped already.

    Example:

    >>> import keras, tfmot_sapp as sapp
    >>> model = keras.Sequential(
    ...     [keras.Input((64,)), keras.layers.Dense(100)])
    >>> schedule = sapp.SequentialAttentionSchedule(0.9, end_step=1000)
    >>> pruned = sapp.prune_blocks(model, schedule, block_size=(4, 4))
    >>> [type(layer).__name__ for layer in strip_pruning(pruned).layers]
    ['Dense']
    """
    members = model if isinstance(model, (list, tuple)) else [model]
    for member in members:
        if not is_layer(member):
            raise TypeError(
                "`model` must be a model, a layer or a list of layers. "
                f"{received('model', member)}"
            )
    wrapped = pruned_layers(model)
    if not wrapped:
        raise ValueError(
            "`model` has no pruned layers to strip. Received: "
            f"{getattr(model, 'name', model)!r}. Pass what `prune_blocks` "
            "returned."
        )
    released = [layer.name for layer in wrapped if layer.released]
    if released:
        raise ValueError(
            "`model` has layers whose wrapped layers were given back before. "
            f"Received: {released}. Use what `strip_pruning` returned for them "
            "the first time."
        )
    masks = _final_masks(model)
    if isinstance(model, (list, tuple)):
        return [_strip_layer(layer, masks) for layer in model]
    if not is_model(model):
        return _strip_layer(model, masks)
    return _strip_model(model, masks)


def _final_masks(model: Any) -> dict[int, np.ndarray]:
    """Returns the masks at the target, by the `id` of their kernels.

    A callback behind ours, such as EarlyStopping with its best weights, may
    have put earlier masks back after training ended; or it has not ended.
    """
    optimizer = getattr(model, "optimizer", None)

    def lookup(kernel: PrunedKernel) -> Any:
        return slots_of(optimizer, kernel.variable)

    masks = {}
    for group in pruning_groups(model):
        if group.step != NOT_STARTED:
            for name, mask in group.final_masks(lookup).items():
                masks[id(group.kernels[name])] = mask
    return masks


def _strip_model(model: Any, masks: Mapping[int, np.ndarray]) -> Any:
    plain: list[tuple[Any, Any]] = []

    def replace(layer: Any, copy: Copy) -> Any:
        if not isinstance(layer, PruneBlocksMixin):
            return copy(layer)
        plain.append((layer, copy(layer.layer)))
        return plain[-1][1]

    cloner = Cloner(replace)
    stripped = cloner.clone(model)
    for wrapper, layer in plain:
        kernels = {kernel.path: kernel for kernel in find_kernels(layer)}
        for pruned in wrapper.pruned_kernels:
            folded = pruned.folded(masks.get(id(pruned)))
            kernels[pruned.kernel.path].variable.assign(folded)
    cloner.compile()
    keep_out_of_files(stripped)
    record_rows(stripped, tuple(pruning_rows(model, masks)))
    return stripped


def _strip_layer(layer: Any, masks: Mapping[int, np.ndarray]) -> Any:
    if not isinstance(layer, PruneBlocksMixin):
        return layer
    if layer.released:
        # It stands in the list twice.
        return layer.layer
    for pruned in layer.pruned_kernels:
        pruned.variable.assign(pruned.folded(masks.get(id(pruned))))
    return layer.release()
