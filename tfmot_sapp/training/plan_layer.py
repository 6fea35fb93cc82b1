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
"""What is to be done with one layer: which kernels a wrapper prunes."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from tfmot_sapp.blocks.block_size import (
    BlockSize,
    BlockSizeLike,
    resolve_block_size,
)
from tfmot_sapp.frameworks.kernels import (
    find_kernels,
    has_matrices,
    kernel_name,
    why_no_kernels,
    why_skip,
)
from tfmot_sapp.frameworks.layers.table import may_have_kernels
from tfmot_sapp.frameworks.policies import is_allowed
from tfmot_sapp.frameworks.private.layers import all_layers, layers_inside
from tfmot_sapp.frameworks.sharing import Sharing
from tfmot_sapp.frameworks.which_keras import keras_of
from tfmot_sapp.training.pruning_rows import NO_BLOCK_SIZE, NOT_ALLOWED


class Settings(Protocol):
    """What the decision depends on."""

    @property
    def block_size(self) -> BlockSizeLike:
        """The block size, or those by name."""

    @property
    def pruning_policy(self) -> Any:
        """The policy, or `None` for one that allows everything."""

    @property
    def min_blocks(self) -> int:
        """Kernels with fewer blocks are left alone."""


@dataclasses.dataclass(frozen=True)
class Plan:
    """What is to be done with one layer.

    Attributes:
        block_size: The block size to wrap it with; `None` leaves it alone.
        skipped: The kernels left alone, by name, each with the reason.
        aside: The kernels that are not this layer's alone, by path, each with
            the reason; nothing for one that is pruned elsewhere.
    """

    block_size: BlockSize | None = None
    skipped: Mapping[str, str] = dataclasses.field(default_factory=dict)
    aside: Mapping[str, str] = dataclasses.field(default_factory=dict)


def plan_layer(
    layer: Any, settings: Settings, sharing: Sharing | None = None
) -> Plan:
    """Decides whether a layer is wrapped, and with which block size.

    Args:
        layer: The layer.
        settings: Block sizes and policy.
        sharing: What is shared in the layer's model. Defaults to `None`: none.
    """
    name = layer.name
    if isinstance(layer, keras_of(layer).layers.InputLayer):
        return Plan()
    policy = settings.pruning_policy
    block_size = resolve_block_size(settings.block_size, name, layer)
    if not layer.built:
        if block_size is None or not may_have_kernels(layer):
            return Plan()
        if policy is not None and not is_allowed(policy, layer):
            return Plan(None, {name: _not_allowed(policy)})
        return Plan(block_size)
    kernels = find_kernels(layer)
    if not kernels:
        if not has_matrices(layer):
            return Plan()
        return Plan(None, {name: why_no_kernels(layer)})
    aside = _set_aside(layer, kernels, sharing or Sharing())
    own = [kernel for kernel in kernels if aside.get(kernel.path) != ""]
    if not own:
        return Plan()
    if block_size is None:
        return Plan(None, {name: NO_BLOCK_SIZE})
    if policy is not None and not is_allowed(policy, layer):
        return Plan(None, {name: _not_allowed(policy)})
    reasons = {}
    for kernel in own:
        why = aside.get(kernel.path) or why_skip(
            kernel, block_size, settings.min_blocks
        )
        if why:
            reasons[kernel_name(name, kernel, kernels)] = why
    if len(reasons) == len(own):
        return Plan(None, reasons)
    return Plan(block_size, reasons, aside)


def _set_aside(
    layer: Any, kernels: Sequence[Any], sharing: Sharing
) -> dict[str, str]:
    """Returns the kernels of a layer that others compute with as well."""
    elsewhere = {
        id(inner)
        for shared in layers_inside(layer)
        if id(shared) in sharing.layers
        for inner in all_layers(shared)
    }
    aside = {}
    for kernel in kernels:
        reader = sharing.readers.get(id(kernel.variable))
        if id(kernel.owner) in elsewhere:
            aside[kernel.path] = ""
        elif reader:
            aside[kernel.path] = f"{reader} reads it by itself"
    return aside


def _not_allowed(policy: Any) -> str:
    return f"{NOT_ALLOWED}{type(policy).__name__}"
